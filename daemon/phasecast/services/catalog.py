"""Brings finished runs, raw and derived, into a Tiled catalog; what it does not take waits in JSON lines."""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import CatalogError, PhasecastError
from phasecast.core.record import CapturePosition
from phasecast.records.journal import append, read_journal
from phasecast.records.results_list import ResultEntry, ResultsList
from phasecast.results import open_result
from phasecast.sinks.result_documents import documents_of_result
from phasecast.sinks.tiled_catalog import name_of, open_catalog
from phasecast.sources.run_documents import archive_path, bring_from_capture, is_whole, read_run, write_run

logger = logging.getLogger(__name__)

Kind = Literal["raw", "derived"]
RunState = Literal["in", "waiting", "no documents"]
_MARKS = "catalog.marks"
_LOCK = ".catalog.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMark:
    """What became of one run.

    Parameters
    ----------
    uid
        The run.
    kind
        Whether it came from the beamline or is a result.
    state
        ``in`` the catalog, ``waiting`` to be brought in, or ``no documents``: nothing announced the scan.
    reason
        Why it waits, one line.
    """

    uid: str
    kind: Kind
    state: RunState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What one `sync` did.

    Parameters
    ----------
    catalog
        The catalog's name.
    brought
        Uids of the runs that are in the catalog since.
    kept
        How many it had already.
    waiting
        Uid to the reason for which a run is not in it.
    undocumented
        Uids of scans that no documents announced: only their results are runs.
    failure
        Why the catalog could not be asked, one line; empty if it could. Runs that it took before do not wait.
    """

    catalog: str
    brought: tuple[str, ...] = ()
    kept: int = 0
    waiting: Mapping[str, str] = field(default_factory=dict)
    undocumented: tuple[str, ...] = ()
    failure: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return asdict(self)


def sync(directory: DataDirectory, uri: str = "", *, say: Callable[[str], None] = logger.warning) -> SyncReport:
    """Bring every finished run of a data directory into a catalog; what is there already is left alone.

    Runs are results and the scans that they are of; scans without a result are not taken, for they may be another
    proposal's. The documents of each run lie as JSON lines in the data directory before the catalog sees them, so
    that nothing is lost with it. A run that it does not take is marked, said in one line, and brought in by the next
    call.

    Parameters
    ----------
    directory
        The data directory.
    uri
        A Tiled server; empty for the embedded catalog.
    say
        Told one line a run that has to wait, and one if the catalog cannot be opened.

    Raises
    ------
    PhasecastError
        If the data directory cannot be written to.
    """
    name = name_of(directory, uri)
    with _one_at_a_time(directory):
        marks = _Marks(directory, name)
        entries = [entry for entry in ResultsList(directory).read() if entry.state == "closed"]
        reasons = _archive(directory, entries, marks)
        undocumented = tuple(uid for uid, reason in reasons.items() if reason == "")
        results = {entry.result_uid: entry.path for entry in entries}
        runs: dict[str, Kind] = {}
        for entry in sorted(entries, key=lambda entry: entry.started_s):
            runs[entry.raw_uid] = "raw"
            runs[entry.result_uid] = "derived"
        ready = [uid for uid in runs if uid not in reasons]
        brought, refused, failure = _insert(directory, uri, ready, results, marks, say)
        waiting = {uid: reason for uid, reason in (reasons | refused).items() if reason}
        for uid, kind in runs.items():
            state: RunState = "waiting" if uid in waiting else "no documents" if uid in undocumented else "in"
            marks.set(RunMark(uid=uid, kind=kind, state=state, reason=waiting.get(uid, "")))
        marks.write()
    return SyncReport(
        catalog=name,
        brought=tuple(brought),
        kept=0 if failure else len(ready) - len(brought) - len(refused),
        waiting=waiting,
        undocumented=undocumented,
        failure=failure,
    )


def marks_of(directory: DataDirectory, uri: str = "") -> list[RunMark]:
    """Return what is known of each run and one catalog, without opening it."""
    return list(_Marks(directory, name_of(directory, uri)).known.values())


def _archive(directory: DataDirectory, entries: list[ResultEntry], marks: "_Marks") -> dict[str, str]:
    """Write what is missing of the archive; return runs without it to the reason, empty if nothing announced them."""
    reasons: dict[str, str] = {}
    starts: dict[str, CapturePosition] = {}
    for entry in entries:
        derived = archive_path(directory, entry.result_uid)
        if not is_whole(derived):
            try:
                write_run(derived, documents_of_result(entry.path))
            except PhasecastError as error:
                reasons[entry.result_uid] = str(error)
        if is_whole(archive_path(directory, entry.raw_uid)):
            continue
        if marks.is_marked(entry.raw_uid, "no documents") or (start := capture_start(entry)) is None:
            reasons[entry.raw_uid] = ""
        elif not (directory.captures / start.segment).is_file():
            reasons[entry.raw_uid] = f"{directory.captures / start.segment} with its documents is gone"
        else:
            starts[entry.raw_uid] = start
    if not starts:
        return reasons
    try:
        begun = bring_from_capture(directory, set(starts), min(starts.values()))
    except PhasecastError as error:
        return reasons | dict.fromkeys(starts, str(error))
    for uid in starts:
        path = archive_path(directory, uid)
        if not is_whole(path):
            reasons[uid] = "its stop document has not been recorded" if uid in begun or path.is_file() else ""
    return reasons


def capture_start(entry: ResultEntry) -> CapturePosition | None:
    """Return the place of the first record of a result's scan; None if its header names none."""
    with open_result(entry.path) as result:
        place = result.header.processing.get("capture_start")
    return CapturePosition(**place) if place else None


