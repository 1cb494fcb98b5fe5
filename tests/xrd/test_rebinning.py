"""Stored patterns on the archive axis say what frames said on the model's axis: closed form, frames as the oracle."""

import numpy as np
import pytest

from phasecast.core.errors import BundleMismatchError
from phasecast.profiles import PatternAxis, load_profile
from phasecast.services.rescoring import StoredPatterns
from phasecast.services.xrd_stage import build_stage
from phasecast.simulate.frames import FrameRenderer
from phasecast.simulate.sample import rust_sample
from phasecast.xrd.rebinning import USUAL_VARIANCE_RATIO, rebinning_between

ROWS, COLUMNS = 16, 25


@pytest.fixture(scope="module")
def stage():
    return build_stage(load_profile("bl16xu"), device="cpu")


@pytest.fixture(scope="module")
def patterns(stage):
    """Frames of a map as both axes see them, with a hole of bad pixels that comes and goes."""
    renderer = FrameRenderer(rust_sample((ROWS, COLUMNS), seed=3), counts=1e5, seed=3)
    rng = np.random.default_rng(1)
    frames = np.stack([rng.poisson(renderer.mean(k // COLUMNS, k % COLUMNS)) for k in range(ROWS * COLUMNS)])
    frames[::2, 50:53, 60:70] = -1
    return stage.integrator.integrate(frames.astype(np.int32))


def test_counts_add_and_split_pixels_are_heeded_in_sigma(stage, patterns):
    archive, wanted = patterns.axes
    rebinning = stage.integrator.rebinning(wanted.axis)
    found = rebinning.apply(archive.intensity, archive.sigma, archive.norm)
    inside = slice(1, None)  # pixels across the end of the axis count for its first bin alone
    np.testing.assert_allclose(found.norm[:, inside], wanted.norm[:, inside], rtol=2e-5)
    np.testing.assert_allclose(
        (found.intensity * found.norm)[:, inside], (wanted.intensity * wanted.norm)[:, inside], rtol=1e-4, atol=1e-2
    )
    lit = wanted.sigma[:, inside] > 0
    ratio = found.sigma[:, inside][lit] / wanted.sigma[:, inside][lit]
    assert abs(np.median(ratio) - 1) < 0.001
    assert np.quantile(np.abs(ratio - 1), 0.99) < 0.02, "equal counts are only nearly true"
    assert np.median(rebinning.variance_ratio) == pytest.approx(USUAL_VARIANCE_RATIO, abs=0.02)


def test_the_same_model_says_of_stored_patterns_what_it_said_of_frames(stage, patterns):
    archive, wanted = patterns.axes
    stored = StoredPatterns(stage.integrator)
    rows = {"intensity": archive.intensity, "sigma": archive.sigma, "norm": archive.norm}
    again, drift_again = stored.judge(rows, stage.classifier)
    said, drift = stage.classifier.judge(wanted)
    assert np.mean(np.abs(again - said).max(axis=1) <= 0.02) >= 0.99
    assert np.isfinite(drift).any()
    np.testing.assert_array_equal(np.isfinite(drift_again), np.isfinite(drift))
    assert np.nanquantile(np.abs(drift_again / drift - 1), 0.99) <= 0.05


def test_an_axis_that_is_not_made_of_whole_bins_is_refused():
    archive = PatternAxis(tth_min_deg=10, tth_max_deg=40, bins=600)
    assert rebinning_between(archive, PatternAxis(tth_min_deg=12, tth_max_deg=36, bins=160)).bins_each == 3
    for wanted in (
        PatternAxis(tth_min_deg=10, tth_max_deg=40, bins=400),
        PatternAxis(tth_min_deg=10.02, tth_max_deg=39.02, bins=290),
        PatternAxis(tth_min_deg=10, tth_max_deg=41, bins=310),
        PatternAxis(tth_min_deg=9, tth_max_deg=39, bins=300),
    ):
        with pytest.raises(BundleMismatchError, match="not made of whole bins"):
            rebinning_between(archive, wanted)
