"""Proposes which points are steel, rust or outside, and where the surface of the steel runs.

What stands here is a proposal by program; a person confirms it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from phasecast.core.result import PhaseClass
from phasecast.results.grid import Floats, Placement
from phasecast.results.layout import THRESHOLD

STEEL, RUST, OUTSIDE, UNKNOWN = "steel", "rust", "outside", "unknown"
PARTS = (STEEL, RUST, OUTSIDE, UNKNOWN)

_NEIGHBOURS = 9
_REACH_CELLS = 1.6
_SMALL_ISLAND = 6
"""Patches of fewer points than this are taken for errors of single points and join what surrounds them."""
_LEAST_SIDE = 3
_POINTS_A_VERTEX = 60
_MOST_VERTICES = 13
_WORST_MIXING = 0.2
"""Where more than this part of either side lies on the wrong one, there is no one surface to speak of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """The surface of the steel as a line of straight pieces.

    Parameters
    ----------
    vertices_um
        At least two corners (x, y). Who walks along them has the steel on the right hand; the first and the last
        piece go on beyond their ends.
    """

    vertices_um: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        corners = np.asarray(self.vertices_um, dtype=np.float64)
        if corners.ndim != 2 or len(corners) < 2 or corners.shape[1] != 2 or not np.all(np.isfinite(corners)):
            raise ValueError(f"a surface needs two or more corners (x, y), found {self.vertices_um!r}")
        if np.any(np.hypot(*np.diff(corners, axis=0).T) == 0):
            raise ValueError("two corners that follow each other lie at one place")

    @classmethod
    def beside(cls, vertices_um: ArrayLike, parts: NDArray[np.str_], x_um: ArrayLike, y_um: ArrayLike) -> "Surface":
        """Return the surface along a line that a person drew in either direction, turned so that the steel is inside.

        Parameters
        ----------
        vertices_um
            Corners, (m, 2).
        parts, x_um, y_um
            As from `propose_parts`, and positions, (n,).
        """
        corners = tuple((float(x), float(y)) for x, y in np.asarray(vertices_um, dtype=np.float64))
        surface = cls(vertices_um=corners)
        distance = surface.distance_um(x_um, y_um)
        steel = distance[(parts == STEEL) & np.isfinite(distance)]
        return surface if not steel.size or np.median(steel) <= 0 else cls(vertices_um=corners[::-1])

    def distance_um(self, x_um: ArrayLike, y_um: ArrayLike) -> Floats:
        """Return the distance of points, normal to the line and positive away from the steel; shape as `x_um`."""
        x, y = np.broadcast_arrays(np.asarray(x_um, dtype=np.float64), np.asarray(y_um, dtype=np.float64))
        corners = np.asarray(self.vertices_um, dtype=np.float64)
        legs = np.diff(corners, axis=0)
        lengths = np.hypot(legs[:, 0], legs[:, 1])
        along = legs / lengths[:, None]
        normals = np.column_stack([-along[:, 1], along[:, 0]])
        # At a corner both pieces are equally near; the sum of their normals tells on which side a point lies.
        corner_normals = np.vstack([normals[:1], normals[:-1] + normals[1:], normals[-1:]])
        best = np.full(x.shape, np.inf)
        signed = np.full(x.shape, np.nan)
        for k in range(len(legs)):
            from_start = (x - corners[k, 0], y - corners[k, 1])
            place = from_start[0] * along[k, 0] + from_start[1] * along[k, 1]
            low = -np.inf if k == 0 else 0.0
            high = np.inf if k == len(legs) - 1 else float(lengths[k])
            nearest = np.clip(place, low, high)
            dx, dy = from_start[0] - nearest * along[k, 0], from_start[1] - nearest * along[k, 1]
            normal_x = np.select([place < low, place > high], corner_normals[[k, k + 1], 0], normals[k, 0])
            normal_y = np.select([place < low, place > high], corner_normals[[k, k + 1], 1], normals[k, 1])
            distance = np.hypot(dx, dy)
            nearer = distance < best
            best = np.where(nearer, distance, best)
            side = np.where(dx * normal_x + dy * normal_y >= 0, 1.0, -1.0)
            signed = np.where(nearer, side * distance, signed)
        return signed


