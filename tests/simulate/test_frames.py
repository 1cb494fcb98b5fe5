"""Frames judged by pyFAI, truth judged by the patterns."""

import json

import numpy as np
import pytest

from phasecast.simulate import FrameRenderer, read_truth, rust_sample, simulate_map
from phasecast.simulate.optics import COUNT_LIMIT, SHAPE, azimuthal_integrator, slab_absorption
from phasecast.simulate.truth import CLASSES

# 2theta in deg at 10 keV of the strongest lines.
STRONGEST = {"magnetite": 28.35, "goethite": 17.05, "lepidocrocite": 11.37}


@pytest.fixture(scope="module")
def renderer():
    return FrameRenderer(rust_sample((30, 40), seed=3), seed=3)


@pytest.fixture(scope="module")
def truth(renderer):
    return renderer.truth()


@pytest.fixture(scope="module")
def integrate():
    integrator = azimuthal_integrator()

    def pattern(frame):
        result = integrator.integrate1d(
            frame, 600, unit="2th_deg", radial_range=(10, 40), polarization_factor=0.99, error_model="poisson"
        )
        return result.radial, result.intensity, result.sigma

    return pattern


def _cells(truth, name, **fraction):
    """Rows and columns where only one class is true, by falling volume fraction of its material."""
    only = (truth.labels[:, CLASSES.index(name)] == 1) & (truth.labels.sum(axis=1) == 1)
    points = np.flatnonzero(only)
    material = {"peakless_iron": "ferrite"}.get(name, name)
    order = points[np.argsort(-truth.fractions[material][points])]
    return [divmod(int(point), truth.shape[1]) for point in order]


@pytest.mark.parametrize("name", STRONGEST)
def test_the_strongest_line_of_each_oxide_is_where_it_belongs(renderer, integrate, name):
    truth = renderer.truth()
    point = int(np.argmax(truth.fractions[name]))
    tth, intensity, _ = integrate(renderer.frame(*divmod(point, truth.shape[1])))
    peak = tth[np.argmax(intensity)]
    assert peak == pytest.approx(STRONGEST[name], abs=0.1)


def test_cementite_shows_its_lines_between_34_and_36_5_degrees(renderer, truth, integrate):
    row, col = _cells(truth, "cementite")[0]
    tth, intensity, _ = integrate(renderer.frame(row, col))
    assert 34.0 < tth[np.argmax(intensity)] < 36.7


def test_resin_has_a_halo_at_15_degrees_and_no_bragg_peak(renderer, truth, integrate):
    row, col = _cells(truth, "resin")[0]
    tth, intensity, _ = integrate(renderer.mean(row, col))
    assert tth[np.argmax(np.where(tth > 12, intensity, 0))] == pytest.approx(15.3, abs=0.6)
    curvature = np.abs(np.diff(intensity, 2)).max()
    assert curvature < 0.01 * intensity.max()


def test_peakless_iron_is_smooth_and_without_halo(renderer, truth, integrate):
    cells = _cells(truth, "peakless_iron")
    assert len(cells) > 20
    row, col = cells[0]
    tth, intensity, _ = integrate(renderer.mean(row, col))
    assert np.abs(np.diff(intensity, 2)).max() < 0.01 * intensity.max()
    above_15 = intensity[tth > 14]
    assert above_15.max() < 1.35 * above_15.min()


def test_iron_grains_that_diffract_do_so_near_the_110_or_111_line(renderer, truth, integrate):
    for name, line in (("ferrite", 35.62), ("austenite", 34.85)):
        cells = _cells(truth, name)
        if not cells:
            continue
        row, col = cells[0]
        tth, intensity, _ = integrate(renderer.mean(row, col))
        assert tth[np.argmax(np.where(tth > 20, intensity, 0))] == pytest.approx(line, abs=0.25)


def test_reduction_removes_solid_angle_and_polarisation(renderer, truth):
    """Along one ring of a smooth pattern the corrected image is flat although the raw one is not."""
    row, col = _cells(truth, "resin")[0]
    integrator = azimuthal_integrator()
    raw = renderer.mean(row, col)
    corrected = raw / integrator.solidAngleArray(SHAPE) / integrator.polarization(SHAPE, factor=0.99)
    tth = integrator.center_array(SHAPE, unit="2th_deg")
    ring = np.abs(tth - 15.3) < 0.05
    spread = np.ptp(corrected[ring]) / corrected[ring].mean()
    assert spread < 0.005
    assert np.ptp(raw[ring]) / raw[ring].mean() > 3 * spread


