"""The arithmetic of `phasecast_models.xrd.features`, row by row, compiled at first use.

A row is computed from itself alone and always by the same instructions, so its bits do not depend on the others.
Rolling means come from running sums in double precision; rolling minima from minima over 2, 4, 8, ... bins; asinh from
a logarithm that compilers can take in vectors (5 us a pattern in all, of which numpy and scipy took 44).
"""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numba as nb
import numpy as np
from numba import types as numba_types
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]

types: Any = numba_types  # its annotations lack what its calls take
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _inner(function: _Function) -> _Function:
    return cast(_Function, nb.njit(nogil=True, error_model="numpy")(function))


def _inner_without_nan(function: _Function) -> _Function:
    """Let sums and maxima be taken in vectors, where NaN cannot be."""
    return cast(_Function, nb.njit(nogil=True, error_model="numpy", fastmath=True)(function))


_ONE = np.float32(1)
_ZERO = np.float32(0)
_LOWEST = np.float32(-0.5)  # of relative lines
_SMALLEST = np.float32(1e-6)
_THIRD = np.float32(1 / 3)
_LN2 = np.float32(np.log(2))
_LARGEST = np.float32(1e18)  # its square is a float32; asinh of anything larger is taken for 42
_ROOT_HALF_BITS = np.int32(np.float32(np.sqrt(0.5)).view(np.int32))
_EXPONENT_BITS = np.int32(23)


# Loops, because the assignment of slices is compiled in seconds.
@_inner
def _fill(out: Any, value: Any) -> None:
    for index in range(out.size):
        out[index] = value


@_inner
def _copy(values: Any, out: Any) -> None:
    for index in range(out.size):
        out[index] = values[index]


@_inner
def _bridge(values: Doubles) -> None:
    """Fill NaN by straight lines between neighbours, by the nearest value at the ends, and by 0 if all are NaN."""
    bins, last = values.size, -1
    for index in range(bins):
        if np.isnan(values[index]):
            continue
        if last < 0:
            _fill(values[:index], values[index])
        else:
            rise = (values[index] - values[last]) / (index - last)
            for between in range(last + 1, index):
                values[between] = values[last] + rise * (between - last)
        last = index
    if last < 0:
        _fill(values, 0.0)
    else:
        _fill(values[last + 1 :], values[last])


@_inner
def _mirror_ends(padded: Any, left: int, bins: int, edge_twice: bool) -> None:
    """Continue what stands at padded[left : left + bins] by its mirror images, the edge bin repeated or not."""
    period = 2 * bins if edge_twice else max(1, 2 * bins - 2)
    ends = padded.size - bins
    for end in range(ends):
        place = end if end < left else end + bins
        source = (place - left) % period
        if source >= bins:
            source = period - source - (1 if edge_twice else 0)
        padded[place] = padded[left + source]


@_inner
def _hold_ends(padded: Any, left: int, bins: int) -> None:
    _fill(padded[:left], padded[left])
    _fill(padded[left + bins :], padded[left + bins - 1])


@_inner
def _running_sum(values: Any, sums: Doubles) -> None:
    """Set sums[k] to the sum of the first k values, shape (values + 1,)."""
    total = 0.0
    sums[0] = 0.0
    for index in range(values.size):
        total += np.float64(values[index])
        sums[index + 1] = total


