"""What the network sees of a pattern: counts in, a fixed vector of numbers out.

Counts carry the noise with them, so everything here is a function of effective counts per bin,
(I / sigma)^2, and does not depend on how the integrator scaled its intensities.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from phasecast_models.xrd.axis import PatternAxis

Floats = NDArray[np.float32]

CHANNELS = 2
LEVELS = 5
_BASELINE_DEG = 3.1
_SMOOTH_DEG = 0.5


class PatternError(ValueError):
    """Pattern arrays that cannot be classified."""


def feature_count(axis: PatternAxis) -> int:
    """Length of the feature vector."""
    return CHANNELS * axis.bins + LEVELS


def effective_counts(intensity: ArrayLike, sigma: ArrayLike | None = None) -> Floats:
    """Return counts per bin, shape (n, bins), NaN where a bin was not measured.

    With ``sigma`` this is (I / sigma)^2, a bin of zero intensity holds zero counts, and a bin with
    intensity but no sigma (not finite, or 0) is not measured. Without it ``intensity`` is taken as counts. Negative
    intensities (over-subtracted darks) count as zero.

    Raises
    ------
    PatternError
        If the arrays are not (bins,) or (n, bins), or do not have the same shape.
    """
    values = np.atleast_2d(np.asarray(intensity, dtype=np.float64))
    if values.ndim != 2:
        raise PatternError(f"intensity has shape {np.shape(intensity)}, expected (bins,) or (n, bins)")
    values = np.where(np.isfinite(values), np.maximum(values, 0), np.nan)
    if sigma is not None:
        errors = np.atleast_2d(np.asarray(sigma, dtype=np.float64))
        if errors.shape != values.shape:
            raise PatternError(f"sigma has shape {errors.shape}, intensity {values.shape}: they must be equal")
        known = np.isfinite(errors) & (errors > 0)
        ratio = values / np.where(known, errors, 1.0)
        values = np.where(known, ratio * ratio, np.where(values == 0, 0.0, np.nan))
    return values.astype(np.float32)


def features(counts: Floats, axis: PatternAxis) -> Floats:
    """Return features, shape (n, 2 bins + 5); each row depends on its own pattern alone.

    Max-normalised counts; asinh of (counts - rolling-minimum baseline) / sigma; logarithms of the total and
    of the baseline at four angles. Bins that were not measured are bridged by straight lines (the nearest
    value at the ends), which puts no peak there.
    """
    filled = fill_missing(counts)
    low = filled.min(axis=1, keepdims=True)
    span = filled.max(axis=1, keepdims=True) - low
    shape = (filled - low) / np.maximum(span, 1e-6)
    baseline = rolling_baseline(filled, axis)
    excess = np.arcsinh((filled - baseline) / np.sqrt(np.maximum(baseline, 0) + 1)) / np.float32(3)
    places = (np.array([0.07, 0.3, 0.6, 0.93]) * axis.bins).astype(int)
    levels = np.log1p(np.concatenate([filled.mean(axis=1, keepdims=True), baseline[:, places]], axis=1))
    return np.concatenate([shape, excess, (levels - 5) / 4], axis=1).astype(np.float32)


def rolling_baseline(counts: Floats, axis: PatternAxis) -> Floats:
    """Return the smooth floor under the peaks, shape (n, bins)."""
    smooth = uniform_filter1d(counts, max(3, round(_SMOOTH_DEG / axis.step_deg)), axis=1, mode="nearest")
    window = max(3, round(_BASELINE_DEG / axis.step_deg))
    floor = minimum_filter1d(smooth, window, axis=1, mode="nearest")
    return np.asarray(uniform_filter1d(floor, window, axis=1, mode="nearest"), dtype=np.float32)


def fill_missing(counts: Floats) -> Floats:
    """Bridge bins that are NaN by straight lines; a pattern without any measured bin becomes zero."""
    missing = np.isnan(counts)
    rows = np.flatnonzero(missing.any(axis=1))
    if not len(rows):
        return counts
    filled = counts.copy()
    index = np.arange(counts.shape[1])
    for row in rows:
        known = ~missing[row]
        if known.any():
            filled[row] = np.interp(index, index[known], counts[row, known])
        else:
            filled[row] = 0
    return filled
