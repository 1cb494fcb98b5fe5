"""A perturbed geometry comes back from measured and drawn frames of standards; what cannot be known is refused."""

from dataclasses import replace

import fabio
import numpy as np
import pytest
from pyFAI.calibrant import get_calibrant

from phasecast.core.errors import CalibrationError
from phasecast.profiles import load_profile
from phasecast.xrd.calibration import calibrate, seen_from_sample, standard_named
from phasecast.xrd.calibration_picture import calibration_png
from phasecast.xrd.calibration_rings import parameters_of
from phasecast.xrd.corrections import corrections_from_profile
from phasecast.xrd.device import choose_device
from phasecast.xrd.geometry import geometry_from_profile
from phasecast.xrd.integrator import Integrator

LAB6 = {"tth11.80": 12.2299, "tth20.64": 21.2645, "tth25.40": 24.6020, "tth26.76": 27.5600}
CEO2 = (7.4615, 8.6179, 12.1990, 14.3148, 14.9549, 17.2850, 18.8494, 19.3437, 21.2104)


@pytest.fixture(scope="module")
def lab6_module(measured_data):
    """Frame, profile and given geometry of the module at an arm angle."""

    def read(position):
        path = measured_data / "pilatus100k_lab6" / f"LaB6_SSRL_{position}_module1.cbf"
        with fabio.open(str(path)) as file:
            image = file.data
        profile = load_profile("ssrl-lab6")
        return image, profile, geometry_from_profile(profile, path.with_suffix(".poni"))

    return read


@pytest.fixture(scope="module")
def ceo2_module(measured_data):
    path = measured_data / "pilatus100k_ceo2" / "CeO2_P1M_module_r2c1.cbf"
    profile = load_profile("gsecars-map")
    nominal = profile.geometry.model_copy(update={"distance_mm": 208.65, "beam_centre_px": (-28.0, 83.5)})
    profile = profile.model_copy(update={"energy_kev": 12.398419843320026 / 0.4066, "geometry": nominal})
    with fabio.open(str(path)) as file:
        return file.data, profile, geometry_from_profile(profile, path.with_suffix(".poni"))


def perturbed(geometry, *, distance_mm, arm_deg, arm):
    field = f"{arm}_deg"
    return replace(
        geometry, distance_mm=geometry.distance_mm + distance_mm, **{field: getattr(geometry, field) + arm_deg}
    )


def largest_difference_deg(calibration, given):
    """Largest difference of 2theta between two geometries on the rings."""
    rows, cols = calibration.points[:, 0], calibration.points[:, 1]
    tth_deg = calibration.frame.tth_deg
    found, stated = parameters_of(calibration.geometry), parameters_of(given)
    return float(np.abs(tth_deg(found, rows, cols) - tth_deg(stated, rows, cols)).max())


def peak_deg(image, profile, geometry, line_deg):
    """Centre of gravity of the integrated line, above the straight line through its feet."""
    near = profile.axis.model_copy(update={"tth_min_deg": line_deg - 0.15, "tth_max_deg": line_deg + 0.15, "bins": 150})
    profile = profile.model_copy(update={"axis": near})
    integrator = Integrator(
        profile=profile,
        geometry=geometry,
        axes=(near,),
        chosen=choose_device("cpu"),
        pixels=corrections_from_profile(profile, geometry.shape),
        measure_spots=False,
    )
    patterns = integrator.integrate(image)
    tth_deg, intensity = patterns.tth_deg, np.nan_to_num(patterns.intensity[0])
    above = np.clip(intensity - 0.3 * intensity.max(), 0, None)
    return float(np.average(tth_deg, weights=above))


@pytest.mark.parametrize("position", LAB6)
@pytest.mark.parametrize("sign", [1, -1])
def test_one_ring_of_a_measured_module_gives_the_arm_angle_back(lab6_module, position, sign):
    image, _, given = lab6_module(position)
    start = perturbed(given, distance_mm=3 * sign, arm_deg=0.5, arm="rot2")
    found = calibrate(image, image < 0, start=start, standard="LaB6", arm_rotation="rot2")
    (ring,) = found.rings
    assert ring.line_tth_deg == pytest.approx(LAB6[position], abs=2e-4)
    assert ring.found_tth_deg == pytest.approx(ring.line_tth_deg, abs=0.002)
    assert found.rms_deg < 0.006
    assert largest_difference_deg(found, given) < 0.01
    assert "rot2" in found.free_set.free
    # one ring says nothing of the distance: it stays what it was, and the reason is said
    assert found.geometry.distance_mm == start.distance_mm
    assert "3 rings" in dict(found.free_set.fixed)["dist"]


