"""The clerk: writes down what people ask for, and answers."""

import fcntl
import logging
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import assert_never

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError, RecordsError, RequestError
from phasecast.core.model_requests import ActivateModel, BlindAnswer, BlindDraw, CancelTraining, Retrain
from phasecast.core.region_requests import RemoveRegion, SaveRegion, SaveSurface
from phasecast.core.requests import (
    Acknowledge,
    Answer,
    CloseScan,
    DeclareScan,
    DescribeSample,
    LabelPoints,
    Request,
    UndoLabel,
)
from phasecast.core.words import words
from phasecast.records.acknowledgements import AcknowledgementBook, acknowledgement_entry, acknowledgements_path
from phasecast.records.blind_desk import BlindDesk, ScoreBlind
from phasecast.records.book import Book, stamp
from phasecast.records.journal import Entry, append
from phasecast.records.labels import LabelIndex, label_entries, label_path, undo_entry
from phasecast.records.mailbox import Mailbox, RequestId, asked_s
from phasecast.records.notes import add_notes
from phasecast.records.proposal import require_proposal
from phasecast.records.regions import RegionBook, regions_path, remove_entry, save_entry
from phasecast.records.results_list import ResultsList
from phasecast.records.sample_files import SampleFiles
from phasecast.records.sample_scans import KnownScans
from phasecast.records.samples import FIELDS, SampleBook, form_entry, samples_path
from phasecast.records.surfaces import SurfaceBook, surface_entry, surfaces_path
from phasecast.results import open_result

logger = logging.getLogger(__name__)

SERVED = (
    "label_points", "undo_label", "save_region", "remove_region", "save_surface", "describe_sample", "acknowledge",
    "blind_draw", "blind_answer",
)  # fmt: skip
"""Kinds of requests that the clerk serves; declaring and closing scans is the daemon's."""

_TIDY_S = 30.0
_LOOK_S = 2.0
_Line = tuple[str, Mapping[str, str | int | float]]
"""Key of an answer in the catalogue, and what fills its places."""


