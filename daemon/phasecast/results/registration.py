"""How far one part of a map lies beside another: estimated from what both saw, with an uncertainty; never applied here.

Where the parts overlap, the second is moved over the first until they differ least (normalised squared difference of
linearly interpolated values, as in template matching). Where they only adjoin, the second is compared with the row
before it, and only the shift along that row can be told. The uncertainty comes from resampling blocks of neighbours
(block bootstrap, Kuensch 1989, Ann. Statist. 17, 1217) or, between rows, from the shifts that rows of one
undisturbed part show against each other.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import cKDTree

from phasecast.results.grid import Floats
from phasecast.results.registration_difference import (
    LEAST_POINTS,
    Difference,
    Seen,
    difference_at,
    resampled_spread,
    surface_of,
)

How = Literal["overlap", "adjoining", "none"]

_REACH_STEPS = 5.0
_FINE = 4
"""Shifts tried per step."""
_LEAST_OF_OVERLAP = 0.4
_MOST_POINTS = 800
_ROW_REACH_STEPS = 3.0
_LEAST_OF_ROW = 0.75
_LEAST_ROWS = 4
_WORST_ROW_STEPS = 1.25
_FLOOR_STEPS = 0.15
"""Least uncertainty: linear interpolation favours shifts of half a step by about this much."""
_WORST_STEPS = 1.5
"""A shift that is less certain than this tells nothing."""
_WORST_MATCH = 0.5
"""Normalised difference above which two parts show nothing in common; 0 alike, 1 unrelated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """How far a part lies beside another: to be added to its x and y so that both fit.

    Parameters
    ----------
    x_um, y_um
        The offset; None where it cannot be told.
    x_sigma_um, y_sigma_um
        Standard uncertainty; None where the offset is.
    how
        ``overlap``: both parts saw the same places; ``adjoining``: rows side by side, which tell one axis only;
        ``none``: nothing can be told.
    points
        Points that were compared.
    """

    x_um: float | None = None
    y_um: float | None = None
    x_sigma_um: float | None = None
    y_sigma_um: float | None = None
    how: How = "none"
    points: int = 0


def estimate_offset(before: Seen, after: Seen, step_um: tuple[float, float]) -> Offset:
    """Estimate how far `after` lies beside `before`.

    Parameters
    ----------
    before
        The part whose coordinates are believed; only what lies in the `neighbourhood` matters.
    after
        The part that may lie beside its place.
    step_um
        Width and height of the cells.

    Returns
    -------
    Offset
        What to add to the coordinates of `after`; without numbers where the parts have too little in common.
    """
    step = np.asarray(step_um, dtype=np.float64)
    surface = surface_of(before)
    if surface is None or len(after.places_um) < LEAST_POINTS:
        return Offset()
    here = difference_at(surface, before, after, np.zeros((1, 2)))
    overlapping = int(here.count.sum())
    if overlapping >= 2 * LEAST_POINTS:
        found = _from_overlap(surface, before, after, step, overlapping)
        if found.how != "none":
            return found
    return _from_rows(surface, before, after, step)


def _from_overlap(surface: LinearNDInterpolator, before: Seen, after: Seen, step: Floats, overlapping: int) -> Offset:
    steps = np.arange(-_REACH_STEPS * _FINE, _REACH_STEPS * _FINE + 1) / _FINE
    shifts = np.stack(np.meshgrid(steps * step[0], steps * step[1], indexing="ij"), axis=-1).reshape(-1, 2)
    difference = difference_at(surface, before, after, shifts)
    kept = difference.count.sum(axis=0) >= _LEAST_OF_OVERLAP * overlapping
    shifts = shifts[kept]
    difference = Difference(
        part=difference.part[:, kept], whole=difference.whole[:, kept], count=difference.count[:, kept]
    )
    best, match = difference.at_best(shifts, (0, 1))
    if not np.isfinite(best).all() or match > _WORST_MATCH:
        return Offset()
    sigma = resampled_spread(difference, shifts, (0, 1))
    sigma = np.maximum(sigma, _FLOOR_STEPS * step)
    on_border = (best >= shifts.max(axis=0) - step / _FINE) | (best <= shifts.min(axis=0) + step / _FINE)
    known = (sigma <= _WORST_STEPS * step) & ~on_border
    if not known.any():
        return Offset()
    return _offset(best, sigma, known, "overlap", overlapping)


