"""What all sessions of the page share: the list of results, the scans that are open, the daemon's own words."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import ResultFileError
from phasecast.core.frame import FrameReference
from phasecast.core.result import ResultHeader
from phasecast.records.alarm_book import AlarmBook
from phasecast.records.alarms import Alarm
from phasecast.records.mailbox import Mailbox
from phasecast.records.maps_list import PREFIX, MapEntry, maps_of
from phasecast.records.results_list import ResultEntry, ResultsList
from phasecast.records.status import read_status
from phasecast.web.exports_folder import ExportsFolder
from phasecast.web.jobs import Jobs
from phasecast.web.live_map import LiveMap
from phasecast.web.live_scan import LiveScan
from phasecast.web.map_facts import MapFactsBook
from phasecast.web.model_tools import ModelTools
from phasecast.web.opinions import OpinionBook
from phasecast.web.proposals import ProposalBook

logger = logging.getLogger(__name__)

_OPEN_SCANS = 6
_LIST_S = 2.0
_LOOK_S = 0.3
_STATUS_S = 0.4
STALE_S = 4.0
"""A daemon speaks once a second; after this long without a word the page says so."""


Results = Path | tuple[Path, ...]
"""A result, or several that are one map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTools:
    """What the page needs from rooms it must not know.

    Parameters
    ----------
    read_frame
        Reads the raw frame of a point, (rows, cols); raises `PhasecastError` where it is gone.
    tth_of_pixels
        2theta of every pixel of a scan's detector in deg, (rows, cols); None where the geometry is unknown.
    draw_png
        Draws a result as PNG into a file, in the words of a language.
    write_csv
        Writes the maps of a result as CSV into a file.
    snapshot
        Copies what is committed of a growing result into a closed file.
    make_report
        Writes the report of a result again in a language; returns its path.
    write_repair
        Writes the points of some results to measure again into a file: a table for ``.csv``, else a bluesky plan.
    describe_map
        Writes what `MapFacts` holds of some results as JSON into a file.
    models
        What it needs of models.

    Those from `draw_png` to `describe_map` may be called from any thread, take seconds, and raise `PhasecastError`
    where they fail. Where they take a result, several that are one map will do as well, but for `snapshot`.
    """

    read_frame: Callable[[ResultHeader, FrameReference], NDArray[np.integer]]
    tth_of_pixels: Callable[[ResultHeader], NDArray[np.floating] | None]
    draw_png: Callable[[Results, Path, str], None]
    write_csv: Callable[[Results, Path], None]
    snapshot: Callable[[Path, Path], None]
    make_report: Callable[[Results, str], Path]
    write_repair: Callable[[tuple[Path, ...], Path], None]
    describe_map: Callable[[tuple[Path, ...], Path], None]
    models: ModelTools


