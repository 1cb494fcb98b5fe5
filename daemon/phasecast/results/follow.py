"""The columns of a result that maps are drawn from, kept in memory and brought up to date row by row."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import ResultFileError
from phasecast.core.ledger import PointState
from phasecast.results import layout
from phasecast.results.access import was_left_growing
from phasecast.results.reader import Result, open_result

_GAP_ROWS = 256
"""Rows between two changed ones that are read along rather than skipped: a read costs more than the rows."""

Rows = NDArray[np.int64]


class ResultFollower:
    """Follows one result file, growing or closed, also over repair, resumption and replacement of the file.

    Arrays have one row a point and are changed in place by `advance`; nobody else writes them.

    Parameters
    ----------
    path
        The result file.

    Attributes
    ----------
    result
        The open file, for what is read on demand: patterns, frames, defects.
    state, flags
        Ledger state and flags, (n,).
    x_um, y_um, time_s
        Where and when, (n,); NaN where unknown.
    confidence
        (n, classes); NaN where a point is not done.
    total
        Counts of each frame, (n,); NaN where a point is not done or the result has no such column.
    drift
        How unlike everything the model knows a pattern is, (n,), 1 at the limit; NaN where nothing tells.
    scalars
        Monitors by name, (n,).

    Raises
    ------
    ResultFileError
        If the file cannot be opened or is no phasecast result.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._open()

    def _open_result(self) -> Result:
        return open_result(self.path)

    def _open(self) -> None:
        self.result: Result = self._open_result()
        header = self.result.header
        self._classes = len(header.classes)
        self._has_total = any(column.name == layout.TOTAL_COLUMN for column in header.columns)
        self._has_drift = any(column.name == layout.DRIFT_COLUMN for column in header.columns)
        self._identity = self._file_identity()
        self.state = np.zeros(0, dtype=np.uint8)
        self.flags = np.zeros(0, dtype=np.uint32)
        self.x_um, self.y_um, self.time_s = (np.zeros(0) for _ in range(3))
        self.confidence = np.zeros((0, self._classes), dtype=np.float32)
        self.total = np.zeros(0, dtype=np.float64)
        self.drift = np.zeros(0, dtype=np.float32)
        self.scalars = {column.name: np.zeros(0) for column in header.point_columns}
        self._sums = np.zeros(len(PointState), dtype=np.int64)
        self._grow(self.result.points)
        self._read(np.arange(self.result.points))

    def close(self) -> None:
        """Close the file; idempotent."""
        self.result.close()

    @property
    def points(self) -> int:
        """Number of points: those announced, or more if more came."""
        return int(self.state.size)

    @property
    def ledger_sums(self) -> dict[str, int]:
        """Points in each state; they add up to the number of points."""
        return {state.label: int(self._sums[state]) for state in PointState}

    @property
    def is_growing(self) -> bool:
        """Whether the file was open for writing, or left so, when it was last looked at."""
        return not self.result.is_closed

    def advance(self) -> tuple[Rows, bool]:
        """Read what new commits touched.

        Returns
        -------
        rows
            Rows that changed, ascending.
        replaced
            Whether the file is another one than before (closed, repaired, resumed): all rows count as changed.

        Raises
        ------
        ResultFileError
            If the file is gone or cannot be read any more; the arrays stay as they were.
        """
        if self._file_identity() != self._identity:
            self.result.close()
            self._open()
            return np.arange(self.points), True
        try:
            rows = self.result.refresh()
            self._grow(self.result.points)
            self._read(rows)
        except (OSError, RuntimeError, KeyError) as error:
            raise ResultFileError(
                f"cannot be read any more: {error}", where=str(self.path), remedy="is its disk still there?"
            ) from error
        return rows, False

    def _file_identity(self) -> tuple[object, ...]:
        try:
            return self.path.stat().st_ino, was_left_growing(self.path)
        except OSError as error:
            raise ResultFileError(
                f"is gone: {error.strerror}", where=str(self.path), remedy="was it moved, or is its disk away?"
            ) from error

    def _grow(self, rows: int) -> None:
        more = rows - self.points
        if more <= 0:
            return

        def longer(values: NDArray, fill: object) -> NDArray:  # type: ignore[type-arg]
            tail = np.full((more, *values.shape[1:]), fill, dtype=values.dtype)
            return np.concatenate([values, tail])

        self._sums[PointState.PENDING] += more
        self.state = longer(self.state, PointState.PENDING)
        self.flags = longer(self.flags, 0)
        self.x_um, self.y_um, self.time_s = (longer(values, np.nan) for values in (self.x_um, self.y_um, self.time_s))
        self.confidence = longer(self.confidence, np.nan)
        self.total = longer(self.total, np.nan)
        self.drift = longer(self.drift, np.nan)
        self.scalars = {name: longer(values, np.nan) for name, values in self.scalars.items()}

    def _read(self, rows: Rows) -> None:
        for first, end in spans_of(rows):
            block = slice(first, end)
            ledger = self.result.ledger_block(first, end)
            state = ledger.pop("state")
            self._sums += np.bincount(state, minlength=len(PointState))
            self._sums -= np.bincount(self.state[block], minlength=len(PointState))
            self.state[block] = state
            self.flags[block] = ledger.pop("flags")
            self.x_um[block], self.y_um[block] = ledger.pop("x_um"), ledger.pop("y_um")
            self.time_s[block] = ledger.pop("time_s")
            for name, values in ledger.items():
                self.scalars[name][block] = values
            # Not through xarray: several times a second its coordinates cost more than the rows.
            confidence = self.result.confidence_column
            if self._classes and confidence is not None:
                self.confidence[block] = self.result.column_block(confidence, first, end)
            if self._has_total:
                total = self.result.column_block(layout.TOTAL_COLUMN, first, end).astype(np.float64)
                self.total[block] = np.where(state == PointState.DONE, total, np.nan)
            if self._has_drift:
                drift = self.result.column_block(layout.DRIFT_COLUMN, first, end)
                self.drift[block] = np.where(state == PointState.DONE, drift, np.nan)


def spans_of(rows: Rows) -> list[tuple[int, int]]:
    """Return the blocks (first, end) that cover ascending rows without reading long stretches in between."""
    if rows.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(rows) > _GAP_ROWS)
    firsts = rows[np.concatenate([[0], breaks + 1])]
    ends = rows[np.concatenate([breaks, [rows.size - 1]])] + 1
    return [(int(first), int(end)) for first, end in zip(firsts, ends, strict=True)]
