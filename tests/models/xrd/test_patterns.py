"""The simulation keeps the promises its labels make."""

from dataclasses import replace

import numpy as np
import pytest

from phasecast_models.xrd.absorption import iron_attenuation_per_um
from phasecast_models.xrd.axis import BL16XU_AXIS, CLASSES
from phasecast_models.xrd.backgrounds import slab_absorption
from phasecast_models.xrd.label_rule import VISIBLE_SIGMA, hump_sigma, visible_sigma
from phasecast_models.xrd.patterns import SimulatedPatterns, simulate_patterns
from phasecast_models.xrd.peaks import entry_profiles, line_library
from phasecast_models.xrd.task import BL16XU_COVERAGE, BL16XU_TASK


def test_same_seed_same_bits() -> None:
    first, second = (simulate_patterns(1500, seed=5) for _ in range(2))
    assert first.mean.tobytes() == second.mean.tobytes()
    assert first.labels.tobytes() == second.labels.tobytes()
    assert not np.array_equal(first.labels, simulate_patterns(1500, seed=6).labels)


def test_exposure_is_what_was_asked_for() -> None:
    simulated = simulate_patterns(2000, seed=1, total_counts=(1e4, 1e4))
    complete = ~np.isnan(simulated.mean).any(axis=1)
    totals = simulated.mean[complete].sum(axis=1)
    # An empty place may be darker, and so is iron whose fluorescence the threshold cuts off.
    bare = np.isin(simulated.kind, ["bare_iron", "amorphous_rust"]) & ~simulated.fluoresces
    dark = (bare | (simulated.kind == "empty"))[complete]
    assert np.abs(totals[~dark] - 1e4).max() < 1
    assert totals[dark].max() <= 1e4 + 1
    assert dark.mean() < 0.07


def test_noise_is_poisson_and_sigma_says_so() -> None:
    simulated = simulate_patterns(300, seed=2, total_counts=(1e5, 1e6))
    rng = np.random.default_rng(0)
    draws = [simulated.draw(rng) for _ in range(200)]
    spread = np.std([intensity for intensity, _ in draws], axis=0)
    sigma = np.mean([sigma for _, sigma in draws], axis=0)
    honest = (np.median(simulated.ripple, axis=1) > 0.9) & (simulated.pixels == 0)
    floored = (np.median(simulated.ripple, axis=1) > 0.9) & (simulated.pixels > 0)
    assert min(honest.sum(), floored.sum()) > 80
    bright = np.isfinite(spread) & (simulated.mean > 20)
    usable = bright & honest[:, None]
    # Pixel splitting lowers sigma of a bin by up to 40 %; the stated sigma must follow.
    assert np.median(spread[usable] / sigma[usable]) == pytest.approx(1, abs=0.02)
    # Where every pixel has a variance of one at least, sigma can only be too large.
    dim = floored[:, None] & bright & (simulated.mean < 200)
    assert np.median(spread[dim] / sigma[dim]) < 0.85


def test_nothing_is_labelled_that_cannot_be_seen() -> None:
    simulated = simulate_patterns(3000, seed=3, total_counts=(1e5, 1e7))
    crystalline = simulated.labels[:, [CLASSES.index(name) for name in CLASSES[:6]]].any(axis=1)
    dark = simulated.labels[:, [CLASSES.index("resin"), CLASSES.index("peakless_iron")]]
    assert not (crystalline & dark.any(axis=1)).any()
    assert dark.sum(axis=1).max() == 1
    assert simulated.labels.mean(axis=0).min() > 0.04


def test_visibility_in_closed_form() -> None:
    background = np.full((1, 300), 100.0, np.float32)
    peak = np.zeros((1, 300), np.float32)
    peak[0, 149:152] = 30.0
    seen = visible_sigma(peak, peak, background + peak)[0]
    assert seen == pytest.approx(90 / np.sqrt(390 + (0.001 * 390) ** 2 + 1), rel=1e-5)
    assert seen > VISIBLE_SIGMA
    # The same peak under another phase's ten times stronger one is not an analyst's peak.
    crowd = peak + 10 * peak
    assert visible_sigma(peak, crowd, background + crowd)[0] < VISIBLE_SIGMA
    assert visible_sigma(peak, peak, np.where(peak > 0, np.nan, background))[0] == 0


