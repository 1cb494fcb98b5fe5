"""Features depend on counts alone, whatever the scale and the gaps."""

import numpy as np
import pytest

from phasecast_models.xrd.axis import BL16XU_AXIS
from phasecast_models.xrd.features import (
    PatternError,
    feature_count,
    features,
    fill_missing,
    line_contrast,
    prepare,
    rolling_baseline,
)


def test_counts_come_back_from_intensity_and_sigma() -> None:
    counts = np.random.default_rng(0).poisson(50.0, (4, 300)).astype(float)
    counts[0, :5] = 0
    scale = np.array([[1.0], [1e-9], [3.7], [1e9]])
    measured = prepare(counts * scale, np.sqrt(counts) * scale, BL16XU_AXIS)
    assert measured.counts == pytest.approx(counts, rel=1e-5)
    assert prepare(counts, None, BL16XU_AXIS).counts == pytest.approx(counts)


def test_ripple_of_sigma_makes_no_peaks() -> None:
    intensity = np.full((1, 300), 2.0)
    sigma = np.full((1, 300), 0.02)
    sigma[0, ::7] *= 0.85
    counts = prepare(intensity, sigma, BL16XU_AXIS).counts
    assert counts.max() / counts.min() == pytest.approx(1, abs=0.05)


def test_a_floor_under_the_variance_makes_no_steps() -> None:
    # Three hundred pixels of 0.2 counts each, a variance of one per pixel at least, and one line of 4500 counts.
    counts = np.full(300, 60.0)
    counts[150] = 4500.0
    sigma = np.sqrt(np.maximum(counts, 300.0))
    found = prepare(counts, sigma, BL16XU_AXIS).counts[0]
    outside, beside = found[50], found[145]
    assert outside == pytest.approx(12, rel=0.01)
    assert beside < 2 * outside
    assert found[150] > 500


def test_what_was_not_measured_is_bridged() -> None:
    intensity, sigma = np.full(300, 4.0), np.full(300, 2.0)
    intensity[10], intensity[20], intensity[30], sigma[40] = np.nan, np.inf, -1.0, np.nan
    sigma[50] = 0
    measured = prepare(intensity, sigma, BL16XU_AXIS)
    assert measured.intensity[0, [10, 20, 40, 50]] == pytest.approx(np.ones(4))
    assert measured.intensity[0, 30] == 0
    assert measured.counts[0, [10, 100, 299]] == pytest.approx(4, rel=0.01)


def test_gaps_are_bridged_by_straight_lines() -> None:
    counts = np.array([[np.nan, 2.0, np.nan, 4.0, np.nan], [np.nan] * 5])
    assert fill_missing(counts).tolist() == [[2, 2, 3, 4, 4], [0, 0, 0, 0, 0]]


def test_baseline_stays_under_the_peaks() -> None:
    counts = np.full((1, 300), 100.0, np.float32)
    counts[0, 150:154] += 5000
    assert rolling_baseline(counts, BL16XU_AXIS) == pytest.approx(np.full((1, 300), 100.0), rel=1e-5)


def test_lines_stand_free_of_humps() -> None:
    tth = BL16XU_AXIS.tth_deg
    hump = 200 + 20_000 * np.exp(-4 * np.log(2) * ((tth - 20) / 8) ** 2)
    line = 2000 * np.exp(-4 * np.log(2) * ((tth - 21.05) / 0.2) ** 2)
    without, _ = line_contrast(hump[None].astype(np.float32), BL16XU_AXIS)
    height, error = line_contrast((hump + line)[None].astype(np.float32), BL16XU_AXIS)
    assert np.abs(without).max() < 250
    assert tth[height[0].argmax()] == pytest.approx(21.05, abs=0.01)
    assert height.max() == pytest.approx(1600, rel=0.25)
    noise = np.random.default_rng(0).poisson(400, (500, 300)).astype(np.float32)
    height, error = line_contrast(noise, BL16XU_AXIS)
    inside = slice(10, -10)
    assert np.std(height[:, inside]) == pytest.approx(np.mean(error[:, inside]), rel=0.03)


def test_features_are_finite_for_any_pattern() -> None:
    rows = np.stack([np.zeros(300), np.full(300, np.nan), np.full(300, 1e9), np.eye(300)[7] * 1e8])
    for sigma in (None, np.sqrt(rows)):
        out = features(prepare(rows, sigma, BL16XU_AXIS), BL16XU_AXIS)
        assert out.shape == (4, feature_count(BL16XU_AXIS))
        assert np.isfinite(out).all()


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PatternError, match="sigma has shape"):
        prepare(np.ones((2, 300)), np.ones(300), BL16XU_AXIS)
    with pytest.raises(PatternError, match="expected"):
        prepare(np.ones((2, 3, 300)), None, BL16XU_AXIS)
