"""Which peaks of a pattern are real, and which of them no given class explains."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solveh_banded
from scipy.signal import find_peaks
from scipy.special import expit

from phasecast.core.result import PhaseClass
from phasecast.results.grid import Floats
from phasecast.results.layout import THRESHOLD

TOLERANCE_DEG = 0.3
"""A line farther than this from a peak does not explain it: lattice parameters of rust vary by less."""
SIGNIFICANCE = 5.0
"""Peaks below this many sigma are noise more often than not in 600 bins."""
_PEAK_WIDTH_DEG = 0.08
"""Standard deviation of the filter that gathers a peak: about that of a line of micrometre grains at BL16XU."""
_WITHIN_DEG = 1.5
"""A peak falls off on both sides within this; what is broader is a halo."""
_STIFFNESS_DEG = 0.6
"""The background follows what is several times as wide as this."""
_FAINT = 1e-6
"""Weight of bins that tell nothing, so that the equations stay solvable."""
_TURNS = 30
_LEAST_SPREAD = 0.6
"""Standard deviation of the negative half of pure noise, in sigma: a smoother pattern is not told apart more finely."""
_LEAST_COVERAGE = 0.9


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

    Asymmetrically reweighted penalised least squares: S.-J. Baek et al., Analyst 140 (2015) 250-257, with residuals
    in units of sigma. NaN bins are bridged. All NaN where fewer than three bins are known.
    """
    tth, values, error, known = _usable(tth_deg, intensity, sigma)
    if np.count_nonzero(known) < 3:
        return np.full(tth.size, np.nan)
    stiff = _bending(tth.size) * (_STIFFNESS_DEG / float(np.median(np.diff(tth)))) ** 4
    weight = known.astype(np.float64)
    background = values
    for _ in range(_TURNS):
        matrix = stiff.copy()
        matrix[2] += weight + _FAINT
        background = solveh_banded(matrix, (weight + _FAINT * known) * values)
        rest = (values - background) / error
        below = rest[known & (rest < 0)]
        if below.size < 2:
            break
        spread = max(float(below.std()), _LEAST_SPREAD)
        shift = 2 * spread - float(below.mean())
        fresh = known * expit(-2 * (rest - shift) / spread)
        settled = float(np.linalg.norm(fresh - weight)) < 1e-3 * float(np.linalg.norm(weight))
        weight = fresh
        if settled:
            break
    return np.asarray(background, dtype=np.float64)


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
    within = max(round(_WITHIN_DEG / step) | 1, 3)
    found, _ = find_peaks(score, height=significance, prominence=significance, wlen=within)
    # half a peak, at the end of the axis or beside a gap, has no position
    around = np.exp(-0.5 * ((tth[None, :] - tth[found, None]) / (3 * _PEAK_WIDTH_DEG)) ** 2)
    whole = np.sqrt(2 * np.pi) * 3 * _PEAK_WIDTH_DEG / step
    inside = around @ known >= _LEAST_COVERAGE * whole
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
    peaks = find_pattern_peaks(tth_deg, intensity, sigma, significance=significance)
    return unexplained_of(peaks, [(float(place), 0.0) for place in places], tolerance_deg=tolerance_deg)


def unexplained_of(
    peaks: Sequence[Peak], lines: Sequence[tuple[float, float]], *, tolerance_deg: float = TOLERANCE_DEG
) -> list[Peak]:
    """Return those of some peaks that lie farther than a tolerance from every line (2theta in deg, intensity)."""
    places = np.array([place for place, _ in lines], dtype=np.float64)
    return [peak for peak in peaks if not places.size or float(np.min(np.abs(places - peak.tth_deg))) > tolerance_deg]


def peaks_of(peaks: Sequence[Peak], phase: PhaseClass, *, tolerance_deg: float = TOLERANCE_DEG) -> list[Peak]:
    """Return those of some peaks that speak for a class, in their order.

    Of the peaks within the tolerance of a line the nearest speaks for it; one peak may speak for several classes.

    Parameters
    ----------
    peaks
        As from `find_pattern_peaks`.
    phase
        The class.
    tolerance_deg
        See `TOLERANCE_DEG`.
    """
    nearest = set()
    for place, _ in phase.reference_lines:
        distance = [abs(peak.tth_deg - place) for peak in peaks]
        if distance and min(distance) <= tolerance_deg:
            nearest.add(distance.index(min(distance)))
    return [peak for k, peak in enumerate(peaks) if k in nearest]


def _bending(size: int) -> Floats:
    """Upper band form of D^T D with second differences D, (3, size)."""
    squared = np.zeros((3, size))
    for row in range(size - 2):
        squared[2, row : row + 3] += (1.0, 4.0, 1.0)
        squared[1, row + 1 : row + 3] += -2.0
        squared[0, row + 2] += 1.0
    return squared


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
