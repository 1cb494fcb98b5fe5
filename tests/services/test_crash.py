"""A killed daemon loses no point that it reported done, and its successor finishes the scan."""

import signal

import numpy as np
import pytest

from phasecast.results import open_result, repair
from support.daemon import beamline, done_in, wait_until

ROWS, COLUMNS = 10, 16
POINTS = ROWS * COLUMNS


@pytest.mark.slow
def test_kill_9_in_mid_scan_loses_no_reported_point_and_the_next_daemon_goes_on(tmp_path):
    with beamline(tmp_path, shape=f"{ROWS}x{COLUMNS}", rate=20.0) as setup:
        daemon = setup.start_daemon()
        setup.begin()
        wait_until(lambda: done_in(setup.status) >= 30, "30 points", process=daemon)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        reported = done_in(setup.status)

        successor = setup.start_daemon("--once", "--close-after-idle-s", "5")
        assert successor.wait(90) == 0, (tmp_path / "daemon.log").read_text()
    (path,) = setup.results
    with open_result(path) as result:
        states = result.ledger_sums
        done = np.asarray(result.done)
        patterns = np.asarray(result.patterns)
    assert done[:reported].all(), "every point that was reported done is still there"
    assert np.isfinite(patterns[done]).all()
    # frames and documents sent while nobody listened are gone for good: PUB and PUSH never resend. They are named.
    assert states["done"] + states["lost_upstream"] + states["not_measured"] == POINTS
    assert states["done"] > reported


@pytest.mark.slow
def test_the_file_a_killed_daemon_left_is_readable_at_once(tmp_path):
    with beamline(tmp_path, shape=f"{ROWS}x{COLUMNS}", rate=20.0) as setup:
        daemon = setup.start_daemon()
        setup.begin()
        wait_until(lambda: done_in(setup.status) >= 20, "20 points", process=daemon)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
    reported = done_in(setup.status)
    (path,) = setup.results
    with open_result(path) as result:
        assert result.points_done >= reported
    repair(path)
    with open_result(path) as result:
        assert result.points_done >= reported
        assert np.isfinite(np.asarray(result.confidences)[np.asarray(result.done)]).all()
