"""Second opinions on the points of results, made beside the server's loop and shared by all sessions."""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast.core.ledger import PointState
from phasecast.web.live_scan import LiveScan

logger = logging.getLogger(__name__)

_FORGOTTEN_S = 30.0
"""The process ends when nobody has looked for so long; what it found is kept."""
_KEPT = 4
_AGAIN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpinionRows:
    """What a fit of reference patterns says of some points.

    Parameters
    ----------
    rows
        The points, (m,).
    significance
        Peaks of each class over their error, in sigma, (m, classes); NaN for classes without lines.
    share
        Their share of all fitted peaks, 0 to 1, (m, classes).
    """

    rows: NDArray[np.int64]
    significance: NDArray[np.float32]
    share: NDArray[np.float32]


Follow = Callable[[Path, NDArray[np.int64], Callable[[OpinionRows], None], Callable[[], bool]], None]
"""Gives the opinion on every point of a result but some rows, to the third argument, as long as the fourth says so."""
Disagree = Callable[[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]], NDArray[np.floating]]
"""From confidences, significance and share, (n, classes) each, how much they contradict each other, (n,)."""


@dataclass(slots=True, eq=False)
class _Opinion:
    significance: NDArray[np.float32]
    share: NDArray[np.float32]
    known: NDArray[np.bool_]
    arrived: deque[OpinionRows] = field(default_factory=deque)
    looked_s: float = 0.0
    running: bool = False
    failure: str = ""
    failed_s: float = -_AGAIN_S
    scan: LiveScan | None = None
    version: int = 0


class OpinionBook:
    """Opinions on the results that anybody asked for; used from the server's loop alone.

    Parameters
    ----------
    follow, disagree
        See `ModelTools`.
    """

    def __init__(self, follow: Follow, disagree: Disagree) -> None:
        self._follow, self._disagree = follow, disagree
        self._opinions: OrderedDict[str, _Opinion] = OrderedDict()

    def look(self, scan: LiveScan) -> tuple[int, int, str]:
        """See that there is an opinion, and bring the layer of disagreement of a scan up to date.

        Returns
        -------
        known, done, failure
            Points of which the opinion is known, points that are done, and why there is none (empty if there is).
        """
        opinion = self._of(scan)
        opinion.looked_s = time.monotonic()
        done = int(scan.columns.ledger_sums[PointState.DONE.label])
        fresh = self._take(opinion, scan)
        self._compare(opinion, scan, fresh)
        known = int(np.count_nonzero(opinion.known & (scan.columns.state[: opinion.known.size] == PointState.DONE)))
        again = opinion.looked_s - opinion.failed_s >= _AGAIN_S
        if not opinion.running and again and (known < done or scan.columns.is_growing):
            opinion.running = True
            arguments = (opinion, scan.path, np.flatnonzero(opinion.known))
            threading.Thread(target=self._run, args=arguments, name="opinion", daemon=True).start()
        return known, done, opinion.failure

    def of_point(self, scan: LiveScan, point: int) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Return significance and share of each class, (classes,) each; None if nobody knows them (yet)."""
        opinion = self._opinions.get(scan.header.result_uid)
        if opinion is None or point >= opinion.known.size or not opinion.known[point]:
            return None
        return opinion.significance[point], opinion.share[point]

    def _of(self, scan: LiveScan) -> _Opinion:
        uid, classes = scan.header.result_uid, len(scan.header.classes)
        opinion = self._opinions.get(uid)
        if opinion is None:
            nothing = np.zeros((0, classes), dtype=np.float32)
            opinion = self._opinions[uid] = _Opinion(nothing, nothing, np.zeros(0, dtype=np.bool_))
            while len(self._opinions) > _KEPT:
                _, oldest = self._opinions.popitem(last=False)
                oldest.looked_s = -_FORGOTTEN_S
        self._opinions.move_to_end(uid)
        more = scan.columns.points - opinion.known.size
        if more > 0:
            rest = np.full((more, classes), np.nan, dtype=np.float32)
            opinion.significance = np.concatenate([opinion.significance, rest])
            opinion.share = np.concatenate([opinion.share, rest])
            opinion.known = np.concatenate([opinion.known, np.zeros(more, dtype=np.bool_)])
        return opinion

    def _take(self, opinion: _Opinion, scan: LiveScan) -> NDArray[np.int64]:
        """Take in what arrived; return those rows. Points that this page has not read yet have to wait."""
        fresh = []
        while opinion.arrived and int(opinion.arrived[0].rows[-1]) < opinion.known.size:
            part = opinion.arrived.popleft()
            opinion.significance[part.rows], opinion.share[part.rows] = part.significance, part.share
            opinion.known[part.rows] = True
            fresh.append(part.rows)
        return np.concatenate(fresh) if fresh else np.zeros(0, dtype=np.int64)

    def _compare(self, opinion: _Opinion, scan: LiveScan, fresh: NDArray[np.int64]) -> None:
        changed = scan.changes_since(opinion.version) if opinion.scan is scan else None
        rows = np.flatnonzero(opinion.known) if changed is None else np.union1d(fresh, changed[opinion.known[changed]])
        if rows.size:
            values = self._disagree(scan.columns.confidence[rows], opinion.significance[rows], opinion.share[rows])
            scan.set_disagreement(rows, values)
        opinion.scan, opinion.version = scan, scan.version

    def _run(self, opinion: _Opinion, path: Path, known: NDArray[np.int64]) -> None:
        try:
            self._follow(
                path, known, opinion.arrived.append, lambda: time.monotonic() - opinion.looked_s < _FORGOTTEN_S
            )
            opinion.failure = ""
        except PhasecastError as error:
            opinion.failure, opinion.failed_s = str(error), time.monotonic()
        except Exception as error:
            logger.exception("no second opinion on %s", path)
            opinion.failure, opinion.failed_s = f"{type(error).__name__}: {error}", time.monotonic()
        opinion.running = False
