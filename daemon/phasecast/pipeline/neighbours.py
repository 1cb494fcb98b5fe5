"""Points said again after their neighbours: which ones, when, and with the same bits whatever came first."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from phasecast.core.result import ModelStamp

Indices = NDArray[np.int64]
Confidences = NDArray[np.float32]
SecondPass = Callable[[Confidences, Confidences], Confidences]
"""From confidences (n, classes) and those of eight neighbours (n, 8, classes), NaN where none is, to (n, classes).

Neighbours come row by row from low to high y, each row from low to high x.
"""

_AROUND = np.array([(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)])
_NOBODY = -1
_ROWS_AT_ONCE = 4096


class Cells(Protocol):
    """Where the points of a raster lie."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the raster."""
        ...

    def update(self, x_um: NDArray[np.float64], y_um: NDArray[np.float64], changed: Indices) -> bool:
        """Take in points that changed, ascending; return whether others moved too."""
        ...

    def settle(self, x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> None:
        """Place all points anew, for good: all that is known of a scan decides, not the order in which it came."""
        ...

    def of(self, points: Indices) -> tuple[Indices, Indices]:
        """Return rows and columns of points; -1 for those without a cell or without a position."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourRule:
    """How the points of a scan are said again after their neighbours.

    Parameters
    ----------
    cells
        Of this scan.
    second_pass_of
        What a model makes of a point and its neighbours; None if it has nothing for that.
    """

    cells: Cells
    second_pass_of: Callable[[ModelStamp], SecondPass | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Positions of all points of a scan, and which of them are done; shape (n,) each."""

    x_um: NDArray[np.float64]
    y_um: NDArray[np.float64]
    done: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said of all points of a scan; it grows with them.

    Parameters
    ----------
    alone
        Confidences of each point by itself, shape (m, classes).
    together
        Those that take its neighbours into account, shape (m, classes).
    models
        Number of the model behind them, shape (m,).
    """

    alone: Confidences
    together: Confidences
    models: NDArray[np.signedinteger]


class Neighbourhood:
    """The raster of one scan, filled as points come.

    Parameters
    ----------
    cells
        Where its points lie.
    """

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        rows, columns = cells.shape
        self._points = np.full((rows + 2, columns + 2), _NOBODY, np.int64)
        self._settled = False

    def look(
        self, scored: Indices, placed: Indices, places: Places, said: Said, pass_of: Callable[[int], SecondPass | None]
    ) -> tuple[Indices, Confidences]:
        """Return the points of which something else is to be said after this turn, and what; see `settle`.

        Parameters
        ----------
        scored
            Points whose own confidences, or whose having any, changed in the turn.
        placed
            Points that may have got their place in it.
        places, said
            Of all points, after the turn.
        pass_of
            The second pass of a model, by its number.
        """
        if not self._settled:
            self._place(np.union1d(scored, placed), places)
        rows, columns = self._cells.of(scored)
        inside = rows >= 0
        around = self._points[rows[inside, None] + 1 + _AROUND[:, 0], columns[inside, None] + 1 + _AROUND[:, 1]]
        touched = np.union1d(scored, around[around != _NOBODY])
        return self._say(touched[places.done[touched]], places, said, pass_of)

    def settle(
        self, places: Places, said: Said, pass_of: Callable[[int], SecondPass | None]
    ) -> tuple[Indices, Confidences]:
        """Return the points of which something else is to be said now that the scan is over, and what.

        What is said in the end depends on positions, first confidences and models alone, not on what came first.
        """
        self._cells.settle(places.x_um, places.y_um)
        self._settled = True
        self._fill(np.flatnonzero(places.done), anew=True)
        return self._say(np.flatnonzero(places.done), places, said, pass_of)

    def _place(self, changed: Indices, places: Places) -> None:
        moved = self._cells.update(places.x_um, places.y_um, changed)
        fresh = np.flatnonzero(places.done) if moved else changed[places.done[changed]]
        self._fill(fresh, anew=moved)

    def _fill(self, points: Indices, *, anew: bool) -> None:
        if anew:
            self._points[:] = _NOBODY
        rows, columns = self._cells.of(points)
        inside = rows >= 0
        # of several points in one cell the last one measured counts
        self._points[rows[inside] + 1, columns[inside] + 1] = points[inside]

    def _say(
        self, points: Indices, places: Places, said: Said, pass_of: Callable[[int], SecondPass | None]
    ) -> tuple[Indices, Confidences]:
        changed, again = [points[:0]], [said.together[:0]]
        for start in range(0, len(points), _ROWS_AT_ONCE):
            part = points[start : start + _ROWS_AT_ONCE]
            now = self._together(part, places, said, pass_of)
            before = said.together[part]
            other = ~((now == before) | (np.isnan(now) & np.isnan(before))).all(axis=1)
            changed.append(part[other])
            again.append(now[other])
        return np.concatenate(changed), np.concatenate(again)

    def _together(
        self, points: Indices, places: Places, said: Said, pass_of: Callable[[int], SecondPass | None]
    ) -> Confidences:
        rows, columns = self._cells.of(points)
        inside = rows >= 0
        around = self._points[rows[:, None] + 1 + _AROUND[:, 0], columns[:, None] + 1 + _AROUND[:, 1]]
        there = (around != _NOBODY) & inside[:, None]
        there &= places.done[around]
        neighbours = said.alone[around]
        neighbours[~there] = np.nan
        has_any = np.isfinite(neighbours).all(axis=2).any(axis=1)
        now = said.alone[points]
        models = said.models[points]
        for number in np.unique(models).tolist():
            second_pass = pass_of(number)
            asked = np.flatnonzero((models == number) & has_any)
            if second_pass is not None and asked.size:
                now[asked] = second_pass(now[asked], neighbours[asked])
        return now