def _from_rows(surface: LinearNDInterpolator, before: Seen, after: Seen, step: Floats) -> Offset:
    """Compare with the row before: what lies one step further is about the same, moved along the row."""
    best_guess: tuple[int, int, float] = (0, 0, 0.0)
    for across in (0, 1):
        for towards in (-step[across], step[across]):
            shift = np.zeros((1, 2))
            shift[0, across] = towards
            inside = int(difference_at(surface, before, after, shift).count.sum())
            best_guess = max(best_guess, (inside, across, towards))
    points, across, towards = best_guess
    if points < LEAST_POINTS:
        return Offset()
    along = 1 - across
    tries = np.arange(-_ROW_REACH_STEPS * _FINE, _ROW_REACH_STEPS * _FINE + 1) / _FINE * step[along]
    difference, shifts = _against_rows(surface, before, after, tries, across, towards)
    best, match = difference.at_best(shifts, (along,), least=_LEAST_OF_ROW)
    usual = np.concatenate(
        [_usual_shifts(one, tries, across, way) for one in (before, after) for way in (towards, -towards)]
    )
    if not np.isfinite(best[along]) or match > _WORST_MATCH or usual.size < _LEAST_ROWS:
        return Offset()
    sigma = max(
        float(np.sqrt(np.mean(usual**2))),
        float(resampled_spread(difference, shifts, (along,), least=_LEAST_OF_ROW)[along]),
        _FLOOR_STEPS * float(step[along]),
    )
    known = np.zeros(2, dtype=np.bool_)
    known[along] = (
        sigma <= _WORST_ROW_STEPS * step[along] and abs(best[along]) < (_ROW_REACH_STEPS - 1 / _FINE) * step[along]
    )
    return _offset(best, np.full(2, sigma), known, "adjoining", points) if known.any() else Offset()


def _against_rows(
    surface: LinearNDInterpolator, before: Seen, after: Seen, tries: Floats, across: int, towards: float
) -> tuple[Difference, Floats]:
    """Differences from what lies one and two steps across, at each shift along the rows; and the shifts, (n, 2)."""
    found = []
    shifts = np.zeros((tries.size, 2))
    shifts[:, 1 - across] = tries
    for steps in (1, 2):
        shifts[:, across] = steps * towards
        one = difference_at(surface, before, after, shifts)
        found.append((one.part / steps, one.whole / steps, one.count))
    part, whole, count = (np.concatenate(values) for values in zip(*found, strict=True))
    return Difference(part=part, whole=whole, count=count), shifts


def _usual_shifts(part: Seen, tries: Floats, across: int, towards: float) -> NDArray[np.float64]:
    """Shifts that rows of one part show against the rows beside them, where there is none; (rows,)."""
    rows = np.rint(part.places_um[:, across] / abs(towards)).astype(np.int64)
    surface = surface_of(part)
    found: list[float] = []
    if surface is None:
        return np.zeros(0)
    for row in np.unique(rows):
        one = Seen(places_um=part.places_um[rows == row], values=part.values[rows == row])
        if len(one.places_um) < LEAST_POINTS:
            continue
        difference, shifts = _against_rows(surface, part, one, tries, across, towards)
        place, _ = difference.at_best(shifts, (1 - across,), least=_LEAST_OF_ROW)
        if np.isfinite(place[1 - across]):
            found.append(place[1 - across])
    return np.asarray(found, dtype=np.float64)


def _offset(best: Floats, sigma: Floats, known: NDArray[np.bool_], how: How, points: int) -> Offset:
    numbers = [
        (float(value), float(error)) if told else (None, None)
        for value, error, told in zip(best, sigma, known, strict=True)
    ]
    (x, x_sigma), (y, y_sigma) = numbers
    return Offset(x_um=x, y_um=y, x_sigma_um=x_sigma, y_sigma_um=y_sigma, how=how, points=points)


def neighbourhood(
    before_um: Floats, after_um: Floats, step_um: tuple[float, float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which points of both parts lie near the other, the nearest ones of many: what an offset is told from.

    Parameters
    ----------
    before_um, after_um
        Places, x and y, (n, 2) and (m, 2).
    step_um
        Width and height of the cells.
    """
    if not (len(before_um) and len(after_um)):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    kept = []
    for one, other in ((before_um, after_um), (after_um, before_um)):
        distance, _ = cKDTree(other).query(one)
        near = np.flatnonzero(distance <= 2 * _REACH_STEPS * max(step_um))
        if near.size > _MOST_POINTS:
            near = np.sort(near[np.argsort(distance[near], kind="stable")[:_MOST_POINTS]])
        kept.append(near.astype(np.int64))
    return kept[0], kept[1]