@pytest.mark.parametrize("counts", [1e3, 2e5, 1e7])
def test_frames_hold_the_counts_asked_for(counts):
    frames, truth = simulate_map((8, 10), seed=1, counts=counts)
    totals = [int(frame.sum()) for frame in frames]
    assert len(totals) == len(truth.labels) == 80
    assert np.mean(totals) == pytest.approx(counts, rel=0.15 if counts < 1e4 else 0.03)


def test_noise_is_poisson(renderer):
    mean = renderer.mean(12, 12)
    frames = np.stack([renderer.frame(12, 12, number=number) for number in range(200)])
    normal = np.ones(mean.size, dtype=bool)
    normal[renderer.hot.pixels] = False
    pull = (frames.mean(axis=0) - mean).ravel()[normal] / np.sqrt(mean.ravel()[normal] / 200)
    assert np.abs(pull.mean()) < 0.02
    variance = np.median(frames.var(axis=0).ravel()[normal] / mean.ravel()[normal])
    assert variance == pytest.approx(1.0, abs=0.03)


def test_frames_are_what_the_detector_delivers(renderer):
    frame = renderer.frame(0, 0)
    assert frame.shape == (195, 487)
    assert frame.dtype == np.int32
    assert frame.min() >= 0
    bright = FrameRenderer(rust_sample((2, 2)), counts=1e11).frame(1, 1)
    assert bright.max() == COUNT_LIMIT


def test_frames_repeat_with_the_seed_and_differ_with_the_number():
    sample = rust_sample((6, 6), seed=5)
    one, two = FrameRenderer(sample, seed=5), FrameRenderer(sample, seed=5)
    np.testing.assert_array_equal(one.frame(2, 3, number=9), two.frame(2, 3, number=9))
    assert not np.array_equal(one.frame(2, 3, number=9), one.frame(2, 3, number=10))


def test_a_beam_dump_leaves_almost_nothing(renderer):
    assert renderer.frame(15, 15, flux=1e-4).sum() < 0.01 * renderer.frame(15, 15).sum()


def test_hot_pixels_count_in_every_frame(renderer):
    frames = np.stack([renderer.frame(25, 5, number=number) for number in range(30)]).reshape(30, -1)
    typical = np.median(frames)
    assert (frames[:, renderer.hot.pixels].mean(axis=0) > typical + 3).all()


def test_absorption_has_its_limits():
    angles = np.array([0.0, 20.0, 40.0])
    np.testing.assert_allclose(slab_absorption(angles, 0.0), 1.0)
    assert slab_absorption(angles, 1.3)[0] == pytest.approx(np.exp(-1.3))
    x = 1.3 * (1 / np.cos(np.deg2rad(40.0)) - 1)
    assert slab_absorption(angles, 1.3)[2] == pytest.approx(np.exp(-1.3) * (1 - np.exp(-x)) / x)


def test_truth_is_an_analysts(renderer, truth):
    labels = {name: truth.labels[:, column].astype(bool) for column, name in enumerate(CLASSES)}
    assert all(mask.any() for mask in labels.values())
    several = truth.labels.sum(axis=1)
    assert (several[labels["resin"] | labels["peakless_iron"]] == 1).all()
    assert several.min() == 1
    assert several.max() >= 2
    assert (truth.fractions["goethite"][labels["goethite"]] > 0).all()
    metal = sum(truth.fractions[name] for name in ("ferrite", "austenite", "cementite"))
    assert (metal[labels["peakless_iron"]] > 0.3).all()


def test_faint_phases_are_not_asked_of_faint_exposures():
    sample = rust_sample((16, 20), seed=4)
    faint = FrameRenderer(sample, counts=1e3, seed=4).truth().labels[:, :6].sum()
    bright = FrameRenderer(sample, counts=1e6, seed=4).truth().labels[:, :6].sum()
    assert faint < bright


def test_truth_survives_its_file(tmp_path, renderer, truth):
    path = tmp_path / "truth.json"
    truth.write(path)
    again = read_truth(path)
    np.testing.assert_array_equal(again.labels, truth.labels)
    np.testing.assert_allclose(again.x_um, truth.x_um)
    assert again.settings["seed"] == 3
    assert again.x_um[:3].tolist() == [0.0, 2.0, 4.0]
    assert again.y_um[0] == again.y_um[39] < again.y_um[40]


def test_another_file_is_no_truth(tmp_path):
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"shape": [1, 1]}))
    with pytest.raises(ValueError, match="no truth file"):
        read_truth(path)
