"""What a map can show: for some points of a scan, the pixels of their cells.

Every layer paints any subset of points, so that a growing map costs the same for each new point.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.result import PhaseClass
from phasecast.results import layout
from phasecast.results.composite import CROSSED, MISSING_COLOURS
from phasecast.results.follow import ResultFollower
from phasecast.web.colours import (
    CIVIDIS,
    CLEAR,
    PAPER_HEX,
    STATE_COLOURS,
    UNSURE_HEX,
    VIRIDIS,
    Pixels,
    pixel,
    pixels,
    scaled,
)

COMPOSITE, UNSURE, LEDGER, TOTAL = "composite", "unsure", "ledger", "total"
DRIFT, DISAGREEMENT = "drift", "disagreement"
DRIFT_HIGHEST = 2.0
"""Drift that takes the brightest colour; 1 is the limit."""
UNSURE_LIMITS = layout.UNSURE

_INK = pixel("#000000")
_PAPER = pixel(PAPER_HEX)
_FRAME = pixel(UNSURE_HEX)
_STATE_PIXELS = pixels([STATE_COLOURS[state] for state in PointState])
_HATCH_SHARE = 6


@dataclass(frozen=True, slots=True)
class LayerKey:
    """Which layer, and at which threshold where that matters.

    Parameters
    ----------
    name
        ``composite``, ``unsure``, ``ledger``, ``total``, ``drift``, ``disagreement`` or the id of a class.
    threshold
        Confidence from which a class counts; 0 where the layer does not depend on it.
    """

    name: str
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class Cells:
    """Where the points to be painted lie in a picture.

    Parameters
    ----------
    top, left
        First pixel of each cell, (m,); row 0 is the lowest y.
    side
        Pixels along the side of a cell.
    period
        Pixels after which the stripes of a mixture repeat.
    """

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    side: int
    period: int

    def diagonal(self, sign: int = 1) -> NDArray[np.int64]:
        """Number of the diagonal that each pixel lies on, (m, side, side), so that stripes run on from cell to cell."""
        inner = np.arange(self.side)
        i = (self.top[:, None] + inner)[:, :, None]
        j = (self.left[:, None] + inner)[:, None, :]
        return i + sign * j


def paint(
    key: LayerKey,
    scan: ResultFollower,
    points: NDArray[np.int64],
    cells: Cells,
    total_limit: float,
    disagreement: NDArray[np.floating] | None = None,
) -> Pixels:
    """Return the pixels of some points, (m, side, side), first row at the lowest y.

    Parameters
    ----------
    key
        The layer.
    scan
        Holds all columns.
    points
        Points to paint, (m,).
    cells
        Their cells.
    total_limit
        Total counts that take the brightest colour.
    disagreement
        Of every point of the scan with a second opinion, (n,), NaN where there is none yet; None: of none.
    """
    state = scan.state[points]
    done = state == PointState.DONE
    classes = scan.result.header.classes
    if key.name == COMPOSITE:
        known = done & is_classified(scan.confidence[points])
        picture = _composite(scan.confidence[points], known, classes, key.threshold, cells)
    elif key.name == LEDGER:
        picture = _flat(_STATE_PIXELS[state], cells)
    elif key.name == UNSURE:
        picture = _flat(scaled(unsureness(scan.confidence[points], done), CIVIDIS, 0.0, 1.0), cells)
    elif key.name == TOTAL:
        picture = _flat(scaled(scan.total[points], CIVIDIS, 0.0, total_limit), cells)
    elif key.name == DRIFT:
        picture = _flat(scaled(scan.drift[points], CIVIDIS, 0.0, DRIFT_HIGHEST), cells)
    elif key.name == DISAGREEMENT:
        known = np.full(points.size, np.nan) if disagreement is None else disagreement[points]
        picture = _flat(scaled(np.where(done, known, np.nan), CIVIDIS, 0.0, 1.0), cells)
    else:
        index = [phase.id for phase in classes].index(key.name)
        confidence = np.where(done, scan.confidence[points, index], np.nan)
        picture = _flat(scaled(confidence, VIRIDIS, 0.0, 1.0), cells)
    if key.name != LEDGER:
        _mark_missing(picture, state, cells.side)
    _hatch(picture, (scan.flags[points] & np.uint32(PointFlag.POSITION_DOUBTFUL)) > 0, cells)
    return picture


def unsureness(confidence: NDArray[np.float32], done: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How near the least sure class of each point is to 0.5: 1 at 0.5, 0 at the limits of unsure; NaN if not done."""
    if confidence.shape[1] == 0:
        return np.full(len(confidence), np.nan)
    low, high = UNSURE_LIMITS
    nearness = 1 - np.abs(np.nan_to_num(confidence).astype(np.float64) - (low + high) / 2) / ((high - low) / 2)
    return np.where(done & is_classified(confidence), np.clip(nearness.max(axis=1), 0, 1), np.nan)


