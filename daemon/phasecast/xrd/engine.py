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
        self._screen = Screen(matrix.static_mask, count_limit=count_limit, rows=matrix.shape[0])
        usable = ~matrix.static_mask
        self._meter = SpottinessMeter(matrix.tth_deg, usable, matrix.axes[0].axis) if measure_spots else None
        self._tth_deg = [bin_centres_deg(part.axis) for part in matrix.axes]
        self._on_cpu = matrix.shares.device.type == "cpu"
        self._block = 1 if self._on_cpu else CUDA_BLOCK
        pixels, dtype = matrix.static_mask.size, matrix.shares.dtype
        self._counts = torch.empty((self._block, pixels), dtype=torch.float32)
        # Without a dark image the counts themselves are the signal.
        self._signal = self._counts if matrix.dark is None else torch.empty((self._block, pixels), dtype=dtype)
        self._variance = torch.empty((self._block, pixels), dtype=dtype)
        self._counts_view, self._signal_view = self._counts.numpy(), self._signal.numpy()
        self._variance_view = self._variance.numpy()
        self._excluded: NDArray[np.intp] | None = None
        self._norms: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def integrate(self, stack: NDArray[np.integer]) -> Patterns:
        """Integrate frames, shape (n, pixels)."""
        matrix, n = self._matrix, len(stack)
        signal_sums, square_sums = self._sums(n, matrix.shares), self._sums(n, matrix.squares)
        signal_rests, square_rests = self._sums(n, matrix.share_rest), self._sums(n, matrix.square_rest)
        norms, inverses = ([np.empty((n, part.axis.bins), dtype=np.float32) for part in matrix.axes] for _ in range(2))
        total, saturated, masked = np.zeros((3, n), dtype=np.int64)
        largest = np.empty((n, self._meter.bins if self._meter else 0), dtype=np.float32)
        for start in range(0, n, self._block):
            stop = min(start + self._block, n)
            for index in range(start, stop):
                found = self._screen.screen(stack[index], self._counts_view[index - start])
                total[index], saturated[index] = found.total_counts, found.saturated
                masked[index] = found.excluded.size
                if self._meter is not None:
                    largest[index] = self._meter.largest(self._counts[index - start])
                self._load(index - start, found.excluded)
                for part, (norm, inverse) in enumerate(self._norms_without(found.excluded)):
                    norms[part][index], inverses[part][index] = norm, inverse
            self._multiply(matrix.shares, self._signal, signal_sums[start:stop])
            self._multiply(matrix.squares, self._variance, square_sums[start:stop])
            self._multiply(matrix.share_rest, self._signal, signal_rests[start:stop])
            self._multiply(matrix.square_rest, self._variance, square_rests[start:stop])
        axes = tuple(
            _divide(
                part,
                tth_deg,
                _fold(part, signal_sums, signal_rests),
                _fold(part, square_sums, square_rests),
                norm,
                inverse,
            )
            for part, tth_deg, norm, inverse in zip(matrix.axes, self._tth_deg, norms, inverses, strict=True)
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

    def _sums(self, n: int, operator: torch.Tensor | None) -> NDArray[np.floating]:
        return np.empty((n, 0 if operator is None else operator.shape[0]), dtype=self._variance_view.dtype)

    def _load(self, row: int, excluded: NDArray[np.intp]) -> None:
        """Turn screened counts into the two vectors to multiply."""
        counts, signal, variance = self._counts[row], self._signal[row], self._variance[row]
        if self._matrix.dark is None:
            torch.clamp_min(counts, 1.0, out=variance)
        else:
            variance.copy_(counts).clamp_min_(1.0)
            signal.copy_(counts).sub_(self._matrix.dark)
        if excluded.size:
            self._signal_view[row, excluded] = 0.0
            self._variance_view[row, excluded] = 0.0

    def _norms_without(self, excluded: NDArray[np.intp]) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return norm and its inverse (0 for empty bins) of each axis; most frames repeat the last one's."""
        if self._excluded is None or not np.array_equal(self._excluded, excluded):
            norms = [part.norm_without(excluded) for part in self._matrix.axes]
            inverses = [np.divide(1.0, norm, out=np.zeros_like(norm), where=norm > 0) for norm in norms]
            self._norms = [
                (norm.astype(np.float32), inverse.astype(np.float32))
                for norm, inverse in zip(norms, inverses, strict=True)
            ]
            self._excluded = excluded
        return self._norms

    def _multiply(self, operator: torch.Tensor | None, vectors: torch.Tensor, out: NDArray[np.floating]) -> None:
        if operator is None:
            return
        if self._on_cpu:
            torch.mv(operator, vectors[0], out=torch.from_numpy(out[0]))
        else:
            out[:] = (operator @ vectors[: len(out)].to(operator.device).T).T.cpu().numpy()


def _fold(part: AxisMatrix, sums: NDArray[np.floating], rests: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the sums of one axis from those of the archive axis and the rests, shape (n, bins)."""
    if part.fold == 1:
        return sums
    folded = rests[:, part.rows].astype(np.float64)
    for first in range(part.fold):
        folded += sums[:, first :: part.fold]
    return folded


def _divide(
    part: AxisMatrix,
    tth_deg: NDArray[np.float64],
    signal: NDArray[np.floating],
    squares: NDArray[np.floating],
    norm: NDArray[np.float32],
    inverse: NDArray[np.float32],
) -> AxisPatterns:
    # Rounding may leave a negative sum of squares in a bin that lost its pixels.
    sigma = np.sqrt(np.maximum(squares, 0.0)) * inverse
    return AxisPatterns(
        axis=part.axis,
        tth_deg=tth_deg,
        intensity=(signal * inverse).astype(np.float32, copy=False),
        sigma=sigma.astype(np.float32, copy=False),
        norm=norm,
    )
