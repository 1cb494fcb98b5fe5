"""How many points hold each class, kept up to date point by point."""

import numpy as np

from phasecast.core.ledger import PointFlag, PointState
from phasecast.results.follow import ResultFollower, Rows


class Tally:
    """Counts over all points of a scan at one threshold.

    Parameters
    ----------
    columns
        The scan.
    threshold
        Confidence from which a class counts.
    """

    def __init__(self, columns: ResultFollower, threshold: float) -> None:
        self._columns = columns
        self._threshold = threshold
        self._held = np.zeros((0, columns.confidence.shape[1] + 2), dtype=np.bool_)
        self._sums = np.zeros(self._held.shape[1], dtype=np.int64)
        self.update(np.arange(columns.points))

    def update(self, rows: Rows) -> None:
        """Count points that changed anew."""
        columns = self._columns
        more = columns.points - len(self._held)
        if more:
            self._held = np.concatenate([self._held, np.zeros((more, self._held.shape[1]), dtype=np.bool_)])
        done = columns.state[rows] == PointState.DONE
        present = (np.nan_to_num(columns.confidence[rows]) >= self._threshold) & done[:, None]
        doubtful = (columns.flags[rows] & np.uint32(PointFlag.POSITION_DOUBTFUL)) > 0
        held = np.column_stack([present, done & ~present.any(axis=1), doubtful])
        self._sums += held.sum(axis=0) - self._held[rows].sum(axis=0)
        self._held[rows] = held

    @property
    def classes(self) -> list[int]:
        """Points that hold each class."""
        return [int(count) for count in self._sums[:-2]]

    @property
    def without(self) -> int:
        """Points that are done and hold none."""
        return int(self._sums[-2])

    @property
    def doubtful(self) -> int:
        """Points whose position is doubtful."""
        return int(self._sums[-1])