def is_classified(confidence: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether a model spoke of a point, (m,): the others must not look like points that hold nothing."""
    return np.asarray(np.isfinite(confidence).any(axis=1) | (confidence.shape[1] == 0))


def is_unsure(confidence: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether any class of a point lies within the limits of unsure, (m,)."""
    low, high = UNSURE_LIMITS
    return np.asarray(((confidence > low) & (confidence < high)).any(axis=1))


def _composite(
    confidence: NDArray[np.float32],
    done: NDArray[np.bool_],
    classes: tuple[PhaseClass, ...],
    threshold: float,
    cells: Cells,
) -> Pixels:
    """Every class at or above the threshold is seen: mixtures as diagonal stripes of their colours."""
    shades = pixels([phase.colour for phase in classes])
    present = np.nan_to_num(confidence) >= threshold
    phase_of_pixel = cells.diagonal() % cells.period
    picture = np.full((done.size, cells.side, cells.side), CLEAR)
    codes = present @ (1 << np.arange(len(classes))) if len(classes) else np.zeros(done.size, dtype=np.int64)
    for code in np.unique(codes[done]):
        chosen = done & (codes == code)
        held = shades[[k for k in range(len(classes)) if code >> k & 1]]
        if held.size == 0:
            picture[chosen] = _empty_frame(cells.side)
        else:
            picture[chosen] = held[phase_of_pixel[chosen] * held.size // cells.period]
    return picture


def _flat(colour: Pixels, cells: Cells) -> Pixels:
    return np.repeat(np.repeat(colour[:, None, None], cells.side, axis=1), cells.side, axis=2)


def _empty_frame(side: int) -> Pixels:
    """Done, but no class reaches the threshold: a white cell with a grey edge."""
    tile = np.full((side, side), _FRAME)
    tile[1:-1, 1:-1] = _PAPER
    if side < 4:
        tile[0, 0] = _PAPER
    return tile


def _mark_missing(picture: Pixels, state: NDArray[np.uint8], side: int) -> None:
    for missing in CROSSED:
        chosen = state == missing
        if chosen.any():
            picture[chosen] = _cross(pixel(MISSING_COLOURS[missing]), side)
    for missing in (PointState.NOT_MEASURED, PointState.RECEIVED):
        chosen = state == missing
        if chosen.any():
            picture[chosen] = CLEAR
            picture[chosen, side // 2, side // 2] = pixel(MISSING_COLOURS[missing])


def _cross(colour: np.uint32, side: int) -> Pixels:
    i, j = np.indices((side, side))
    width = 1 if side > 6 else 0
    on = (np.abs(i - j) <= width) | (np.abs(i + j - side + 1) <= width)
    return np.where(on, colour, _PAPER) if side > 2 else np.full((side, side), colour)


def _hatch(picture: Pixels, doubtful: NDArray[np.bool_], cells: Cells) -> None:
    """Strike out points whose position is doubtful, in black on white so that it shows on every colour."""
    if not doubtful.any():
        return
    line = cells.diagonal(-1)[doubtful] % max(_HATCH_SHARE, cells.period // 2)
    block = picture[doubtful]
    block[line == 0] = _INK
    block[line == 1] = _PAPER
    picture[doubtful] = block
