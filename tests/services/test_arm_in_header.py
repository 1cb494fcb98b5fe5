"""Frames whose own header states the arm's angle, through a daemon that is killed between them."""

import signal
from pathlib import Path

import numpy as np
import pytest

from phasecast.core.ledger import PointFlag, PointState
from phasecast.results import open_result
from phasecast_profiles.shipped import shipped_profiles
from support.daemon import done_in, wait_until, watched_folder
from support.frame_files import cbf_bytes, small_image

ANGLES_DEG = (25.0, 27.0, 25.2, 22.0, 25.0, 27.0, None, 25.0)
CLASSIFIED = {25.0, 25.2}


@pytest.fixture
def header_toml(tmp_path: Path) -> Path:
    """BL16XU with frames as files and an arm whose angle stands in their headers."""
    text = shipped_profiles()["bl16xu"].read_text(encoding="utf-8")
    nominal = next(line for line in text.splitlines() if line.startswith("arm_tth_deg"))
    arm = 'arm = [{ field = "Detector_2theta", rotates = "rot1" }]'
    text = text.replace(nominal, f"beam_centre_px = [243.5, 97.5]\n{arm}")
    path = tmp_path / "header.toml"
    path.write_text(text.replace('position_from = "documents"', 'position_from = "none"'), encoding="utf-8")
    return path


def test_what_is_said_of_points_outlives_a_killed_daemon(header_toml: Path, tmp_path: Path) -> None:
    points = len(ANGLES_DEG)
    arguments = ("--expected-points", str(points), "--close-after-idle-s", "60", "--once")
    with watched_folder(tmp_path, *arguments, profile=str(header_toml)) as setup:

        def drop(numbers: range) -> None:
            for number in numbers:
                angle_deg = ANGLES_DEG[number]
                line = () if angle_deg is None else (f"Detector_2theta {angle_deg:.4f} deg.",)
                (tmp_path / "frames" / f"scan_{number:05d}.cbf").write_bytes(cbf_bytes(small_image(number), *line))

        drop(range(5))
        first = setup.processes[-1]
        wait_until(lambda: done_in(setup.status) == 5, "five points", process=first)
        first.send_signal(signal.SIGKILL)
        first.wait()
        second = setup.start_daemon(*arguments, profile=str(header_toml))
        drop(range(5, points))
        assert second.wait(60) == 0, (tmp_path / "daemon.log").read_text()
    (path,) = setup.results
    with open_result(path) as result:
        assert result.points == points
        numbers = result.frames["number"].to_numpy()
        assert sorted(numbers.tolist()) == list(range(points))
        state, flags = result.ledger["state"].to_numpy(), result.ledger["flags"].to_numpy()
        reason, angle = result.ledger["reason"].to_numpy(), result.column("arm_Detector_2theta").to_numpy()
        confidence = result.column("confidences").to_numpy()
        for row, number in enumerate(numbers):
            stated = ANGLES_DEG[number]
            if stated is None:
                assert state[row] == PointState.REJECTED
                assert reason[row] == "arm angle unknown"
                continue
            assert state[row] == PointState.DONE
            assert angle[row] == stated
            unclassified = stated not in CLASSIFIED
            assert bool(flags[row] & PointFlag.NOT_CLASSIFIED) == unclassified
            assert ("which the model needs" in reason[row]) == unclassified
            assert np.isfinite(confidence[row]).all() != unclassified
        (detail,) = result.defects["detail"].to_numpy().tolist()
        assert "scan_00006.cbf" in detail
        assert "Detector_2theta" in detail
