"""The record: every document of a derived run into one NeXus file that can be read while it grows.

This sink must not fail. A write that does not succeed raises, and the run stops with a clear line.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import DEFECTS, HEADER_KEY, LEDGER, MODELS, PRIMARY, SCORES
from phasecast.core.errors import ResultFileError
from phasecast.core.protocols import Document
from phasecast.core.result import ResultHeader
from phasecast.results import layout
from phasecast.results.lock import WriterLock
from phasecast.sinks.nexus_parts import iso_time
from phasecast.sinks.nexus_structure import create_structure
from phasecast.sinks.nexus_writer import ResultWriter

logger = logging.getLogger(__name__)

_LIBRARY_VERSION = ("v110", "v110")
_CHUNK_CACHE_BYTES = 0
"""Rows go straight into their chunk in the file. A cache would rewrite whole chunks at every flush, and one
of the default size for each of forty datasets would hold 40 MB."""


class NexusSink:
    """Writes one result file.

    Parameters
    ----------
    path
        The file to create. It appears under this name when readers can follow it, never before.
    clock
        POSIX time in seconds, for commits and times of creation.
    monotonic
        Seconds for the pace of map updates.
    map_interval_s
        Shortest time between two updates of the maps during a scan.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        map_interval_s: float = 1.0,
    ) -> None:
        self.path = Path(path)
        self._clock = clock
        self._monotonic = monotonic
        self._map_interval_s = map_interval_s
        self._maps_due_s = -np.inf
        self._streams: dict[str, str] = {}
        self._file: h5py.File | None = None
        self._writer: ResultWriter | None = None
        self._lock: WriterLock | None = None
        self._resuming = False

    @classmethod
    def resume(cls, path: str | os.PathLike[str], **settings: Any) -> "NexusSink":
        """Return a sink that continues a repaired file; its `start` document creates nothing.

        Parameters
        ----------
        path
            A file that `phasecast.results.repair` returned.
        settings
            As for the constructor.
        """
        sink = cls(path, **settings)
        sink._resuming = True
        return sink

    def __call__(self, name: str, doc: Document) -> None:
        """Take one document.

        Raises
        ------
        ResultFileError
            If the file cannot be written or the document does not fit it.
        """
        with self._guarded(name):
            match name:
                case "start":
                    self._start(doc)
                case "descriptor":
                    self._streams[doc["uid"]] = doc["name"]
                case "event_page":
                    self._page(self._streams[doc["descriptor"]], doc["data"])
                case "event":
                    page = {key: np.asarray(value)[np.newaxis] for key, value in doc["data"].items()}
                    self._page(self._streams[doc["descriptor"]], page)
                case "stop":
                    self._finish({"exit_status": doc.get("exit_status", ""), **doc.get(HEADER_KEY, {})}, doc["time"])
                case _:
                    logger.debug("a %s document has no place in the result file", name)

    def read_rows(self, names: Sequence[str], first: int, end: int) -> dict[str, NDArray[Any]]:
        """Return rows `first` to before `end` of columns as they were written; any thread may ask.

        Raises
        ------
        ResultFileError
            If the file is not open or the rows are not there.
        """
        with self._guarded("rows"):
            if self._file is None or self._writer is None:
                raise ValueError("it is not open")
            paths = {one.name: layout.column_dataset(one.name, one.axis) for one in self._writer.header.columns}
            return {name: self._file[paths[name]][first:end] for name in names}

    def close(self) -> None:
        """Finish the file as far as it came, if no stop document did; idempotent.

        Raises
        ------
        ResultFileError
            If the last rows cannot be written.
        """
        if self._writer is not None:
            with self._guarded("close"):
                self._finish({"exit_status": "unfinished"}, self._clock())

    def __enter__(self) -> "NexusSink":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, doc: Document) -> None:
        header = ResultHeader.from_dict(doc[HEADER_KEY])
        if self._file is not None:
            raise ValueError("a second start document; one file holds one run")
        self._lock = WriterLock(self.path)
        if self._resuming:
            self._file = self._open(self.path)
            self._check_same(header)
            self._file.swmr_mode = True
        else:
            self._file = self._create(header)
        self._writer = ResultWriter(self._file, header, clock=self._clock)

    def _create(self, header: ResultHeader) -> h5py.File:
        if self.path.exists():
            raise ResultFileError(
                "the file exists", where=str(self.path), remedy="results are never overwritten; choose another name"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = header.expected_points
        if rows is None:
            rows = int(np.prod(header.shape)) if header.shape else 0
        partial = self.path.with_name(f".{self.path.name}.part")
        with h5py.File(partial, "w", libver=_LIBRARY_VERSION, **layout.UNTORN_PAGES) as file:
            create_structure(file, header, rows=rows, created_s=self._clock())
        file = self._open(partial)
        file.swmr_mode = True
        # Renamed last: under its own name nobody ever finds a file that readers cannot open.
        os.replace(partial, self.path)
        return file

    def _open(self, path: Path) -> h5py.File:
        return h5py.File(path, "r+", libver=_LIBRARY_VERSION, rdcc_nbytes=_CHUNK_CACHE_BYTES)

    def _check_same(self, header: ResultHeader) -> None:
        assert self._file is not None
        found = self._file[f"{layout.PROVENANCE}/raw_uid"][()].decode()
        if found != header.raw_uid:
            raise ResultFileError(
                f"holds raw run {found}, not {header.raw_uid}", where=str(self.path),
                remedy="resume each run in its own file",
            )  # fmt: skip

    def _page(self, stream: str, columns: Document) -> None:
        if self._writer is None:
            raise ValueError("a page came before the start document or after the stop")
        if stream == PRIMARY:
            self._writer.write_points(columns)
        elif stream == SCORES:
            self._writer.write_scores(columns)
        elif stream == MODELS:
            self._writer.write_models(columns)
        elif stream == DEFECTS:
            self._writer.write_defects(columns)
        elif stream == LEDGER:
            self._writer.write_ledger(columns)
            now_s = self._monotonic()
            if now_s >= self._maps_due_s:
                self._writer.write_maps()
                self._maps_due_s = now_s + self._map_interval_s

    def _finish(self, counters: dict[str, Any], time_s: float) -> None:
        if self._writer is None or self._file is None:
            raise ValueError("a stop document came before the start")
        self._writer.finish(counters, iso_time(time_s))
        self._writer = None
        self._file.close()
        if self._lock is not None:
            self._lock.release()

    @contextlib.contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:
            number = getattr(error, "errno", None)
            # HDF5 tells its whole stack in many lines; a person needs the system's own words.
            reason = os.strerror(number) if number else str(error).partition("\n")[0]
            raise ResultFileError(
                f"cannot write the {what}: {reason}",
                where=str(self.path),
                remedy="check free space and permissions; what was committed is safe and the capture holds the rest",
            ) from error
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ResultFileError(
                f"the {what} does not fit this result: {type(error).__name__}: {error}",
                where=str(self.path),
                remedy="what was committed is safe; this is a fault of the program, please report it",
            ) from error
