"""What takes seconds to learn of a map: how many points are superseded, and what its interruptions changed."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasecast.records.maps_list import MapEntry
from phasecast.web.exports_folder import ExportsFolder
from phasecast.web.jobs import JobKey, Jobs

logger = logging.getLogger(__name__)

_AGAIN_S = 120.0
"""While a scan grows its offset is estimated again after this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """What changed at one interruption, in the words of every language.

    Parameters
    ----------
    file, row
        The result and its point from which on it holds.
    within
        Whether it lies within the scan; else it holds for all of it.
    displaced
        Whether an offset was found that is larger than its uncertainty explains.
    text, offset
        By language: the whole, and the estimated offset alone (empty where nothing can be told).
    """

    file: str
    row: int
    within: bool
    displaced: bool
    text: dict[str, str]
    offset: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFacts:
    """What a process of its own found out of a map."""

    points: int
    superseded: int
    interruptions: tuple[Interruption, ...]

    def of_point(self, file: str, row: int) -> Interruption | None:
        """Return the last interruption of the scan that lies before a point of it; None if there is none."""
        before = [one for one in self.interruptions if one.file == file and (not one.within or row >= one.row)]
        return before[-1] if before else None


class MapFactsBook:
    """Facts of all maps that anybody looked at, one made at a time and made again where scans changed.

    Parameters
    ----------
    jobs, exports
        Of the page.
    describe
        Writes the facts of some results as JSON into a file; takes seconds.
    """

    def __init__(self, jobs: Jobs, exports: ExportsFolder, describe: Callable[[tuple[Path, ...], Path], None]) -> None:
        self._jobs, self._exports, self._describe = jobs, exports, describe
        self._known: dict[str, tuple[tuple[Any, ...], MapFacts | None]] = {}
        self._failures: dict[str, str] = {}
        self._asked: tuple[str, JobKey, tuple[Any, ...]] | None = None

    def of(self, entry: MapEntry) -> MapFacts | None:
        """Return what is known of a map, of an earlier state if need be; None if nothing is known yet."""
        self._fetch()
        signature, facts = self._known.get(entry.address, ((), None))
        if signature != _signature(entry) and self._asked is None:
            self._ask(entry)
        return facts

    def failure_of(self, entry: MapEntry) -> str:
        """Why nothing could be found out; empty if it did not fail."""
        return self._failures.get(entry.address, "")

    def _ask(self, entry: MapEntry) -> None:
        paths = tuple(one.path for one in entry.entries)
        key, signature = ("map-facts", entry.address), _signature(entry)
        try:
            target = self._exports.file_of(paths[-1].with_name(f"{paths[-1].stem}-map.nxs"), "facts", "all")
        except OSError as error:
            self._known[entry.address] = signature, None
            self._failures[entry.address] = f"{error.strerror}: {error.filename}"
            return

        def make() -> Path:
            self._describe(paths, target)
            return target

        self._jobs.start(key, make)
        self._asked = entry.address, key, signature

    def _fetch(self) -> None:
        if self._asked is None:
            return
        address, key, signature = self._asked
        job = self._jobs.state(key)
        if job is not None and job.running:
            return
        self._asked = None
        _, before = self._known.get(address, ((), None))
        self._known[address] = signature, before
        self._failures.pop(address, None)
        if job is None or job.result is None:
            self._failures[address] = job.failure if job is not None else ""
            return
        try:
            content = json.loads(job.result.read_text(encoding="utf-8"))
            interruptions = tuple(Interruption(**one) for one in content.pop("interruptions"))
            self._known[address] = signature, MapFacts(interruptions=interruptions, **content)
        except (OSError, ValueError, TypeError, KeyError) as error:
            logger.warning("what was found out of %s cannot be read: %s", address, error)


def _signature(entry: MapEntry) -> tuple[Any, ...]:
    """What changes when a map must be looked at again."""
    scans = tuple((one.path.name, one.state, 0.0 if one.state == "live" else one.changed_s) for one in entry.entries)
    return scans, time.monotonic() // _AGAIN_S if entry.live else 0