def test_peaks_lie_where_bragg_puts_them() -> None:
    library = line_library(BL16XU_TASK)
    phase = np.full(400, library.names.index("ferrite"))
    profiles = entry_profiles(phase, np.arange(400), 400, BL16XU_TASK, np.random.default_rng(0))
    lit = profiles.max(axis=1) > 0
    top = BL16XU_AXIS.tth_deg[profiles[lit].argmax(axis=1)]
    assert np.median(top) == pytest.approx(35.62, abs=0.06)
    # Two coarse grains in the beam: most rings miss the module altogether, and that is the normal case.
    assert 0.1 < lit.mean() < 0.9


def test_slab_absorption_limits() -> None:
    tth = np.array([0.0, 40.0])
    assert slab_absorption(tth, np.array([0.0]))[0] == pytest.approx([1, 1])
    assert slab_absorption(tth, np.array([1.35]))[0, 0] == pytest.approx(np.exp(-1.35))
    depth = (np.arange(20_000) + 0.5) / 20_000
    slow = np.mean(np.exp(-1.35 * depth) * np.exp(-1.35 * (1 - depth) / np.cos(np.radians(40))))
    assert slab_absorption(tth, np.array([1.35]))[0, 1] == pytest.approx(slow, rel=1e-6)


def test_detector_sees_a_small_part_of_each_ring() -> None:
    seen = BL16XU_COVERAGE.fraction(np.array([10.0, 15, 20, 25, 30, 35.6, 40]))
    assert seen == pytest.approx([0.174, 0.126, 0.098, 0.081, 0.068, 0.058, 0.052], abs=0.001)


@pytest.fixture(scope="module")
def many() -> SimulatedPatterns:
    return simulate_patterns(6000, seed=4, total_counts=(1e4, 1e7))


def test_transmission_follows_thickness_and_matter(many: SimulatedPatterns) -> None:
    stated = np.isfinite(many.transmission)
    assert 1 - stated.mean() == pytest.approx(1 / 3, abs=0.03)
    bare = stated & (many.kind == "bare_iron")
    expected = np.exp(-iron_attenuation_per_um(10.0) * many.thickness_um[bare])
    error = many.transmission[bare] / expected - 1
    assert np.median(np.abs(error)) < 0.02
    # One in ten is normalised to another beam.
    assert 0.01 < np.mean(np.abs(error) > 0.045) < 0.15
    assert (many.thickness_um.min(), many.thickness_um.max()) == pytest.approx((5, 20), abs=0.1)
    resin, empty = (stated & (many.kind == kind) for kind in ("resin", "empty"))
    assert np.median(many.transmission[resin]) > 0.95
    assert np.median(many.transmission[empty]) == pytest.approx(1, abs=0.01)


def test_only_metal_is_labelled_as_iron_without_lines_and_rust_by_its_hump(many: SimulatedPatterns) -> None:
    rust, bare = many.kind == "amorphous_rust", many.kind == "bare_iron"
    peakless, other, resin = (many.labels[:, CLASSES.index(name)] for name in ("peakless_iron", "other", "resin"))
    assert many.metal[bare].all()
    assert not many.metal[rust].any()
    assert peakless[bare & many.fluoresces].mean() > 0.9
    assert not peakless[rust].any()
    assert 0.02 < other[rust].mean() < 0.5
    # Where the threshold cuts fluorescence off, steel looks like air; the truth is the label all the same.
    dark = bare & ~many.fluoresces
    assert dark.sum() > 15
    assert 0 < peakless[dark].mean() < peakless[bare & many.fluoresces].mean()
    assert resin[rust].mean() < 0.2
    # What shape cannot tell, transmission tells but for the overlap of thin steel and thick rust.
    stated = np.isfinite(many.transmission) & (rust | bare)
    apart = (many.transmission[stated] < 0.43) == many.metal[stated]
    assert apart.mean() > 0.85


def test_most_of_metal_is_metal_and_none_of_resin(many: SimulatedPatterns) -> None:
    assert many.metal[many.kind == "metal"].mean() > 0.85
    assert not many.metal[np.isin(many.kind, ["resin", "empty"])].any()


def test_a_hump_in_closed_form() -> None:
    hump, total = np.zeros((1, 300), np.float32), np.full((1, 300), 50.0, np.float32)
    hump[0, 100:131] = 10.0
    ground = 31 * 50.0
    assert hump_sigma(hump, total, 31)[0] == pytest.approx(310 / np.sqrt(ground + (0.001 * ground) ** 2 + 1), rel=1e-4)


def test_without_fluorescence_no_iron_is_claimed() -> None:
    task = replace(BL16XU_TASK, threshold_kev=7.5, made_up=60)
    simulated = simulate_patterns(500, seed=1, task=task)
    assert not simulated.fluoresces.any()
    assert simulated.labels[:, CLASSES.index("peakless_iron")].max() == 0