def _insert(
    directory: DataDirectory,
    uri: str,
    uids: list[str],
    results: Mapping[str, Path],
    marks: "_Marks",
    say: Callable[[str], None],
) -> tuple[list[str], dict[str, str], str]:
    """Write the runs that the catalog has not.

    Returns those that it took, those that it did not with the reason, and why it could not be asked.
    """
    brought: list[str] = []
    refused: dict[str, str] = {}
    left = dict.fromkeys(uids)
    if not uids:
        return brought, refused, ""
    try:
        with open_catalog(directory, uri) as catalog:
            for uid in uids:
                known = catalog.find(uid)
                if known is None or known.stop is None:
                    path = archive_path(directory, uid)
                    try:
                        if uid in results:
                            # the folder may have been moved since its documents were written
                            write_run(path, documents_of_result(results[uid]))
                        catalog.write(uid, read_run(path))
                        brought.append(uid)
                    except PhasecastError as error:
                        # raises where it is the catalog that fails, and not the run
                        catalog.find(uid)
                        refused[uid] = str(error)
                        say(f"run {uid} waits in {path}: {error}")
                del left[uid]
    except CatalogError as error:
        # what it took before is in it still
        left = {uid: None for uid in left if not marks.is_marked(uid, "in")}
        refused |= dict.fromkeys(left, str(error))
        say(f"{len(left)} run{'s wait' if len(left) != 1 else ' waits'} in {directory.documents}: {error}")
        return brought, refused, str(error)
    return brought, refused, ""


class _Marks:
    """The newest mark of every run for one catalog."""

    def __init__(self, directory: DataDirectory, catalog: str) -> None:
        self._path = directory.documents / _MARKS
        self._catalog = catalog
        self._fresh: list[RunMark] = []
        self.known: dict[str, RunMark] = {}
        for entry in read_journal(self._path):
            if entry.get("catalog") == catalog:
                fields = {key: entry.get(key, "") for key in ("uid", "kind", "state", "reason")}
                self.known[str(fields["uid"])] = RunMark(**fields)

    def is_marked(self, uid: str, state: RunState) -> bool:
        mark = self.known.get(uid)
        return mark is not None and mark.state == state

    def set(self, mark: RunMark) -> None:
        if self.known.get(mark.uid) != mark:
            self.known[mark.uid] = mark
            self._fresh.append(mark)

    def write(self) -> None:
        stamp = {"time_s": time.time(), "catalog": self._catalog}
        append(self._path, [stamp | asdict(mark) for mark in self._fresh])


@contextmanager
def _one_at_a_time(directory: DataDirectory) -> Iterator[None]:
    """Wait for another sync of the same data directory: two writers of one run would both fail."""
    try:
        directory.documents.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory.documents / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise CatalogError(
            f"cannot be written to ({error.strerror})", where=str(directory.documents), remedy="check permissions"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
