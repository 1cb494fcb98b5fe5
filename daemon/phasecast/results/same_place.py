"""Which of several points at one place counts, and whether scans lie on one raster."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from phasecast.results.grid import Floats, Indices, Placement

_SAME = 1.0 + 1e-6
"""Half cells within which points of two scans are at the same place: borders belong to the cell, so that a raster that
lies half a cell beside another one covers it. Neighbours of a raster are two half cells apart."""
_SPOTS = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]) / 3
"""Spots of a cell that are looked at, in cells from its middle."""
_CORNERS = 4
"""Cells of a raster that are equally near at the most."""
_ALIKE = 0.1
_OFF_RASTER = 0.25
_LARGEST_RASTER = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapPoints:
    """All points of a map, one scan after the other.

    Parameters
    ----------
    places_um
        Where each was measured or planned, x and y, (n, 2); NaN where nothing tells.
    quality
        2 accepted, 1 done but doubtful, 0 without a result, (n,).
    part
        Scan of each, ascending, (n,).
    cell
        Cell in the raster of its own scan, (n,); -1 where it has none.
    steps_um
        Width and height of the cells of each scan, (scans, 2).
    """

    places_um: Floats
    quality: NDArray[np.int64]
    part: Indices
    cell: Indices
    steps_um: Floats

    @property
    def known(self) -> NDArray[np.bool_]:
        """Points whose place is known."""
        return np.asarray(np.isfinite(self.places_um).all(axis=1))


def superseded_points(points: MapPoints) -> Indices:
    """Return for every point the one at its place that counts instead, (n,); -1 where it counts itself.

    A better one counts before a later one. Points of one scan share a place only if they lie in one cell of its
    raster: scattered points may be as close as they like.
    """
    instead = _one_a_cell(points)
    # From the strongest to the weakest: who is superseded does not supersede others, whose place it may not share
    # with the point that counts.
    for quality in (2, 1, 0):
        for part in range(len(points.steps_um) - 1, -1, -1):
            free = (instead < 0) & points.known
            strong = np.flatnonzero(free & (points.part == part) & (points.quality == quality))
            weaker = (points.quality < quality) | ((points.quality == quality) & (points.part < part))
            others = np.flatnonzero(free & weaker & (points.part != part))
            if not (strong.size and others.size):
                continue
            half_um = points.steps_um[part] / 2
            tree = cKDTree(points.places_um[strong] / half_um)
            nearest = _latest_nearest(tree, points.places_um[others] / half_um)
            near = nearest >= 0
            # of a coarse cell below fine ones all must be covered: else the part that shows would be lost
            sides_um = points.steps_um[points.part[others]]
            coarser = np.flatnonzero(near & (sides_um > (1 + _ALIKE) * points.steps_um[part]).any(axis=1))
            if coarser.size:
                spots = points.places_um[others[coarser], None, :] + _SPOTS * sides_um[coarser, None, :]
                covered, _ = tree.query(spots / half_um, p=np.inf, distance_upper_bound=_SAME)
                near[coarser] = np.isfinite(covered).all(axis=1)
            instead[others[near]] = strong[nearest[near]]
    return instead


def _latest_nearest(tree: cKDTree, places: Floats) -> Indices:
    """Number of the point of a tree at the same place, the nearest one, and the last of equally near; -1 without."""
    distance, index = tree.query(places, k=_CORNERS, p=np.inf, distance_upper_bound=_SAME)
    # nearest of none is beyond all: also equal to infinity
    equal = np.isfinite(distance) & (distance <= distance[:, :1] + 1e-6)
    return np.asarray(np.where(equal, index, -1).max(axis=1), dtype=np.int64)


def _one_a_cell(points: MapPoints) -> Indices:
    """Within each scan the best point of a cell, of equals the latest, stands for all of the cell."""
    instead = np.full(points.part.size, -1, dtype=np.int64)
    inside = np.flatnonzero(points.cell >= 0)
    if not inside.size:
        return instead
    order = inside[np.lexsort((inside, points.quality[inside], points.cell[inside], points.part[inside]))]
    ends_group = np.append((np.diff(points.part[order]) != 0) | (np.diff(points.cell[order]) != 0), True)
    group = np.cumsum(ends_group) - ends_group
    winners = order[np.flatnonzero(ends_group)[group]]
    beaten = winners != order
    instead[order[beaten]] = winners[beaten]
    return instead


def union_raster(points: MapPoints) -> Placement | None:
    """Return the cells of all points in one raster; None unless all scans lie on one raster that they fill."""
    steps = points.steps_um
    if not points.known.all() or not np.all(points.cell >= 0) or np.any(np.ptp(steps, axis=0) > _ALIKE * steps[0]):
        return None
    step = np.median(steps, axis=0)
    low = points.places_um.min(axis=0)
    columns, rows = (_cells(points.places_um[:, axis] - low[axis], step[axis]) for axis in (0, 1))
    if columns is None or rows is None:
        return None
    shape = int(rows.max()) + 1, int(columns.max()) + 1
    if shape[0] * shape[1] > _LARGEST_RASTER or np.unique(rows * shape[1] + columns).size != shape[0] * shape[1]:
        return None
    return Placement(
        rows=rows,
        columns=columns,
        x_um=_centres(points.places_um[:, 0], columns),
        y_um=_centres(points.places_um[:, 1], rows),
    )


def raster_origin(places_um: Floats, step_um: float) -> float | None:
    """Return the centre of a cell of the raster that places along one axis lie on; None where they lie on none."""
    position = places_um / step_um
    # the lowest point may lie anywhere in its cell: the raster goes through the middle of all
    phase = float(np.angle(np.mean(np.exp(2j * np.pi * position)))) / (2 * np.pi)
    if np.percentile(np.abs(position - phase - np.rint(position - phase)), 90) > _OFF_RASTER:
        return None
    return phase * step_um


def _cells(from_low_um: Floats, step_um: float) -> Indices | None:
    """Cell along one axis; None where the points do not lie on one raster."""
    origin_um = raster_origin(from_low_um, step_um)
    if origin_um is None:
        return None
    cells = np.rint((from_low_um - origin_um) / step_um)
    return np.asarray(cells - cells.min(), dtype=np.int64)


def _centres(place_um: Floats, cell: Indices) -> Floats:
    return np.asarray(np.bincount(cell, weights=place_um) / np.bincount(cell))
