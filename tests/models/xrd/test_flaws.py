"""Flaws of instruments and files are drawn as often as they say."""

import numpy as np

from phasecast_models.xrd.axis import BL16XU_AXIS
from phasecast_models.xrd.flaws import forget_bins, hot_bins, ripple, understatement


def test_most_errors_are_right_and_none_is_overstated() -> None:
    factor = understatement(4000, np.random.default_rng(0))
    assert factor.shape == (4000, 1)
    assert factor.min() == 1
    assert 0.85 < np.mean(factor == 1) < 0.95
    assert 5 < factor.max() <= 12


def test_ripple_is_small_and_even() -> None:
    factor = ripple(2000, BL16XU_AXIS, np.random.default_rng(1))
    assert np.abs(np.median(factor) - 1) < 1e-3
    assert np.percentile(np.abs(factor - 1), 99) < 0.3


def test_bins_are_blanked_never_invented() -> None:
    mean = np.full((3000, 300), 5.0, np.float32)
    forget_bins(mean, np.random.default_rng(2))
    missing = np.isnan(mean)
    assert (mean[~missing] == 5).all()
    assert 0.1 < missing.any(axis=1).mean() < 0.4
    assert not missing.all(axis=1).any()


def test_hot_bins_are_few() -> None:
    hot = hot_bins(3000, BL16XU_AXIS, np.random.default_rng(3))
    assert hot.min() == 0
    assert (hot > 0).sum(axis=1).max() <= 2
    assert 0.05 < (hot > 0).any(axis=1).mean() < 0.2
