"""Doubts about positions: what raises them, and which points bear them."""

from collections import Counter

import numpy as np

from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.scan import Defect, PositionDoubt
from phasecast.pipeline.crosscheck import Doubt, JoinCheck, PairTimes
from phasecast.pipeline.ledger import Ledger


class Doubts:
    """Whether frames and positions of one scan belong together, kept in the flags of its points.

    Parameters
    ----------
    check
        Watches the pairs that were joined.
    ledger
        Flags of the points.
    counters
        Counts of the scan; this counts each doubt once.
    """

    def __init__(self, check: JoinCheck, ledger: Ledger, counters: Counter[str]) -> None:
        self._check = check
        self._ledger = ledger
        self._counters = counters
        self._by_order = False
        self._announced: list[int | None] = []
        self._spread: Doubt | None = None

    @property
    def first(self) -> Doubt | None:
        """The first sign that frames and positions do not belong together; None while all agree."""
        return self._check.doubt

    def add_announced(self, expected_frames: int | None) -> None:
        """Take how many frames a series announced; None if it does not say."""
        self._announced.append(expected_frames)
        self.compare_announced()

    def set_by_order(self, by_order: bool) -> None:
        """Say whether order alone joins the points that come from now on."""
        self._by_order = by_order

    def compare_announced(self) -> None:
        """Hold what the detector announced against what the scan announced, where order alone joins."""
        if self._by_order and self._announced and None not in self._announced:
            self._check.announce_frames(sum(frames or 0 for frames in self._announced), by_order=True)

    def add_pair(self, pair: PairTimes) -> None:
        """Take the times of a joined pair."""
        self._check.add(pair)

    def add_stated(self, doubt: PositionDoubt, *, received_s: float) -> list[Defect]:
        """Take a doubt of the source: of a few points, which is returned, or of all from one on."""
        if doubt.to_index is None:
            self._check.raise_doubt(doubt.from_index, doubt.reason)
            return []
        self._ledger.add_flags(range(doubt.from_index, doubt.to_index), PointFlag.POSITION_DOUBTFUL)
        return [self._count(doubt.reason, received_s)]

    def finish(self, *, surplus_frames: int, measured_points: int, frames_taken: int) -> None:
        """Judge what can only be judged at the end of a scan."""
        self._check.finish(
            surplus_frames=surplus_frames,
            measured_points=measured_points,
            frames_taken={frames_taken, sum(frames or 0 for frames in self._announced)},
            by_order=self._by_order,
        )

    def spread(self, *, received_s: float) -> list[Defect]:
        """Flag the points that have arrived, once per doubt; return what is to be said of it."""
        doubt = self._check.doubt
        if doubt is None or doubt is self._spread:
            return []
        self._spread = doubt
        states = self._ledger.states[doubt.from_index :]
        arrived = np.flatnonzero((states != PointState.PENDING) & (states != PointState.NOT_MEASURED))
        self._ledger.add_flags((index + doubt.from_index for index in arrived.tolist()), PointFlag.POSITION_DOUBTFUL)
        return [self._count(doubt.reason, received_s)]

    def flag(self, index: int) -> None:
        """Flag a point that was joined, if it is in doubt."""
        if self._spread is not None and index >= self._spread.from_index:
            self._ledger.add_flags([index], PointFlag.POSITION_DOUBTFUL)

    def _count(self, reason: str, received_s: float) -> Defect:
        self._counters["position_doubts"] += 1
        return Defect(reason="position doubtful", detail=reason, channel="join", received_s=received_s)
