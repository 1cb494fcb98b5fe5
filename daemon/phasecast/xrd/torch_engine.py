"""Applies the matrix of one geometry to blocks of frames with torch, for CUDA."""

import numpy as np
import torch
from numpy.typing import NDArray

from phasecast.xrd.device import sparse_csr
from phasecast.xrd.engine import Results, spottiness_meter
from phasecast.xrd.matrix import Sparse, StackedMatrix
from phasecast.xrd.patterns import Patterns
from phasecast.xrd.screening import reading_of

BLOCK = 64
"""Frames multiplied at once; more do not fill the device better."""

_SIGNED = {1: np.int8, 2: np.int16, 4: np.int32}


class TorchEngine:
    """Keeps the matrix on the device, takes raw frames there and brings patterns back.

    Results agree with those of `CpuEngine` to rounding. They do not depend on the block by more than that.

    Parameters
    ----------
    matrix
        The geometry.
    count_limit
        Counts at which the detector's counters end.
    measure_spots
        Whether to compute spottiness.
    device
        Any device on which torch multiplies sparse by dense matrices.
    """

    def __init__(self, matrix: StackedMatrix, *, count_limit: int, measure_spots: bool, device: torch.device) -> None:
        self._matrix = matrix
        self._count_limit = count_limit
        self._device = device
        # Differences of large sums need double precision; without a dark image all terms are positive.
        self._dtype = torch.float32 if matrix.dark is None else torch.float64
        self._shares = self._operator(matrix.by_bin, squared=False)
        self._squares = self._operator(matrix.by_bin, squared=True)
        self._usable = torch.from_numpy(~matrix.static_mask).to(device)
        self._weight = torch.from_numpy(matrix.weight).to(device, self._dtype)
        self._dark = None if matrix.dark is None else torch.from_numpy(matrix.dark).to(device, self._dtype)
        self._meter = spottiness_meter(matrix) if measure_spots else None
        if self._meter is not None:
            self._spot_pixels = torch.from_numpy(self._meter.pixels.astype(np.int64)).to(device)
            places = np.arange(self._meter.pixels.size)
            # Which list each entry belongs to.
            bins = np.searchsorted(self._meter.starts.astype(np.int64), places, side="right") - 1
            self._spot_bins = torch.from_numpy(bins).to(device)

    @property
    def matrix(self) -> StackedMatrix:
        """The geometry."""
        return self._matrix

    def twin(self) -> "TorchEngine":
        """Return this engine: the device works off one block after the other, whichever thread brings it."""
        return self

    def integrate(self, stack: NDArray[np.integer]) -> Patterns:
        """Integrate frames, shape (n, pixels), in native byte order."""
        results = Results(self._matrix, len(stack))
        for start in range(0, len(stack), BLOCK):
            self._integrate(stack[start : start + BLOCK], results, slice(start, min(start + BLOCK, len(stack))))
        return results.patterns()

    def _integrate(self, block: NDArray[np.integer], results: Results, place: slice) -> None:
        unsigned, limit, gap = reading_of(block.dtype, self._count_limit)
        signed = np.require(block.view(_SIGNED[block.itemsize]), requirements=["W"])
        # torch computes with signed numbers only; the bits are the same.
        raw = torch.from_numpy(signed).to(self._device).to(torch.int64).bitwise_and_(int(np.iinfo(unsigned).max))
        bad = raw >= int(limit)
        good = self._usable & ~bad
        excluded = self._usable & bad
        counts = torch.where(good, raw, 0)
        results.total_counts[place] = counts.sum(dim=1).cpu().numpy()
        results.masked[place] = excluded.sum(dim=1).cpu().numpy()
        results.saturated[place] = (excluded & (raw < int(gap))).sum(dim=1).cpu().numpy()

        values = counts.to(self._dtype)
        signal = values if self._dark is None else torch.where(good, values - self._dark, 0.0)
        weights = torch.where(good, self._weight, 0.0)
        # All terms of the norm are positive: summed anew it is exactly 0 in bins that lose their pixels.
        products = self._shares @ torch.cat([signal, weights]).T
        sums, norm = products[:, : len(block)], products[:, len(block) :]
        variance = self._squares @ torch.where(good, values.clamp_min(1.0), 0.0).T
        inverse = torch.where(norm > 0, 1.0 / norm, 0.0)
        for target, found in (
            (results.intensity, sums * inverse),
            (results.sigma, variance.sqrt() * inverse),
            (results.norm, norm),
        ):
            target[place] = found.T.cpu().numpy()
        if self._meter is not None:
            largest, archive = self._largest(values), self._matrix.rows[0]
            for row, index in enumerate(range(place.start, place.stop)):
                results.spottiness[index], results.spot_excess[index] = self._meter.summarise(
                    largest[row], results.intensity[index, archive], results.norm[index, archive]
                )

    def _largest(self, counts: torch.Tensor) -> NDArray[np.float32]:
        """Return the largest counts of each frame in each bin of the meter, shape (n, bins)."""
        chosen = counts[:, self._spot_pixels].to(torch.float32)
        largest = torch.zeros((len(counts), int(self._spot_bins[-1]) + 1), device=self._device)
        largest.scatter_reduce_(1, self._spot_bins.expand(len(counts), -1), chosen, "amax")
        return np.asarray(largest.cpu().numpy())

    def _operator(self, entries: Sparse, *, squared: bool) -> torch.Tensor:
        shares = entries.shares.astype(np.float64)
        return sparse_csr(
            torch.from_numpy(entries.starts.astype(np.int32)),
            torch.from_numpy(entries.indices.astype(np.int32)),
            torch.from_numpy(shares**2 if squared else shares).to(self._dtype),
            (entries.starts.size - 1, self._matrix.static_mask.size),
        ).to(self._device)
