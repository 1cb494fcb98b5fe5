"""Applies the matrices of one geometry to frames."""

import numpy as np
import torch
from numpy.typing import NDArray

from phasecast.xrd.matrix import AxisMatrix, StackedMatrix
from phasecast.xrd.patterns import AxisPatterns, Patterns, bin_centres_deg
from phasecast.xrd.screening import Screen
from phasecast.xrd.spottiness import SpottinessMeter

CUDA_BLOCK = 64
"""Frames multiplied at once on CUDA."""


class Engine:
    """Screens frames, multiplies, divides; keeps its work space between calls.

    On the CPU one product a frame is faster than one product of a block, and keeps results independent of how
    frames are stacked; CUDA takes blocks.

    Parameters
    ----------
    matrix
        Matrices of the geometry.
    count_limit
        Counts at which the detector's counters end.
    measure_spots
        Whether to compute spottiness.
    """

    def __init__(self, matrix: StackedMatrix, *, count_limit: int, measure_spots: bool) -> None:
        self._matrix = matrix
        self._screen = Screen(matrix.static_mask, count_limit)
        usable = ~matrix.static_mask
        self._meter = SpottinessMeter(matrix.tth_deg, usable, matrix.axes[0].axis) if measure_spots else None
        self._on_cpu = matrix.signal.device.type == "cpu"
        self._block = 1 if self._on_cpu else CUDA_BLOCK
        pixels, dtype = matrix.static_mask.size, matrix.signal.dtype
        self._counts = torch.empty(pixels, dtype=torch.float32)
        self._signal = torch.empty((self._block, pixels), dtype=dtype)
        self._variance = torch.empty((self._block, pixels), dtype=dtype)
        self._excluded: NDArray[np.intp] | None = None
        self._norms: list[NDArray[np.float64]] = []

    def integrate(self, stack: NDArray[np.integer]) -> Patterns:
        """Integrate frames, shape (n, pixels)."""
        matrix, n = self._matrix, len(stack)
        signal = np.empty((n, matrix.signal.shape[0]), dtype=self._signal.numpy().dtype)
        variance = np.empty((n, matrix.variance.shape[0]), dtype=signal.dtype)
        norms = [np.empty((n, part.axis.bins)) for part in matrix.axes]
        total, saturated, masked = np.zeros((3, n), dtype=np.int64)
        largest = np.empty((n, self._meter.bins if self._meter else 0), dtype=np.float32)
        for start in range(0, n, self._block):
            stop = min(start + self._block, n)
            for index in range(start, stop):
                found = self._screen.screen(stack[index], self._counts)
                total[index], saturated[index] = found.total_counts, found.saturated
                masked[index] = found.excluded.size
                if self._meter is not None:
                    largest[index] = self._meter.largest(self._counts)
                self._load(index - start, found.excluded)
                for norm, value in zip(norms, self._norms_without(found.excluded), strict=True):
                    norm[index] = value
            self._multiply(stop - start, signal[start:stop], variance[start:stop])
        axes = tuple(
            _divide(part, matrix.axes[0].axis.bins, signal, variance, norm)
            for part, norm in zip(matrix.axes, norms, strict=True)
        )
        if self._meter is None:
            spottiness, excess = np.full((2, n), np.nan, dtype=np.float32)
        else:
            mean_counts = axes[0].intensity * matrix.mean_weight + matrix.mean_dark
            spottiness, excess = self._meter.summarise(largest, mean_counts)
        return Patterns(
            axes=axes,
            geometry_id=matrix.geometry_id,
            total_counts=total,
            saturated_pixels=saturated,
            masked_pixels=masked,
            spottiness=spottiness,
            spot_excess=excess,
        )

    def _load(self, row: int, excluded: NDArray[np.intp]) -> None:
        """Turn screened counts into the two vectors to multiply."""
        signal, variance = self._signal[row], self._variance[row]
        signal.copy_(self._counts)
        torch.clamp_min(signal, 1.0, out=variance)
        if self._matrix.dark is not None:
            signal -= self._matrix.dark
        if excluded.size:
            signal.numpy()[excluded] = 0.0
            variance.numpy()[excluded] = 0.0

    def _norms_without(self, excluded: NDArray[np.intp]) -> list[NDArray[np.float64]]:
        if self._excluded is None or not np.array_equal(self._excluded, excluded):
            self._norms = [part.norm_without(excluded) for part in self._matrix.axes]
            self._excluded = excluded
        return self._norms

    def _multiply(self, n: int, signal: NDArray[np.floating], variance: NDArray[np.floating]) -> None:
        matrix = self._matrix
        if self._on_cpu:
            torch.mv(matrix.signal, self._signal[0], out=torch.from_numpy(signal[0]))
            torch.mv(matrix.variance, self._variance[0], out=torch.from_numpy(variance[0]))
            return
        for operator, block, out in (
            (matrix.signal, self._signal, signal),
            (matrix.variance, self._variance, variance),
        ):
            out[:] = (operator @ block[:n].to(operator.device).T).T.cpu().numpy()


def _divide(
    part: AxisMatrix,
    archive_bins: int,
    signal: NDArray[np.floating],
    variance: NDArray[np.floating],
    norm: NDArray[np.float64],
) -> AxisPatterns:
    counts, squares = (_sums(part, archive_bins, stacked) for stacked in (signal, variance))
    reached = norm > 0
    intensity, sigma = np.zeros((2, *norm.shape), dtype=np.float32)
    np.divide(counts, norm, out=intensity, where=reached, casting="same_kind")
    # Rounding may leave a negative zero of squares where the last pixel left a bin.
    np.divide(np.sqrt(np.maximum(squares, 0.0)), norm, out=sigma, where=reached, casting="same_kind")
    return AxisPatterns(
        axis=part.axis,
        tth_deg=bin_centres_deg(part.axis),
        intensity=intensity,
        sigma=sigma,
        norm=norm.astype(np.float32),
    )


def _sums(part: AxisMatrix, archive_bins: int, stacked: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the sums of one axis from the stacked products, shape (n, bins)."""
    sums = np.zeros((len(stacked), part.axis.bins))
    for first in range(part.fold):
        sums += stacked[:, first : archive_bins : part.fold]
    if part.rows.stop > part.rows.start:
        sums += stacked[:, part.rows]
    return sums
