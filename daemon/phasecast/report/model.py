"""What a report says, without a word of any language: HTML and JSON are both made from it.

None stands for what is not known.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

Condition = Literal["complete", "partial", "aborted", "failed", "unfinished", "running", "empty"]


class Part(BaseModel):
    """Base of all parts: unknown keys are errors, and nothing changes after it was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassFact(Part):
    """A class: its names, and how it shows on the map."""

    id: str
    name_en: str
    name_ja: str
    formula: str
    colour: str
    role: str
    has_lines: bool


class ModelFact(Part):
    """A model that scored points."""

    name: str
    version: str
    sha256: str
    calibrated_on: str
    points: int = Field(description="Points whose confidences it gave.")


class ScanFact(Part):
    """What was scanned, when and where."""

    result_file: str
    result_uid: str
    raw_uid: str
    scan_id: int
    plan_name: str
    started: str
    ended: str | None
    facility: str | None
    user: str | None
    profile_name: str
    profile_title: str
    simulated: bool
    shape: tuple[int, ...] | None
    points: int
    points_done: int
    raster: bool
    x_step_um: float | None
    y_step_um: float | None
    x_range_um: tuple[float, float] | None
    y_range_um: tuple[float, float] | None
    beam_um: tuple[float, float] | None = Field(description="Horizontal and vertical size of the beam.")


class GeometryFact(Part):
    """The geometry the patterns were integrated with."""

    detector: str | None
    distance_mm: float | None
    arm_tth_deg: float | None
    arm_fields: tuple[str, ...] = Field(
        default=(), description="What states the arm's angles of each frame; empty for an arm that stands still."
    )
    origin: str | None
    residual_deg: float | None
    geometry_id: str | None
    energy_kev: float | None
    wavelength_angstrom: float | None
    tth_min_deg: float | None
    tth_max_deg: float | None
    bins: int


class Setting(Part):
    """One correction or setting: on, off, or unknown (None), with its value."""

    id: str
    on: bool | None
    value: str = ""


class PhaseShare(Part):
    """Part of a region's area in which a class is at or above a threshold, with its 95 % interval."""

    class_id: str
    threshold: float
    holding: int
    value: float | None
    low: float | None
    high: float | None
    effective_points: float


class RegionShares(Part):
    """Shares of one region. `kind` is ``all``, ``part`` (proposed) or ``region`` (a person's)."""

    id: str
    kind: Literal["all", "part", "region"]
    confirmed: bool
    points: int
    area_um2: float | None
    shares: tuple[PhaseShare, ...]


class DistanceBin(Part):
    """Shares of the points within one step of distance from the steel surface."""

    distance_um: float
    points: int
    shares: dict[str, float]


class DistanceProfile(Part):
    """Shares against distance from the steel surface, normal to it, positive away from the steel."""

    confirmed: bool
    vertices_um: tuple[tuple[float, float], ...]
    threshold: float
    bins: tuple[DistanceBin, ...]


class PeakFact(Part):
    """A peak that no class explains."""

    tth_deg: float
    significance: float


class UnsurePoint(Part):
    """A point of which the model is least sure, and why."""

    point: int
    x_um: float | None
    y_um: float | None
    unsure: dict[str, float]
    leading: tuple[str, ...]
    unexplained: tuple[PeakFact, ...]


class DriftFact(Part):
    """How a quantity changed over the scan."""

    mean: float
    scatter: float
    change: float
    change_sigma: float
    significant: bool
    points: int


class LineFact(Part):
    """The line whose position was followed."""

    class_id: str
    reference_deg: float
    drift: DriftFact
    limit_deg: float
    beyond_limit: bool


class Quality(Part):
    """How good the data are."""

    ledger: dict[str, int]
    ledger_agrees: bool
    flags: dict[str, int]
    reasons: dict[str, int]
    not_classified: dict[str, int]
    defects: dict[str, int]
    surplus_frames: int | None
    doubt: str
    i0: DriftFact | None
    total: DriftFact | None
    line: LineFact | None
    saturated_points: int
    saturated_pixels: int | None
    has_i0: bool
    has_normalised_patterns: bool
    points_without_i0: int


class BlindRate(Part):
    """Precision or recall of a class, with its 95 % interval."""

    value: float
    low: float
    high: float


