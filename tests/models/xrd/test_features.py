"""Features depend on counts alone, whatever the scale and the gaps."""

import numpy as np
import pytest

from phasecast_models.xrd.axis import BL16XU_AXIS
from phasecast_models.xrd.features import (
    PatternError,
    effective_counts,
    feature_count,
    features,
    fill_missing,
    rolling_baseline,
)


def test_counts_come_back_from_intensity_and_sigma() -> None:
    counts = np.random.default_rng(0).poisson(50.0, (4, 300)).astype(float)
    counts[0, :5] = 0
    scale = np.array([[1.0], [1e-6], [3.7], [1e9]])
    assert effective_counts(counts * scale, np.sqrt(counts) * scale) == pytest.approx(counts, rel=1e-6)
    assert effective_counts(counts) == pytest.approx(counts)


def test_what_was_not_measured_is_nan() -> None:
    intensity = np.array([5.0, np.nan, 4.0, 0.0, -1.0, np.inf])
    sigma = np.array([1.0, 1.0, np.nan, 0.0, 1.0, 1.0])
    counts = effective_counts(intensity, sigma)[0]
    assert np.isnan(counts).tolist() == [False, True, True, False, False, True]
    assert counts[[0, 3, 4]].tolist() == [25.0, 0.0, 0.0]


def test_gaps_are_bridged_by_straight_lines() -> None:
    counts = np.array([[np.nan, 2.0, np.nan, 4.0, np.nan], [np.nan] * 5], np.float32)
    assert fill_missing(counts).tolist() == [[2, 2, 3, 4, 4], [0, 0, 0, 0, 0]]


def test_baseline_stays_under_the_peaks() -> None:
    counts = np.full((1, 300), 100.0, np.float32)
    counts[0, 150:154] += 5000
    assert rolling_baseline(counts, BL16XU_AXIS) == pytest.approx(np.full((1, 300), 100.0), rel=1e-5)


def test_features_are_finite_for_any_pattern() -> None:
    rows = np.stack([np.zeros(300), np.full(300, np.nan), np.full(300, 1e9), np.eye(300)[7] * 1e8])
    out = features(effective_counts(rows), BL16XU_AXIS)
    assert out.shape == (4, feature_count(BL16XU_AXIS))
    assert np.isfinite(out).all()


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PatternError, match="sigma has shape"):
        effective_counts(np.ones((2, 300)), np.ones(300))
    with pytest.raises(PatternError, match="expected"):
        effective_counts(np.ones((2, 3, 300)))
