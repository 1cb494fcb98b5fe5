"""Blind checks: points drawn by chance that a person judged without knowing what the model says.

    <data-dir>/labels/blind/<raw uid>.jsonl   draws, answers and scores of one scan

They lie apart from the labels, so that no training ever takes them: who learns from them can no longer be judged by
them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import RequestError
from phasecast.core.model_requests import BlindAnswer, BlindDraw
from phasecast.records.book import Book, stamp
from phasecast.records.journal import Entry
from phasecast.records.labels import label_path
from phasecast.results.reader import Result

FOLDER = "blind"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindScore:
    """Precision and recall of one class over the whole map, with 95 % intervals.

    Parameters
    ----------
    class_id
        The class.
    said, seen
        Scored points of which the model said, and the person saw, the class.
    untold
        Points of which the model said the class and the person could not tell; they are in no value.
    precision, precision_low, precision_high, recall, recall_low, recall_high
        0 to 1; NaN with the interval (0, 1) where no point tells.
    """

    class_id: str
    said: int
    seen: int
    precision: float
    precision_low: float
    precision_high: float
    recall: float
    recall_low: float
    recall_high: float
    untold: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class BlindCheck:
    """One check.

    Parameters
    ----------
    id, who, time_s
        The request that began it, the person who judges, POSIX time.
    raw_uid, result, result_uid
        Scan, name of the result file, its uid.
    points, strata, weights
        Rows in order, stratum of each, and the points of the map that each stands for, (m,).
    classes
        Ids of the classes of the result.
    confidences
        What the model said when they were drawn, (m, classes).
    models
        ``name``, ``version`` and ``sha256`` of the models that said so.
    answers
        Row to the classes that the person saw; None where they could not tell.
    scores
        Of the finished check; empty before.
    """

    id: str
    who: str
    time_s: float
    raw_uid: str
    result: str
    result_uid: str
    points: NDArray[np.int64]
    strata: NDArray[np.int64]
    weights: NDArray[np.float64]
    classes: tuple[str, ...]
    confidences: NDArray[np.float64]
    models: tuple[Mapping[str, str], ...]
    answers: dict[int, tuple[str, ...] | None] = field(default_factory=dict)
    scores: tuple[BlindScore, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every point is judged."""
        return len(self.answers) == self.points.size

    @property
    def next_point(self) -> int | None:
        """The first point, in order, that is not judged yet; None if all are."""
        return next((row for row in self.points.tolist() if row not in self.answers), None)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """What the person saw, (m, classes); nothing where they could not tell."""
        answers = [self.answers.get(row) or () for row in self.points.tolist()]
        seen = np.array([[name in answer for name in self.classes] for answer in answers], dtype=bool)
        return seen.reshape(self.points.size, len(self.classes))

    @property
    def untold(self) -> NDArray[np.bool_]:
        """Of which points the person said that they could not tell, (m,)."""
        return np.array([self.answers.get(row, ()) is None for row in self.points.tolist()], dtype=bool)


class BlindBook(Book):
    """Blind checks of one scan: `refresh` takes what is new, `checks` are all of them in order."""

    @property
    def checks(self) -> list[BlindCheck]:
        """All checks, oldest first."""
        return list(self._checks.values())

    @property
    def rows(self) -> set[int]:
        """Rows that were ever drawn."""
        return {row for check in self._checks.values() for row in check.points.tolist()}

    def check(self, check_id: str) -> BlindCheck | None:
        """Return a check by its id."""
        return self._checks.get(check_id)

    @property
    def newest_scored(self) -> BlindCheck | None:
        """The newest check that is finished; None if none is."""
        return next((check for check in reversed(self.checks) if check.scores), None)

    def _clear(self) -> None:
        self._checks: dict[str, BlindCheck] = {}

    def _take(self, entry: Entry) -> None:
        match entry["kind"]:
            case "draw":
                check = _check_of(entry)
                self._checks[check.id] = check
            case "answer":
                point = int(entry["point"])
                check = self._checks[str(entry["check"])]
                if point in check.points:
                    # answers from before people could say so lack the word
                    untold = bool(entry.get("cannot_tell", False))
                    check.answers[point] = None if untold else tuple(map(str, entry["classes"]))
            case "scores":
                self._checks[str(entry["check"])].scores = scores_of(entry["scores"])


def blind_path(directory: DataDirectory, raw_uid: str) -> Path:
    """Return the journal of a scan's blind checks."""
    return directory.labels / FOLDER / label_path(directory, raw_uid).name


