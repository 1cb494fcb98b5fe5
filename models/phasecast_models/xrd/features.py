"""What the network sees of a pattern: counts in, a fixed vector of numbers out.

Shape comes from the intensity, significance from effective counts per bin, (I / sigma)^2; neither depends on
how the integrator scaled its intensities.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.feature_kernels import baseline_rows, features_rows, prepare_rows

Floats = NDArray[np.float32]

CHANNELS = 4
LEVELS = 5
_BASELINE_DEG = 3.1
_SMOOTH_DEG = 0.5
# A line is what rises over its neighbourhood: mean of the bins within 0.15 deg, less that of both sides up to 1 deg.
_CORE_DEG = 0.3
_SIDE_DEG = 0.6
_LEVEL_PLACES = (0.07, 0.3, 0.6, 0.93)  # of the baseline, in shares of the axis
_ROWS_AT_ONCE = 1024


class PatternError(ValueError):
    """Pattern arrays that cannot be classified."""


def feature_count(axis: PatternAxis) -> int:
    """Length of the feature vector."""
    return CHANNELS * axis.bins + LEVELS


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Patterns without gaps: intensity on any scale and effective counts, each (n, bins)."""

    intensity: Floats
    counts: Floats


def prepare(intensity: ArrayLike, sigma: ArrayLike | None, axis: PatternAxis) -> Measurement:
    """Bring intensities and their errors into the form the features are computed from.

    With ``sigma`` a bin counts (I / sigma)^2, smoothed as follows: pixel splitting makes sigma jump from bin to bin
    (up to 25 % in (I / sigma)^2 at 10-40 deg on a PILATUS 100K) where the intensity does not, so the counts per
    unit of intensity are averaged over 3 deg first. A bin of intensity without sigma (not finite, or 0) is
    not measured. Without ``sigma`` intensities are counts. Negative intensities (over-subtracted darks)
    count as zero. Bins that were not measured are bridged by straight lines (the nearest value at the ends).

    Raises
    ------
    PatternError
        If the arrays are not (bins,) or (n, bins), or do not have the same shape.
    """
    values, errors = pattern_rows(intensity, sigma, axis)
    measured = Measurement(intensity=np.empty(values.shape, np.float32), counts=np.empty(values.shape, np.float32))
    kernel, window = prepare_rows(), _windows(axis)[0]
    for start in range(0, len(values), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        given = _own(values[rows], np.float64)
        known = given if errors is None else _own(errors[rows], np.float64)
        kernel(given, known, errors is not None, window, measured.intensity[rows], measured.counts[rows])
    return measured


def pattern_rows(
    intensity: ArrayLike, sigma: ArrayLike | None, axis: PatternAxis
) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
    """Return patterns and their errors, each (n, bins), in single or double precision.

    Raises
    ------
    PatternError
        If the arrays are not (bins,) or (n, bins), or do not have the same shape.
    """
    values = _rows(intensity)
    if values.ndim != 2:
        raise PatternError(f"intensity has shape {np.shape(intensity)}, expected (bins,) or (n, bins)")
    if values.shape[1] != axis.bins:
        raise PatternError(f"intensity has {values.shape[1]} bins, the model has {axis.bins}")
    errors = None if sigma is None else _rows(sigma)
    if errors is not None and errors.shape != values.shape:
        raise PatternError(f"sigma has shape {errors.shape}, intensity {values.shape}: they must be equal")
    return values, errors


def features(measured: Measurement, axis: PatternAxis) -> Floats:
    """Return features, shape (n, 4 bins + 5); each row depends on its own pattern alone.

    Max-normalised intensity; asinh of (counts - rolling-minimum baseline) / sigma; lines relative to the strongest
    one and asinh of lines / sigma, both free of humps wider than 2 deg; logarithms of the mean counts and of the
    baseline at four angles.
    """
    places = (np.array(_LEVEL_PLACES) * axis.bins).astype(np.int64)
    out = np.empty((len(measured.counts), feature_count(axis)), np.float32)
    intensity, counts = (_own(part, np.float32) for part in (measured.intensity, measured.counts))
    features_rows()(intensity, counts, _windows(axis), places, out)
    return out


def rolling_baseline(counts: ArrayLike, axis: PatternAxis) -> Floats:
    """Return the smooth floor under the peaks of counts without gaps, shape (n, bins)."""
    rows = _own(counts, np.float32)
    out = np.empty_like(rows)
    baseline_rows()(rows, _windows(axis), out)
    return out


def _own(values: ArrayLike, dtype: type[np.floating]) -> NDArray[Any]:
    """Return an array as the kernels take it: in one piece and writeable, a copy if it must be."""
    return np.require(values, dtype, ["C", "W"])


def _rows(values: ArrayLike) -> NDArray[np.floating]:
    """Return an array of at least two dimensions, in single or double precision."""
    array = np.asarray(values)
    return np.atleast_2d(array if array.dtype in (np.float32, np.float64) else array.astype(np.float64))


def _windows(axis: PatternAxis) -> NDArray[np.int64]:
    """Return the bins of a rolling baseline, of its smoothing, and of the core and each side of a line."""
    step_deg = axis.step_deg
    return np.array(
        [
            max(3, round(_BASELINE_DEG / step_deg)),
            max(3, round(_SMOOTH_DEG / step_deg)),
            max(1, round(_CORE_DEG / step_deg / 2) * 2 - 1),
            max(1, round(_SIDE_DEG / step_deg / 2) * 2),
        ],
        dtype=np.int64,
    )
