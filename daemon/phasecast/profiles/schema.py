"""The profile of an instrument: everything phasecast must be told about it, in one TOML file."""

import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from phasecast.profiles.base import ProfilePart
from phasecast.profiles.instrument import Corrections, Detector, Geometry, PatternAxis
from phasecast.profiles.scan_declaration import PositionLog
from phasecast.profiles.scanning import Footprint, FrameFiles, Join, Monitors, Positions, Reporting

SCHEMA_VERSION = 1

HC_KEV_ANGSTROM = 12.398419843320026
"""Planck's constant times the speed of light, exact in SI 2019."""

SourceUri = Annotated[str, Field(pattern=r"^(files:///|simplon://|simplon2://|bluesky://|capture://|result://).+$")]


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


class Profile(ProfilePart):
    """An instrument, as its TOML file describes it."""

    schema_version: int = Field(description="Version of this schema that the file was written for.")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Short name; a shipped profile is loaded by it.")
    title: str = Field(min_length=1, description="One line that tells a person which instrument this is.")
    energy_kev: float = Field(gt=0.1, lt=1000, description="Photon energy in keV.")
    default_bundle: str | None = Field(
        default=None,
        description="Name or path of the model bundle that classifies; leave out to only integrate.",
    )
    sources: tuple[SourceUri, ...] = Field(
        default=(),
        description="Where frames and documents come from, as URIs: files:///folder, simplon://host:port, "
        "simplon2://host:port, bluesky://host:port?prefix=name, capture://path, result://path.",
    )
    detector: Detector = Field(description="The detector and which of its counts may be believed.")
    geometry: Geometry = Field(description="Where the detector is.")
    corrections: Corrections = Field(
        default=Corrections(), description="How pixels are weighted and shared between bins."
    )
    axis: PatternAxis = Field(default=PatternAxis(), description="The 2theta axis that patterns are kept on.")
    positions: Positions | None = Field(default=None, description="Which event fields are the sample's coordinates.")
    monitors: Monitors = Field(default=Monitors(), description="Which event fields normalise patterns.")
    join: Join = Field(default=Join(), description="How frames find their scan points.")
    position_log: PositionLog | None = Field(
        default=None, description="How the log of positions is read, for scans that are declared with --scan."
    )
    beam: Footprint | None = Field(default=None, description="Size of the beam on the sample; leave out if unknown.")
    frame_files: FrameFiles = Field(
        default=FrameFiles(),
        description="How frames that arrive as files are recognised, numbered and placed.",
    )
    report: Reporting = Field(default=Reporting(), description="The report that is made when a scan ends.")
    classes: tuple[PhaseClass, ...] = Field(
        default=(), description="What a point can be, in the order of the model bundle's columns."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = [phase.id for phase in self.classes]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"class ids must differ; used twice: {', '.join(twice)}")
        if self.default_bundle is not None and not self.classes:
            raise ValueError("default_bundle needs [[classes]]: names and colours of the bundle's columns")
        threshold = self.detector.threshold_kev
        if threshold is not None and threshold >= self.energy_kev:
            raise ValueError(
                f"detector.threshold_kev {threshold} must be below energy_kev {self.energy_kev}: "
                "no diffracted photon would be counted"
            )
        return self

    @property
    def wavelength_angstrom(self) -> float:
        """Wavelength of the beam."""
        return HC_KEV_ANGSTROM / self.energy_kev

    @property
    def image_polarisation_factor(self) -> float | None:
        """Polarisation factor in pyFAI's sense, whose horizontal is the image's fast axis; None for off."""
        if not self.corrections.polarisation:
            return None
        factor = self.corrections.polarisation_factor
        return factor if self.geometry.fast_axis_horizontal else -factor


def profile_json_schema() -> str:
    """Text of the JSON schema of a profile; editors complete and check profiles with it."""
    return json.dumps(Profile.model_json_schema(), indent=2, ensure_ascii=False) + "\n"