def draw_entry(request: BlindDraw, request_id: str, result: Result, *, time_s: float) -> Entry:
    """Return the entry that begins a check, with what the model says now.

    Raises
    ------
    RequestError
        If the result is not of that scan or has no such points, or a point is not classified.
    """
    header = result.header
    if header.raw_uid != request.scan_raw_uid:
        raise RequestError(f"{request.result} is of scan {header.raw_uid}, not {request.scan_raw_uid}")
    if max(request.points) >= result.points:
        raise RequestError(f"no point {max(request.points)}", remedy=f"{request.result} has {result.points} points")
    order = np.array(request.points)
    rows = np.sort(order)
    confidences = np.asarray(result.confidences[rows], dtype=np.float64)[np.searchsorted(rows, order)]
    unknown = order[~(result.done[order] & np.isfinite(confidences).all(axis=1))]
    if unknown.size or not confidences.shape[1]:
        raise RequestError("a drawn point is not classified", where=request.result, remedy="draw anew")
    models, model_of = result.models, result.model_of_points[order]
    said_by = [models[k].stamp for k in np.unique(model_of).tolist() if 0 <= k < len(models)]
    return {
        **stamp(request_id, request.who, time_s),
        "kind": "draw",
        "raw_uid": header.raw_uid,
        "result": request.result,
        "result_uid": header.result_uid,
        "points": list(request.points),
        "strata": list(request.strata),
        "weights": list(request.weights),
        "classes": [phase.id for phase in header.classes],
        "confidences": np.round(confidences, 6).tolist(),
        "models": [{"name": one.name, "version": one.version, "sha256": one.sha256} for one in said_by],
    }


def answer_entry(request: BlindAnswer, request_id: str, check: BlindCheck, *, time_s: float) -> Entry:
    """Return the entry of one answer.

    Raises
    ------
    RequestError
        If the check is somebody else's or has no such point, or a class is unknown.
    """
    if request.who != check.who:
        raise RequestError(f"this check is {check.who}'s", remedy="begin one of your own")
    if request.point not in check.points:
        raise RequestError(f"point {request.point} was not drawn", where=f"check {check.id}")
    unknown = [name for name in request.classes if name not in check.classes]
    if unknown:
        raise RequestError(f"no class {', '.join(unknown)}", remedy=f"this result knows {', '.join(check.classes)}")
    return {
        **stamp(request_id, request.who, time_s),
        "kind": "answer",
        "check": check.id,
        "point": request.point,
        "classes": list(request.classes),
        "cannot_tell": request.cannot_tell,
    }


def scores_entry(check: BlindCheck, scores: Sequence[BlindScore], request_id: str, *, time_s: float) -> Entry:
    """Return the entry that ends a check."""
    return {
        **stamp(request_id, check.who, time_s),
        "kind": "scores",
        "check": check.id,
        "untold": int(check.untold.sum()),
        "scores": [asdict(score) for score in scores],
    }


def scores_of(entries: Any) -> tuple[BlindScore, ...]:
    """Return scores as a journal or a note holds them; numbers that are not known are null there.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        If they are none.
    """
    return tuple(
        BlindScore(
            class_id=str(entry["class_id"]),
            said=int(entry["said"]),
            seen=int(entry["seen"]),
            untold=int(entry.get("untold", 0)),
            **{
                name: math.nan if entry[name] is None else float(entry[name])
                for name in (f"{what}{end}" for what in ("precision", "recall") for end in ("", "_low", "_high"))
            },
        )
        for entry in entries
    )


def _check_of(entry: Entry) -> BlindCheck:
    points = np.array(entry["points"], dtype=np.int64)
    classes = tuple(map(str, entry["classes"]))
    check = BlindCheck(
        id=str(entry["request"]),
        who=str(entry["who"]),
        time_s=float(entry["time_s"]),
        raw_uid=str(entry["raw_uid"]),
        result=str(entry["result"]),
        result_uid=str(entry["result_uid"]),
        points=points,
        strata=np.array(entry["strata"], dtype=np.int64),
        weights=np.array(entry["weights"], dtype=np.float64),
        classes=classes,
        confidences=np.array(entry["confidences"], dtype=np.float64).reshape(points.size, len(classes)),
        models=tuple({str(key): str(value) for key, value in model.items()} for model in entry["models"]),
    )
    if not check.points.shape == check.strata.shape == check.weights.shape:
        raise ValueError("points, strata and weights differ in number")
    return check
