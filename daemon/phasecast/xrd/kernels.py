"""The arithmetic of one frame on the CPU, compiled when this module is imported.

Why not torch: one loop that gathers each count once and adds it to signal and variance takes as long as one of the
two sparse products that torch needs. Why float32: half the memory to stream; sums are carried into float64 every
`CARRY` terms, which holds their rounding below 1e-6 of the sum whatever the number of pixels in a bin.

Indices and bounds of loops are unsigned because numba gives signed ones the wrap-around of Python, which keeps LLVM
from gathering in vectors (0.17 ms instead of 0.07 ms for 225,000 entries).
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba as nb
import numpy as np
from numba import types as numba_types
from numpy.typing import NDArray

CARRY = np.uint64(512)
"""Terms summed in float32 before they are carried into float64."""

CHUNK = np.uint64(256)
"""Pixels searched at once for one to leave out."""

types: Any = numba_types  # its annotations lack what its calls take
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(*signatures: object, reorder: bool = False) -> Callable[[_Function], _Function]:
    """Compile for these signatures now, so that no frame waits for a compiler, and keep the result on disk.

    `reorder` lets sums be taken in vectors; such code must not meet NaN.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": reorder, "error_model": "numpy"}

    def compile_(function: _Function) -> _Function:
        compiled: Any
        try:
            compiled = nb.njit(list(signatures), cache=True, **options)(function)
        except RuntimeError:
            # Where neither the package nor the user's cache folder can be written, each process compiles anew.
            compiled = nb.njit(list(signatures), **options)(function)
        return cast(_Function, compiled)

    return compile_


def _read(dtype: object) -> object:
    """Return the type of a vector that is only read; captured frames are not writeable."""
    return types.Array(dtype, 1, "C", readonly=True)


def _write(dtype: object) -> object:
    return types.Array(dtype, 1, "C")


@_compiled(
    *(
        types.UniTuple(types.int64, 3)(
            _read(dtype),
            dtype,
            dtype,
            _read(types.boolean),
            _read(types.uint32),
            _write(types.float32),
            _write(types.uint32),
        )
        for dtype in (types.uint8, types.uint16, types.uint32)
    )
)
def screen(
    frame: NDArray[np.unsignedinteger],
    limit: np.unsignedinteger,
    gap: np.unsignedinteger,
    static_mask: NDArray[np.bool_],
    static_pixels: NDArray[np.uint32],
    counts: NDArray[np.float32],
    excluded: NDArray[np.uint32],
) -> tuple[int, int, int]:
    """Write believable counts and -1 for all others, and list the pixels that this frame alone leaves out.

    Parameters
    ----------
    frame
        Counts read as unsigned, so that negative ones are the largest; shape (pixels,).
    limit
        Counts at or above it are not believed.
    gap
        Values at or above it mean no count at all.
    static_mask, static_pixels
        Pixels that are never used, shape (pixels,), and their indices; their counts are written all the same.
    counts
        Overwritten, shape (pixels,).
    excluded
        Overwritten from its start with rising indices, shape (pixels,).

    Returns
    -------
    total, number of excluded pixels, number of these that are saturated
        The total is exact.
    """
    total, found, saturated = np.int64(0), np.int64(0), np.int64(0)
    start, end = np.uint64(0), np.uint64(frame.size)
    while start < end:
        stop = min(start + CHUNK, end)
        for pixel in range(start, stop):
            counts[pixel] = np.float32(frame[pixel]) if frame[pixel] < limit else np.float32(-1)
        # A loop of its own: all in one does not stay in vectors.
        largest = np.uint32(0)
        for pixel in range(start, stop):
            total += np.int64(frame[pixel])
            largest = max(largest, np.uint32(frame[pixel]))
        if largest >= limit:
            for pixel in range(start, stop):
                if frame[pixel] >= limit:
                    total -= np.int64(frame[pixel])
                    if not static_mask[pixel]:
                        excluded[found] = pixel
                        found += 1
                        saturated += frame[pixel] < gap
        start = stop
    for pixel in static_pixels:
        if frame[pixel] < limit:
            total -= np.int64(frame[pixel])
    return int(total), int(found), int(saturated)


_MATRIX = (_read(types.uint32), _read(types.uint32), _read(types.float32))