@_inner
def _prepare_with_errors(
    given: Doubles, errors: Doubles, window: int, work: Doubles, intensity: Singles, counts: Singles
) -> None:
    bins, half = given.size, window // 2
    values, raw = work[0, :bins], work[1, :bins]
    ratios, votes = work[2, : bins + window], work[3, : bins + window]
    inner_ratios, inner_votes = ratios[half : half + bins], votes[half : half + bins]
    missing = 0
    for index in range(bins):
        value, error = given[index], errors[index]
        finite = np.abs(value) < np.inf
        value = value if value > 0.0 else 0.0
        known = (error > 0.0) & (error < np.inf)
        ratio = value / (error if known else 1.0)
        square = ratio * ratio if known else (0.0 if value == 0.0 else np.nan)
        square = square if finite else np.nan
        lost = np.isnan(square)
        missing += 1 if lost else 0
        raw[index] = square
        values[index] = np.nan if lost else value
    if missing:
        _bridge(values)
    # One scale per pattern keeps the sums below far from the limits of floating point.
    scale = _largest(values, 1e-300)
    for index in range(bins):
        value, square = values[index] / scale, raw[index]
        vote = (square > 0.0) & (square < np.inf) & (value > 1e-9)
        values[index] = value
        inner_ratios[index] = square / (value if vote else 1.0) if vote else 0.0
        inner_votes[index] = 1.0 if vote else 0.0
    _mirror_ends(ratios[: bins + window - 1], half, bins, True)
    _mirror_ends(votes[: bins + window - 1], half, bins, True)
    ratio_sums, vote_sums = work[4, : bins + window], work[5, : bins + window]
    ratio_total = vote_total = 0.0
    ratio_sums[0] = vote_sums[0] = 0.0
    for index in range(bins + window - 1):
        ratio_total += ratios[index]
        vote_total += votes[index]
        ratio_sums[index + 1] = ratio_total
        vote_sums[index + 1] = vote_total
    later_ratio, later_vote = ratio_sums[window:], vote_sums[window:]
    for index in range(bins):
        # What the running sum has lost in rounding may be negative where nobody votes.
        ratio = max(later_ratio[index] - ratio_sums[index], 0.0)
        gain = ratio / max(later_vote[index] - vote_sums[index], 0.5)
        intensity[index] = values[index]
        counts[index] = values[index] * gain


@_inner
def _prepare_counts(given: Doubles, work: Doubles, intensity: Singles, counts: Singles) -> None:
    values = work[0, : given.size]
    missing = 0
    for index in range(given.size):
        value = given[index]
        finite = np.abs(value) < np.inf
        missing += 0 if finite else 1
        values[index] = (value if value > 0.0 else 0.0) if finite else np.nan
    if missing:
        _bridge(values)
    for index in range(given.size):
        intensity[index] = values[index]
        counts[index] = values[index]


@_inner_without_nan
def _largest(values: Any, at_least: Any) -> Any:
    found = at_least
    for index in range(values.size):
        found = values[index] if values[index] > found else found
    return found


@_inner_without_nan
def _smallest(values: Any) -> Any:
    found = values[0]
    for index in range(values.size):
        found = values[index] if values[index] < found else found
    return found


@_inner_without_nan
def _sum(values: Singles) -> float:
    total = 0.0
    for index in range(values.size):
        total += np.float64(values[index])
    return total


@_inner_without_nan
def _minimum_of_two(first: Singles, second: Singles, out: Singles) -> None:
    for index in range(out.size):
        out[index] = first[index] if first[index] < second[index] else second[index]


@_inner
def _rolling_minimum(values: Singles, window: int, work: Singles, out: Singles) -> None:
    """Set out[k] to the minimum of values[k : k + window]; values are lost."""
    span, length = 1, values.size
    while 2 * span <= window:
        length -= span
        _minimum_of_two(values[:length], values[span : span + length], work[:length])
        values, work = work, values
        span *= 2
    _minimum_of_two(values[: out.size], values[window - span : window - span + out.size], out)


@_inner_without_nan
def _count_up_to(bits: NDArray[np.int32], limit: Any) -> Any:
    count = np.int32(0)
    for index in range(bits.size):
        count += np.int32(1) if bits[index] <= limit else np.int32(0)
    return count