def propose_parts(
    classes: Sequence[PhaseClass],
    confidence: ArrayLike,
    x_um: ArrayLike,
    y_um: ArrayLike,
    placement: Placement | None = None,
) -> NDArray[np.str_]:
    """Return the part of the sample each point seems to belong to: ``steel``, ``rust``, ``outside``, ``unknown``.

    The surest class of each role speaks for it, averaged over the neighbouring points; patches of a few points
    join what surrounds them.

    Parameters
    ----------
    classes
        With their roles; without any role every point is unknown.
    confidence
        (n, classes); NaN where a point is not classified, which leaves it unknown.
    x_um, y_um
        Positions, (n,).
    placement
        Cells of the points where they form a raster.
    """
    values = np.asarray(confidence, dtype=np.float64)
    values = values.reshape(len(values), len(classes))
    parts = np.full(len(values), UNKNOWN, dtype="U7")
    roles = np.array([phase.role for phase in classes])
    places = _places(x_um, y_um, placement)
    usable = np.flatnonzero(np.isfinite(places).all(axis=1) & np.isfinite(values).any(axis=1))
    if not usable.size or not np.isin(roles, PARTS).any():
        return parts
    scores = np.zeros((usable.size, 3))
    for k, role in enumerate(PARTS[:3]):
        if np.any(roles == role):
            scores[:, k] = np.nan_to_num(values[usable][:, roles == role]).max(axis=1)
    neighbours = _neighbours(places[usable])
    linked = neighbours >= 0
    means = np.where(linked[..., None], scores[neighbours], 0.0).sum(axis=1) / linked.sum(axis=1)[:, None]
    code = np.where(means.max(axis=1) >= THRESHOLD / 2, means.argmax(axis=1), 3)
    parts[usable] = np.array(PARTS)[_without_islands(code, neighbours)]
    return parts


