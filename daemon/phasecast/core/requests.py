"""What people can ask for: the only way from the page back to the services, as plain values.

Each request is valid by construction: whoever holds one need not check it again. In JSON every request and every
definition of a region bears its `kind`.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from phasecast.core.errors import RequestError

Role = Literal["", "steel", "rust", "outside"]
"""Part of the sample that a region stands for; empty for none."""

MAX_NAME = 128
MAX_TEXT = 4000
MAX_LABEL_POINTS = 2000
"""Points one label request may name: each is saved with its whole pattern (about 25 kB)."""
MAX_BLIND_POINTS = 200
"""Points of one blind check; 30 to 60 are usual."""
MAX_REGION_ROWS = 500_000
MAX_VERTICES = 20_000
MAX_FIELDS = 64

TOTAL_INTENSITY_LAYER = "total_intensity"
UNSURE_LAYER = "unsure"
"""Number of classes of a point whose confidence lies between 0.2 and 0.8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Polygon:
    """Everything inside a closed line; it means the same place on every scan of the sample.

    Parameters
    ----------
    vertices_um
        Corners (x, y) in sample coordinates, at least three; the last is joined to the first.
    """

    vertices_um: tuple[tuple[float, float], ...]
    kind: Literal["polygon"] = "polygon"

    def __post_init__(self) -> None:
        _check_vertices(self.vertices_um, at_least=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Points of one scan, as a brush or lasso chose them.

    Parameters
    ----------
    scan_raw_uid
        The scan; on any other the region is empty.
    rows
        Rows of its result, at least one.
    """

    scan_raw_uid: str
    rows: tuple[int, ...]
    kind: Literal["points"] = "points"

    def __post_init__(self) -> None:
        _check_name(self.scan_raw_uid, "scan_raw_uid")
        _check_rows(self.rows, "rows", at_most=MAX_REGION_ROWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """All points of a scan whose value in a layer lies in [low, high].

    Parameters
    ----------
    layer
        Id of a class (its confidence), ``total_intensity`` or ``unsure``.
    low, high
        Limits in the unit of the layer, both inclusive.
    """

    layer: str
    low: float
    high: float
    kind: Literal["threshold"] = "threshold"

    def __post_init__(self) -> None:
        _check_name(self.layer, "layer")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise RequestError(f"limits {self.low} to {self.high} hold nothing", remedy="give low <= high")


Definition = Polygon | Points | Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPoints:
    """A person says which classes some points hold.

    Parameters
    ----------
    scan_raw_uid
        The scan.
    result
        Name of the result file in the results folder that the person looked at.
    points
        Rows of that result.
    classes
        Ids of its classes; several, because mixtures are.
    who
        The person.
    note
        Anything worth adding.
    """

    scan_raw_uid: str
    result: str
    points: tuple[int, ...]
    classes: tuple[str, ...]
    who: str
    note: str = ""
    kind: Literal["label_points"] = "label_points"

    def __post_init__(self) -> None:
        _check_name(self.scan_raw_uid, "scan_raw_uid")
        _check_file_name(self.result)
        _check_rows(self.points, "points", at_most=MAX_LABEL_POINTS)
        _check_unique(self.classes, "classes")
        for name in self.classes:
            _check_name(name, "classes")
        _check_name(self.who, "who")
        _check_text(self.note, "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoLabel:
    """A person takes a label back.

    Parameters
    ----------
    label_id
        Id of a label, or of the request that made several.
    who
        The person.
    """

    label_id: str
    who: str
    kind: Literal["undo_label"] = "undo_label"

    def __post_init__(self) -> None:
        _check_name(self.label_id, "label_id")
        _check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveRegion:
    """A person names a region; a region of the same name is replaced.

    Parameters
    ----------
    name
        Its name.
    definition
        What belongs to it.
    role
        Part of the sample it stands for.
    scan_raw_uid
        The scan it was drawn on; empty if none. It applies to others too.
    who
        The person.
    """

    name: str
    definition: Definition
    role: Role = ""
    scan_raw_uid: str = ""
    who: str
    kind: Literal["save_region"] = "save_region"

    def __post_init__(self) -> None:
        _check_name(self.name, "name")
        _check_name(self.scan_raw_uid, "scan_raw_uid", empty=True)
        _check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRegion:
    """A person removes a named region; what was said before stays in the notebook."""

    name: str
    who: str
    kind: Literal["remove_region"] = "remove_region"

    def __post_init__(self) -> None:
        _check_name(self.name, "name")
        _check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveSurface:
    """The line from which distances into rust and steel are measured.

    Parameters
    ----------
    scan_raw_uid
        The scan.
    vertices_um
        Corners (x, y) of the open line, at least two; none where a person says there is no steel surface.
    confirmed
        Whether a person has looked at it; False for what the program proposes.
    who
        The person.
    """

    scan_raw_uid: str
    vertices_um: tuple[tuple[float, float], ...]
    confirmed: bool
    who: str
    kind: Literal["save_surface"] = "save_surface"

    def __post_init__(self) -> None:
        _check_name(self.scan_raw_uid, "scan_raw_uid")
        _check_vertices(self.vertices_um, at_least=2 if self.vertices_um else 0)
        _check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSample:
    """A person fills in the sample form.

    Parameters
    ----------
    scan_raw_uid
        The scan it is about; empty for all scans that start from now on, until another form says otherwise.
    fields
        Name of a field to its text; an empty text clears the field.
    who
        The person.
    """

    scan_raw_uid: str
    fields: Mapping[str, str]
    who: str
    kind: Literal["describe_sample"] = "describe_sample"

    def __post_init__(self) -> None:
        _check_name(self.scan_raw_uid, "scan_raw_uid", empty=True)
        if len(self.fields) > MAX_FIELDS:
            raise RequestError(f"{len(self.fields)} fields", remedy=f"give at most {MAX_FIELDS}")
        for name, text in self.fields.items():
            _check_name(name, "fields")
            _check_text(text, name)
        _check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """A person has seen an alarm."""

    alarm_id: str
    who: str
    kind: Literal["acknowledge"] = "acknowledge"

    def __post_init__(self) -> None:
        _check_name(self.alarm_id, "alarm_id")
        _check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseScan:
    """A person declares an open scan over; served by the daemon."""

    scan_uid: str
    who: str
    kind: Literal["close_scan"] = "close_scan"

    def __post_init__(self) -> None:
        _check_name(self.scan_uid, "scan_uid")
        _check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareScan:
    """A person declares the scan of the frames that come next; served by the daemon.

    Parameters
    ----------
    text
        The declaration as TOML.
    who
        The person.
    """

    text: str
    who: str
    kind: Literal["declare_scan"] = "declare_scan"

    def __post_init__(self) -> None:
        _check_text(self.text, "the declaration")
        _check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrain:
    """A person wants a model trained on labels and put to use; served by the daemon.

    Parameters
    ----------
    scans
        Raw uids of the scans whose labels teach; none for all.
    trusted
        Person whose word counts where people contradict each other; empty: contradictions are refused.
    effort
        ``quick`` takes some ten seconds and shows whether anything comes of it; ``full`` a minute or two.
    who
        The person; the model belongs to whoever asked for it unless `owner` names their group.
    owner
        Group whose labels these are.
    note
        Anything worth adding.
    """

    scans: tuple[str, ...] = ()
    trusted: str = ""
    effort: Literal["full", "quick"] = "full"
    who: str
    owner: str = ""
    note: str = ""
    kind: Literal["retrain"] = "retrain"

    def __post_init__(self) -> None:
        for uid in self.scans:
            _check_name(uid, "scans")
        if self.scans:
            _check_unique(self.scans, "scans")
        _check_name(self.trusted, "trusted", empty=True)
        _check_name(self.who, "who")
        _check_name(self.owner, "owner", empty=True)
        _check_text(self.note, "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTraining:
    """A person stops the training that runs; served by the daemon."""

    who: str
    kind: Literal["cancel_training"] = "cancel_training"

    def __post_init__(self) -> None:
        _check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateModel:
    """A person chooses the model in use, or goes back to an earlier one; served by the daemon.

    Parameters
    ----------
    model
        Folder in ``<data-dir>/models``, or name of a bundle that comes with the program.
    who
        The person.
    """

    model: str
    who: str
    kind: Literal["activate_model"] = "activate_model"

    def __post_init__(self) -> None:
        _check_name(self.model, "model")
        if "/" in self.model or "\\" in self.model or self.model.startswith("."):
            raise RequestError(f"model {self.model[:40]!r}", remedy="give the name of a folder in models")
        _check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindDraw:
    """A person begins a blind check: points drawn by chance, to be judged without knowing what the model says.

    Parameters
    ----------
    scan_raw_uid
        The scan.
    result
        Name of its result file in the results folder.
    points
        Rows that were drawn, in the order in which they are shown.
    strata
        Number of the stratum that each was drawn from.
    weights
        Points of the map that each stands for, above 0.
    who
        The person who will judge.
    """

    scan_raw_uid: str
    result: str
    points: tuple[int, ...]
    strata: tuple[int, ...]
    weights: tuple[float, ...]
    who: str
    kind: Literal["blind_draw"] = "blind_draw"

    def __post_init__(self) -> None:
        _check_name(self.scan_raw_uid, "scan_raw_uid")
        _check_file_name(self.result)
        _check_rows(self.points, "points", at_most=MAX_BLIND_POINTS)
        if not len(self.points) == len(self.strata) == len(self.weights):
            raise RequestError("points, strata and weights differ in number", remedy="give one of each a point")
        if not all(math.isfinite(weight) and weight > 0 for weight in self.weights):
            raise RequestError("a weight is not above 0", remedy="give how many points each stands for")
        _check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindAnswer:
    """A person says what they see in a point of a blind check; never used to train.

    Parameters
    ----------
    scan_raw_uid
        The scan.
    check
        Id of the request that began the check.
    point
        Row of the result.
    classes
        Ids of the classes that it holds; none is an answer too.
    who
        The person.
    cannot_tell
        The person cannot tell what the point holds, and names no class: it counts as asked and is not scored.
    """

    scan_raw_uid: str
    check: str
    point: int
    classes: tuple[str, ...]
    who: str
    cannot_tell: bool = False
    kind: Literal["blind_answer"] = "blind_answer"

    def __post_init__(self) -> None:
        _check_name(self.scan_raw_uid, "scan_raw_uid")
        _check_name(self.check, "check")
        _check_rows((self.point,), "point", at_most=1)
        if self.cannot_tell and self.classes:
            raise RequestError("classes are named, and nothing can be told", remedy="name classes, or say cannot_tell")
        if self.classes:
            _check_unique(self.classes, "classes")
        for name in self.classes:
            _check_name(name, "classes")
        _check_name(self.who, "who")


Request = (
    LabelPoints
    | UndoLabel
    | SaveRegion
    | RemoveRegion
    | SaveSurface
    | DescribeSample
    | Acknowledge
    | CloseScan
    | DeclareScan
    | Retrain
    | CancelTraining
    | ActivateModel
    | BlindDraw
    | BlindAnswer
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a request.

    Parameters
    ----------
    ok
        Whether it was done.
    detail
        One line, in English.
    time_s
        POSIX time of the answer.
    key, values
        The same line in the catalogue of words (``answer.saved``) and what fills its places; empty if it has none.
    """

    ok: bool
    detail: str
    time_s: float
    key: str = ""
    values: Mapping[str, str | int | float] = field(default_factory=dict)


def _check_name(text: str, what: str, *, empty: bool = False) -> None:
    if not text and empty:
        return
    if not text.strip() or len(text) > MAX_NAME or not text.isprintable():
        raise RequestError(f"{what} {text[:40]!r}", remedy=f"give 1 to {MAX_NAME} printable characters on one line")


def _check_text(text: str, what: str) -> None:
    if len(text) > MAX_TEXT:
        raise RequestError(f"{what} has {len(text)} characters", remedy=f"give at most {MAX_TEXT}")
    if any(not (character.isprintable() or character in "\n\t") for character in text):
        raise RequestError(f"{what} holds control characters", remedy="give plain text")


def _check_file_name(name: str) -> None:
    _check_name(name, "result")
    if "/" in name or "\\" in name or name.startswith("."):
        raise RequestError(f"result {name[:40]!r}", remedy="give the name of a file in the results folder")


def _check_unique(values: Collection[object], what: str) -> None:
    if not values or len(set(values)) != len(values):
        raise RequestError(f"{what} are empty or name one twice", remedy="give each once")


def _check_rows(rows: tuple[int, ...], what: str, *, at_most: int) -> None:
    if len(rows) > at_most:
        raise RequestError(f"{len(rows)} {what}", remedy=f"give at most {at_most}")
    _check_unique(rows, what)
    if min(rows) < 0:
        raise RequestError(f"{what} hold {min(rows)}", remedy="rows count from 0")


def _check_vertices(vertices: tuple[tuple[float, float], ...], *, at_least: int) -> None:
    if not at_least <= len(vertices) <= MAX_VERTICES:
        raise RequestError(f"{len(vertices)} vertices", remedy=f"give {at_least} to {MAX_VERTICES}")
    if not all(math.isfinite(value) for vertex in vertices for value in vertex):
        raise RequestError("a vertex is not a number", remedy="give x and y in um")
