"""The part of a profile that decides which frame belongs to which point of the sample."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from phasecast.profiles.base import ProfilePart


def _one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if groups != 1:
        raise ValueError(f"must have exactly one group in parentheses, found {groups}")
    return pattern


GroupRegex = Annotated[str, AfterValidator(_one_group)]


def _one_placeholder(template: str) -> str:
    rest = template.replace("{stem}", "", 1) if "{stem}" in template else template.replace("{name}", "", 1)
    if rest == template or not rest or set("{}/\\") & set(rest):
        raise ValueError("must be {stem} or {name}, once, with something before or after it and no folder")
    return template


SidecarName = Annotated[str, AfterValidator(_one_placeholder)]


class PositionAxis(ProfilePart):
    """One axis of the sample, read from a field of the bluesky events."""

    field: str = Field(min_length=1, description="Name of the event field that holds the motor's readback.")
    factor_to_um: float = Field(
        default=1000.0, gt=0, description="What a readback is multiplied with to give um; 1000 for mm."
    )
    sign: Literal[-1, 1] = Field(
        default=1,
        description="-1 where the motor moves the sample: a stage that goes up lets the beam go down on the sample.",
    )


class Positions(ProfilePart):
    """Sample coordinates in um, x to the right and y up as the beam sees the sample."""

    horizontal: PositionAxis = Field(description="Event field of the sample's x.")
    vertical: PositionAxis = Field(description="Event field of the sample's y.")
    view: Literal["beam", "upstream"] = Field(
        default="beam",
        description="From which side the signs are meant: 'beam' looks along the beam, 'upstream' towards the source "
        "as an operator behind the sample does. Maps always show what the beam sees: 'upstream' mirrors x.",
    )

    @property
    def x_sign_of_view(self) -> int:
        """-1 where the signs are meant by someone who looks upstream: left and right are exchanged."""
        return -1 if self.view == "upstream" else 1


class Footprint(ProfilePart):
    """Size of the beam on the sample; maps show it beside the scale bar."""

    horizontal_um: float = Field(gt=0, description="Full width at half maximum along the sample's x, in um.")
    vertical_um: float = Field(gt=0, description="Full width at half maximum along the sample's y, in um.")


class Join(ProfilePart):
    """How frames find their scan points."""

    key: tuple[Literal["counter", "datum", "time", "order"], ...] = Field(
        default=("counter", "datum", "time", "order"),
        min_length=1,
        description="Ways to join, the first that both wires offer is used: the detector's "
        "image number in the "
        "event, the datum or file the event names, the hardware timestamp, the order of arrival.",
    )
    counter_field: str | None = Field(
        default=None,
        description="Event field with the detector's own image number; leave out if there is none.",
    )
    skip_frames_per_row: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Lead-in frames at the start of every row that belong to no point.",
    )
    align: Literal["order", "time"] = Field(
        default="order",
        description="Where no name joins: pair the frames of a row in order, or by nearest time (median removed).",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.key)) != len(self.key):
            raise ValueError("each way to join may be named once")
        return self


class HeaderAxis(ProfilePart):
    """One axis of the sample, read from the text header of a frame file, its TIFF tags, or the text file beside it."""

    field: str = Field(
        min_length=1,
        description="Header key that is followed by the position and its unit (nm, um or mm), such as "
        "'Map_horizontal'; or a regular expression with the named groups 'value' and 'unit'. The name of an attribute "
        "in areaDetector's TIFF, and a key of a sidecar, are such keys too.",
    )
    factor_to_um: float | None = Field(
        default=None,
        gt=0,
        description="What a position that stands without a unit is multiplied with to give um, as in TIFF attributes "
        "and sidecars; leave out where the unit follows.",
    )
    sign: Literal[-1, 1] = Field(default=1, description="-1 where the motor moves the sample, not the beam.")


class FrameFiles(ProfilePart):
    """How frames that arrive as files are recognised, numbered and placed."""

    patterns: tuple[str, ...] = Field(
        default=("*.cbf", "*.tif", "*.tiff", "*.edf"),
        min_length=1,
        description="Shell patterns of the files that are frames; compressed ones (.gz) are named explicitly.",
    )
    number_regex: GroupRegex = Field(
        default=r"(\d+)\.[A-Za-z.]+$",
        description="Regular expression whose one group is the frame's number in the file name.",
    )
    position_from: Literal["none", "header", "sidecar", "documents"] = Field(
        default="documents",
        description="Where positions come from: nowhere (frames are ordered by number), the frame's own header or "
        "TIFF tags, the text file beside it, or bluesky documents.",
    )
    header_horizontal: HeaderAxis | None = Field(
        default=None, description="Sample x in the header; needed with position_from = 'header'."
    )
    header_vertical: HeaderAxis | None = Field(
        default=None, description="Sample y in the header; needed with position_from = 'header'."
    )
    header_view: Literal["beam", "upstream"] = Field(
        default="beam", description="From which side header_horizontal is meant, as view of [positions]."
    )

    sidecar: SidecarName | None = Field(
        default=None,
        description="Name of the text file beside each frame that states its arm angles: '{stem}.txt' stands for "
        "a_01.txt beside a_01.tif.gz, '{name}.pdi' for a_01.raw.pdi beside a_01.raw.gz. A frame without it is "
        "rejected. Leave out if there is none.",
    )

    hdf5_dataset: str = Field(
        default="/entry/data/data",
        pattern=r"^/[^/]+(/[^/]+)*$",
        description="Where frames are in HDF5 files ('*.h5', '*.hdf5' or '*.nxs' in patterns), which may still grow "
        "(SWMR): a dataset of shape (frames, rows, cols) in chunks of whole frames.",
    )
    max_read_mb_per_s: float = Field(
        default=200.0,
        gt=0,
        description="Most that is read from the folders of frame files, in MB/s (1e6 bytes): the detector comes first. "
        "Each file is read twice, once to find it complete and once, mostly from memory, to reduce it.",
    )
    copy_frames: bool = Field(
        default=False,
        description="Whether frame files are copied into the capture; else path, size and SHA-256 are recorded.",
    )

    @model_validator(mode="after")
    def _header_axes(self) -> Self:
        stated = self.position_from in ("header", "sidecar")
        if stated and (self.header_horizontal is None or self.header_vertical is None):
            raise ValueError(f"position_from = '{self.position_from}' needs header_horizontal and header_vertical")
        if self.position_from == "sidecar" and self.sidecar is None:
            raise ValueError("position_from = 'sidecar' needs sidecar, the name of that file")
        return self


DocumentRootText = Annotated[
    str, Field(pattern=r"^[^=]+(=/.*)?$", description="Absolute folder, or folder-in-documents=folder-here.")
]


class Documents(ProfilePart):
    """What is read of the files that bluesky documents name."""

    roots: tuple[DocumentRootText, ...] = Field(
        default=(),
        description="Folders in which files that documents name may be read: '/data', or '/ramdisk=/mnt/ioc' where "
        "documents call it otherwise than this machine. Without one, frames come over another wire.",
    )
    image_field: str = Field(
        default="", description="Data key of the detector's frames, where documents name several; else its only one."
    )


class Reporting(ProfilePart):
    """The report that is made when a scan ends."""

    language: Literal["en", "ja"] = Field(default="en", description="Language of the report: en or ja.")
    figures: bool = Field(
        default=False,
        description="Whether every report comes with figure files (SVG, PDF, 600 dpi TIFF); they take about half a "
        "minute of a core. `phasecast report --figures` makes them later.",
    )
