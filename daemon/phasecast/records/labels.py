"""Labels: which classes a person saw in a point, with everything needed to learn from it later."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import RecordsError, RequestError
from phasecast.core.requests import LabelPoints
from phasecast.core.result import ModelStamp
from phasecast.records.book import Book, stamp
from phasecast.records.journal import Entry
from phasecast.results.reader import Result

_SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_SUFFIX = ".jsonl"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Label:
    """What a person said of one point, and what they saw.

    Parameters
    ----------
    id
        ``<request>/<point>``.
    request, who, time_s, note
        The request, the person, POSIX time, remark.
    raw_uid, result, result_uid, point
        Scan, name of the result file, its uid, row.
    x_um, y_um
        Place of the point in sample coordinates; NaN if unknown.
    classes
        Ids of the classes it holds.
    tth_deg, intensity, sigma
        The pattern as the result file has it, each of shape (bins,).
    norm
        What ``intensity`` is multiplied with to give counts, shape (bins,); empty in labels of the first days.
    variance_ratio
        How variances add up on the axis of the model, see `phasecast.xrd.rebinning`; empty where it was not known.
    confidences
        Class id to the confidence that the person was shown.
    model
        ``name``, ``version`` and ``sha256`` of the model that gave them; empty if none did.
    """

    id: str
    request: str
    who: str
    time_s: float
    note: str
    raw_uid: str
    result: str
    result_uid: str
    point: int
    x_um: float
    y_um: float
    classes: tuple[str, ...]
    tth_deg: NDArray[np.float64]
    intensity: NDArray[np.float32]
    sigma: NDArray[np.float32]
    norm: NDArray[np.float32]
    variance_ratio: tuple[float, ...]
    confidences: Mapping[str, float]
    model: Mapping[str, str]


class LabelBook(Book):
    """Labels of one scan: `refresh` takes what is new, `labels` is what is in force."""

    @property
    def labels(self) -> list[Label]:
        """The newest label of each point that was not taken back, in order of time."""
        newest = {label.point: label for label in self._said.values() if label.id not in self._undone}
        return sorted(newest.values(), key=lambda label: (label.time_s, label.id))

    @property
    def said(self) -> list[Label]:
        """The newest label of each person on each point that was not taken back, in order of time."""
        newest = {(label.point, label.who): label for label in self._said.values() if label.id not in self._undone}
        return sorted(newest.values(), key=lambda label: (label.time_s, label.id))

    def _clear(self) -> None:
        self._said: dict[str, Label] = {}
        self._undone: set[str] = set()

    def _take(self, entry: Entry) -> None:
        match entry["kind"]:
            case "label":
                label = _label_of(entry)
                self._said[label.id] = label
            case "undo":
                self._undone.update(str(label_id) for label_id in entry["labels"])


class LabelIndex(Book):
    """Ids of the labels of one scan, without their patterns."""

    def in_force(self, label_id: str) -> list[str]:
        """Return this id, or the ids of all labels of a request, without those that were taken back."""
        return [one for one in self.ids if label_id in (one, one.rpartition("/")[0]) and one not in self._undone]

    def undone_by(self, request: str) -> int:
        """Return how many labels a request took back."""
        return self._undone_by.get(request, 0)

    def _clear(self) -> None:
        self.ids: dict[str, None] = {}
        """Ids of all labels, in order, also of those that were taken back."""
        self._undone: set[str] = set()
        self._undone_by: dict[str, int] = {}

    def _take(self, entry: Entry) -> None:
        match entry["kind"]:
            case "label":
                self.ids[str(entry["id"])] = None
            case "undo":
                self._undone.update(map(str, entry["labels"]))
                self._undone_by[str(entry["request"])] = len(entry["labels"])


def label_path(directory: DataDirectory, raw_uid: str) -> Path:
    """Return the journal of a scan's labels; an uid that is no safe file name goes by its hash."""
    name = raw_uid if _SAFE.fullmatch(raw_uid) else "uid-" + hashlib.sha256(raw_uid.encode()).hexdigest()[:32]
    return directory.labels / f"{name}{_SUFFIX}"


def read_labels(directory: DataDirectory, raw_uid: str) -> list[Label]:
    """Return the labels of a scan that are in force, one a point, in order of time.

    Raises
    ------
    RecordsError
        If they cannot be read.
    """
    book = LabelBook(label_path(directory, raw_uid))
    book.refresh()
    return book.labels


def all_labels(directory: DataDirectory) -> list[Label]:
    """Return the labels of all scans that are in force, scan by scan: what a model can be retrained on.

    Raises
    ------
    RecordsError
        If they cannot be read.
    """
    labels: list[Label] = []
    for path in sorted(directory.labels.glob(f"*{_SUFFIX}")):
        book = LabelBook(path)
        book.refresh()
        labels += book.labels
    return labels