class Clerk:
    """Serves requests, one process at a time: of several that try, the one that holds the lock works.

    Each request is written down once, also if the clerk is killed between writing and answering: entries bear the
    request's id, and an id that is there already is only answered.

    Parameters
    ----------
    directory
        The data directory.
    mailbox
        Where requests come from; that of the data directory if None.
    patience_s
        How long a request waits for a journal that cannot be written before it is denied.
    score_blind
        Scores a blind check when its last point is judged; None: its answers are kept without scores.
    """

    def __init__(
        self,
        directory: DataDirectory,
        *,
        mailbox: Mailbox | None = None,
        patience_s: float = 30.0,
        score_blind: ScoreBlind | None = None,
    ) -> None:
        self._directory = directory
        self._mailbox = mailbox or Mailbox(directory.requests)
        self._lock: int | None = None
        self._labels: dict[Path, LabelIndex] = {}
        self._regions = RegionBook(regions_path(directory))
        self._surfaces = SurfaceBook(surfaces_path(directory))
        self._samples = SampleBook(samples_path(directory))
        self._seen = AcknowledgementBook(acknowledgements_path(directory))
        self._results = ResultsList(directory)
        self._scans = KnownScans(self._results)
        self._sample_files = SampleFiles(directory)
        self._blind = BlindDesk(directory, score_blind)
        self._tidied_s = float("-inf")
        self._looked_s = float("-inf")
        self._patience_s = patience_s
        self._waits_since_s: dict[str, float] = {}
        self.counters: Counter[str] = Counter()
        """``done``, ``denied`` (answered with a reason), ``postponed`` (could not be written yet),
        ``notes_failed`` (written down, but not beside the result), ``sample_files_failed`` (not looked at)."""

    @property
    def is_working(self) -> bool:
        """Whether this is the clerk that works; True once `step` has got the lock."""
        return self._lock is not None

    def step(self) -> int:
        """Serve what waits; return how many requests were answered. Nothing that is asked for raises here.

        Raises
        ------
        RecordsError
            If the folder of requests cannot be read or locked.
        """
        if not self._take_lock():
            return 0
        answered = 0
        for request_id, request in self._mailbox.pending(SERVED):
            try:
                self._mailbox.settle(request_id, self._answer_in_time(request_id, request))
            except RecordsError as error:
                # the disk is full, say: later requests must not overtake this one
                self.counters["postponed"] += 1
                logger.warning("request %s waits: %s", request_id, error)
                break
            self._waits_since_s.pop(request_id, None)
            answered += 1
        self._look_at_sample_files()
        if time.monotonic() - self._tidied_s > _TIDY_S:
            self._tidied_s = time.monotonic()
            self._mailbox.tidy()
        return answered

    def _look_at_sample_files(self) -> None:
        if time.monotonic() - self._looked_s < _LOOK_S:
            return
        self._looked_s = time.monotonic()
        try:
            self._sample_files.look(self._scans.newest())
        except RecordsError as error:
            self.counters["sample_files_failed"] += 1
            logger.warning("sample files: %s", error)

    def close(self) -> None:
        """Let another clerk work; idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> bool:
        if self._lock is not None:
            return True
        path = self._directory.requests / ".clerk.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RecordsError(
                f"cannot lock ({error.strerror})", where=str(path), remedy="check permissions"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._lock = handle
        return True

    def _answer_in_time(self, request_id: RequestId, request: Request) -> Answer:
        """Answer, and deny what could not be written for too long: whoever asked must hear of it."""
        try:
            return self._answer(request_id, request)
        except RecordsError as error:
            since_s = self._waits_since_s.setdefault(request_id, time.monotonic())
            if time.monotonic() - since_s < self._patience_s:
                raise
            return self._denied(str(error))

    def _answer(self, request_id: RequestId, request: Request) -> Answer:
        try:
            key, values = self._serve(request_id, request)
        except RecordsError:
            raise
        except PhasecastError as error:
            return self._denied(str(error))
        except Exception as error:
            logger.exception("request %s", request_id)
            return self._denied(f"{type(error).__name__}: {error}")
        self.counters["done"] += 1
        return answer(key, values)

    def _denied(self, reason: str) -> Answer:
        self.counters["denied"] += 1
        return answer("denied", {"reason": reason}, ok=False)

    def _serve(self, request_id: RequestId, request: Request) -> _Line:
        time_s = asked_s(request_id)
        match request:
            case LabelPoints():
                return self._label(request_id, request, time_s)
            case UndoLabel(label_id=label_id, who=who):
                return self._undo(request_id, label_id, who, time_s)
            case SaveRegion(name=name, scan_raw_uid=raw_uid, who=who):
                self._write(self._regions, request_id, save_entry(request, request_id, time_s=time_s))
                self._note(raw_uid, request_id, who, time_s, {"what": "region", "name": name, "role": request.role})
                return "region_saved", {"name": name}
            case RemoveRegion(name=name, who=who):
                self._regions.refresh()
                if request_id not in self._regions.requests:
                    if all(region.name != name for region in self._regions.regions):
                        raise RequestError(f"no region {name!r}", remedy="it may have been removed before")
                    self._write(self._regions, request_id, remove_entry(name, request_id, who, time_s=time_s))
                return "region_removed", {"name": name}
            case SaveSurface(scan_raw_uid=raw_uid, who=who):
                self._write(self._surfaces, request_id, surface_entry(request, request_id, time_s=time_s))
                what = {"what": "surface", "vertices": len(request.vertices_um), "confirmed": request.confirmed}
                self._note(raw_uid, request_id, who, time_s, what)
                return "surface_saved", {}
            case DescribeSample(scan_raw_uid=raw_uid, who=who):
                unknown = [name for name in request.fields if name not in FIELDS]
                if unknown:
                    raise RequestError(f"no field {', '.join(unknown)}", remedy=f"fields are {', '.join(FIELDS)}")
                require_proposal(self._directory, request.fields.get("proposal", ""), where="sample form")
                self._write(self._samples, request_id, form_entry(request, request_id, time_s=time_s))
                self._note(raw_uid, request_id, who, time_s, {"what": "sample", "fields": dict(request.fields)})
                return "sample_saved" if raw_uid else "sample_standing", {}
            case Acknowledge():
                self._write(self._seen, request_id, acknowledgement_entry(request, request_id, time_s=time_s))
                return "acknowledged", {}
            case BlindDraw() | BlindAnswer():
                key, values, note = self._blind.serve(request_id, request, time_s)
                if note is not None:
                    self._add_notes([self._directory.results / note.result], note.entry)
                return key, values
            case CloseScan() | DeclareScan():
                raise RequestError("scans are declared and closed by the daemon")
            case Retrain() | CancelTraining() | ActivateModel():
                raise RequestError("models are trained and chosen by the daemon")
            case _:
                assert_never(request)

    def _label(self, request_id: RequestId, request: LabelPoints, time_s: float) -> _Line:
        path = self._directory.results / request.result
        book = self._label_index(label_path(self._directory, request.scan_raw_uid))
        book.refresh()
        with open_result(path) as result:
            entries, skipped = label_entries(request, request_id, result, time_s=time_s)
        if not entries:
            raise RequestError("no pattern to label", where=request.result, remedy="choose points that are done")
        # a writer that was killed may have left some of them
        append(book.path, [entry for entry in entries if entry["id"] not in book.ids])
        note = {"what": "labels", "points": [entry["point"] for entry in entries], "classes": list(request.classes)}
        self._add_notes([path], {**stamp(request_id, request.who, time_s), **note, "note": request.note})
        values: dict[str, str | int | float] = {"points": len(entries), "skipped": skipped}
        return ("labelled_some" if skipped else "labelled"), values

    def _undo(self, request_id: RequestId, label_id: str, who: str, time_s: float) -> _Line:
        for path in self._directory.labels.glob("*.jsonl"):
            book = self._label_index(path)
            book.refresh()
            if request_id in book.requests:
                return "label_undone", {"points": book.undone_by(request_id)}
            ids = book.in_force(label_id)
            if ids:
                append(path, [undo_entry(ids, request_id, who, time_s=time_s)])
                return "label_undone", {"points": len(ids)}
        raise RequestError(f"no label {label_id!r} in force", remedy="it may have been taken back before")

    def _label_index(self, path: Path) -> LabelIndex:
        return self._labels.setdefault(path, LabelIndex(path))

    def _write(self, book: Book, request_id: RequestId, entry: Entry) -> None:
        book.refresh()
        if request_id not in book.requests:
            append(book.path, [entry])
            book.refresh()

    def _note(self, raw_uid: str, request_id: str, who: str, time_s: float, what: Mapping[str, object]) -> None:
        if raw_uid:
            results = [entry.path for entry in self._results.of_scan(raw_uid)]
            self._add_notes(results, {**stamp(request_id, who, time_s), **what})

    def _add_notes(self, results: Sequence[Path], note: Entry) -> None:
        try:
            add_notes(results, note)
        except RecordsError as error:
            self.counters["notes_failed"] += 1
            logger.warning("no note beside the result: %s", error)


def answer(key: str, values: Mapping[str, str | int | float] | None = None, *, ok: bool = True) -> Answer:
    """Return an answer, now, in the words of ``answer.<key>`` of the catalogue."""
    values = values or {}
    detail = words("en")(f"answer.{key}", **values)
    return Answer(ok=ok, detail=detail, time_s=time.time(), key=f"answer.{key}", values=values)
