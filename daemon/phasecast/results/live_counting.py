"""Keeps up which points of a map count while a scan grows: a new point costs the same however many there are."""

import numpy as np
from numpy.typing import NDArray

from phasecast.results.grid import Floats, Indices
from phasecast.results.same_place import MapPoints, superseded_points

_CELL_MATES = 1.5
"""Steps within which the points of one cell lie, as `Grid` tolerates three quarters of a step from its middle."""
_BIN_REACHES = 4
_ROW_OF_BINS = 1 << 32


class LiveCounting:
    """Which points count, brought up to date around those that changed.

    Who counts depends on neighbours, and on theirs, but not without end: a point yields to a better one only, and there
    are three qualities and so many scans. So what changed is decided anew within that many neighbours.

    Parameters
    ----------
    points
        All points; the arrays belong to this from now on.

    Attributes
    ----------
    instead
        For every point the one that counts instead, (n,); -1 where it counts itself.
    """

    def __init__(self, points: MapPoints) -> None:
        self._points = points
        self._reach_um = _CELL_MATES * points.steps_um.max(axis=0)
        self._bin_um = _BIN_REACHES * self._reach_um
        self.instead = superseded_points(points)
        self._bins: dict[int, list[int]] = {}
        self._put(np.flatnonzero(points.known))

    def lengthen(self, more: int) -> None:
        """Add points of the last scan that are not known yet."""
        points = self._points
        self._points = MapPoints(
            places_um=np.concatenate([points.places_um, np.full((more, 2), np.nan)]),
            quality=np.concatenate([points.quality, np.zeros(more, dtype=np.int64)]),
            part=np.concatenate([points.part, np.full(more, len(points.steps_um) - 1, dtype=np.int64)]),
            cell=np.concatenate([points.cell, np.full(more, -1, dtype=np.int64)]),
            steps_um=points.steps_um,
        )
        self.instead = np.concatenate([self.instead, np.full(more, -1, dtype=np.int64)])

    def update(self, rows: Indices, places_um: Floats, quality: NDArray[np.int64], cell: Indices) -> Indices:
        """Take in points that changed; return them and all others that may show something else now, ascending.

        Parameters
        ----------
        rows
            Points that changed, (m,).
        places_um, quality, cell
            What `MapPoints` says of them now; a place of NaN where it does not take part.
        """
        points = self._points
        before_um = points.places_um[rows]
        points.places_um[rows], points.quality[rows], points.cell[rows] = places_um, quality, cell
        moved = np.isfinite(places_um).all(axis=1) & ~(before_um == places_um).all(axis=1)
        self._put(rows[moved])
        around_um = np.concatenate([before_um, places_um])
        around_um = around_um[np.isfinite(around_um).all(axis=1)]
        inner, outer = self._depend_on(around_um)
        inner, outer = np.union1d(inner, rows), np.union1d(outer, rows)
        found = superseded_points(
            MapPoints(
                places_um=points.places_um[outer],
                quality=points.quality[outer],
                part=points.part[outer],
                cell=points.cell[outer],
                steps_um=points.steps_um,
            )
        )
        instead = np.where(found >= 0, outer[found], -1)[np.searchsorted(outer, inner)]
        before = self.instead[inner]
        different = before != instead
        self.instead[inner] = instead
        winners = np.concatenate([before[different], instead[different]])
        return np.unique(np.concatenate([rows, inner[different], winners[winners >= 0]]))

    def near(self, low_um: Floats, high_um: Floats) -> Indices:
        """Return the points in boxes, and some around them, ascending; low and high corners are (boxes, 2)."""
        keys: set[int] = set()
        first = np.floor(low_um / self._bin_um).astype(np.int64)
        last = np.floor(high_um / self._bin_um).astype(np.int64)
        for (left, low), (right, high) in np.unique(np.stack([first, last], axis=1), axis=0).tolist():
            for row in range(low, high + 1):
                keys.update(range(row * _ROW_OF_BINS + left, row * _ROW_OF_BINS + right + 1))
        found = [self._bins[key] for key in keys if key in self._bins]
        return np.unique(np.array([row for rows in found for row in rows], dtype=np.int64))

    def _depend_on(self, places_um: Floats) -> tuple[Indices, Indices]:
        """Points whose turn may have changed with those at some places, and all that this depends on."""
        parts = 1
        while True:
            # one more rank for the cell of a point's own scan; a bin is what `near` returns too much
            inner_um = (3 * parts + 1) * self._reach_um
            outer_um = 2 * inner_um + self._bin_um
            outer = self.near(places_um - outer_um, places_um + outer_um)
            found = int(np.unique(self._points.part[outer]).size)
            if found <= parts:
                return self.near(places_um - inner_um, places_um + inner_um), outer
            parts = found

    def _put(self, rows: Indices) -> None:
        if not rows.size:
            return
        column, row = np.floor(self._points.places_um[rows] / self._bin_um).astype(np.int64).T
        keys = row * _ROW_OF_BINS + column
        order = np.argsort(keys, kind="stable")
        ends = np.flatnonzero(np.diff(keys[order])) + 1
        for some in np.split(order, ends):
            self._bins.setdefault(int(keys[some[0]]), []).extend(rows[some].tolist())
