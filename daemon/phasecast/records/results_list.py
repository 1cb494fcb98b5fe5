"""All results of a data directory, the growing ones first, each with the reason if it cannot be read."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError, ResultFileError
from phasecast.core.result import ResultHeader
from phasecast.records.samples import SampleBook, sample_of, samples_path
from phasecast.results import is_being_written, open_result
from phasecast.results.access import missing_bytes
from phasecast.results.composed_header import fitting_of
from phasecast.results.map_identity import frame_name_of, map_name_of

ResultState = Literal["live", "closed", "unfinished", "unreadable"]
_Signature = tuple[int, int, int, bool]

_LONGEST_RETRY_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultEntry:
    """One line of the list of results.

    Parameters
    ----------
    path
        The file.
    state
        ``live`` (a process writes it), ``closed``, ``unfinished`` (its writer died or was told to stop before the
        scan did; the daemon takes it up again) or ``unreadable``.
    reason
        Why it cannot be read, what is unusual about it, or why its scan failed; one line, empty if there is nothing.
    raw_uid, result_uid, scan_id, plan
        The scan and its result; empty and 0 where unreadable.
    sample
        Name of the sample, as far as anyone said it.
    started_s
        POSIX time of the scan's start; of the file's last change where unreadable.
    ended, exit_status
        ISO 8601 time of the end and how the scan ended; empty while it runs.
    points, done
        Number of points, and how many are classified.
    shape
        Points per axis, slow to fast; None for scans that are not rasters.
    model
        Name and version of the model; empty if none.
    size_bytes
        Size of the file.
    report
        Its report; None if there is none.
    report_failure
        Why there is no report; empty if it did not fail.
    map_name, map_frame
        Name of the map that its scan belongs to, and of its coordinate frame; empty if nobody said it.
    fits
        Equal for results that can be put together: of the same classes, 2theta axis, motors, units and signs.
    changed_s
        POSIX time of the file's last change.
    """

    path: Path
    state: ResultState
    reason: str = ""
    raw_uid: str = ""
    result_uid: str = ""
    scan_id: int = 0
    plan: str = ""
    sample: str = ""
    started_s: float = 0.0
    ended: str = ""
    exit_status: str = ""
    points: int = 0
    done: int = 0
    shape: tuple[int, ...] | None = None
    model: str = ""
    size_bytes: int = 0
    report: Path | None = None
    report_failure: str = ""
    map_name: str = ""
    map_frame: str = ""
    fits: int = 0
    changed_s: float = 0.0

    @property
    def is_readable(self) -> bool:
        """Whether `open_result` opened it."""
        return self.state != "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    signature: _Signature
    entry: ResultEntry
    header: ResultHeader | None
    retry_s: float = 0.0
    retry_at_s: float = float("inf")


class ResultsList:
    """Lists results and remembers what it has read: a file that has not changed is not opened again.

    One that could not be read is tried again, ever more rarely: a disk on the network can be away for a moment.

    Parameters
    ----------
    directory
        The data directory.
    retry_s
        Seconds until the first such trial; the time doubles with each, up to ten minutes.
    """

    def __init__(self, directory: DataDirectory, *, retry_s: float = 5.0) -> None:
        self._directory = directory
        self._retry_s = retry_s
        self._samples = SampleBook(samples_path(directory))
        self._known: dict[str, _Known] = {}
        self.opened = 0
        """Files opened so far."""

    def read(self) -> list[ResultEntry]:
        """Return the results, growing ones first, then the newest. Never raises for what a file holds."""
        forms_changed = self._refresh_samples()
        known: dict[str, _Known] = {}
        for name, signature in self._files():
            before = self._known.get(name)
            if before is None or before.signature != signature:
                before = self._look(self._directory.results / name, signature, self._retry_s)
            elif time.monotonic() >= before.retry_at_s:
                wait_s = min(2 * before.retry_s, _LONGEST_RETRY_S)
                before = self._look(self._directory.results / name, signature, wait_s)
            elif forms_changed:
                before = replace(before, entry=replace(before.entry, sample=self._sample_name(before.header)))
            known[name] = replace(before, entry=self._with_report(before.entry))
        self._known = known
        entries = [what.entry for what in known.values()]
        return sorted(entries, key=lambda entry: (entry.state != "live", -entry.started_s, entry.path))

    def of_scan(self, raw_uid: str) -> list[ResultEntry]:
        """Return the results of one scan, in the order of `read`."""
        return [entry for entry in self.read() if entry.raw_uid == raw_uid]

    def _files(self) -> Iterator[tuple[str, _Signature]]:
        """Names of the results, and what changes when they do: identity, time, size, and whether one writes them."""
        try:
            with os.scandir(self._directory.results) as found:
                names = sorted(entry.name for entry in found if entry.name.endswith(".nxs") and entry.name[0] != ".")
        except OSError:
            return
        for name in names:
            path = self._directory.results / name
            try:
                status = path.stat()
                yield name, (status.st_ino, status.st_mtime_ns, status.st_size, is_being_written(path))
            except OSError:
                # a link to nowhere, or gone since: listed, and looked at as often as the list is read
                yield name, (0, 0, 0, False)

    def _look(self, path: Path, signature: _Signature, retry_s: float) -> _Known:
        self.opened += 1
        try:
            return self._read(path, signature)
        except PhasecastError as error:
            reason = f"{error.what} - {error.remedy}" if error.remedy else error.what
        except Exception as error:  # HDF5 raises almost anything for a damaged file
            reason = f"damaged: {type(error).__name__}: {error}"
        try:
            status = path.stat()
            changed_s, size = status.st_mtime, status.st_size
        except OSError as error:
            changed_s, size, reason = 0.0, 0, f"cannot be looked at: {error.strerror}"
        else:
            if not path.is_file():
                reason = "not a plain file - put it elsewhere"
            elif size == 0:
                reason = "empty - restore it, or replay its capture"
        if missing := _missing(path):
            reason = f"cut short: {missing} bytes are missing - copy it again, or replay its capture"
        entry = ResultEntry(
            path=path, state="unreadable", reason=" ".join(reason.split())[:300], started_s=changed_s, size_bytes=size
        )
        retry_at_s = time.monotonic() + retry_s
        return _Known(signature=signature, entry=entry, header=None, retry_s=retry_s, retry_at_s=retry_at_s)

    def _read(self, path: Path, signature: _Signature) -> _Known:
        is_live = signature[3]
        if any("\ud800" <= character <= "\udfff" for character in path.name):
            raise ResultFileError("its name is no UTF-8 text", remedy="rename it")
        with open_result(path) as result:
            header, counters = result.header, result.counters
            exit_status = str(counters.get("exit_status", ""))
            state: ResultState = "live" if is_live else "closed"
            reason = str(counters.get("exit_reason", ""))
            if not is_live and (not result.is_closed or exit_status in ("", "unfinished")):
                state, reason = "unfinished", reason or "its writer ended before the scan did"
            entry = ResultEntry(
                path=path,
                state=state,
                reason=reason,
                raw_uid=header.raw_uid,
                result_uid=header.result_uid,
                scan_id=header.scan_id,
                plan=header.plan_name,
                sample=self._sample_name(header),
                started_s=header.started_s,
                ended=result.end_time,
                exit_status=exit_status,
                points=result.points,
                done=result.points_done,
                shape=header.shape,
                model=f"{header.model.name} {header.model.version}" if header.model else "",
                size_bytes=signature[2],
                map_name=map_name_of(header),
                map_frame=frame_name_of(header),
                fits=fitting_of(header),
                changed_s=signature[1] / 1e9,
            )
            return _Known(signature=signature, entry=entry, header=header)

    def _sample_name(self, header: ResultHeader | None) -> str:
        return sample_of(self._samples, header.raw_uid, header).fields.get("name", "") if header else ""

    def _with_report(self, entry: ResultEntry) -> ResultEntry:
        report = self._directory.reports / f"{entry.path.stem}.html"
        failure = self._directory.reports / f"{entry.path.stem}.failed.json"
        found = report if report.is_file() else None
        why = _failure(failure) if found is None else ""
        if (found, why) == (entry.report, entry.report_failure):
            return entry
        return replace(entry, report=found, report_failure=why)

    def _refresh_samples(self) -> bool:
        try:
            return self._samples.refresh()
        except PhasecastError:
            return False


def list_results(directory: DataDirectory) -> list[ResultEntry]:
    """Return the results of a data directory once; keep a `ResultsList` to ask again cheaply."""
    return ResultsList(directory).read()


def _missing(path: Path) -> int:
    try:
        return missing_bytes(path) if path.is_file() else 0  # opening a pipe would wait for its other end
    except OSError:
        return 0


def _failure(path: Path) -> str:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return str(content["what"])[:300]
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        return "the report failed"