class BlindShare(Part):
    """How often the model is right about one class."""

    class_id: str
    said: int = Field(description="Scored points of which the model said the class.")
    seen: int = Field(description="Scored points in which the person saw it.")
    untold: int = Field(
        default=0, description="Points of which the model said the class and the person could not tell: in no value."
    )
    precision: BlindRate | None
    recall: BlindRate | None


class BlindFact(Part):
    """A blind check: points drawn by chance, judged by a person who did not know what the model said."""

    who: str
    when: str
    points: int = Field(description="Points that the person was asked about.")
    untold: int = Field(
        default=0, description="Points of which the person could not tell: they count in no precision or recall."
    )
    models: tuple[str, ...] = Field(description="Name and version of the models that were checked.")
    models_sha256: tuple[str, ...]
    classes: tuple[BlindShare, ...]


class Timing(Part):
    """How long it took."""

    duration_s: float | None
    points_per_s: float | None
    point_period_s: float | None
    longest_pause_s: float | None
    exposure_s: float | None


class Replay(Part):
    """Where the raw data lie, and how to make the result again."""

    segments: tuple[str, ...]
    first_offset: int | None
    frame_files: int
    sources: tuple[str, ...]
    command: str | None


class InterruptionFact(Part):
    """Where the measurement was interrupted, and what changed; the offset is an estimate that nobody applied."""

    before_file: str
    before_row: int
    after_file: str
    after_row: int
    within_a_scan: bool
    duration_s: float
    i0_change: float | None
    i0_change_sigma: float | None
    how: Literal["overlap", "adjoining", "none"]
    points: int = Field(description="Points that were compared.")
    x_um: float | None = Field(description="What would have to be added to x of what follows.")
    y_um: float | None
    x_sigma_um: float | None
    y_sigma_um: float | None
    applied_um: tuple[float, float] = Field(description="What was added to x and y of what follows, as asked.")


class MapFact(Part):
    """The scans that make up a map, and where it was interrupted."""

    name: str
    scans: tuple[tuple[str, int, int, int], ...] = Field(
        description="Of each scan: file, number, points that count, points."
    )
    one_step: bool = Field(description="Whether all scans have the same step.")
    interruptions: tuple[InterruptionFact, ...]


class Report(Part):
    """Everything a report says."""

    schema_version: int = SCHEMA_VERSION
    made: str
    phasecast: str
    condition: Condition
    exit_status: str
    threshold: float
    thresholds: tuple[float, ...]
    scan: ScanFact
    sample: dict[str, str]
    geometry: GeometryFact
    settings: tuple[Setting, ...]
    classes: tuple[ClassFact, ...]
    model: ModelFact | None = Field(description="The model that scored most points.")
    other_models: tuple[ModelFact, ...] = Field(description="Models that scored the other points.")
    labels_used: int = Field(description="Points of this sample that the model learned from or was checked with.")
    labels_given: int = Field(description="Points of this scan that a person labelled so far.")
    unread: tuple[str, ...] = Field(description="What people said and could not be read, and why.")
    device: str
    device_note: str
    versions: dict[str, str]
    unsure_points: int
    uncovered_points: int = Field(description="Points that are done and hold no class at the threshold.")
    regions: tuple[RegionShares, ...]
    profile: DistanceProfile | None
    no_profile: str = Field(description="Why there is no profile: no_roles, no_steel, no_line or declined; else empty.")
    mean_points: dict[str, int] = Field(description="Points in the mean pattern of each class.")
    least_sure: tuple[UnsurePoint, ...]
    quality: Quality
    timing: Timing
    replay: Replay
    blind: BlindFact | None = Field(default=None, description="The newest finished blind check; None if there is none.")
    map: MapFact | None = Field(default=None, description="None for a single scan without interruption.")
    methods: dict[str, str] = Field(default_factory=dict, description="The paragraph for a paper, by language.")

    @property
    def is_not_normalised(self) -> bool:
        """Whether no point has an incident flux."""
        quality = self.quality
        nowhere = quality.points_without_i0 == self.scan.points_done > 0
        return not quality.has_i0 or nowhere

    def class_of(self, class_id: str) -> ClassFact:
        """Return a class by its id."""
        return next(fact for fact in self.classes if fact.id == class_id)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON-able dict; unknown numbers are null."""
        return self.model_dump(mode="json")
