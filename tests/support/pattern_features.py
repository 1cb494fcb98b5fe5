"""What the network sees of a pattern, as numpy and scipy compute it: slow, and easier to read."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.features import Measurement

Floats = NDArray[np.float32]

_BASELINE_DEG = 3.1
_SMOOTH_DEG = 0.5
# A line is what rises over its neighbourhood: mean of the bins within 0.15 deg, less that of both sides up to 1 deg.
_CORE_DEG = 0.3
_SIDE_DEG = 0.6


def prepare(intensity: ArrayLike, sigma: ArrayLike | None, axis: PatternAxis) -> Measurement:
    """Return what `phasecast_models.xrd.features.prepare` promises."""
    values = np.atleast_2d(np.asarray(intensity, dtype=np.float64))
    values = np.where(np.isfinite(values), np.maximum(values, 0), np.nan)
    if sigma is None:
        filled = fill_missing(values)
        return Measurement(intensity=filled.astype(np.float32), counts=filled.astype(np.float32))
    errors = np.atleast_2d(np.asarray(sigma, dtype=np.float64))
    known = np.isfinite(errors) & (errors > 0)
    ratio = values / np.where(known, errors, 1.0)
    raw = np.where(known, ratio * ratio, np.where(values == 0, 0.0, np.nan))
    values = fill_missing(np.where(np.isnan(raw), np.nan, values))
    # One scale per pattern keeps the sums below far from the limits of floating point.
    values = values / np.maximum(values.max(axis=1, keepdims=True), 1e-300)
    window = max(3, round(_BASELINE_DEG / axis.step_deg))
    # Every bin has one vote. pyFAI's poisson model gives each pixel a variance of one at least, so below one count
    # per pixel I / sigma^2 is ten times larger on a bright line than beside it; by sums that one line lifted the
    # counts of 3 deg around it, and lines seemed to stand on steps.
    votes = np.isfinite(raw) & (raw > 0) & (values > 1e-9)
    ratio = np.where(votes, raw / np.where(votes, values, 1), 0)
    voters = uniform_filter1d(votes.astype(np.float64), window, axis=1, mode="reflect")
    gain = uniform_filter1d(ratio, window, axis=1, mode="reflect") / np.maximum(voters, 0.5 / window)
    return Measurement(intensity=values.astype(np.float32), counts=(values * gain).astype(np.float32))


def features(measured: Measurement, axis: PatternAxis) -> Floats:
    """Return features, shape (n, 4 bins + 5); each row depends on its own pattern alone.

    Max-normalised intensity; asinh of (counts - rolling-minimum baseline) / sigma; lines relative to the strongest
    one and asinh of lines / sigma, both free of humps wider than 2 deg; logarithms of the mean counts and of the
    baseline at four angles.
    """
    low = measured.intensity.min(axis=1, keepdims=True)
    span = measured.intensity.max(axis=1, keepdims=True) - low
    shape = np.where(span > 0, (measured.intensity - low) / np.where(span > 0, span, 1), 0)
    counts = measured.counts
    baseline = rolling_baseline(counts, axis)
    excess = np.arcsinh((counts - baseline) / np.sqrt(np.maximum(baseline, 0) + 1)) / np.float32(3)
    places = (np.array([0.07, 0.3, 0.6, 0.93]) * axis.bins).astype(int)
    levels = np.log1p(np.concatenate([counts.mean(axis=1, keepdims=True), baseline[:, places]], axis=1))
    lines, error = line_contrast(counts, axis)
    # Noise alone must not be blown up to full height: the strongest line counts as ten sigma at least.
    top = np.maximum(lines.max(axis=1, keepdims=True), 10 * np.median(error, axis=1, keepdims=True))
    relative = np.clip(lines / np.maximum(top, 1e-6), -0.5, 1)
    significance = np.arcsinh(lines / np.maximum(error, 1e-6)) / np.float32(3)
    return np.concatenate([shape, excess, relative, significance, (levels - 5) / 4], axis=1).astype(np.float32)


def line_contrast(counts: Floats, axis: PatternAxis) -> tuple[Floats, Floats]:
    """Return how far each bin and its next rise over both sides, and the counting error of that, each (n, bins)."""
    core = max(1, round(_CORE_DEG / axis.step_deg / 2) * 2 - 1)
    side = max(1, round(_SIDE_DEG / axis.step_deg / 2) * 2)
    padded = np.pad(counts, ((0, 0), (side + core, side + core)), mode="reflect")
    sums = np.cumsum(padded, axis=1, dtype=np.float64)
    sums = np.concatenate([np.zeros((len(counts), 1)), sums], axis=1)
    start = np.arange(axis.bins) + side + core - core // 2
    middle = sums[:, start + core] - sums[:, start]
    left = sums[:, start] - sums[:, start - side]
    right = sums[:, start + core + side] - sums[:, start + core]
    height = middle / core - (left + right) / (2 * side)
    error = np.sqrt(middle / core**2 + (left + right) / (2 * side) ** 2 + 1 / core)
    return height.astype(np.float32), error.astype(np.float32)


def rolling_baseline(counts: Floats, axis: PatternAxis) -> Floats:
    """Return the smooth floor under the peaks, shape (n, bins)."""
    smooth = uniform_filter1d(counts, max(3, round(_SMOOTH_DEG / axis.step_deg)), axis=1, mode="nearest")
    window = max(3, round(_BASELINE_DEG / axis.step_deg))
    floor = minimum_filter1d(smooth, window, axis=1, mode="nearest")
    return np.asarray(uniform_filter1d(floor, window, axis=1, mode="nearest"), dtype=np.float32)


def fill_missing(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bridge bins that are NaN by straight lines; a pattern without any measured bin becomes zero."""
    missing = np.isnan(values)
    rows = np.flatnonzero(missing.any(axis=1))
    if not len(rows):
        return values
    filled = values.copy()
    index = np.arange(values.shape[1])
    for row in rows:
        known = ~missing[row]
        filled[row] = np.interp(index, index[known], values[row, known]) if known.any() else 0
    return filled
