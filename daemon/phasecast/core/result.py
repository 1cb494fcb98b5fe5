"""What a result consists of: columns, classes, and the header every sink receives."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from phasecast.core.scan import ScanAxis

_WITH_NEIGHBOURS = ", with neighbours"
_CALIBRATED_ON_LENGTH = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """One column of a result: an array with one row a scan point.

    Parameters
    ----------
    name
        Name in documents and files.
    dtype
        Numpy dtype string of one element.
    shape
        Shape of one row; empty for scalars.
    unit
        Unit; empty for pure numbers.
    description
        One line for people.
    axis
        Name of the axis its row runs along: ``tth`` for patterns, ``class`` for confidences, empty for scalars.
    formula
        How it is computed from other columns, by their names; empty for what is measured.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    unit: str = ""
    description: str = ""
    axis: str = ""
    formula: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseClass:
    """One class a pattern can be told to hold.

    Parameters
    ----------
    id
        Stable id, such as ``goethite``.
    name_en, name_ja, formula
        Names for people.
    colour
        ``#rrggbb``, safe for colour-blind readers within one profile.
    reference_lines
        (2theta in deg, intensity relative to 100) of the strongest lines at the profile's energy.
        Empty for classes without lines.
    role
        Part of the sample it belongs to: ``steel``, ``rust``, ``outside``, or empty if it tells nothing of that.
    """

    id: str
    name_en: str
    name_ja: str
    formula: str
    colour: str
    reference_lines: tuple[tuple[float, float], ...] = ()
    role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStamp:
    """Which model scored the points.

    Parameters
    ----------
    name, version, sha256
        Identity of the bundle.
    calibrated_on
        What its confidences were calibrated on; shown wherever they are shown.
    owner
        Group whose labels it was trained on; empty for what everybody may use.
    """

    name: str
    version: str
    sha256: str
    calibrated_on: str
    owner: str = ""


def with_neighbours(stamp: ModelStamp) -> ModelStamp:
    """Return the stamp of a model whose confidences take the neighbours of each point into account.

    Its text says so wherever confidences are shown; it is cut to what fits into a file.
    """
    if stamp.calibrated_on.endswith(_WITH_NEIGHBOURS):
        return stamp
    kept = stamp.calibrated_on[: _CALIBRATED_ON_LENGTH - len(_WITH_NEIGHBOURS)]
    return replace(stamp, calibrated_on=kept + _WITH_NEIGHBOURS)


def split_neighbours(calibrated_on: str) -> tuple[str, bool]:
    """Return what a model was calibrated on, and whether its confidences take neighbours into account."""
    return calibrated_on.removesuffix(_WITH_NEIGHBOURS), calibrated_on.endswith(_WITH_NEIGHBOURS)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedModel:
    """A model that gave confidences of a result.

    Parameters
    ----------
    stamp
        Which one.
    since_s
        POSIX time of its first confidences there.
    """

    stamp: ModelStamp
    since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultHeader:
    """Everything about a result that is known when its scan starts.

    Parameters
    ----------
    result_uid
        Uid of the derived run.
    raw_uid, scan_id, plan_name, started_s
        The raw run it is derived from.
    axes, shape, snaking, expected_points
        The scan, slow to fast, as in ScanStart.
    horizontal_field, vertical_field
        Event fields that are x and y of the sample, after which `x_um` and `y_um` of each point are computed.
    columns
        What the reduction and the model give for each point.
    point_columns
        Named scalars of each point from the scan itself (monitors); NaN where the scan gave none.
    tth_deg
        Bin centres of the archive axis of the patterns, deg.
    classes
        The classes, in the order of the confidence columns; empty where nothing is classified.
    model
        The model; None where nothing is classified.
    profile_name, profile
        Name and full content of the profile, JSON-able.
    device, device_note
        Where the numbers were computed, and why there.
    processing
        Every other setting that shaped the numbers, JSON-able.
    versions
        Software to version.
    metadata
        What the scan says of itself, JSON-able.
    """

    result_uid: str
    raw_uid: str
    scan_id: int
    plan_name: str
    started_s: float
    axes: tuple[ScanAxis, ...]
    shape: tuple[int, ...] | None
    snaking: tuple[bool, ...]
    expected_points: int | None
    horizontal_field: str
    vertical_field: str
    columns: tuple[ColumnSpec, ...]
    point_columns: tuple[ColumnSpec, ...]
    tth_deg: tuple[float, ...]
    classes: tuple[PhaseClass, ...] = ()
    model: ModelStamp | None = None
    profile_name: str = ""
    profile: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    device_note: str = ""
    processing: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict that `from_dict` reads back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "ResultHeader":
        """Rebuild a header, also from JSON where tuples became lists."""
        fields = dict(content)
        fields["axes"] = tuple(ScanAxis(**axis) for axis in fields["axes"])
        fields["shape"] = None if fields["shape"] is None else tuple(fields["shape"])
        fields["snaking"] = tuple(fields["snaking"])
        fields["tth_deg"] = tuple(fields["tth_deg"])
        for name in ("columns", "point_columns"):
            fields[name] = tuple(ColumnSpec(**{**column, "shape": tuple(column["shape"])}) for column in fields[name])
        fields["classes"] = tuple(
            PhaseClass(**{**phase, "reference_lines": tuple(map(tuple, phase["reference_lines"]))})
            for phase in fields["classes"]
        )
        fields["model"] = None if fields["model"] is None else ModelStamp(**fields["model"])
        return cls(**fields)
