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
from numpy.typing import NDArray

from phasecast.profiles import PatternAxis
from phasecast.xrd.kernels import summarise_spots

FEWEST_PIXELS = 16
"""Bins with fewer pixels say nothing about a ring."""


class SpottinessMeter:
    """Which pixels lie in which bin, and what their largest counts mean.

    Parameters
    ----------
    tth_deg
        2theta of each pixel's centre, shape (pixels,).
    usable
        Which pixels may be used, shape (pixels,).
    axis
        Bins.
    mean_weight, mean_dark
        What turns intensity into mean counts per pixel, shape (axis.bins,).
    """

    def __init__(
        self,
        tth_deg: NDArray[np.float64],
        usable: NDArray[np.bool_],
        axis: PatternAxis,
        *,
        mean_weight: NDArray[np.float64],
        mean_dark: NDArray[np.float64],
    ) -> None:
        bins = np.floor((tth_deg - axis.tth_min_deg) / axis.step_deg).astype(np.int64)
        bins[~usable | (bins < 0) | (bins >= axis.bins)] = axis.bins
        population = np.bincount(bins, minlength=axis.bins + 1)
        population[axis.bins] = 0
        self._bins = np.flatnonzero(population >= FEWEST_PIXELS).astype(np.uint32)
        self._mean_weight, self._mean_dark = mean_weight[self._bins], mean_dark[self._bins]
        self._log_population = np.log(population[self._bins].astype(np.float64))
        order = np.argsort(bins, kind="stable")
        self._pixels = order[population[bins[order]] >= FEWEST_PIXELS].astype(np.uint32)
        self._starts = np.concatenate([[0], np.cumsum(population[self._bins])]).astype(np.uint32)

    @property
    def starts(self) -> NDArray[np.uint32]:
        """Where the pixels of each bin that holds enough of them begin, and the end of the last one."""
        return self._starts

    @property
    def pixels(self) -> NDArray[np.uint32]:
        """Pixels bin by bin."""
        return self._pixels

    def summarise(
        self, largest: NDArray[np.float32], intensity: NDArray[np.float32], norm: NDArray[np.float32]
    ) -> tuple[float, float]:
        """Return spottiness and spot_excess of a frame; NaN where no bin holds counts.

        Parameters
        ----------
        largest
            Largest counts of each bin that holds enough pixels.
        intensity, norm
            In every bin of the axis, shape (axis.bins,).
        """
        return summarise_spots(
            largest, intensity, norm, self._bins, self._mean_weight, self._mean_dark, self._log_population
        )
