"""The part of a profile that says what a model is to be trained for: classes, crystals, axis."""

from typing import Literal

from pydantic import Field

from phasecast.profiles.base import ProfilePart
from phasecast.profiles.instrument import PatternAxis

CIF_SUFFIX = ".cif"


class PhaseClass(ProfilePart):
    """One thing a point of the sample can be."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Name in files and programs.")
    name_en: str = Field(min_length=1, description="Name for people, English.")
    name_ja: str = Field(min_length=1, description="Name for people, Japanese.")
    formula: str = Field(default="", description="Chemical formula; empty where there is none.")
    colour: str = Field(pattern=r"^#[0-9A-Fa-f]{6}$", description="Colour on maps as #RRGGBB.")
    role: Literal["", "steel", "rust", "outside"] = Field(
        default="",
        description="Part of the sample that the class belongs to; steel, rust and outside are proposed from it, "
        "and with them the steel surface. Empty: it tells nothing of the part.",
    )
    kind: Literal["", "mineral", "metal", "resin", "bare_iron", "other"] = Field(
        default="",
        description="What a training simulates for the class: lines of a mineral, lines of the few coarse grains of a "
        "metal, the halo of resin, iron that fluoresces without lines, or lines of any foreign phase. Empty: that of "
        "the shipped class with this id, else metal for the role steel, else mineral.",
    )
    structures: tuple[str, ...] = Field(
        default=(),
        description="Crystals that count for the class: CIF files (*.cif), relative to the profile, or ids of shipped "
        "structures such as hematite. Empty: the shipped ones of that id.",
    )


class Classification(ProfilePart):
    """What a model is trained for, beside the classes."""

    axis: PatternAxis | None = Field(
        default=None,
        description="Axis of the model; leave out for that of [axis] in bins of 0.1 deg and more.",
    )
    sample: Literal["transmission", "reflection"] = Field(
        default="transmission",
        description="Whether the beam passes a thin section, or meets the surface of a thick sample, as in a powder "
        "diffractometer, where absorption is the same at all angles.",
    )
    thickness_um: tuple[float, float] = Field(
        default=(5.0, 20.0),
        description="Thinnest and thickest section, for telling iron without peaks from rust without peaks by the "
        "transmission; a thickness in the sample form goes before it.",
    )
    neighbours: bool = Field(
        default=False,
        description="Whether the confidences of a raster take the eight neighbours of each point into account. Only "
        "where steps are smaller than grains: elsewhere neighbours tell nothing, and confidences get worse.",
    )
    others: tuple[str, ...] = Field(
        default=(),
        description="Further crystals that count for the class of kind other: CIF files or ids of shipped structures. "
        "Every shipped structure without a class of its own is among them already.",
    )


def is_cif(name: str) -> bool:
    """Whether an entry of structures names a file, not a shipped structure."""
    return name.lower().endswith(CIF_SUFFIX)
