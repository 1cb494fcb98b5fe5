"""Regions as a picture that lies over the map: translucent areas or outlines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.web.canvas import Canvas
from phasecast.web.colours import CLEAR, Pixels, pixel

_FILL_ALPHA = 110


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Area:
    """Points to be shown as one area.

    Parameters
    ----------
    chosen
        Its points, (n,).
    colour
        ``#rrggbb``.
    filled
        Whether the area is tinted; its outline is drawn in any case.
    alpha
        Strength of the tint, 0 to 255.
    """

    chosen: NDArray[np.bool_]
    colour: str
    filled: bool
    alpha: int = _FILL_ALPHA


def draw_areas(canvas: Canvas, areas: Sequence[Area]) -> Pixels:
    """Return the picture of some areas, row 0 at the lowest y; later ones lie above earlier ones."""
    side = canvas.side(fine=False)
    picture = np.full(canvas.shape(side), CLEAR)
    inner = np.arange(side)
    for area in areas:
        _, cells = canvas.cells(np.flatnonzero(area.chosen), side)
        covered = np.zeros(picture.shape, dtype=np.bool_)
        covered[
            cells.top[:, None, None] + inner[None, :, None], cells.left[:, None, None] + inner[None, None, :]
        ] = True  # fmt: skip
        if area.filled:
            picture[covered] = pixel(area.colour, area.alpha)
        picture[covered & ~_inside(covered)] = pixel(area.colour)
    return picture


def _inside(covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels all of whose four neighbours are covered too; what lies beyond the picture is not."""
    framed = np.pad(covered, 1)
    return np.asarray(framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:])