@_compiled(types.void(*_MATRIX, _read(types.float32), _write(types.float64), _write(types.float64)), reorder=True)
def sum_counts(
    starts: NDArray[np.uint32],
    pixels: NDArray[np.uint32],
    shares: NDArray[np.float32],
    counts: NDArray[np.float32],
    signal: NDArray[np.float64],
    variance: NDArray[np.float64],
) -> None:
    """Sum shares of counts x, and squared shares of max(x, 1), of every row of a sparse matrix.

    Parameters
    ----------
    starts, pixels, shares
        The matrix in compressed rows, shapes (rows + 1,), (entries,), (entries,).
    counts
        Negative for pixels to leave out, shape (pixels,).
    signal, variance
        Overwritten, shape (rows,).
    """
    zero, one = np.float32(0), np.float32(1)
    for row in range(signal.size):
        signal_sum, variance_sum = np.float64(0), np.float64(0)
        start, end = np.uint64(starts[row]), np.uint64(starts[row + 1])
        while start < end:
            stop = min(start + CARRY, end)
            some_signal, some_variance = zero, zero
            for entry in range(start, stop):
                share, count = shares[entry], counts[pixels[entry]]
                some_signal += share * max(count, zero)
                some_variance += share * share * (max(count, one) if count >= zero else zero)
            signal_sum += np.float64(some_signal)
            variance_sum += np.float64(some_variance)
            start = stop
        signal[row], variance[row] = signal_sum, variance_sum


@_compiled(
    types.void(*_MATRIX, _read(types.float32), _read(types.float64), _write(types.float64), _write(types.float64)),
    reorder=True,
)
def sum_counts_above_dark(
    starts: NDArray[np.uint32],
    pixels: NDArray[np.uint32],
    shares: NDArray[np.float32],
    counts: NDArray[np.float32],
    dark: NDArray[np.float64],
    signal: NDArray[np.float64],
    variance: NDArray[np.float64],
) -> None:
    """Do as `sum_counts` with signal above the dark image; in double precision, as the difference may be small."""
    for row in range(signal.size):
        signal_sum, variance_sum = np.float64(0), np.float64(0)
        for entry in range(starts[row], starts[row + 1]):
            share, pixel = np.float64(shares[entry]), pixels[entry]
            count = np.float64(counts[pixel])
            if count >= 0.0:
                signal_sum += share * (count - dark[pixel])
                variance_sum += share * share * max(count, 1.0)
        signal[row], variance[row] = signal_sum, variance_sum


@_compiled(
    types.void(
        _read(types.uint32),
        *_MATRIX,
        *[_read(types.float64)] * 2,
        _read(types.int64),
        _write(types.float64),
        _write(types.int64),
    )
)
def norm_without(
    excluded: NDArray[np.uint32],
    starts: NDArray[np.uint32],
    rows: NDArray[np.uint32],
    shares: NDArray[np.float32],
    weight: NDArray[np.float64],
    full_norm: NDArray[np.float64],
    full_population: NDArray[np.int64],
    norm: NDArray[np.float64],
    population: NDArray[np.int64],
) -> None:
    """Take pixels out of the norm, which is exactly 0 in rows that lose them all.

    Parameters
    ----------
    excluded
        Indices of the pixels.
    starts, rows, shares
        The matrix in compressed columns, shapes (pixels + 1,), (entries,), (entries,).
    weight
        Weight of each pixel, shape (pixels,).
    full_norm, full_population
        Weights and numbers of all pixels of each row, shape (rows,).
    norm, population
        What is left of them, overwritten, shape (rows,).
    """
    norm[:] = full_norm
    population[:] = full_population
    for pixel in excluded:
        for entry in range(starts[pixel], starts[pixel + np.uint32(1)]):
            row = rows[entry]
            population[row] -= 1
            norm[row] = norm[row] - np.float64(shares[entry]) * weight[pixel] if population[row] > 0 else 0.0


@_compiled(types.void(*[_read(types.float64)] * 3, *[_write(types.float32)] * 3))
def divide(
    signal: NDArray[np.float64],
    variance: NDArray[np.float64],
    norm: NDArray[np.float64],
    intensity: NDArray[np.float32],
    sigma: NDArray[np.float32],
    norm_out: NDArray[np.float32],
) -> None:
    """Divide sums by norms; rows without norm give 0. All shapes are (rows,), the last three are overwritten."""
    for row in range(norm.size):
        inverse = 1.0 / norm[row] if norm[row] > 0.0 else 0.0
        intensity[row] = signal[row] * inverse
        sigma[row] = np.sqrt(variance[row]) * inverse
        norm_out[row] = norm[row]