def test_the_integrated_line_of_a_recovered_module_is_where_the_standard_has_it(lab6_module):
    image, profile, given = lab6_module("tth25.40")
    start = perturbed(given, distance_mm=3, arm_deg=-0.5, arm="rot2")
    found = calibrate(image, image < 0, start=start, standard="LaB6", arm_rotation="rot2")
    assert peak_deg(image, profile, found.geometry, 24.6020) == pytest.approx(24.6020, abs=0.01)


def test_nine_rings_give_distance_beam_and_tilts_back(ceo2_module):
    image, profile, given = ceo2_module
    start = perturbed(given, distance_mm=3, arm_deg=0.5, arm="rot1")
    found = calibrate(image, image < 0, start=start, standard="CeO2", arm_rotation=None)
    assert set(found.free_set.free) == {"dist", "poni1", "poni2", "rot1", "rot2"}
    assert [ring.line_tth_deg for ring in found.rings] == pytest.approx(CEO2, abs=2e-4)
    assert found.unseen == ()
    assert all(abs(ring.difference_deg) < 0.003 for ring in found.rings)
    assert largest_difference_deg(found, given) < 0.01
    assert found.geometry.distance_mm == pytest.approx(given.distance_mm, abs=0.2)
    for line_deg in (7.4615, 14.3148, 21.2104):
        assert peak_deg(image, profile, found.geometry, line_deg) == pytest.approx(line_deg, abs=0.01)


def test_energy_and_rot3_stay_and_the_same_frame_gives_the_same_bits(lab6_module):
    image, _, given = lab6_module("tth20.64")
    start = replace(perturbed(given, distance_mm=0, arm_deg=0.3, arm="rot2"), rot3_deg=0.25)
    first, second = (
        calibrate(image, image < 0, start=start, standard="LaB6", arm_rotation="rot2").geometry for _ in range(2)
    )
    assert first == second
    assert first.rot3_deg == pytest.approx(0.25, abs=1e-12)
    assert first.wavelength_angstrom == given.wavelength_angstrom


def drawn(standard, geometry, *, peak_counts, width_deg=0.06, seed=3):
    """A frame as pyFAI draws it, with Poisson noise on a background of one count."""
    pyfai = geometry.pyfai()
    calibrant = get_calibrant(standard, wavelength=pyfai.wavelength)
    smooth = calibrant.fake_calibration_image(pyfai, shape=geometry.shape, Imax=1.0, resolution=width_deg)
    return np.random.default_rng(seed).poisson(smooth / smooth.max() * peak_counts + 1).astype(np.int32)


@pytest.fixture(scope="module")
def bl16xu():
    """The nominal geometry, and one that is 2.1 mm and 0.4 deg off it and tilted out of the plane."""
    nominal = geometry_from_profile(load_profile("bl16xu"))
    truth = replace(nominal, distance_mm=155.1, rot1_deg=nominal.rot1_deg - 0.4, rot2_deg=0.3)
    return nominal, truth


def test_five_rings_at_10_kev_give_every_pixel_its_angle_at_few_counts(bl16xu):
    nominal, truth = bl16xu
    image = drawn("LaB6", truth, peak_counts=20)
    found = calibrate(image, image < 0, start=nominal, standard="LaB6", arm_rotation="rot1")
    lines_deg = [ring.line_tth_deg for ring in found.rings]
    assert lines_deg == pytest.approx([17.15, 24.35, 29.94, 34.71, 38.96], abs=0.005)
    assert "dist" in found.free_set.free
    assert found.geometry.distance_mm == pytest.approx(truth.distance_mm, abs=0.2)
    rows, cols = (axis.ravel().astype(float) for axis in np.indices(image.shape))
    tth_deg = found.frame.tth_deg
    error_deg = tth_deg(parameters_of(found.geometry), rows, cols) - tth_deg(parameters_of(truth), rows, cols)
    assert np.abs(error_deg).max() < 0.02
    assert np.abs(error_deg).max() < 2 * found.free_set.window_sigma_deg


def test_masked_pixels_do_not_matter(bl16xu):
    nominal, truth = bl16xu
    image = drawn("LaB6", truth, peak_counts=200)
    mask = np.zeros(image.shape, dtype=bool)
    mask[:, 230:260] = True
    spoiled = image.copy()
    spoiled[mask] = 1_000_000
    clean, other = (
        calibrate(frame, mask, start=nominal, standard="LaB6", arm_rotation="rot1") for frame in (image, spoiled)
    )
    assert clean.geometry == other.geometry


