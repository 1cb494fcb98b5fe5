"""How much two parts of a map differ when one is moved over the other, kept in blocks that can be drawn anew."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import QhullError

from phasecast.results.grid import Floats

LEAST_POINTS = 20
"""Points without which nothing is told."""
_BLOCK = 6
"""Neighbours that are resampled together: they see the same grain or layer."""
_RESAMPLES = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What one part of a map saw.

    Parameters
    ----------
    places_um
        x and y of its points in order of measurement, (n, 2).
    values
        What was seen there, (n, k), such as the shape of patterns: unchanged where only the flux changes.
    """

    places_um: Floats
    values: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Difference:
    """Sums over blocks of neighbouring points at each shift, all (blocks, shifts).

    Parameters
    ----------
    part, whole
        Squared difference, and what it is measured against.
    count
        Points that have a counterpart.
    """

    part: Floats
    whole: Floats
    count: Floats

    def at_best(
        self, shifts: Floats, axes: tuple[int, ...], weights: Floats | None = None, *, least: float = 0.0
    ) -> tuple[Floats, float]:
        """Return the shift of least difference, (2,), refined along `axes` by a parabola; and that difference."""
        weight = np.ones(len(self.part)) if weights is None else weights
        total, against, count = weight @ self.part, weight @ self.whole, weight @ self.count
        enough = (count >= max(LEAST_POINTS, least * float(count.max()))) & (against > 0)
        if not enough.any():
            return np.full(2, np.nan), np.inf
        ratio = np.where(enough, total / np.where(against > 0, against, 1.0), np.inf)
        best = int(np.argmin(ratio))
        place = shifts[best].copy()
        for axis in axes:
            place[axis] += _parabola(shifts, ratio, best, axis)
        return place, float(ratio[best])


def difference_at(surface: LinearNDInterpolator, before: Seen, after: Seen, shifts: Floats) -> Difference:
    """Compare `after`, moved by each of `shifts` in um, (shifts, 2), with the `surface` of `before`."""
    middle = before.values.mean(axis=0)
    spread = ((after.values - middle) ** 2).sum(axis=1)
    moved = after.places_um[:, None, :] + shifts[None, :, :]
    seen = surface(moved.reshape(-1, 2)).reshape(*moved.shape[:2], -1)
    known = np.isfinite(seen).all(axis=2)
    part = np.where(known, ((seen - after.values[:, None, :]) ** 2).sum(axis=2), 0.0)
    whole = np.where(known, ((seen - middle) ** 2).sum(axis=2) + spread[:, None], 0.0)
    starts = np.arange(0, len(after.places_um), _BLOCK)
    blocks = [np.add.reduceat(values, starts, axis=0) for values in (part, whole, known.astype(np.float64))]
    return Difference(part=blocks[0], whole=blocks[1], count=blocks[2])


def resampled_spread(difference: Difference, shifts: Floats, axes: tuple[int, ...], *, least: float = 0.0) -> Floats:
    """Return the spread of the best shift in um when blocks of neighbours are drawn again and again, (2,)."""
    rng = np.random.default_rng(0)
    count = len(difference.part)
    found = []
    for _ in range(_RESAMPLES):
        drawn = np.bincount(rng.integers(count, size=count), minlength=count).astype(np.float64)
        place, _ = difference.at_best(shifts, axes, drawn, least=least)
        found.append(place)
    spread: Floats = np.nanstd(np.array(found), axis=0) if np.isfinite(found).any() else np.full(2, np.inf)
    return spread


def _parabola(shifts: Floats, ratio: Floats, best: int, axis: int) -> float:
    """Where between its neighbours along an axis the least value lies, um from the best."""
    others = np.delete(np.arange(2), axis)
    line = np.flatnonzero(np.isclose(shifts[:, others[0]], shifts[best, others[0]]) & np.isfinite(ratio))
    place = int(np.flatnonzero(line == best)[0])
    if not 0 < place < line.size - 1:
        return 0.0
    left, middle, right = ratio[line[place - 1 : place + 2]]
    bend = left - 2 * middle + right
    width = (shifts[line[place + 1], axis] - shifts[line[place - 1], axis]) / 2
    return float(np.clip((left - right) / (2 * bend), -0.5, 0.5) * width) if bend > 0 else 0.0


def surface_of(seen: Seen) -> LinearNDInterpolator | None:
    """Interpolate what a part saw between its points; None if they are too few or lie on one line."""
    if len(seen.places_um) < LEAST_POINTS:
        return None
    try:
        return LinearNDInterpolator(seen.places_um, seen.values)
    except (QhullError, ValueError):  # all on one line
        return None
