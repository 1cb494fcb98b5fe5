"""Features depend on counts alone, whatever the scale and the gaps."""

import numpy as np
import pytest
from numpy.typing import NDArray

from phasecast_models.xrd.axis import BL16XU_AXIS, PatternAxis
from phasecast_models.xrd.features import PatternError, feature_count, features, prepare, rolling_baseline
from support import pattern_features
from support.pattern_features import line_contrast

FINE_AXIS = PatternAxis(tth_min_deg=5.0, tth_max_deg=65.0, bins=1201, energy_kev=8.048)
COARSE_AXIS = PatternAxis(tth_min_deg=5.0, tth_max_deg=65.0, bins=61, energy_kev=8.048)


def measured_badly(axis: PatternAxis, count: int = 200) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rings on any background, from a tenth of a count per bin to ten thousand, on any scale, with every fault."""
    rng = np.random.default_rng(0)
    x = np.arange(axis.bins)
    rings = np.exp(-0.5 * ((x - rng.uniform(0, axis.bins, (12, 1))) / 3) ** 2)
    level = 10 ** rng.uniform(-1, 4, (count, 1))
    counts = rng.poisson(level * (1 + rng.exponential(3, (count, 12)) @ rings)).astype(np.float64)
    scale = 10 ** rng.uniform(-6, 6, (count, 1))
    intensity, sigma = counts * scale, np.sqrt(np.maximum(counts, 1)) * scale
    intensity[::7, 5:9] = np.nan
    intensity[1::7, -4:] = np.inf
    intensity[2::7, :3] *= -1
    sigma[::11, 20] = np.nan
    sigma[1::11, 30:33] = 0
    intensity[3], intensity[4], sigma[5] = 0, np.nan, 0
    return intensity, sigma


@pytest.mark.parametrize("axis", [BL16XU_AXIS, FINE_AXIS, COARSE_AXIS], ids=["300", "1201", "61"])
@pytest.mark.parametrize("with_sigma", [True, False])
def test_kernels_compute_what_numpy_and_scipy_compute(axis: PatternAxis, with_sigma: bool) -> None:
    intensity, sigma = measured_badly(axis)
    errors = sigma if with_sigma else None
    measured, expected = prepare(intensity, errors, axis), pattern_features.prepare(intensity, errors, axis)
    np.testing.assert_allclose(measured.intensity, expected.intensity, rtol=1e-6)
    np.testing.assert_allclose(measured.counts, expected.counts, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(features(measured, axis), pattern_features.features(expected, axis), atol=1e-5)


def test_rows_depend_on_nothing_else_in_the_call() -> None:
    intensity, sigma = (array.astype(np.float32) for array in measured_badly(BL16XU_AXIS))
    together = features(prepare(intensity, sigma, BL16XU_AXIS), BL16XU_AXIS)
    for row in (0, 3, 17, 199):
        alone = features(prepare(intensity[row], sigma[row], BL16XU_AXIS), BL16XU_AXIS)
        assert alone[0].tobytes() == together[row].tobytes()
    behind = features(prepare(intensity[::-2], sigma[::-2], BL16XU_AXIS), BL16XU_AXIS)
    assert behind.tobytes() == together[::-2].tobytes()


def test_captured_patterns_that_must_not_be_written_are_only_read() -> None:
    counts = np.random.default_rng(0).poisson(50.0, (4, 300)).astype(float)
    counts.flags.writeable = False
    assert np.isfinite(features(prepare(counts, counts, BL16XU_AXIS), BL16XU_AXIS)).all()


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
    counts = np.full((2, 300), np.nan)
    counts[0, [1, 3]] = 2, 4
    filled = prepare(counts, None, BL16XU_AXIS).counts
    assert filled[0, :6].tolist() == [2, 2, 3, 4, 4, 4]
    assert filled[0, 299] == 4
    assert not filled[1].any()


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