def test_two_rings_leave_too_much_open_and_are_named(bl16xu):
    nominal, truth = bl16xu
    image = drawn("Si", truth, peak_counts=500)
    with pytest.raises(CalibrationError, match=r"too few rings: 2 \(\(111\) at 22.80 deg, \(220\) at 37.67 deg\)"):
        calibrate(image, image < 0, start=nominal, standard="Si", arm_rotation="rot1")


def test_a_window_without_lines_is_refused_and_names_the_nearest(lab6_module):
    image, _, given = lab6_module("tth11.80")
    away = replace(given, rot2_deg=given.rot2_deg - 6)
    with pytest.raises(CalibrationError, match=r"too few rings: no line of LaB6 .* nearest is \(100\) at 12.23 deg"):
        calibrate(image, image < 0, start=away, standard="LaB6", arm_rotation="rot2")


def test_a_frame_without_rings_is_refused_and_names_what_is_expected(bl16xu):
    nominal, _ = bl16xu
    empty = np.random.default_rng(1).poisson(3.0, nominal.shape)
    with pytest.raises(CalibrationError, match=r"too few rings: .*\(100\) at 17.15 deg"):
        calibrate(empty, empty < 0, start=nominal, standard="LaB6", arm_rotation="rot1")


@pytest.mark.parametrize("wrong", ["Si", "LaB6"])
def test_another_standard_than_the_one_in_the_beam_is_refused(ceo2_module, wrong):
    image, _, given = ceo2_module
    with pytest.raises(CalibrationError):
        calibrate(image, image < 0, start=given, standard=wrong, arm_rotation=None)


def test_a_wrong_standard_of_the_same_lattice_is_known_by_the_rings_it_leaves_over(ceo2_module):
    image, _, given = ceo2_module
    with pytest.raises(CalibrationError, match=r"rings at 8\.60, [0-9., ]+ deg are no lines of Si"):
        calibrate(image, image < 0, start=given, standard="Si", arm_rotation=None)


def test_points_that_scatter_are_refused_with_the_worst_ring(bl16xu):
    nominal, truth = bl16xu
    # a detector whose halves are a third of a degree apart: no geometry fits both
    upper, lower = (
        drawn("LaB6", truth, peak_counts=500),
        drawn("LaB6", replace(truth, rot1_deg=truth.rot1_deg + 0.15), peak_counts=500),
    )
    image = np.where(np.arange(195)[:, None] < 97, upper, lower)
    with pytest.raises(CalibrationError, match=r"deg rms off the lines, more than 0.02 deg; worst is \(\d+\)"):
        calibrate(image, image < 0, start=nominal, standard="LaB6", arm_rotation="rot1")


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
def test_a_sample_off_the_standards_place_moves_the_origin_along_the_beam(orientation):
    nominal = geometry_from_profile(load_profile("bl16xu"))
    standard = replace(nominal, orientation=orientation, rot1_deg=25.0, rot2_deg=-4.0, rot3_deg=1.5)
    sample = seen_from_sample(standard, 0.8)
    rows, cols = np.array([0.0, 97.0, 194.0, 30.0]), np.array([0.0, 243.0, 486.0, 400.0])
    along, up, across = standard.pyfai().calc_pos_zyx(d1=rows, d2=cols)
    moved_along, moved_up, moved_across = sample.pyfai().calc_pos_zyx(d1=rows, d2=cols)
    np.testing.assert_allclose(moved_along, along - 0.8e-3, atol=1e-9)
    np.testing.assert_allclose([moved_up, moved_across], [up, across], atol=1e-9)
    # downstream is nearer to the detector, so the same pixel is at a larger angle
    tth_rad = np.arctan2(np.hypot(up, across), along - 0.8e-3)
    np.testing.assert_allclose(sample.pyfai().tth(rows, cols), tth_rad, atol=1e-9)
    assert sample.distance_mm < standard.distance_mm


def test_standards_are_known_in_any_case():
    assert standard_named("lab6") == "LaB6"
    with pytest.raises(CalibrationError, match="LaB6, CeO2, Si"):
        standard_named("Al2O3")


def test_the_picture_is_a_small_png(lab6_module):
    image, _, given = lab6_module("tth25.40")
    found = calibrate(image, image < 0, start=given, standard="LaB6", arm_rotation="rot2")
    picture = calibration_png(found)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 400_000
