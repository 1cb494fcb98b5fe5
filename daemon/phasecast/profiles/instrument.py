"""The part of a profile that decides how counts become patterns: detector, geometry, corrections, axis."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from phasecast.profiles.base import ProfilePart

PixelCount = Annotated[float, Field(ge=-100_000, le=100_000)]


class Detector(ProfilePart):
    """The detector and which of its counts may be believed."""

    model: str = Field(
        min_length=1,
        description="Name that pyFAI knows the detector by, such as Pilatus100k; it fixes shape and pixel size.",
    )
    threshold_kev: float | None = Field(
        default=None, gt=0, description="Energy threshold of the detector in keV; leave out if unknown."
    )
    count_limit: int = Field(
        default=2**20 - 1,
        gt=0,
        description="Counter limit in counts per pixel; pixels at or above it are excluded and the point is "
        "flagged saturated. Negative counts (gaps are -1, bad pixels -2) are always excluded.",
    )
    image_channel: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"^[0-9_-]*[A-Za-z][A-Za-z0-9_-]*$",
        description="Channel whose images are taken where a stream sends several (SIMPLON V2), such as threshold_1; "
        "the address of the source may say otherwise.",
    )
    mask_file: str | None = Field(
        default=None,
        description="Image (any format fabio reads, or .npy) whose non-zero pixels are never used; "
        "relative to the profile.",
    )
    flat_file: str | None = Field(
        default=None,
        description="Flat field image, relative response of each pixel (no unit); counts are divided by it.",
    )
    dark_file: str | None = Field(
        default=None, description="Dark image in counts per frame; it is subtracted from every frame."
    )


class ArmAxis(ProfilePart):
    """One axis of the detector's arm whose angle every frame states; geometry is then keyed by frame.

    The arm's angle is ``sign * field + offset_deg``. The .poni file, or else the nominal values, hold where the angles
    of all axes are 0; with a goniometer file the angles are its positions.
    """

    field: str = Field(
        min_length=1,
        description="Key in the frame's header or sidecar, or field of the event, that holds the angle in degrees.",
    )
    rotates: Literal["rot1", "rot2"] = Field(
        description="pyFAI rotation that the axis adds to: rot1 turns about the vertical, rot2 about the horizontal. "
        "Without meaning where a goniometer file says how the arm moves."
    )
    sign: Literal[-1, 1] = Field(default=1, description="-1 where the stated angle grows against pyFAI's rotation.")
    offset_deg: float = Field(
        default=0.0,
        ge=-360,
        le=360,
        description="Added after the sign, in degrees; minus the signed angle at which the .poni file was calibrated.",
    )


class Geometry(ProfilePart):
    """Where the detector is; nominal values, over which a .poni file wins."""

    distance_mm: float = Field(
        gt=0, description="Sample to detector along the detector's normal (pyFAI Distance), in mm."
    )
    arm_plane: Literal["horizontal", "vertical"] = Field(
        description="Plane of the laboratory in which the detector arm turns. No default: with a "
        "polarised beam a wrong plane falsifies intensities by tens of per cent."
    )
    arm_tth_deg: float | None = Field(
        default=None,
        gt=-180,
        lt=180,
        description="Nominal 2theta in degrees of a detector that faces the sample with its "
        "centre; pyFAI rot1 "
        "(rot2 if fast_axis_in_arm_plane is false) with this sign.",
    )
    beam_centre_px: tuple[PixelCount, PixelCount] | None = Field(
        default=None,
        description="Nominal direct beam (x along the fast axis, y along the slow axis) in "
        "pixels of a detector "
        "that is perpendicular to the beam; instead of arm_tth_deg.",
    )
    fast_axis_in_arm_plane: bool = Field(
        default=True,
        description="Whether the fast axis of the image (487 pixels of a PILATUS 100k) lies in the arm's plane.",
    )
    orientation: Literal[1, 2, 3, 4] = Field(
        default=3,
        description="pyFAI (EXIF) orientation of the stored image; 3 is first pixel at bottom right.",
    )
    poni_file: str | None = Field(
        default=None,
        description="Calibration in pyFAI's .poni format, relative to the profile. It wins over the nominal "
        "values; more than 2 mm or 1 degree of difference is warned about. With [[geometry.arm]] it may also be a "
        "goniometer file of pyFAI (.json).",
    )
    arm: tuple[ArmAxis, ...] = Field(
        default=(),
        max_length=3,
        description="Axes of an arm that moves during the scan, from the floor to the detector: the first carries the "
        "second. A frame whose angles are not known is rejected.",
    )

    @model_validator(mode="after")
    def _each_angle_once(self) -> Self:
        fields = [axis.field for axis in self.arm]
        if len(set(fields)) != len(fields):
            raise ValueError("each axis of the arm needs a field of its own")
        return self

    @model_validator(mode="after")
    def _one_nominal_form(self) -> Self:
        if self.arm_tth_deg is not None and self.beam_centre_px is not None:
            raise ValueError("arm_tth_deg and beam_centre_px exclude each other: keep one")
        return self

    @property
    def fast_axis_horizontal(self) -> bool:
        """Whether the fast axis of the image lies in the laboratory's horizontal plane."""
        return (self.arm_plane == "horizontal") == self.fast_axis_in_arm_plane


class EmptyFrame(ProfilePart):
    """A frame of the empty beam, which is subtracted from every frame in proportion to I0 and transmission."""

    file: str = Field(min_length=1, description="The frame, relative to the profile; any format that frames come in.")
    i0: float = Field(description="I0 during that frame, raw, in the unit of the monitor with role i0.")
    i1: float | None = Field(
        default=None,
        description="I1 during that frame, raw. With it transmission is computed as (I1/I0) / (I1/I0 of this frame) "
        "where the profile states no other.",
    )


class Corrections(ProfilePart):
    """How pixels are weighted and shared between bins."""

    pixel_splitting: Literal["no", "bbox", "full"] = Field(
        default="bbox", description="How a pixel is shared between bins, in pyFAI's words."
    )
    solid_angle: bool = Field(
        default=True,
        description="Divide by the solid angle of each pixel relative to one at the normal's foot.",
    )
    polarisation: bool = Field(default=True, description="Divide by the polarisation factor of each pixel.")
    polarisation_factor: float = Field(
        default=0.99,
        ge=-1,
        le=1,
        description="Degree of linear polarisation of the beam in the horizontal plane of the laboratory, "
        "from 1 (all horizontal) to -1 (all vertical), no unit.",
    )
    empty_frame: EmptyFrame | None = Field(
        default=None,
        description="Frame of the empty beam (air, windows): patterns without it are kept beside the measured ones.",
    )


class PatternAxis(ProfilePart):
    """The 2theta axis that patterns are kept on: equal bins, finer than a classifier needs."""

    tth_min_deg: float = Field(default=10.0, ge=0, lt=180, description="Lower edge of the first bin in degrees.")
    tth_max_deg: float = Field(default=40.0, gt=0, le=180, description="Upper edge of the last bin in degrees.")
    bins: int = Field(default=600, ge=2, le=20_000, description="Number of equal bins.")

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.tth_max_deg <= self.tth_min_deg:
            raise ValueError(f"tth_max_deg {self.tth_max_deg} must be above tth_min_deg {self.tth_min_deg}")
        return self

    @property
    def step_deg(self) -> float:
        """Width of a bin."""
        return (self.tth_max_deg - self.tth_min_deg) / self.bins
