"""When runs are brought into the catalog: after each scan of a daemon, or beside one, always in another process."""

import logging
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Self

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.records.results_list import ResultsList
from phasecast.services.lifecycle import stop_on_signals
from phasecast.services.priority import be_nice
from phasecast.services.with_parent import end_with_parent, in_hand
from phasecast.sinks.tiled_catalog import is_installed, require_installed

logger = logging.getLogger(__name__)

EMBEDDED = "embedded"
NONE = "none"
_LOOK_S = 2.0
_END_TIMEOUT_S = 120.0


class CatalogAfterScan:
    """Does what ``phasecast catalog sync`` does in a process of its own, below everybody's priority, after each scan.

    Importing tiled takes seconds and 200 MB, so that nothing of it may happen here. One process at a time; scans
    that end meanwhile are one more run of it. What it has to say comes in the daemon's log. Without its parent it
    brings in what it has in hand and ends.

    Parameters
    ----------
    directory
        The data directory.
    catalog
        `EMBEDDED`, `NONE`, or the address of a Tiled server. Embedded without the extra is none.
    """

    def __init__(self, directory: DataDirectory, catalog: str) -> None:
        if catalog not in (EMBEDDED, NONE):
            require_installed()
        self._is_wanted = catalog != NONE and is_installed()
        self._arguments = (directory.root, "" if catalog == EMBEDDED else catalog)
        self._asked = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(_END_TIMEOUT_S)

    def submit(self, result: Path) -> None:
        """Ask for what follows a closed result; returns at once."""
        if not self._is_wanted:
            return
        with self._lock:
            self._asked.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="catalog", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._asked.is_set():
                    self._thread = None
                    return
                self._asked.clear()
            try:
                process = get_context("spawn").Process(target=_sync, args=self._arguments, name="catalog", daemon=True)
                process.start()
                process.join()
            except OSError as error:
                logger.error("the catalog is not brought up to date: %s", error)


def _sync(root: Path, uri: str) -> None:
    """Bring in what is not in the catalog; the one thing that its process does."""
    from phasecast.services.catalog import sync

    be_nice(15)
    end_with_parent()
    with in_hand, redirect_stdout(sys.stderr):
        try:
            report = sync(DataDirectory(root), uri, say=_say)
        except PhasecastError as error:
            _say(f"phasecast: {error}")
        else:
            _say(f"{report.catalog}: {len(report.brought)} brought in, {len(report.waiting)} wait")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def follow(directory: DataDirectory, uri: str, *, say: Callable[[str], None]) -> None:
    """Bring runs in until a signal comes; the results are looked at every two seconds.

    Raises
    ------
    PhasecastError
        If the extra is missing.
    """
    require_installed()
    results = ResultsList(directory)
    seen: set[str] = set()
    with stop_on_signals() as stop:
        while not stop.is_set():
            closed = {entry.result_uid for entry in results.read() if entry.state == "closed"}
            if closed - seen:
                seen = closed
                try:
                    from phasecast.services.catalog import sync

                    report = sync(directory, uri, say=say)
                    if report.brought:
                        say(f"{report.catalog}: {len(report.brought)} runs brought in")
                except PhasecastError as error:
                    say(f"phasecast: {error}")
            stop.wait(_LOOK_S)
