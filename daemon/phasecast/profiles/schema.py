"""The profile of an instrument: everything phasecast must be told about it, in one TOML file."""

import json
from typing import Annotated, Self

from pydantic import Field, model_validator

from phasecast.profiles.base import ProfilePart
from phasecast.profiles.classification import Classification, PhaseClass
from phasecast.profiles.instrument import Corrections, Detector, Geometry, PatternAxis
from phasecast.profiles.monitors import Monitors
from phasecast.profiles.sample import SampleNames
from phasecast.profiles.scan_declaration import PositionLog
from phasecast.profiles.scanning import Documents, Footprint, FrameFiles, Join, Positions, Reporting

SCHEMA_VERSION = 1

HC_KEV_ANGSTROM = 12.398419843320026
"""Planck's constant times the speed of light, exact in SI 2019."""

SourceUri = Annotated[
    str,
    Field(
        pattern=r"^(files:///|simplon://|simplon2://|pva://|psi://|stins://|bluesky://|kafka://|log:///|capture://|result://).+$"
    ),
]


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
        "simplon2://host:port, pva://name, psi://host:port, stins://host:port, bluesky://host:port?prefix=name, "
        "kafka://broker:port/topic, capture://path, result://path.",
    )
    detector: Detector = Field(description="The detector and which of its counts may be believed.")
    geometry: Geometry = Field(description="Where the detector is.")
    corrections: Corrections = Field(
        default=Corrections(), description="How pixels are weighted and shared between bins."
    )
    axis: PatternAxis = Field(default=PatternAxis(), description="The 2theta axis that patterns are kept on.")
    positions: Positions | None = Field(default=None, description="Which event fields are the sample's coordinates.")
    monitors: Monitors = Field(
        default=Monitors(), description="Scalars that a point carries: flux, ring current and the like."
    )
    join: Join = Field(default=Join(), description="How frames find their scan points.")
    position_log: PositionLog | None = Field(
        default=None, description="How the log of positions is read, for scans that are declared with --scan."
    )
    beam: Footprint | None = Field(default=None, description="Size of the beam on the sample; leave out if unknown.")
    frame_files: FrameFiles = Field(
        default=FrameFiles(),
        description="How frames that arrive as files are recognised, numbered and placed.",
    )
    documents: Documents = Field(
        default=Documents(), description="What is read of the files that bluesky documents name."
    )
    sample: SampleNames = Field(default=SampleNames(), description="Where the sample of a scan is named.")
    report: Reporting = Field(default=Reporting(), description="The report that is made when a scan ends.")
    classes: tuple[PhaseClass, ...] = Field(
        default=(), description="What a point can be, in the order of the model bundle's columns."
    )
    classification: Classification = Field(
        default=Classification(), description="What a model is trained for, beside the classes."
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
        wanted = self.classification.axis
        if wanted is not None and not self.axis.tth_min_deg <= wanted.tth_min_deg < wanted.tth_max_deg <= (
            self.axis.tth_max_deg
        ):
            raise ValueError(
                f"classification.axis {wanted.tth_min_deg:g}-{wanted.tth_max_deg:g} deg must lie inside [axis], "
                f"{self.axis.tth_min_deg:g}-{self.axis.tth_max_deg:g} deg"
            )
        self._empty_frame_can_be_scaled()
        return self

    def _empty_frame_can_be_scaled(self) -> None:
        empty, monitors = self.corrections.empty_frame, self.monitors
        if empty is None:
            return
        i0, i1 = monitors.with_role("i0"), monitors.with_role("i1")
        if i0 is None:
            raise ValueError("corrections.empty_frame needs a monitor with the role i0, to scale the frame with")
        if empty.i0 <= i0.offset:
            raise ValueError(f"corrections.empty_frame.i0 {empty.i0:g} must be above the offset {i0.offset:g} of I0")
        if monitors.empty_point is not None:
            raise ValueError("corrections.empty_frame cannot wait for monitors.empty_point: give empty_frame.i1")
        computed = monitors.empty_ratio is not None or (i1 is not None and empty.i1 is not None)
        if monitors.transmission_field is None and not computed:
            raise ValueError(
                "corrections.empty_frame needs the transmission of each point: name monitors.transmission_field, "
                "or a monitor with the role i1 and empty_frame.i1"
            )
        if empty.i1 is not None and i1 is not None and empty.i1 <= i1.offset:
            raise ValueError(f"corrections.empty_frame.i1 {empty.i1:g} must be above the offset {i1.offset:g} of I1")
        if self.geometry.arm:
            raise ValueError("corrections.empty_frame was taken at one place of the arm: leave out geometry.arm")

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
