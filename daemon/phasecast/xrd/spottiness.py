"""How far rings are from smooth: what a few coarse grains leave where many fine ones leave a ring.

Per bin of 2theta, over the n pixels whose centre lies in it, with m their mean counts and M the largest:

spottiness
    95th percentile over bins of M / m. Counting statistics alone raise it where counts are few.
spot_excess
    Largest M / E over bins, with E the largest of n counts that Poisson statistics of mean m make one expect,
    E = m + sqrt(2 m ln n) + ln(n) / 3 (the bound of Bernstein's inequality). About 1 for smooth rings at any
    exposure, well above 1 with a grain's spot or a hot pixel.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from phasecast.profiles import PatternAxis

FEWEST_PIXELS = 16
"""Bins with fewer pixels say nothing about a ring."""


class SpottinessMeter:
    """Largest counts per bin, by one gather and one segmented maximum.

    Parameters
    ----------
    tth_deg
        2theta of each pixel's centre, shape (pixels,).
    usable
        Which pixels may be used, shape (pixels,).
    axis
        Bins.
    """

    def __init__(self, tth_deg: NDArray[np.float64], usable: NDArray[np.bool_], axis: PatternAxis) -> None:
        bins = np.floor((tth_deg - axis.tth_min_deg) / axis.step_deg).astype(np.int64)
        bins[~usable | (bins < 0) | (bins >= axis.bins)] = axis.bins
        population = np.bincount(bins, minlength=axis.bins + 1)
        population[axis.bins] = 0
        self._bins = np.flatnonzero(population >= FEWEST_PIXELS)
        order = np.argsort(bins, kind="stable")
        order = order[population[bins[order]] >= FEWEST_PIXELS]
        self._order = torch.from_numpy(order.astype(np.int32))
        self._starts = np.concatenate([[0], np.cumsum(population[self._bins])[:-1]]).astype(np.int64)
        self._log_population = np.log(population[self._bins].astype(np.float64))
        self._sorted = torch.empty(order.size, dtype=torch.float32)
        self._largest = np.empty(self._bins.size, dtype=np.float32)

    @property
    def bins(self) -> int:
        """Number of bins that hold enough pixels."""
        return int(self._bins.size)

    def largest(self, counts: torch.Tensor) -> NDArray[np.float32]:
        """Return the largest counts in each of the ``bins`` bins; the array is overwritten by the next call.

        Parameters
        ----------
        counts
            Counts per pixel with unusable ones at 0, float32 on the CPU, shape (pixels,).
        """
        torch.index_select(counts, 0, self._order, out=self._sorted)
        return np.maximum.reduceat(self._sorted.numpy(), self._starts, out=self._largest)

    def summarise(
        self, largest: NDArray[np.float32], mean_counts: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return spottiness and spot_excess of n frames, shapes (n,); NaN where no bin holds counts.

        Parameters
        ----------
        largest
            From `largest`, shape (n, bins).
        mean_counts
            Mean counts per pixel in every bin of the axis, shape (n, axis.bins).
        """
        spottiness, excess = np.full((2, len(largest)), np.nan, dtype=np.float32)
        for row, (peak, mean) in enumerate(zip(largest, mean_counts[:, self._bins], strict=True)):
            lit = mean > 0
            if not lit.any():
                continue
            log_population = self._log_population
            if not lit.all():
                peak, mean, log_population = peak[lit], mean[lit], log_population[lit]
            ratio = peak / mean
            rank = int(0.95 * (ratio.size - 1))
            spottiness[row] = np.partition(ratio, rank)[rank]
            excess[row] = np.max(peak / expected_largest(mean, log_population))
        return spottiness, excess


def expected_largest(mean: NDArray[np.float64], log_population: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest counts to expect among pixels that share a mean, from its logarithmic number."""
    return mean + np.sqrt(2.0 * mean * log_population) + log_population / 3.0
