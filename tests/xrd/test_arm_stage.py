"""Frames of a moving arm: each with its own geometry, and no confidence where the model's bins were not measured."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from phasecast.core.frame import Frame, FrameId, FrameReference
from phasecast.core.ledger import PointFlag
from phasecast.core.protocols import Reduced, Rejection
from phasecast.profiles import ArmAxis, Profile, load_profile
from phasecast.services.offline import classify_files
from phasecast.services.xrd_stage import build_stage
from phasecast.xrd.integrator import KEPT_GEOMETRIES
from phasecast.xrd.stages import XrdStage
from support.frame_files import cbf_bytes

SHAPE = (195, 487)


def _moving() -> Profile:
    """BL16XU with an arm that moves: perpendicular to the beam at zero."""
    profile = load_profile("bl16xu")
    arm = (ArmAxis(field="arm_tth", rotates="rot1"),)
    nominal = {"arm": arm, "arm_tth_deg": None, "beam_centre_px": (243.5, 97.5)}
    return profile.model_copy(update={"geometry": profile.geometry.model_copy(update=nominal)})


@pytest.fixture(scope="module")
def moving() -> XrdStage:
    return build_stage(_moving(), device="cpu")


@pytest.fixture(scope="module")
def standing() -> XrdStage:
    return build_stage(load_profile("bl16xu"), device="cpu")


def _image(seed: int = 0) -> NDArray[np.int32]:
    return np.random.default_rng(seed).poisson(40.0, SHAPE).astype(np.int32)


def _frame(number: int, image: NDArray[np.int32] | None = None, **scalars: float) -> Frame:
    return Frame(
        frame_id=FrameId(f"f/{number}"),
        series="f",
        number=number,
        image=_image(number) if image is None else image,
        keys=(),
        received_s=0.0,
        scalars=scalars,
        reference=FrameReference(store="file", path=f"f{number}", offset=0, number=number),
    )


def _reduced(stage: XrdStage, *frames: Frame) -> list[Reduced]:
    outcomes = stage.process(frames)
    assert all(isinstance(outcome, Reduced) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Reduced)]


def test_at_its_nominal_angle_the_moving_arm_gives_what_the_standing_one_gives(
    moving: XrdStage, standing: XrdStage
) -> None:
    (here,), (there,) = _reduced(moving, _frame(1, arm_tth=25.0)), _reduced(standing, _frame(1))
    np.testing.assert_allclose(here.columns["intensity"], there.columns["intensity"], rtol=1e-5)
    np.testing.assert_allclose(here.columns["confidences"], there.columns["confidences"], atol=1e-5)
    assert here.flags == there.flags == PointFlag.NONE
    assert here.columns["arm_arm_tth"] == 25.0


def test_every_frame_has_the_geometry_of_its_own_angle(moving: XrdStage) -> None:
    """One bright pixel moves through 2theta as the arm does, while the detector sees it at the same place."""
    image = np.full(SHAPE, 5, np.int32)
    image[97, 243] = 100_000
    angles_deg = (24.0, 25.0, 27.5, 24.0)
    reduced = _reduced(moving, *(_frame(n, image, arm_tth=angle) for n, angle in enumerate(angles_deg)))
    axis = moving.integrator.axes[0]
    for outcome, angle_deg in zip(reduced, angles_deg, strict=True):
        tth_deg = axis.tth_min_deg + (int(np.argmax(outcome.columns["intensity"])) + 0.5) * axis.step_deg
        assert tth_deg == pytest.approx(angle_deg, abs=axis.step_deg)
    np.testing.assert_array_equal(reduced[0].columns["intensity"], reduced[3].columns["intensity"])


def test_results_do_not_depend_on_which_angles_came_before(moving: XrdStage) -> None:
    frames = [_frame(n, arm_tth=24.0 + 0.0012 * n) for n in range(6)]
    together = _reduced(moving, *frames)
    for frame, outcome in zip(frames[::-1], together[::-1], strict=True):
        (alone,) = _reduced(moving, frame)
        np.testing.assert_array_equal(alone.columns["intensity"], outcome.columns["intensity"])
        np.testing.assert_array_equal(alone.columns["confidences"], outcome.columns["confidences"])


def test_the_cache_of_matrices_is_bounded() -> None:
    stage = build_stage(_moving(), device="cpu", classify=False)
    for number in range(KEPT_GEOMETRIES + 3):
        _reduced(stage, _frame(number, arm_tth=24.0 + 0.1 * number))
    assert stage.integrator.kept_geometries == KEPT_GEOMETRIES


def test_a_frame_that_states_no_angle_is_rejected_and_the_others_are_not(moving: XrdStage) -> None:
    good, blind, mad = moving.process([_frame(1, arm_tth=25.0), _frame(2), _frame(3, arm_tth=np.inf)])
    assert isinstance(good, Reduced)
    for outcome in (blind, mad):
        assert isinstance(outcome, Rejection)
        assert outcome.reason == "arm angle unknown"
        assert "arm_tth" in outcome.detail


def test_outside_the_window_of_the_model_a_frame_is_integrated_and_not_classified(moving: XrdStage) -> None:
    inside, edge, outside = _reduced(moving, *(_frame(1, arm_tth=angle) for angle in (25.0, 25.5, 27.0)))
    for outcome in (inside, edge):
        assert outcome.flags == PointFlag.NONE
        assert outcome.note == ""
        assert np.isfinite(outcome.columns["confidences"]).all()
    assert outside.flags == PointFlag.NOT_CLASSIFIED
    assert np.isnan(outside.columns["confidences"]).all()
    assert "no pixel at 10-11.6" in outside.note
    measured = outside.columns["norm"] > 0
    assert measured.any()
    assert outside.columns["intensity"][measured].min() > 0


def test_far_outside_the_axis_a_frame_is_rejected(moving: XrdStage) -> None:
    near, far = moving.process([_frame(1, arm_tth=25.0), _frame(2, arm_tth=80.0)])
    assert isinstance(near, Reduced)
    assert isinstance(far, Rejection)
    assert far.reason == "outside the axis"


def test_bins_that_a_frame_lost_are_not_made_up(standing: XrdStage) -> None:
    """A detector half of which is dead gives no confidence, however well the other half is seen."""
    image = _image()
    image[:, :160] = -2
    whole, half = _reduced(standing, _frame(1), _frame(2, image))
    assert whole.note == ""
    assert half.flags == PointFlag.NOT_CLASSIFIED
    assert np.isnan(half.columns["confidences"]).all()
    assert "which the model needs" in half.note


def test_a_geometry_of_another_energy_is_integrated_and_not_classified(tmp_path) -> None:
    poni = tmp_path / "other.poni"
    poni.write_text(
        'poni_version: 2.1\nDetector: Pilatus100k\nDetector_config: {"orientation": 3}\nDistance: 0.153\n'
        "Poni1: 0.01677\nPoni2: 0.041882\nRot1: 0.43633231\nRot2: 0.0\nRot3: 0.0\nWavelength: 1.245e-10\n"
    )
    (outcome,) = _reduced(build_stage(load_profile("bl16xu"), device="cpu", poni=poni), _frame(1))
    assert outcome.flags == PointFlag.NOT_CLASSIFIED
    assert "9.959 keV" in outcome.note
    assert "10 keV" in outcome.note


def test_a_profile_of_another_energy_is_integrated_and_every_point_says_why() -> None:
    other = load_profile("bl16xu").model_copy(update={"energy_kev": 12.0})
    stage = build_stage(other, device="cpu")
    assert stage.classifier is None
    (outcome,) = _reduced(stage, _frame(1))
    assert outcome.flags == PointFlag.NOT_CLASSIFIED
    assert outcome.note == "the model was trained at 10 keV, the profile is at 12 keV"
    assert (outcome.columns["intensity"] > 0).any()


def test_the_command_line_names_no_phase_outside_the_window(tmp_path: Path) -> None:
    frame = tmp_path / "a_01.cbf"
    frame.write_bytes(cbf_bytes(_image()))
    for rot1_rad, named in ((0.43633231, ""), (0.55, "no pixel at 10-16.2 deg, which the model needs")):
        poni = tmp_path / "arm.poni"
        poni.write_text(
            'poni_version: 2.1\nDetector: Pilatus100k\nDetector_config: {"orientation": 3}\nDistance: 0.153\n'
            f"Poni1: 0.01677\nPoni2: 0.041882\nRot1: {rot1_rad}\nRot2: 0.0\nRot3: 0.0\nWavelength: 1.2398419843e-10\n"
        )
        (report,) = classify_files(
            [frame], profile="bl16xu", model=None, wavelength_angstrom=None, poni=poni, device="cpu"
        )
        assert report.error == (f"not classified: {named}" if named else "")
        assert ("confidences" in report.values) != bool(named)
