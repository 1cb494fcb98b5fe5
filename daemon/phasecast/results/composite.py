"""Pixels of the composite map: every class that is true of a point is seen, mixtures as diagonal stripes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointState
from phasecast.results.grid import Placement

UNSURE_COLOUR = "#B0B0B0"
MISSING_COLOURS: dict[PointState, str] = {
    PointState.LOST_UPSTREAM: "#000000",
    PointState.REJECTED: "#C00000",
    PointState.DROPPED_BY_US: "#7A00A0",
    PointState.RECEIVED: "#606060",
    PointState.PENDING: "#A0A0A0",
    PointState.NOT_MEASURED: "#A0A0A0",
}
"""States that have no classes to show, in the order of the legend: crosses for points that were lost,
dots for points that never were."""
CROSSED = (PointState.LOST_UPSTREAM, PointState.REJECTED, PointState.DROPPED_BY_US)
_LARGEST_PICTURE = 2048
_STRIPES = 70
"""Most stripes across a map: finer ones blend on paper into a colour that means another class."""

Pixels = NDArray[np.float32]


def rgb_of(colour: str) -> tuple[float, float, float]:
    """Return ``#rrggbb`` as red, green and blue in [0, 1]."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red / 255, green / 255, blue / 255


def sub_pixels(rows: int, columns: int) -> int:
    """Pixels along the side of a cell: enough for stripes, less for large maps."""
    return int(np.clip(_LARGEST_PICTURE // max(rows, columns, 1), 4, 24))


def composite(
    placement: Placement,
    present: NDArray[np.bool_],
    state: NDArray[np.uint8],
    colours: Sequence[str],
    *,
    classified: NDArray[np.bool_] | None = None,
) -> Pixels:
    """Return the picture, (rows * k, columns * k, 3) in [0, 1], first row at the lowest y.

    Parameters
    ----------
    placement
        Cells of the points.
    present
        Which classes are true of each point, (n, classes).
    state
        Ledger state of each point, (n,).
    colours
        One colour a class, ``#rrggbb``.
    classified
        Points that a model spoke of, (n,); the others stay blank. None: all.
    """
    rows, columns = placement.y_um.size, placement.x_um.size
    side = sub_pixels(rows, columns)
    inside = placement.inside & (state != PointState.SUPERSEDED)
    shown = inside & (state == PointState.DONE)
    if classified is not None:
        shown &= classified
    mixtures, which = np.unique(present[shown], axis=0, return_inverse=True)
    everyone = np.full(state.size, -1)
    everyone[shown] = which.ravel()
    mixture_of_cell = placement.paint(everyone, select=shown, fill=-1)
    state_of_cell = placement.paint(state, select=inside, fill=np.uint8(PointState.PENDING))
    picture = np.ones((rows * side, columns * side, 3), dtype=np.float32)
    period = max(side, max(rows, columns) * side // _STRIPES)
    i, j = np.ogrid[: rows * side, : columns * side]
    diagonal = (i + j) % period
    for code, classes in enumerate(mixtures):
        if not classes.any():
            _fill(picture, mixture_of_cell == code, _frame(side), side)
            continue
        shades = np.array([rgb_of(colours[int(k)]) for k in np.flatnonzero(classes)], dtype=np.float32)
        pixels = np.repeat(np.repeat(mixture_of_cell == code, side, axis=0), side, axis=1)
        picture[pixels] = shades[diagonal[pixels] * len(shades) // period]
    for missing, colour in MISSING_COLOURS.items():
        tile = _cross(colour, side) if missing in CROSSED else _dot(colour, side)
        _fill(picture, state_of_cell == missing, tile, side)
    return picture


def _fill(picture: Pixels, cells: NDArray[np.bool_], tile: Pixels, side: int) -> None:
    blocks = picture.reshape(cells.shape[0], side, cells.shape[1], side, 3).transpose(0, 2, 1, 3, 4)
    blocks[cells] = tile


def _frame(side: int) -> Pixels:
    tile = np.ones((side, side, 3), dtype=np.float32)
    width = max(side // 8, 1)
    edge = np.ones((side, side), dtype=bool)
    edge[width:-width, width:-width] = False
    tile[edge] = rgb_of(UNSURE_COLOUR)
    return tile


def _cross(colour: str, side: int) -> Pixels:
    tile = np.ones((side, side, 3), dtype=np.float32)
    i, j = np.indices((side, side))
    width = max(side // 10, 0)
    tile[(np.abs(i - j) <= width) | (np.abs(i + j - side + 1) <= width)] = rgb_of(colour)
    return tile


def _dot(colour: str, side: int) -> Pixels:
    tile = np.ones((side, side, 3), dtype=np.float32)
    i, j = np.indices((side, side)) - (side - 1) / 2
    tile[i**2 + j**2 <= (side / 6) ** 2] = rgb_of(colour)
    return tile
