"""What people can ask for: the only way from the page back to the services, as plain values.

Each request is valid by construction: whoever holds one need not check it again. In JSON every request and every
definition of a region bears its `kind`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from phasecast.core.errors import RequestError
from phasecast.core.model_requests import ActivateModel, BlindAnswer, BlindDraw, CancelTraining, Retrain
from phasecast.core.region_requests import RemoveRegion, SaveRegion, SaveSurface
from phasecast.core.request_rules import check_file_name, check_name, check_rows, check_text, check_unique

MAX_LABEL_POINTS = 2000
"""Points one label request may name: each is saved with its whole pattern (about 25 kB)."""
MAX_FIELDS = 64
TOTAL_INTENSITY_LAYER = "total_intensity"
UNSURE_LAYER = "unsure"
"""Number of classes of a point whose confidence lies between 0.2 and 0.8."""


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
        check_name(self.scan_raw_uid, "scan_raw_uid")
        check_file_name(self.result)
        check_rows(self.points, "points", at_most=MAX_LABEL_POINTS)
        check_unique(self.classes, "classes")
        for name in self.classes:
            check_name(name, "classes")
        check_name(self.who, "who")
        check_text(self.note, "note")


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
        check_name(self.label_id, "label_id")
        check_name(self.who, "who")


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
        check_name(self.scan_raw_uid, "scan_raw_uid", empty=True)
        if len(self.fields) > MAX_FIELDS:
            raise RequestError(f"{len(self.fields)} fields", remedy=f"give at most {MAX_FIELDS}")
        for name, text in self.fields.items():
            check_name(name, "fields")
            check_text(text, name)
        check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """A person has seen an alarm."""

    alarm_id: str
    who: str
    kind: Literal["acknowledge"] = "acknowledge"

    def __post_init__(self) -> None:
        check_name(self.alarm_id, "alarm_id")
        check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseScan:
    """A person declares an open scan over; served by the daemon."""

    scan_uid: str
    who: str
    kind: Literal["close_scan"] = "close_scan"

    def __post_init__(self) -> None:
        check_name(self.scan_uid, "scan_uid")
        check_name(self.who, "who")


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
        check_text(self.text, "the declaration")
        check_name(self.who, "who")


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