def propose_surface(parts: NDArray[np.str_], x_um: ArrayLike, y_um: ArrayLike) -> Surface | None:
    """Return the line between the steel and everything else.

    Parameters
    ----------
    parts
        As from `propose_parts`, (n,).
    x_um, y_um
        Positions, (n,).

    Returns
    -------
    Surface or None
        None where there is no steel, nothing but steel, or no one line that parts them (steel as an island).
    """
    places = np.column_stack([np.asarray(x_um, dtype=np.float64), np.asarray(y_um, dtype=np.float64)])
    usable = np.isfinite(places).all(axis=1) & (parts != UNKNOWN)
    places, steel = places[usable], (parts == STEEL)[usable]
    if min(np.count_nonzero(steel), np.count_nonzero(~steel)) < _LEAST_SIDE:
        return None
    outward = _direction(places, steel)
    along = np.array([outward[1], -outward[0]])  # steel to the right of who walks along it
    centre = places.mean(axis=0)
    t, d = (places - centre) @ along, (places - centre) @ outward
    span = float(np.ptp(t))
    vertices = int(np.clip(len(t) // _POINTS_A_VERTEX, 1, _MOST_VERTICES))
    edges = np.linspace(t.min(), t.max(), vertices + 1)
    corners: list[tuple[float, float]] = []
    for k in range(vertices):
        inside = (t >= edges[k]) & (t <= edges[k + 1])
        if min(np.count_nonzero(steel[inside]), np.count_nonzero(~steel[inside])) >= 1:
            corners.append(((edges[k] + edges[k + 1]) / 2, _parting(d[inside], steel[inside])))
    if not corners:
        return None
    if len(corners) == 1 or span == 0:
        half = max(span, float(np.ptp(d)), 1.0) / 2
        at = float(np.median([offset for _, offset in corners]))
        corners = [(-half, at), (half, at)]
    places_of_corners = [centre + a * along + b * outward for a, b in _calmed(corners)]
    surface = Surface(vertices_um=tuple((float(x), float(y)) for x, y in places_of_corners))
    beyond = surface.distance_um(places[:, 0], places[:, 1]) > 0
    mixed = max(np.mean(beyond[steel]), np.mean(~beyond[~steel]))
    return surface if mixed <= _WORST_MIXING else None


def _places(x_um: ArrayLike, y_um: ArrayLike, placement: Placement | None) -> Floats:
    """Positions in cells: a raster's own, or divided by the usual distance between neighbours."""
    if placement is not None:
        cells = np.column_stack([placement.columns, placement.rows]).astype(np.float64)
        cells[~placement.inside] = np.nan
        return cells
    places = np.column_stack([np.asarray(x_um, dtype=np.float64), np.asarray(y_um, dtype=np.float64)])
    known = np.unique(places[np.isfinite(places).all(axis=1)], axis=0)
    if len(known) < 2:
        return places
    distance, _ = cKDTree(known).query(known, k=2)
    return places / max(float(np.median(distance[:, 1])), 1e-12)


def _neighbours(places: Floats) -> NDArray[np.int64]:
    """Indices of the points around each point, itself included; -1 where there are fewer."""
    count = min(_NEIGHBOURS, len(places))
    _, found = cKDTree(places).query(places, k=count, distance_upper_bound=_REACH_CELLS)
    found = found.reshape(len(places), count)
    own = np.arange(len(places))[:, None]
    # of several points in one cell the tree may leave out the point itself
    return np.asarray(np.where(found == len(places), -1, found) if count > 1 else own, dtype=np.int64)


def _without_islands(code: NDArray[np.int64], neighbours: NDArray[np.int64]) -> NDArray[np.int64]:
    own = np.repeat(np.arange(code.size), neighbours.shape[1])
    other = neighbours.ravel()
    valid = other >= 0
    own, other = own[valid], other[valid]
    same = code[own] == code[other]
    links = csr_array((np.ones(np.count_nonzero(same)), (own[same], other[same])), shape=(code.size, code.size))
    _, island = connected_components(links, directed=False)
    size = np.bincount(island)
    small = size[island] < min(_SMALL_ISLAND, code.size // 4 + 1)
    votes = np.zeros((size.size, 4))
    outward = ~same & ~small[other]
    np.add.at(votes, (island[own[outward]], code[other[outward]]), 1)
    joined = small & (votes[island].max(axis=1) > 0)
    return np.where(joined, votes[island].argmax(axis=1), code)


def _direction(places: Floats, steel: NDArray[np.bool_]) -> Floats:
    """Unit vector from the steel outward: the direction that separates both best (Fisher's discriminant)."""
    apart = places[~steel].mean(axis=0) - places[steel].mean(axis=0)
    scatter = sum(np.atleast_2d(np.cov(side.T, bias=True)) for side in (places[steel], places[~steel]))
    spread = np.asarray(scatter, dtype=np.float64)
    direction = np.linalg.solve(spread + np.eye(2) * (1e-9 + 1e-6 * np.trace(spread)), apart)
    if np.linalg.matrix_rank(places - places.mean(axis=0)) < 2:
        direction = apart
    length = float(np.hypot(*direction))
    return np.asarray(direction / length) if length > 0 else np.array([0.0, 1.0])


def _parting(d: Floats, steel: NDArray[np.bool_]) -> float:
    """Place that leaves the fewest points of either side on the wrong one."""
    order = np.argsort(d, kind="stable")
    ordered, is_steel = d[order], steel[order]
    wrong = np.concatenate([[0], np.cumsum(~is_steel)]) + np.concatenate([[0], np.cumsum(is_steel[::-1])])[::-1]
    best = int(np.argmin(wrong))
    if best == 0:
        return float(ordered[0])
    if best == len(ordered):
        return float(ordered[-1])
    return float(ordered[best - 1] + ordered[best]) / 2


def _calmed(corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Corners of which no single one stands out: each is the median of itself and its neighbours."""
    offsets = [offset for _, offset in corners]
    inner = [float(np.median(offsets[k - 1 : k + 2])) for k in range(1, len(offsets) - 1)]
    return list(zip([t for t, _ in corners], [offsets[0], *inner, offsets[-1]], strict=True))
