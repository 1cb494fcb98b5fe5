"""What instruments and files do to a pattern: hot pixels, errors that are off, bins that are missing."""

import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.axis import PatternAxis

Floats = NDArray[np.float32]


def hot_bins(n: int, axis: PatternAxis, rng: np.random.Generator) -> Floats:
    """Counts of hot pixels relative to the mean bin, zero for most patterns."""
    hot = np.zeros((n, axis.bins), np.float32)
    for _ in range(2):
        rows = np.flatnonzero(rng.random(n) < 0.06)
        hot[rows, rng.integers(0, axis.bins, len(rows))] += np.exp(rng.uniform(-1, 2.5, len(rows)))
    return hot


def ripple(n: int, axis: PatternAxis, rng: np.random.Generator) -> Floats:
    """Factor on sigma where bin edges and pixel rows beat against each other; 1 for half of the patterns."""
    size = np.where(rng.random((n, 1)) < 0.5, 0, rng.uniform(0, 0.06, (n, 1)))
    return np.asarray(np.exp(size * rng.standard_t(4, (n, axis.bins)).clip(-6, 6)), dtype=np.float32)


def understatement(n: int, rng: np.random.Generator) -> Floats:
    """How many times larger the noise is than sigma says, (n, 1); 1 for most patterns.

    Files that were rescaled on the way no longer hold counts, and dark, flat-field and polarisation errors
    scatter on their own; the scatter from bin to bin tells.
    """
    factor = np.where(rng.random((n, 1)) < 0.08, np.exp(rng.uniform(0, np.log(12), (n, 1))), 1)
    return np.asarray(factor, dtype=np.float32)


def forget_bins(mean: Floats, rng: np.random.Generator) -> None:
    """Blank what a shorter detector, a gap or another instrument would not have measured, in place."""
    n, bins = mean.shape
    index = np.arange(bins)[None, :]
    left = np.where(rng.random(n) < 0.12, rng.uniform(0, 0.65, n) ** 1.5 * bins, 0)
    right = np.where(rng.random(n) < 0.08, rng.uniform(0, 0.3, n) * bins, 0)
    mean[(index < left[:, None]) | (index >= bins - right[:, None])] = np.nan
    gap = np.where(rng.random(n) < 0.04, rng.integers(0, bins, n), bins)
    length = np.exp(rng.uniform(0, np.log(60), n)).astype(int)
    mean[(index >= gap[:, None]) & (index < (gap + length)[:, None])] = np.nan
