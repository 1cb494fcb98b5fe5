"""Where a map was interrupted, and what changed meanwhile: shown with its uncertainty, never applied in silence."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointFlag, PointState
from phasecast.results.composed_map import ComposedMap
from phasecast.results.grid import Floats
from phasecast.results.layout import INTENSITY_COLUMN
from phasecast.results.map_part import MapPart
from phasecast.results.quality import rows_of
from phasecast.results.reader import Result
from phasecast.results.registration import Offset, estimate_offset, neighbourhood
from phasecast.results.registration_difference import Seen

I0 = "i0"
_LONG_S = 60.0
_LONG_PERIODS = 20
_FEW = 50
"""Points on each side from which the monitor's change is taken."""
_LEAST_FOR_CHANGE = 5
_COMPONENTS = 6
_MOST_OF_THEM = 0.95
"""Bins that fewer points know are left out."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """A place in the order of measurement after which things may differ.

    Parameters
    ----------
    before, after
        File name of the result and row of the last point before and the first one after it.
    within_a_scan
        Whether it lies within one scan; else another scan begins.
    started_s, duration_s
        POSIX time of the last point before it, and seconds to the first point after it.
    i0_change, i0_change_sigma
        Relative change of the incident monitor, and its standard uncertainty; None where it is not known.
    offset
        Estimated offset of what follows against all that was measured before.
    applied_um
        What was added to x and y of what follows because somebody asked for it.
    """

    before: tuple[str, int]
    after: tuple[str, int]
    within_a_scan: bool
    started_s: float
    duration_s: float
    i0_change: float | None
    i0_change_sigma: float | None
    offset: Offset
    applied_um: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stretch:
    """Rows of a map that were measured without interruption, in order."""

    rows: NDArray[np.int64]
    part: MapPart


def interruptions_of(result: Result) -> tuple[Interruption, ...]:
    """Return where a result, or several as one, was interrupted for long, and what changed meanwhile.

    A pause within a scan counts from a minute, and twenty times the usual distance of points. Between scans of one
    map each start of a scan counts.
    """
    ledger = result.ledger
    time_s = ledger["time_s"].values
    stretches = list(_stretches(result, time_s))
    if len(stretches) < 2:
        return ()
    places = np.column_stack([ledger["x_um"].values, ledger["y_um"].values])
    # also what is superseded was seen: the overlap of two scans tells their offset
    usable = _was_done(result) & np.isfinite(places).all(axis=1)
    i0 = ledger[I0].values if I0 in ledger else None
    found = []
    for k in range(1, len(stretches)):
        last, following = stretches[k - 1], stretches[k]
        earlier = np.concatenate([stretch.rows for stretch in stretches[:k]])
        earlier, later = earlier[usable[earlier]], following.rows[usable[following.rows]]
        offset = _offset(result, places, earlier, later, following.part.step_um)
        change, sigma = _change(i0, last.rows[usable[last.rows]], later)
        end, begin = int(last.rows[-1]), int(following.rows[0])
        found.append(
            Interruption(
                before=(last.part.result.path.name, end - last.part.first),
                after=(following.part.result.path.name, begin - following.part.first),
                within_a_scan=last.part.first == following.part.first,
                started_s=float(time_s[end]),
                duration_s=float(time_s[begin] - time_s[end]),
                i0_change=change,
                i0_change_sigma=sigma,
                offset=offset,
                applied_um=following.part.offset_um,
            )
        )
    return tuple(found)


def _stretches(result: Result, time_s: Floats) -> Iterator[_Stretch]:
    for part in parts_of(result):
        rows = np.arange(part.rows.start, part.rows.stop)
        rows = rows[np.isfinite(time_s[rows])]
        if not rows.size:
            continue
        rows = rows[np.argsort(time_s[rows], kind="stable")]
        pauses = np.diff(time_s[rows])
        usual = float(np.median(pauses)) if pauses.size else 0.0
        breaks = np.flatnonzero(pauses > max(_LONG_S, _LONG_PERIODS * usual)) + 1
        for stretch in np.split(rows, breaks):
            yield _Stretch(rows=stretch, part=part)


def parts_of(result: Result) -> tuple[MapPart, ...]:
    """Return the scans of a map; a single result is its own only part."""
    if isinstance(result, ComposedMap):
        return result.parts
    return ComposedMap([result]).parts


def _was_done(result: Result) -> NDArray[np.bool_]:
    """Points that are done and whose position is not doubtful, superseded or not, (n,)."""
    pieces = []
    for part in parts_of(result):
        flags = part.result.ledger["flags"].values
        state = part.result.ledger["state"].values
        pieces.append((state == PointState.DONE) & ((flags & int(PointFlag.POSITION_DOUBTFUL)) == 0))
    return np.concatenate(pieces)


def _shapes_of(result: Result, rows: NDArray[np.int64]) -> Floats:
    """Square roots of the patterns of points, each divided by its sum, (n, bins): their noise is alike everywhere."""
    pieces = []
    for part in parts_of(result):
        own = rows[(rows >= part.rows.start) & (rows < part.rows.stop)]
        pieces.append(rows_of(part.result, INTENSITY_COLUMN, own - part.first))
    patterns = np.maximum(np.concatenate(pieces), 0.0)
    patterns = patterns[:, np.isfinite(patterns).mean(axis=0) > _MOST_OF_THEM]
    total = patterns.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt(patterns / total))


def _offset(result: Result, places: Floats, earlier: Rows, later: Rows, step_um: tuple[float, float]) -> Offset:
    """Compare the first principal components of the patterns' shapes: flux cancels, grains and phases remain."""
    near = neighbourhood(places[earlier], places[later], step_um)
    rows = earlier[near[0]], later[near[1]]
    if min(rows[0].size, rows[1].size) < _COMPONENTS:
        return Offset()
    shapes = np.split(_shapes_of(result, np.concatenate(rows)), [rows[0].size])
    known = [np.isfinite(shape).all(axis=1) for shape in shapes]
    if not shapes[0].shape[1] or min(side.sum() for side in known) < _COMPONENTS:
        return Offset()
    both = np.concatenate([shape[ok] for shape, ok in zip(shapes, known, strict=True)])
    both -= both.mean(axis=0)
    _, _, components = np.linalg.svd(both, full_matrices=False)
    values = both @ components[:_COMPONENTS].T
    count = int(known[0].sum())
    return estimate_offset(
        Seen(places_um=places[rows[0][known[0]]], values=values[:count]),
        Seen(places_um=places[rows[1][known[1]]], values=values[count:]),
        step_um,
    )


def _change(
    i0: Floats | None, before: NDArray[np.int64], after: NDArray[np.int64]
) -> tuple[float | None, float | None]:
    """Relative change of a monitor, from the medians of the nearest points on both sides; and its uncertainty."""
    if i0 is None:
        return None, None
    sides = [side[np.isfinite(side) & (side > 0)] for side in (i0[before[-_FEW:]], i0[after[:_FEW]])]
    if min(side.size for side in sides) < _LEAST_FOR_CHANGE:
        return None, None
    first, second = (float(np.median(side)) for side in sides)
    # standard error of a median of normal values: sqrt(pi/2) of that of the mean
    spread = [1.2533 * float(np.std(side)) / np.sqrt(side.size) / float(np.median(side)) for side in sides]
    return second / first - 1, float(second / first * np.hypot(*spread))