def said_in(path: Path) -> list[Label]:
    """Return what each person says of each point in a journal of labels, in order of time.

    Raises
    ------
    RecordsError
        If it cannot be read, or holds lines that are no labels.
    """
    book = LabelBook(path)
    book.refresh()
    if book.defects:
        raise RecordsError(
            f"{book.defects} lines are no labels", where=str(path), remedy="give a journal of labels, whole"
        )
    return book.said


def label_entries(request: LabelPoints, request_id: str, result: Result, *, time_s: float) -> tuple[list[Entry], int]:
    """Return one entry a point, and how many points have no pattern and cannot be labelled.

    Raises
    ------
    RequestError
        If the result is not of that scan, knows no such class or has no such point.
    """
    header = result.header
    if header.raw_uid != request.scan_raw_uid:
        raise RequestError(f"{request.result} is of scan {header.raw_uid}, not {request.scan_raw_uid}")
    known = [phase.id for phase in header.classes]
    unknown = [name for name in request.classes if name not in known]
    if unknown:
        raise RequestError(f"no class {', '.join(unknown)}", remedy=f"this result knows {', '.join(known) or 'none'}")
    beyond = max(request.points)
    if beyond >= result.points:
        raise RequestError(f"no point {beyond}", remedy=f"{request.result} has {result.points} points")
    asked = np.array(sorted(request.points))
    rows = asked[result.done[asked]]
    ledger = result.ledger
    confidences = _short_decimals(np.asarray(result.confidences[rows]))
    names = {column.name for column in header.columns}
    patterns = {
        name: _short_decimals(np.asarray(result.column(name)[rows]))
        for name in ("intensity", "sigma", "norm")
        if name in names
    }
    x_um, y_um = (ledger[name].to_numpy()[rows].tolist() for name in ("x_um", "y_um"))
    models, model_of = result.models, result.model_of_points
    entries = [
        {
            **stamp(request_id, request.who, time_s),
            "kind": "label",
            "id": f"{request_id}/{row}",
            "raw_uid": header.raw_uid,
            "result": request.result,
            "result_uid": header.result_uid,
            "point": row,
            "x_um": x_um[k],
            "y_um": y_um[k],
            "classes": list(request.classes),
            "confidences": dict(zip(known, confidences[k].tolist(), strict=True)),
            "model": _identity(models[model_of[row]].stamp) if 0 <= model_of[row] < len(models) else {},
            "tth_deg": list(header.tth_deg),
            **{name: values[k].tolist() for name, values in patterns.items()},
            "variance_ratio": list(header.processing.get("variance_ratio", ())),
            "note": request.note,
        }
        for k, row in enumerate(rows.tolist())
    ]
    return entries, asked.size - rows.size


def undo_entry(label_ids: Sequence[str], request_id: str, who: str, *, time_s: float) -> Entry:
    """Return the entry that takes labels back."""
    return {**stamp(request_id, who, time_s), "kind": "undo", "labels": list(label_ids)}


def _identity(stamp: ModelStamp) -> dict[str, str]:
    return {"name": stamp.name, "version": stamp.version, "sha256": stamp.sha256}


def _label_of(entry: Entry) -> Label:
    return Label(
        id=str(entry["id"]),
        request=str(entry["request"]),
        who=str(entry["who"]),
        time_s=float(entry["time_s"]),
        note=str(entry.get("note", "")),
        raw_uid=str(entry["raw_uid"]),
        result=str(entry["result"]),
        result_uid=str(entry["result_uid"]),
        point=int(entry["point"]),
        x_um=_float(entry["x_um"]),
        y_um=_float(entry["y_um"]),
        classes=tuple(str(name) for name in entry["classes"]),
        tth_deg=np.asarray(entry["tth_deg"], dtype=np.float64),
        intensity=_floats(entry["intensity"]),
        sigma=_floats(entry["sigma"]),
        norm=_floats(entry.get("norm", ())),
        variance_ratio=tuple(map(float, entry.get("variance_ratio", ()))),
        confidences={str(name): _float(value) for name, value in entry["confidences"].items()},
        model={str(name): str(value) for name, value in entry["model"].items()},
    )


def _short_decimals(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return numbers of nine digits that give the same float32 again: text of half the length."""
    exact = values.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = 10.0 ** (8 - np.floor(np.log10(np.abs(exact))))
        short = np.round(exact * scale) / scale
        return np.where(short.astype(np.float32) == values, short, exact)


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _floats(values: Sequence[float | None]) -> NDArray[np.float32]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float32)