class Hub:
    """Shared by all sessions of one page process; used from the server's loop alone.

    Parameters
    ----------
    directory
        The data directory.
    tools
        See `PageTools`.
    alarms
        Kept up to date by the service.
    """

    def __init__(self, directory: DataDirectory, tools: PageTools, alarms: AlarmBook) -> None:
        self.directory = directory
        self.tools = tools
        self._alarms = alarms
        self.mailbox = Mailbox(directory.requests)
        self.jobs = Jobs()
        self.exports = ExportsFolder(directory.reports)
        self.proposals = ProposalBook(tools.models.propose)
        self.opinions = OpinionBook(tools.models.follow_opinion, tools.models.disagree)
        self.map_facts = MapFactsBook(self.jobs, self.exports, tools.describe_map)
        self._list = ResultsList(directory)
        self._scans: OrderedDict[str, LiveScan] = OrderedDict()
        self._entries: list[ResultEntry] = []
        self._maps: list[MapEntry] = []
        self._listed_s = -np.inf
        self._listed_at_ns = 0
        self._status: dict[str, Any] | None = None
        self._status_read_s = -np.inf

    def results(self) -> list[ResultEntry]:
        """All results, the growing ones first; looked up every two seconds, or soon after a file came or went."""
        since_s = time.monotonic() - self._listed_s
        if since_s >= _LIST_S or (since_s >= _LOOK_S and self._folder_changed_ns() != self._listed_at_ns):
            # Noted before: what comes while the list is made is found the next time.
            self._listed_at_ns = self._folder_changed_ns()
            self._entries = self._list.read()
            self._maps = maps_of(self._entries)
            self._listed_s = time.monotonic()
        return self._entries

    def _folder_changed_ns(self) -> int:
        try:
            return self.directory.results.stat().st_mtime_ns
        except OSError:
            return 0

    def entry(self, name: str) -> ResultEntry | None:
        """Entry of a result by its file name."""
        return next((entry for entry in self.results() if entry.path.name == name), None)

    def maps(self) -> list[MapEntry]:
        """Maps of several scans, as current as `results`."""
        self.results()
        return self._maps

    def map_entry(self, address: str) -> MapEntry | None:
        """Entry of a map by its address."""
        return next((entry for entry in self.maps() if entry.address == address), None)

    def superseded(self, entry: MapEntry) -> int | None:
        """Points of a map that another one counts for; None if nobody has counted them yet."""
        scan = self._scans.get(entry.address)
        if scan is not None:
            return scan.columns.ledger_sums["superseded"]
        facts = self.map_facts.of(entry)
        return facts.superseded if facts is not None else None

    def newest(self) -> str:
        """File name of the result to show first: the growing one, else the newest readable one; empty if none."""
        return next((entry.path.name for entry in self.results() if entry.is_readable), "")

    def scan(self, name: str) -> LiveScan:
        """Return an open scan by the name of its file, or a map by its address, brought up to date.

        Raises
        ------
        ResultFileError
            If there is no such file in the results folder, or no such map, or it cannot be read.
        """
        scan = self._scans.get(name)
        if name.startswith(PREFIX):
            paths = self._paths_of_map(name)
            if scan is not None and scan.paths != paths:
                self._scans.pop(name).close()
                scan = None
            made = LiveMap(paths, name) if scan is None else scan
        elif not name or Path(name).name != name:
            raise ResultFileError("no such result", where=repr(name), remedy="choose one from the list of scans")
        else:
            made = scan or LiveScan(self.directory.results / name)
        if scan is None:
            scan = self._scans[name] = made
            while len(self._scans) > _OPEN_SCANS:
                _, oldest = self._scans.popitem(last=False)
                oldest.close()
        self._scans.move_to_end(name)
        try:
            scan.poll()
        except ResultFileError:
            self._scans.pop(name).close()
            raise
        return scan

    def _paths_of_map(self, address: str) -> tuple[Path, ...]:
        entry = self.map_entry(address)
        if entry is None:
            raise ResultFileError(
                "no such map of several scans", where=repr(address), remedy="choose one from the list of scans"
            )
        return tuple(entry.path for entry in entry.entries)

    def alarms(self) -> list[Alarm]:
        """Alarms that stand and nobody has seen, the gravest first."""
        return self._alarms.unacknowledged

    def status(self) -> dict[str, Any] | None:
        """What the daemon last said of itself; None if it never did or it cannot be read."""
        now_s = time.monotonic()
        if now_s - self._status_read_s >= _STATUS_S:
            self._status_read_s = now_s
            try:
                self._status = read_status(self.directory.status / "live-xrd.json")
            except (OSError, ValueError) as error:
                logger.warning("the daemon's status cannot be read: %s", error)
                self._status = None
        return self._status

    def status_age_s(self) -> float:
        """Seconds since the daemon last spoke; infinite if it never did."""
        status = self.status()
        return time.time() - float(status["time_s"]) if status else float("inf")

    def is_live(self, name: str) -> bool:
        """Whether a daemon that speaks is writing a result."""
        status = self.status()
        return bool(status) and self.status_age_s() <= STALE_S and name in (status or {}).get("results", [])
