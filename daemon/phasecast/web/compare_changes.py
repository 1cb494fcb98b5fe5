"""Which points changed class between two results of a scan, kept up to date row by row."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointState
from phasecast.core.result import PhaseClass
from phasecast.results.follow import ResultFollower
from phasecast.web.live_scan import LiveScan

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Change(IntEnum):
    """What became of a point from result A to result B."""

    NOT_COMPARED = 0
    """Not done in both."""
    UNCHANGED = 1
    KEPT = 2
    """Of one class: both results hold it."""
    GAINED = 3
    LOST = 4
    EXCHANGED = 5
    """Some classes came and others went."""


class Changes:
    """Two results compared point by point: row i of one is row i of the other.

    A point has changed if the set of classes at or above the threshold differs. Only classes that both results know
    are looked at, and only points that are done in both.

    Parameters
    ----------
    a, b
        The results.
    threshold
        Confidence from which a class counts.

    Attributes
    ----------
    classes
        Classes that both know, (k,), in the order of A.
    unshared
        Classes that only one of them knows.
    in_a, in_b, gained, lost
        Points of each class, (k,), among the compared ones.
    """

    def __init__(self, a: LiveScan, b: LiveScan, threshold: float) -> None:
        self.a, self.b, self.threshold = a, b, threshold
        ids_a, ids_b = ([phase.id for phase in scan.header.classes] for scan in (a, b))
        shared = [name for name in ids_a if name in ids_b]
        self.classes: tuple[PhaseClass, ...] = tuple(a.header.classes[ids_a.index(name)] for name in shared)
        self.unshared: tuple[PhaseClass, ...] = tuple(
            phase for phase in (*a.header.classes, *b.header.classes) if phase.id not in shared
        )
        self._columns_a = [ids_a.index(name) for name in shared]
        self._columns_b = [ids_b.index(name) for name in shared]
        self._versions = (0, 0)
        self._read_all()

    @property
    def points(self) -> int:
        """Points that both results have a row for."""
        return int(self._compared.size)

    @property
    def compared(self) -> int:
        """Points that are done in both."""
        return self._compared_sum

    @property
    def changed(self) -> int:
        """Compared points whose set of classes differs."""
        return self._changed_sum

    def update(self) -> Rows | None:
        """Take in what is new in either result; return the rows that may differ now, None if all may."""
        versions = (self.a.version, self.b.version)
        if versions == self._versions:
            return np.zeros(0, dtype=np.int64)
        fresh = [scan.changes_since(seen) for scan, seen in zip((self.a, self.b), self._versions, strict=True)]
        points = min(self.a.columns.points, self.b.columns.points)
        if any(rows is None for rows in fresh) or points != self.points:
            self._read_all()
            return None
        rows = np.unique(np.concatenate([part for part in fresh if part is not None]))
        rows = rows[rows < points]
        self._count(rows, -1)
        self._read(rows)
        self._count(rows, 1)
        self._versions = versions
        return rows

    def kinds(self, rows: Rows, class_id: str = "") -> NDArray[np.uint8]:
        """Return the `Change` of rows, (m,): of one class, or of all if none is named."""
        before, after = self._before[rows], self._after[rows]
        if class_id:
            k = [phase.id for phase in self.classes].index(class_id)
            kind = np.select(
                [before[:, k] & after[:, k], after[:, k], before[:, k]],
                [Change.KEPT, Change.GAINED, Change.LOST],
                Change.UNCHANGED,
            )
        else:
            came, went = (after & ~before).any(axis=1), (before & ~after).any(axis=1)
            kind = np.select(
                [came & went, came, went], [Change.EXCHANGED, Change.GAINED, Change.LOST], Change.UNCHANGED
            )
        kind[~self._compared[rows]] = Change.NOT_COMPARED
        return kind.astype(np.uint8)

    def classes_of(self, point: int) -> tuple[list[PhaseClass], list[PhaseClass]]:
        """Return the classes of a point in A and in B."""
        sets = (self._before[point], self._after[point])
        before, after = ([p for p, held in zip(self.classes, row, strict=True) if held] for row in sets)
        return before, after

    def _read_all(self) -> None:
        points, k = min(self.a.columns.points, self.b.columns.points), len(self.classes)
        self._before, self._after = np.zeros((points, k), dtype=np.bool_), np.zeros((points, k), dtype=np.bool_)
        self._compared = np.zeros(points, dtype=np.bool_)
        self.in_a, self.in_b, self.gained, self.lost = (np.zeros(k, dtype=np.int64) for _ in range(4))
        self._compared_sum = self._changed_sum = 0
        rows = np.arange(points)
        self._read(rows)
        self._count(rows, 1)
        self._versions = (self.a.version, self.b.version)

    def _read(self, rows: Rows) -> None:
        done_a, self._before[rows] = self._present(self.a.columns, self._columns_a, rows)
        done_b, self._after[rows] = self._present(self.b.columns, self._columns_b, rows)
        self._compared[rows] = done_a & done_b

    def _present(self, columns: ResultFollower, chosen: list[int], rows: Rows) -> tuple[Flags, Flags]:
        done: Flags = columns.state[rows] == PointState.DONE
        return done, np.nan_to_num(columns.confidence[rows][:, chosen]) >= self.threshold

    def _count(self, rows: Rows, sign: int) -> None:
        rows = rows[self._compared[rows]]
        before, after = self._before[rows], self._after[rows]
        self.in_a += sign * before.sum(axis=0)
        self.in_b += sign * after.sum(axis=0)
        self.gained += sign * (after & ~before).sum(axis=0)
        self.lost += sign * (before & ~after).sum(axis=0)
        self._compared_sum += sign * rows.size
        self._changed_sum += sign * int(np.count_nonzero((before != after).any(axis=1)))
