"""Colours of the layers of a map as 32-bit pixels, in the byte order that the browser's canvas takes."""

import re
from collections.abc import Sequence

import numpy as np
from bokeh.palettes import Cividis256, Viridis256
from numpy.typing import NDArray

from phasecast.core.ledger import PointState

Pixels = NDArray[np.uint32]

CLEAR = np.uint32(0)
_COLOUR = re.compile("#([0-9A-Fa-f]{6})")
UNSURE_HEX = "#B0B0B0"
PAPER_HEX = "#FFFFFF"
STATE_COLOURS: dict[PointState, str] = {
    PointState.PENDING: "#E3E3E3",
    PointState.RECEIVED: "#BBCCEE",
    PointState.DONE: "#77AADD",
    PointState.REJECTED: "#CC3311",
    PointState.LOST_UPSTREAM: "#000000",
    PointState.DROPPED_BY_US: "#AA3377",
    PointState.NOT_MEASURED: "#999999",
    PointState.SUPERSEDED: "#DDCC77",
}
"""Colour of each state on the ledger layer, apart for colour-blind eyes (after P. Tol's bright and light schemes)."""


def pixel(colour: str, alpha: int = 255) -> np.uint32:
    """Return ``#rrggbb`` as a pixel, red in the lowest byte; grey for what is no colour, as foreign files may say."""
    named = _COLOUR.fullmatch(colour)
    red, green, blue = bytes.fromhex(named[1] if named else UNSURE_HEX[1:])
    return np.uint32(red | green << 8 | blue << 16 | alpha << 24)


def pixels(colours: Sequence[str]) -> Pixels:
    """Return many colours as pixels, (n,)."""
    return np.array([pixel(colour) for colour in colours], dtype=np.uint32)


VIRIDIS = pixels(Viridis256)
CIVIDIS = pixels(Cividis256)


def scaled(values: NDArray[np.floating], table: Pixels, low: float, high: float) -> Pixels:
    """Return values as pixels of a table of 256, NaN clear; values beyond the limits take the end colours."""
    span = high - low if high > low else 1.0
    share = np.nan_to_num((values - low) / span, nan=0.0, posinf=1.0, neginf=0.0)
    index = np.clip(share * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.where(np.isfinite(values), table[index], CLEAR)
