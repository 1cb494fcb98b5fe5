"""What integration gives: patterns on one or more axes, and what each frame says of itself."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.profiles import PatternAxis


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AxisPatterns:
    """Patterns of n frames on one 2theta axis.

    Bins that no usable pixel reached have intensity, sigma and norm 0, as in pyFAI.

    Parameters
    ----------
    axis
        The axis.
    tth_deg
        Centres of its bins, shape (bins,).
    intensity
        Counts per pixel of unit solid angle, flat and polarisation factor, shape (n, bins).
    sigma
        Its standard uncertainty from Poisson statistics, shape (n, bins).
    norm
        Sum of pixel shares times their corrections; ``intensity * norm`` is counts, shape (n, bins).
    """

    axis: PatternAxis
    tth_deg: NDArray[np.float64]
    intensity: NDArray[np.float32]
    sigma: NDArray[np.float32]
    norm: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patterns:
    """Patterns of n frames.

    Parameters
    ----------
    axes
        One entry per axis, first the archive axis of the profile.
    geometry_id
        Hash of everything that shaped the matrices: geometry, corrections and axes.
    total_counts
        Counts of all usable pixels of each frame, shape (n,).
    saturated_pixels
        Pixels at or above the count limit, shape (n,).
    masked_pixels
        Pixels left out of this frame alone: negative, gap values and saturated ones, shape (n,).
    spottiness
        See `phasecast.xrd.spottiness`, shape (n,); NaN where it was not asked for.
    spot_excess
        See `phasecast.xrd.spottiness`, shape (n,); NaN where it was not asked for.
    """

    axes: tuple[AxisPatterns, ...]
    geometry_id: str
    total_counts: NDArray[np.int64]
    saturated_pixels: NDArray[np.int64]
    masked_pixels: NDArray[np.int64]
    spottiness: NDArray[np.float32]
    spot_excess: NDArray[np.float32]

    @property
    def tth_deg(self) -> NDArray[np.float64]:
        """Bin centres of the archive axis, shape (bins,)."""
        return self.axes[0].tth_deg

    @property
    def intensity(self) -> NDArray[np.float32]:
        """Intensity on the archive axis, shape (n, bins)."""
        return self.axes[0].intensity

    @property
    def sigma(self) -> NDArray[np.float32]:
        """Standard uncertainty on the archive axis, shape (n, bins)."""
        return self.axes[0].sigma

    @property
    def norm(self) -> NDArray[np.float32]:
        """Normalisation on the archive axis, shape (n, bins)."""
        return self.axes[0].norm


def bin_centres_deg(axis: PatternAxis) -> NDArray[np.float64]:
    """Centres of the bins of an axis, shape (bins,)."""
    steps = np.arange(axis.bins, dtype=np.float64) + 0.5
    return np.asarray(axis.tth_min_deg + steps * axis.step_deg, dtype=np.float64)
