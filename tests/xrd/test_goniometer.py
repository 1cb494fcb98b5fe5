"""Where the detector is at the angles of its arm: closed forms, pyFAI, and rotations written out a second time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyFAI.goniometer import Goniometer
from scipy.spatial.transform import Rotation

from phasecast.core.errors import FrameError, GeometryError
from phasecast.profiles import ArmAxis, Profile, load_profile
from phasecast.xrd.geometry import DetectorGeometry
from phasecast.xrd.goniometer import STEP_DEG, Arm, rotation, rotations_deg
from phasecast.xrd.integrator import Integrator

LAB6_SCAN = "pilatus300kw_lab6_arm_scan"


def _with_arm(profile: Profile, *axes: ArmAxis, **geometry: object) -> Profile:
    changed = profile.geometry.model_copy(update={"arm": axes, **geometry})
    return profile.model_copy(update={"geometry": changed})


def _pixels_mm(geometry: DetectorGeometry) -> np.ndarray:
    """Pixel centres before any rotation, shape (rows, cols, 3): along the slow axis, the fast axis and the beam."""
    rows, cols = geometry.shape
    slow, fast = np.meshgrid((np.arange(rows) + 0.5) * 0.172, (np.arange(cols) + 0.5) * 0.172, indexing="ij")
    return np.stack(
        [slow - geometry.poni1_mm, fast - geometry.poni2_mm, np.full_like(slow, geometry.distance_mm)], axis=-1
    )


def _tth_deg(points_mm: np.ndarray) -> np.ndarray:
    return np.degrees(np.arctan2(np.hypot(points_mm[..., 0], points_mm[..., 1]), points_mm[..., 2]))


def test_a_profile_without_axes_has_no_arm() -> None:
    assert Arm.from_profile(load_profile("bl16xu")) is None


@pytest.mark.parametrize(("gamma_deg", "delta_deg"), [(-9.673, 1.357), (0.0, 0.0), (-9.56, 1.99), (20.0, 15.0)])
def test_the_middle_of_the_detector_follows_both_axes(gamma_deg: float, delta_deg: float) -> None:
    """The direct beam meets the middle at zero, so cos 2theta = cos gamma cos delta whichever axis carries which."""
    arm = Arm.from_profile(load_profile("i07-scan"))
    assert arm is not None
    angles_deg = arm.angles_deg({"diff1vgamma": gamma_deg, "diff1vdelta": delta_deg})
    expected_deg = np.degrees(np.arccos(np.cos(np.radians(gamma_deg)) * np.cos(np.radians(delta_deg))))
    # the middle of the module lies between four pixels, half a pixel (0.0055 deg) from the nearest centre
    assert arm.geometry_at(angles_deg).centre_tth_deg == pytest.approx(expected_deg, abs=STEP_DEG + 0.008)


def test_every_pixel_is_where_the_two_axes_carry_it() -> None:
    arm = Arm.from_profile(load_profile("i07-scan"))
    assert arm is not None
    gamma_deg, delta_deg = -30.0, 20.0
    geometry = arm.geometry_at(arm.angles_deg({"diff1vgamma": gamma_deg, "diff1vdelta": delta_deg}))
    # axis 1 points up, axis 3 along the beam; delta lifts the detector and gamma, which carries it, turns about axis 1
    lift = Rotation.from_rotvec([0.0, np.radians(delta_deg), 0.0]).as_matrix()
    turn = Rotation.from_rotvec([np.radians(gamma_deg), 0.0, 0.0]).as_matrix()
    expected_deg = _tth_deg(_pixels_mm(geometry) @ (turn @ lift).T)
    found_deg = np.degrees(geometry.pyfai().center_array(geometry.shape, unit="2th_rad", scale=False))
    np.testing.assert_allclose(found_deg, expected_deg, atol=1e-6)
    assert (lift @ [0.0, 0.0, 1.0])[0] > 0


def test_a_calibration_off_the_ideal_turns_with_the_arm(tmp_path: Path) -> None:
    poni = tmp_path / "at_10_deg.poni"
    poni.write_text(
        'poni_version: 2.1\nDetector: Pilatus100k\nDetector_config: {"orientation": 3}\nDistance: 0.1534\n'
        "Poni1: 0.0171\nPoni2: 0.0412\nRot1: 0.1801\nRot2: -0.0123\nRot3: 0.0211\nWavelength: 1.2398419843e-10\n"
    )
    axis = ArmAxis(field="arm", rotates="rot1", offset_deg=-10.0)
    arm = Arm.from_profile(_with_arm(load_profile("bl16xu"), axis), poni)
    assert arm is not None
    at_home = arm.geometry_at(arm.angles_deg({"arm": 10.0}))
    np.testing.assert_allclose(
        [at_home.rot1_deg, at_home.rot2_deg, at_home.rot3_deg],
        [arm.base.rot1_deg, arm.base.rot2_deg, arm.base.rot3_deg],
        atol=1e-12,
    )
    moved = arm.geometry_at(arm.angles_deg({"arm": 25.0}))
    placed = rotation("rot1", 15.0) @ arm.base.pyfai().rotation_matrix()
    expected_deg = _tth_deg(_pixels_mm(moved) @ placed.T)
    found_deg = np.degrees(moved.pyfai().center_array(moved.shape, unit="2th_rad", scale=False))
    np.testing.assert_allclose(found_deg, expected_deg, atol=1e-6)
    assert moved.distance_mm == arm.base.distance_mm


def test_rotations_are_pyfais() -> None:
    rng = np.random.default_rng(4)
    geometry = Arm.from_profile(load_profile("i07-scan"))
    assert geometry is not None
    for turns_deg in rng.uniform(-80, 80, (20, 3)):
        rot1_deg, rot2_deg, rot3_deg = (float(turn) for turn in turns_deg)
        placed = replace(geometry.base, rot1_deg=rot1_deg, rot2_deg=rot2_deg, rot3_deg=rot3_deg).pyfai()
        ours = rotation("rot3", rot3_deg) @ rotation("rot2", rot2_deg) @ rotation("rot1", rot1_deg)
        np.testing.assert_allclose(ours, placed.rotation_matrix(), atol=1e-12)
        np.testing.assert_allclose(rotations_deg(ours), turns_deg, atol=1e-9)


def test_a_goniometer_file_gives_what_pyfai_makes_of_it(measured_data: Path) -> None:
    path = measured_data / LAB6_SCAN / "ROBL_v1.json"
    arm = Arm.from_profile(load_profile("ssrl-lab6-arm"), path)
    assert arm is not None
    assert arm.base.warnings == ()
    for tth_deg in (11.12, 25.4, 39.0):
        ours, theirs = arm.geometry_at((tth_deg,)), Goniometer.sload(str(path)).get_ai((tth_deg,))
        found_deg = np.degrees(ours.pyfai().center_array(ours.shape, unit="2th_rad", scale=False))
        expected_deg = np.degrees(theirs.center_array(ours.shape, unit="2th_rad", scale=False))
        np.testing.assert_allclose(found_deg, expected_deg, atol=1e-9)
        assert ours.wavelength_angstrom == pytest.approx(0.885601409974337)


def test_frames_share_a_geometry_unless_the_arm_has_moved() -> None:
    arm = Arm.from_profile(load_profile("i07-scan"))
    assert arm is not None
    here = arm.geometry_at((9.670, -1.355))
    assert arm.geometry_at((9.672, -1.3535)) is here
    # rounding takes no frame further than half a step from its own angle, and any two further apart than one step
    # never share a matrix, whatever came before
    for angle_deg in np.random.default_rng(1).uniform(0, 40, 200):
        (rounded_deg,) = arm.rounded_deg((float(angle_deg),))
        assert abs(rounded_deg - angle_deg) <= STEP_DEG / 2 + 1e-9
        assert arm.rounded_deg((float(angle_deg) + 1.001 * STEP_DEG,)) != (rounded_deg,)
    assert STEP_DEG == 0.005


def test_an_unknown_angle_is_named() -> None:
    arm = Arm.from_profile(load_profile("i07-scan"))
    assert arm is not None
    with pytest.raises(FrameError, match="diff1vdelta"):
        arm.angles_deg({"diff1vgamma": -9.7})
    with pytest.raises(FrameError, match="diff1vdelta is nan"):
        arm.angles_deg({"diff1vgamma": -9.7, "diff1vdelta": float("nan")})


def test_files_that_do_not_fit_are_refused(tmp_path: Path, measured_data: Path) -> None:
    goniometer = measured_data / LAB6_SCAN / "ROBL_v1.json"
    with pytest.raises(GeometryError, match="names none"):
        Arm.from_profile(load_profile("ssrl-lab6"), goniometer)
    with pytest.raises(GeometryError, match=r"1 positions \(pos\).*2 axes"):
        Arm.from_profile(load_profile("i07-scan"), goniometer)
    narrow = load_profile("ssrl-lab6-arm")
    narrow = narrow.model_copy(update={"detector": narrow.detector.model_copy(update={"model": "Pilatus100k"})})
    with pytest.raises(GeometryError, match="1475"):
        Arm.from_profile(narrow, goniometer)
    with pytest.raises(GeometryError, match="does not exist"):
        Arm.from_profile(load_profile("ssrl-lab6-arm"), tmp_path / "gone.json")
    broken = tmp_path / "broken.json"
    broken.write_text('{"content": "Goniometer calibration v1.1"')
    with pytest.raises(GeometryError, match="not a goniometer file"):
        Arm.from_profile(load_profile("ssrl-lab6-arm"), broken)


def test_no_frame_is_integrated_without_its_angles() -> None:
    integrator = Integrator.from_profile(load_profile("i07-scan"), device="cpu")
    with pytest.raises(GeometryError, match="the arm moves"):
        integrator.integrate(np.ones((195, 487), np.int32))
