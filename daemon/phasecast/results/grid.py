"""Places the points of a scan in the cells of a map, in sample coordinates with y up.

The plan says in which order cells are visited; the measured positions say where the beam really was.
Where the two disagree, positions decide: a map that is shifted or mirrored in silence is the worst outcome.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.result import ResultHeader

_TOLERANCE_STEPS = 0.75
"""A point stays in the cell that its order gives unless it was measured farther than this from the centre:
encoder noise around half a step must not throw two points into one cell."""
_GOOD_FIT_STEPS = 0.25

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Cells of all points.

    Parameters
    ----------
    rows, columns
        Cell of each point, shape (n,); -1 for points outside the grid.
    x_um, y_um
        Centres of the columns and rows, ascending; NaN where nothing was measured that tells them.
    """

    rows: Indices
    columns: Indices
    x_um: Floats
    y_um: Floats

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which points have a cell."""
        return (self.rows >= 0) & (self.columns >= 0)

    def paint(self, values: NDArray[Any], *, select: NDArray[np.bool_], fill: Any) -> NDArray[Any]:
        """Return the map (rows, columns) of per-point values; of several points in a cell the later one shows.

        Parameters
        ----------
        values
            One value a point, shape (n,).
        select
            Which points to paint, shape (n,).
        fill
            Value of cells without a point.
        """
        picture = np.full((self.y_um.size, self.x_um.size), fill, dtype=np.asarray(values).dtype)
        chosen = np.flatnonzero(self.inside & select)
        picture[self.rows[chosen], self.columns[chosen]] = values[chosen]
        return picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A two-dimensional raster whose axes are x and y of the sample.

    Parameters
    ----------
    slow_cells, fast_cells
        Points along the slow and the fast axis.
    snaking
        Whether every second sweep runs backwards, as announced.
    fast_is_x
        Whether the fast axis is horizontal.
    """

    slow_cells: int
    fast_cells: int
    snaking: bool
    fast_is_x: bool

    @classmethod
    def from_header(cls, header: ResultHeader) -> "Grid | None":
        """Return the grid of a scan; None if it is not a raster over x and y."""
        if header.shape is None or len(header.shape) != 2 or len(header.axes) != 2 or min(header.shape) < 1:
            return None
        fields = tuple(axis.field for axis in header.axes)
        if fields == (header.vertical_field, header.horizontal_field):
            fast_is_x = True
        elif fields == (header.horizontal_field, header.vertical_field):
            fast_is_x = False
        else:
            return None
        snaking = bool(header.snaking[1]) if len(header.snaking) > 1 else False
        slow, fast = header.shape
        return cls(slow_cells=slow, fast_cells=fast, snaking=snaking, fast_is_x=fast_is_x)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (y) and columns (x) of the map."""
        return (self.slow_cells, self.fast_cells) if self.fast_is_x else (self.fast_cells, self.slow_cells)

    def place(self, x_um: Floats, y_um: Floats) -> Placement:
        """Return the cell of every point.

        Parameters
        ----------
        x_um, y_um
            Measured sample positions in order of measurement, shape (n,); NaN where unknown.
        """
        fast_um, slow_um = (x_um, y_um) if self.fast_is_x else (y_um, x_um)
        order = np.arange(x_um.size)
        slow_nominal = order // self.fast_cells
        slow_nominal[slow_nominal >= self.slow_cells] = -1
        forward = order % self.fast_cells
        backward = np.where((order // self.fast_cells) % 2 == 1, self.fast_cells - 1 - forward, forward)
        guesses = [backward, forward] if self.snaking else [forward, backward]
        extra = slow_nominal < 0
        for guess in guesses:
            guess[extra] = -1
        fast, fast_centres = _cells(fast_um, guesses, self.fast_cells)
        slow, slow_centres = _cells(slow_um, [slow_nominal], self.slow_cells)
        lost = (fast < 0) | (slow < 0)
        fast[lost] = slow[lost] = -1
        if self.fast_is_x:
            return Placement(rows=slow, columns=fast, x_um=fast_centres, y_um=slow_centres)
        return Placement(rows=fast, columns=slow, x_um=slow_centres, y_um=fast_centres)


def _cells(position_um: Floats, guesses: list[Indices], cells: int) -> tuple[Indices, Floats]:
    """Cell of each point along one axis, ascending in position, and the centres of the cells."""
    known = np.isfinite(position_um)
    candidates = [(guess, _centres(position_um, guess, cells)) for guess in guesses]
    nominal, centres = candidates[0]
    if known.any():
        evenly = np.linspace(np.min(position_um[known]), np.max(position_um[known]), cells)
        # Without a complete sweep the extremes are not yet the ends of the axis: the plan's order is all there is.
        if np.count_nonzero(known) >= cells > 1 and evenly[-1] > evenly[0]:
            candidates.append((nominal, evenly))
        scores = [_misfit(position_um[known], option) for _, option in candidates]
        good = [index for index, score in enumerate(scores) if score < _GOOD_FIT_STEPS]
        nominal, centres = candidates[good[0] if good else int(np.argmin(scores))]
    if cells > 1 and np.all(np.isfinite(centres)) and centres[0] > centres[-1]:
        centres = centres[::-1].copy()
        nominal = np.where(nominal >= 0, cells - 1 - nominal, -1)
    return _settle(position_um, nominal, centres), centres


def _centres(position_um: Floats, cell: Indices, cells: int) -> Floats:
    """Median position of each cell; cells without a point lie on a straight line through the others."""
    usable = np.isfinite(position_um) & (cell >= 0)
    centres = np.full(cells, np.nan)
    if not usable.any():
        return centres
    order = np.lexsort((position_um[usable], cell[usable]))
    ordered_cell, ordered = cell[usable][order], position_um[usable][order]
    present, first, count = np.unique(ordered_cell, return_index=True, return_counts=True)
    centres[present] = (ordered[first + (count - 1) // 2] + ordered[first + count // 2]) / 2
    if present.size >= 2:
        slope, offset = np.polyfit(present.astype(np.float64), centres[present], 1)
        straight = offset + slope * np.arange(cells)
        steps = np.diff(centres[present])
        if np.all(steps > 0) or np.all(steps < 0):
            missing = np.isnan(centres)
            centres[missing] = straight[missing]
            steps = np.diff(centres)
        if not (np.all(steps > 0) or np.all(steps < 0)):
            centres = straight
    return centres


def _misfit(position_um: Floats, centres: Floats) -> float:
    """How far points lie from the nearest centre, in steps: the 90th percentile."""
    if centres.size < 2 or not np.all(np.isfinite(centres)):
        return np.inf
    ascending = np.sort(centres)
    step = (ascending[-1] - ascending[0]) / (centres.size - 1)
    if step <= 0:
        return np.inf
    distance = np.abs(position_um - ascending[_nearest(position_um, ascending)])
    return float(np.percentile(distance, 90) / step)


def _nearest(position_um: Floats, ascending: Floats) -> Indices:
    return np.searchsorted((ascending[1:] + ascending[:-1]) / 2, position_um).astype(np.int64)


def _settle(position_um: Floats, nominal: Indices, centres: Floats) -> Indices:
    """Let positions overrule the order where they clearly disagree with it."""
    cell = nominal.copy()
    if centres.size < 2 or not np.all(np.isfinite(centres)):
        return cell
    tolerance = _TOLERANCE_STEPS * float(np.median(np.diff(centres)))
    known = np.isfinite(position_um)
    agrees = known & (nominal >= 0)
    agrees[agrees] = np.abs(position_um[agrees] - centres[nominal[agrees]]) <= tolerance
    moved = known & ~agrees
    nearest = _nearest(position_um[moved], centres)
    nearest[np.abs(position_um[moved] - centres[nearest]) > tolerance] = -1
    cell[moved] = nearest
    return cell
