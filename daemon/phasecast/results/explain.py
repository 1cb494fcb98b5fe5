"""Which peaks of a pattern are real, and which of them no given class explains."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import find_peaks

from phasecast.core.result import PhaseClass
from phasecast.results.grid import Floats
from phasecast.results.layout import THRESHOLD

TOLERANCE_DEG = 0.3
"""A line farther than this from a peak does not explain it: lattice parameters of rust vary by less."""
SIGNIFICANCE = 5.0
"""Peaks below this many sigma are noise more often than not in 600 bins."""
_PEAK_WIDTH_DEG = 0.08
"""Standard deviation of the filter that gathers a peak: about that of a line of micrometre grains at BL16XU."""
_BACKGROUND_WIDTH_DEG = 0.8
_CLIP_SIGMA = 2.0
_CLIP_TURNS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A peak of a pattern.

    Parameters
    ----------
    tth_deg
        Position of its highest bin.
    height
        Height above the background, in the unit of the pattern.
    significance
        Height of the smoothed peak in units of its own sigma.
    """

    tth_deg: float
    height: float
    significance: float


def leading_classes(
    confidence: ArrayLike, classes: Sequence[PhaseClass], threshold: float = THRESHOLD
) -> list[PhaseClass]:
    """Return the classes at or above the threshold, surest first; the surest one if none is.

    Parameters
    ----------
    confidence
        One value a class, shape (classes,); NaN where unknown.
    classes
        The classes, in that order.
    threshold
        Least confidence.

    Returns
    -------
    list
        Empty where no confidence is known.
    """
    values = np.asarray(confidence, dtype=np.float64).ravel()[: len(classes)]
    order = [int(k) for k in np.argsort(-np.nan_to_num(values, nan=-1.0), kind="stable") if np.isfinite(values[k])]
    return [classes[k] for k in order if values[k] >= threshold] or [classes[k] for k in order[:1]]


def lines_of(classes: Sequence[PhaseClass]) -> list[tuple[float, float]]:
    """Return all reference lines of some classes: (2theta in deg, relative intensity)."""
    return [line for phase in classes for line in phase.reference_lines]


def background_of(tth_deg: ArrayLike, intensity: ArrayLike, sigma: ArrayLike) -> Floats:
    """Return the smooth part of a pattern, shape (bins,).

    A locally linear fit (Gaussian weights) that leaves out, turn by turn, what stands more than two sigma above
    it; NaN bins are bridged. All NaN where fewer than three bins are known.
    """
    tth, values, error, known = _usable(tth_deg, intensity, sigma)
    if np.count_nonzero(known) < 3:
        return np.full(tth.size, np.nan)
    smooth, smooth_error = _gathered(tth, values, error, known)
    distance = tth[None, :] - tth[:, None]
    kernel = np.exp(-0.5 * (distance / _BACKGROUND_WIDTH_DEG) ** 2)
    keep = known.copy()
    background = np.full(tth.size, np.nan)
    for _ in range(_CLIP_TURNS):
        weight = kernel * (keep + 1e-6 * known)
        first = weight * distance
        s0, s1, s2 = weight.sum(axis=1), first.sum(axis=1), (first * distance).sum(axis=1)
        t0, t1 = weight @ values, first @ values
        level = s0 * s2 - s1**2
        straight = level > 1e-9 * s0 * s2
        background = np.where(straight, (s2 * t0 - s1 * t1) / np.where(straight, level, 1.0), t0 / s0)
        keep = known & (smooth <= background + _CLIP_SIGMA * smooth_error)
        if np.count_nonzero(keep) < 3:
            break
    return background


def find_pattern_peaks(
    tth_deg: ArrayLike, intensity: ArrayLike, sigma: ArrayLike, *, significance: float = SIGNIFICANCE
) -> list[Peak]:
    """Return the peaks of a pattern that stand out of its noise, most significant first.

    Parameters
    ----------
    tth_deg, intensity, sigma
        The pattern, shape (bins,); NaN bins hold no peak.
    significance
        Least height of the smoothed peak in sigma.
    """
    tth, values, error, known = _usable(tth_deg, intensity, sigma)
    if np.count_nonzero(known) < 3:
        return []
    above = values - background_of(tth, values, error)
    smooth, smooth_error = _gathered(tth, above, error, known)
    score = np.where(known, smooth / smooth_error, 0.0)
    step = float(np.median(np.diff(tth)))
    within = max(round(2.5 / step) | 1, 3)
    found, _ = find_peaks(score, height=significance, prominence=significance, wlen=within)
    # half a peak at the end of the axis has no position
    inside = (tth[found] > tth[0] + 2 * _PEAK_WIDTH_DEG) & (tth[found] < tth[-1] - 2 * _PEAK_WIDTH_DEG)
    peaks = [Peak(tth_deg=float(tth[k]), height=float(smooth[k]), significance=float(score[k])) for k in found[inside]]
    return sorted(peaks, key=lambda peak: -peak.significance)


def unexplained_peaks(
    tth_deg: ArrayLike,
    intensity: ArrayLike,
    sigma: ArrayLike,
    lines: ArrayLike | Sequence[tuple[float, float]],
    *,
    tolerance_deg: float = TOLERANCE_DEG,
    significance: float = SIGNIFICANCE,
) -> list[Peak]:
    """Return the peaks that lie farther than a tolerance from every given line, most significant first.

    Parameters
    ----------
    tth_deg, intensity, sigma
        The pattern, shape (bins,); NaN bins hold no peak.
    lines
        2theta of the lines in deg, shape (m,), or (2theta, intensity) pairs as in ``reference_lines``; may be empty.
    tolerance_deg, significance
        See `TOLERANCE_DEG` and `SIGNIFICANCE`.
    """
    given = np.asarray(lines, dtype=np.float64)
    places = given[:, 0] if given.ndim == 2 and given.size else given.ravel()
    return [
        peak
        for peak in find_pattern_peaks(tth_deg, intensity, sigma, significance=significance)
        if not places.size or float(np.min(np.abs(places - peak.tth_deg))) > tolerance_deg
    ]


def _usable(
    tth_deg: ArrayLike, intensity: ArrayLike, sigma: ArrayLike
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Return axis, intensity without NaN, sigma without zeros, and which bins are known."""
    tth = np.asarray(tth_deg, dtype=np.float64).ravel()
    values = np.asarray(intensity, dtype=np.float64).ravel()
    error = np.asarray(sigma, dtype=np.float64).ravel()
    known = np.isfinite(values) & np.isfinite(error)
    positive = error[known & (error > 0)]
    # A bin without a single count has no Poisson error; it is as uncertain as its neighbours.
    error = np.where(known & (error > 0), error, np.median(positive) if positive.size else 1.0)
    return tth, np.where(known, values, 0.0), error, known


def _gathered(tth: Floats, values: Floats, error: Floats, known: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Weighted mean over the width of a peak, and its standard error."""
    kernel = np.exp(-0.5 * ((tth[None, :] - tth[:, None]) / _PEAK_WIDTH_DEG) ** 2) * known
    weight = np.maximum(kernel.sum(axis=1), 1e-12)
    return kernel @ values / weight, np.maximum(np.sqrt(kernel**2 @ error**2) / weight, 1e-12)
