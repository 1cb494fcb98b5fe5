"""Arm angles that only the events state: a frame is integrated with those of its own event, or not at all."""

from pathlib import Path

import numpy as np
import pytest

from phasecast.core.errors import CaptureError
from phasecast.core.frame import Frame, FrameId, FrameReference
from phasecast.core.ledger import PointFlag
from phasecast.core.protocols import Reduced, Rejection
from phasecast.profiles import Profile, load_profile
from phasecast.results import open_result
from phasecast.services.event_angles import EventAngles
from phasecast.services.xrd_stage import build_stage
from phasecast_profiles.shipped import shipped_profiles
from support.daemon import beamline

ROWS, COLUMNS = 2, 5


@pytest.fixture(scope="module")
def moving_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BL16XU whose arm turns with the stage: at 25 deg where the stage is at 0, and a degree for each um."""
    text = shipped_profiles()["bl16xu"].read_text(encoding="utf-8")
    nominal = next(line for line in text.splitlines() if line.startswith("arm_tth_deg"))
    arm = 'arm = [{ field = "stage_x", rotates = "rot1", offset_deg = 25.0 }]'
    path = tmp_path_factory.mktemp("profile") / "moving.toml"
    path.write_text(text.replace(nominal, f"beam_centre_px = [243.5, 97.5]\n{arm}"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def moving(moving_toml: Path) -> Profile:
    return load_profile(moving_toml)


def _frame(**scalars: float) -> Frame:
    image = np.random.default_rng(3).poisson(40.0, (195, 487)).astype(np.int32)
    return Frame(
        frame_id=FrameId("f/3"),
        series="f",
        number=3,
        image=image,
        keys=(),
        received_s=0.0,
        scalars=scalars,
        reference=FrameReference(store="capture", path="f", offset=0, number=3),
    )


def test_a_frame_gets_the_angles_of_its_event(moving: Profile) -> None:
    stage = build_stage(moving, device="cpu")
    frame = _frame()
    meet = EventAngles(stage=stage, read=lambda reference: frame.image)
    (blind,) = stage.process([frame])
    assert isinstance(blind, Rejection)
    (told,) = stage.process([_frame(stage_x=0.31)])
    met = meet(frame.reference, blind, {"stage_x": 0.31, "stage_y": 1.0})
    assert isinstance(met, Reduced)
    assert isinstance(told, Reduced)
    np.testing.assert_array_equal(met.columns["intensity"], told.columns["intensity"])
    assert met.columns["arm_stage_x"] == pytest.approx(25.31, abs=0.0025)
    # an event without the angle makes no frame usable, and a result that a file holds already stays
    assert meet(frame.reference, blind, {"stage_y": 1.0}) is blind
    assert meet(frame.reference, None, {"stage_x": 0.31}) is None


def test_frame_and_event_that_contradict_each_other_are_both_named(moving: Profile) -> None:
    stage = build_stage(moving, device="cpu")
    meet = EventAngles(stage=stage, read=lambda reference: _frame().image)
    frame = _frame(stage_x=0.31)
    (told,) = stage.process([frame])
    assert meet(frame.reference, told, {"stage_x": 0.314}) is told
    torn = meet(frame.reference, told, {"stage_x": 0.5})
    assert isinstance(torn, Rejection)
    assert torn.reason == "contradicting arm angles"
    assert "25.31 deg by the frame and 25.5 deg by its event" in torn.detail


def test_a_frame_that_cannot_be_read_again_is_rejected(moving: Profile) -> None:
    def gone(reference: FrameReference) -> np.ndarray:
        raise CaptureError("the capture segment is gone", where=reference.path)

    stage = build_stage(moving, device="cpu")
    (blind,) = stage.process([_frame()])
    outcome = EventAngles(stage=stage, read=gone)(_frame().reference, blind, {"stage_x": 0.0})
    assert isinstance(outcome, Rejection)
    assert "the capture segment is gone" in outcome.detail


def test_a_live_scan_whose_events_state_the_arm(moving_toml: Path, tmp_path: Path) -> None:
    """Streamed frames carry no angle: each is integrated with that of its event, and judged by what it then covers."""
    with beamline(tmp_path, shape=f"{ROWS}x{COLUMNS}", rate=20.0) as setup:
        daemon = setup.start_daemon("--once", profile=str(moving_toml))
        setup.begin()
        assert daemon.wait(90) == 0, (tmp_path / "daemon.log").read_text()
    (path,) = setup.results
    with open_result(path) as result:
        assert result.ledger_sums["done"] == result.points == ROWS * COLUMNS
        x_um = result.ledger["x_um"].to_numpy()
        assert np.ptp(x_um) > 5
        np.testing.assert_allclose(result.column("arm_stage_x").to_numpy(), 25.0 + x_um, atol=0.0026)
        flags, reasons = result.ledger["flags"].to_numpy(), result.ledger["reason"].to_numpy()
        confidence = result.column("confidences").to_numpy()
        patterns, tth_deg = result.patterns.to_numpy(), np.array(result.header.tth_deg)
        for row in range(result.points):
            # window of the standing detector, moved with the arm
            low_deg, high_deg = 9.72 + x_um[row], 40.65 + x_um[row]
            lit = tth_deg[patterns[row] > 0]
            assert lit.min() == pytest.approx(max(low_deg, 10.0), abs=0.15)
            assert lit.max() == pytest.approx(min(high_deg, 40.0), abs=0.15)
            classified = low_deg < 10.3 and high_deg > 39.7
            if classified or low_deg > 10.7 or high_deg < 39.3:
                assert np.isfinite(confidence[row]).all() == classified
                assert bool(flags[row] & PointFlag.NOT_CLASSIFIED) != classified
                assert ("which the model needs" in str(reasons[row])) != classified
        assert len({bool(flag & PointFlag.NOT_CLASSIFIED) for flag in flags}) == 2