@_compiled(types.void(_read(types.uint32), _read(types.uint32), _read(types.float32), _write(types.float32)))
def largest_counts(
    starts: NDArray[np.uint32], pixels: NDArray[np.uint32], counts: NDArray[np.float32], largest: NDArray[np.float32]
) -> None:
    """Find the largest counts in lists of pixels, at least 0.

    Parameters
    ----------
    starts, pixels
        The lists, one after the other, shapes (lists + 1,), (entries,).
    counts
        Shape (pixels,).
    largest
        Overwritten, shape (lists,).
    """
    # The bits of positive floats rise with them, and integers have a maximum that LLVM takes in vectors.
    bits, largest_bits = counts.view(np.int32), largest.view(np.int32)
    for row in range(largest.size):
        found = np.int32(0)
        for entry in range(starts[row], starts[row + 1]):
            found = max(found, bits[pixels[entry]])
        largest_bits[row] = found


@_compiled(
    types.UniTuple(types.float64, 2)(
        *[_read(types.float32)] * 3,
        _read(types.uint32),
        *[_read(types.float64)] * 3,
    )
)
def summarise_spots(
    largest: NDArray[np.float32],
    intensity: NDArray[np.float32],
    norm: NDArray[np.float32],
    bins: NDArray[np.uint32],
    mean_weight: NDArray[np.float64],
    mean_dark: NDArray[np.float64],
    log_population: NDArray[np.float64],
) -> tuple[float, float]:
    """Return spottiness and spot_excess as `phasecast.xrd.spottiness` defines them.

    Parameters
    ----------
    largest
        Largest counts in some bins, shape (some,).
    intensity, norm
        Intensity and norm in all bins, shape (bins,).
    bins
        Which bins these are, shape (some,).
    mean_weight, mean_dark
        What turns their intensity into mean counts per pixel, shape (some,).
    log_population
        Logarithm of their numbers of pixels, shape (some,).
    """
    ratios = np.empty(bins.size, dtype=np.float64)
    lit, excess = 0, 0.0
    for place in range(bins.size):
        mean = intensity[bins[place]] * mean_weight[place] + mean_dark[place]
        if mean > 0.0 and norm[bins[place]] > 0.0:
            peak, log_number = np.float64(largest[place]), log_population[place]
            ratios[lit] = peak / mean
            excess = max(excess, peak / (mean + np.sqrt(2.0 * mean * log_number) + log_number / 3.0))
            lit += 1
    if lit == 0:
        return np.nan, np.nan
    rank = int(0.95 * (lit - 1))
    return np.partition(ratios[:lit], rank)[rank], excess


_ROWS = types.Array(types.float32, 2, "C", readonly=True)
_NEW_ROWS = types.Array(types.float32, 2, "C")


@_compiled(
    types.void(
        _ROWS,
        _ROWS,
        _ROWS,
        types.uint64,
        types.uint64,
        _read(types.float64),
        _NEW_ROWS,
        _NEW_ROWS,
        _NEW_ROWS,
    )
)
def rebin(
    intensity: NDArray[np.float32],
    sigma: NDArray[np.float32],
    norm: NDArray[np.float32],
    first: np.uint64,
    bins_each: np.uint64,
    variance_ratio: NDArray[np.float64],
    new_intensity: NDArray[np.float32],
    new_sigma: NDArray[np.float32],
    new_norm: NDArray[np.float32],
) -> None:
    """Add up counts and variances of neighbouring bins; see `phasecast.xrd.rebinning`.

    Parameters
    ----------
    intensity, sigma, norm
        Shape (n, bins); what stands where norm is 0 or NaN does not count.
    first, bins_each
        Bin that the first new one begins with, and how many make a new one.
    variance_ratio
        Shape (new bins,).
    new_intensity, new_sigma, new_norm
        Overwritten, shape (n, new bins).
    """
    for row in range(np.uint64(norm.shape[0])):
        for place in range(np.uint64(new_norm.shape[1])):
            counts, variance, total = 0.0, 0.0, 0.0
            begin = first + place * bins_each
            for source in range(begin, begin + bins_each):
                weight = np.float64(norm[row, source])
                if weight > 0:
                    counts += intensity[row, source] * weight
                    variance += (sigma[row, source] * weight) ** 2
                    total += weight
            inverse = 1.0 / total if total > 0 else 0.0
            new_intensity[row, place] = counts * inverse
            new_sigma[row, place] = np.sqrt(variance * variance_ratio[place]) * inverse
            new_norm[row, place] = total