@_inner_without_nan
def _median(values: Singles) -> float:
    """Return the median of positive numbers: their bits rise with them, so it is found by halving a range of bits."""
    bits = values.view(np.int32)
    low, high = np.int32(_smallest(bits)), np.int32(_largest(bits, np.int32(0)))
    rank = (bits.size - 1) // 2
    while low < high:
        middle = np.int32(low + (high - low) // 2)
        if _count_up_to(bits, middle) > rank:
            high = middle
        else:
            low = np.int32(middle + 1)
    found = np.empty(2, np.int32)
    _fill(found, low)
    if bits.size % 2 == 0 and _count_up_to(bits, low) == rank + 1:
        above = np.int32(2147483647)
        for index in range(bits.size):
            above = min(above, bits[index]) if bits[index] > low else above
        found[1] = above
    pair = found.view(np.float32)
    return 0.5 * (np.float64(pair[0]) + np.float64(pair[1]))


@_inner_without_nan
def _third_of_asinh(values: Singles, work: Singles, bits: NDArray[np.int32]) -> None:
    """Replace values by asinh(values) / 3.

    log(m 2^e) = e log 2 + 2 artanh((m - 1) / (m + 1)) with m from sqrt(1/2) to sqrt(2), where five terms of artanh hold
    1e-8.
    """
    for index in range(values.size):
        size = min(abs(values[index]), _LARGEST)
        work[index] = size + np.sqrt(size * size + _ONE)
    work_bits = work.view(np.int32)
    for index in range(values.size):
        bits[index] = (work_bits[index] - _ROOT_HALF_BITS) >> _EXPONENT_BITS
    for index in range(values.size):
        work_bits[index] = work_bits[index] - (bits[index] << _EXPONENT_BITS)
    for index in range(values.size):
        s = (work[index] - _ONE) / (work[index] + _ONE)
        q = s * s
        series = ((q * np.float32(2 / 9) + np.float32(2 / 7)) * q + np.float32(2 / 5)) * q + np.float32(2 / 3)
        size = _THIRD * (np.float32(bits[index]) * _LN2 + s * (series * q + np.float32(2)))
        values[index] = size if values[index] >= _ZERO else -size


@_inner
def _baseline_row(
    counts: Singles, smooth: int, window: int, sums: Doubles, padded: Singles, spare: Singles, baseline: Singles
) -> None:
    bins = counts.size
    _rolling_mean(counts, smooth, sums, padded, baseline)
    half = window // 2
    _copy(baseline, padded[half : half + bins])
    _hold_ends(padded[: bins + window - 1], half, bins)
    _rolling_minimum(padded[: bins + window - 1], window, spare[: bins + window - 1], baseline)
    _rolling_mean(baseline, window, sums, padded, baseline)


@_inner
def _rolling_mean(values: Singles, window: int, sums: Doubles, padded: Singles, out: Singles) -> None:
    bins, half = values.size, window // 2
    _copy(values, padded[half : half + bins])
    _hold_ends(padded[: bins + window - 1], half, bins)
    _running_sum(padded[: bins + window - 1], sums)
    later, share = sums[window:], 1.0 / window
    for index in range(bins):
        out[index] = (later[index] - sums[index]) * share


@_inner
def _contrast_row(
    counts: Singles, core: int, side: int, sums: Doubles, padded: Singles, height: Singles, error: Singles
) -> None:
    bins, pad = counts.size, side + core
    _copy(counts, padded[pad : pad + bins])
    _mirror_ends(padded[: bins + 2 * pad], pad, bins, False)
    _running_sum(padded[: bins + 2 * pad], sums)
    first = pad - core // 2
    a, b, c, d = sums[first - side :], sums[first:], sums[first + core :], sums[first + core + side :]
    core_share, side_share = 1.0 / core, 0.5 / side
    for index in range(bins):
        middle = c[index] - b[index]
        around = b[index] - a[index] + d[index] - c[index]
        height[index] = middle * core_share - around * side_share
        variance = middle * core_share * core_share + around * side_share * side_share + core_share
        error[index] = np.sqrt(np.float32(variance))


@_inner_without_nan
def _stretch(intensity: Singles, low: Any, inverse: Any, out: Singles) -> None:
    for index in range(out.size):
        out[index] = (intensity[index] - low) * inverse


@_inner_without_nan
def _excess(counts: Singles, baseline: Singles, out: Singles) -> None:
    for index in range(out.size):
        floor = baseline[index] if baseline[index] > _ZERO else _ZERO
        out[index] = (counts[index] - baseline[index]) / np.sqrt(floor + _ONE)


@_inner_without_nan
def _relative_lines(height: Singles, top: Any, out: Singles) -> None:
    share = _ONE / top
    for index in range(out.size):
        relative = height[index] * share
        relative = relative if relative > _LOWEST else _LOWEST
        out[index] = relative if relative < _ONE else _ONE


@_inner_without_nan
def _significant_lines(height: Singles, error: Singles, out: Singles) -> None:
    for index in range(out.size):
        out[index] = height[index] / (error[index] if error[index] > _SMALLEST else _SMALLEST)


@_inner
def _features_row(
    intensity: Singles,
    counts: Singles,
    sizes: NDArray[np.int64],
    places: NDArray[np.int64],
    sums: Doubles,
    work: Singles,
    bits: NDArray[np.int32],
    out: Singles,
) -> None:
    bins = counts.size
    window, smooth, core, side = sizes[0], sizes[1], sizes[2], sizes[3]
    shape, excess = out[:bins], out[bins : 2 * bins]
    relative, significance = out[2 * bins : 3 * bins], out[3 * bins : 4 * bins]
    baseline, height, error = work[0, :bins], work[1, :bins], work[2, :bins]
    padded, spare = work[3], work[4]
    low = _smallest(intensity)
    span = np.float32(_largest(intensity, low) - low)
    inverse = _ONE / span if span > _ZERO else _ZERO
    inverse = inverse if inverse < np.float32(np.inf) else _ZERO
    _stretch(intensity, low, inverse, shape)
    _baseline_row(counts, smooth, window, sums, padded, spare, baseline)
    _contrast_row(counts, core, side, sums, padded, height, error)
    # Noise alone must not be blown up to full height: the strongest line counts as ten sigma at least.
    top = max(_largest(height, height[0]), np.float32(10.0 * _median(error)))
    top = max(top, _SMALLEST)
    _excess(counts, baseline, excess)
    _relative_lines(height, top, relative)
    _significant_lines(height, error, significance)
    _third_of_asinh(excess, padded, bits)
    _third_of_asinh(significance, padded, bits)
    out[4 * bins] = (np.log1p(_sum(counts) / bins) - 5.0) / 4.0
    for place in range(places.size):
        out[4 * bins + 1 + place] = (np.log1p(np.float64(baseline[places[place]])) - 5.0) / 4.0


def _prepare_rows(
    given: Doubles, errors: Doubles, with_errors: bool, window: int, intensity: Singles, counts: Singles
) -> None:
    work = np.empty((6, given.shape[1] + window))
    for row in range(given.shape[0]):
        if with_errors:
            _prepare_with_errors(given[row], errors[row], window, work, intensity[row], counts[row])
        else:
            _prepare_counts(given[row], work, intensity[row], counts[row])


def _features_rows(
    intensity: Singles, counts: Singles, sizes: NDArray[np.int64], places: NDArray[np.int64], out: Singles
) -> None:
    bins = counts.shape[1]
    length = bins + 2 * sizes.sum()
    sums, work, bits = np.empty(length + 1), np.empty((5, length), np.float32), np.empty(length, np.int32)
    for row in range(counts.shape[0]):
        _features_row(intensity[row], counts[row], sizes, places, sums, work, bits, out[row])


def _baseline_rows(counts: Singles, sizes: NDArray[np.int64], out: Singles) -> None:
    length = counts.shape[1] + 2 * sizes.sum()
    sums, padded, spare = np.empty(length + 1), np.empty(length, np.float32), np.empty(length, np.float32)
    for row in range(counts.shape[0]):
        _baseline_row(counts[row], sizes[1], sizes[0], sums, padded, spare, out[row])


def _array(dtype: Any, dimensions: int = 2) -> Any:
    # All are of the writeable kind: for those that are only read every helper would be compiled a second time.
    return types.Array(dtype, dimensions, "C")


def _compiled(signature: Any, function: Callable[..., None]) -> Callable[..., None]:
    """Compile, and keep the result on disk."""
    compiled: Callable[..., None]
    try:
        compiled = nb.njit(signature, nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:
        # Where neither the package nor the user's cache folder can be written, each process compiles anew.
        compiled = nb.njit(signature, nogil=True, error_model="numpy")(function)
    return compiled


@cache
def prepare_rows() -> Callable[..., None]:
    """Return f(given, errors, with_errors, window, intensity, counts); the last two are overwritten."""
    doubles, singles = _array(types.float64), _array(types.float32)
    return _compiled(types.void(doubles, doubles, types.boolean, types.int64, singles, singles), _prepare_rows)


@cache
def features_rows() -> Callable[..., None]:
    """Return f(intensity, counts, sizes, places, out); sizes are the bins of window, smoothing, core and side."""
    singles, sizes = _array(types.float32), _array(types.int64, 1)
    return _compiled(types.void(singles, singles, sizes, sizes, singles), _features_rows)


@cache
def baseline_rows() -> Callable[..., None]:
    """Return f(counts, sizes, out) with the sizes of `features_rows`; the last is overwritten."""
    singles, sizes = _array(types.float32), _array(types.int64, 1)
    return _compiled(types.void(singles, sizes, singles), _baseline_rows)
