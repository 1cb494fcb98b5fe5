"""Orderly ends and disorderly beginnings: a stop in mid-scan, and a second start before the first stop."""

import signal

import numpy as np
import pytest

from phasecast.results import open_result
from support.daemon import beamline, done_in, wait_until
from support.nexus import read_every_dataset, validation

ROWS, COLUMNS = 8, 12
POINTS = ROWS * COLUMNS


@pytest.mark.slow
def test_a_daemon_told_to_stop_in_mid_scan_leaves_a_closed_file_that_its_successor_takes_up(tmp_path):
    with beamline(tmp_path, shape=f"{ROWS}x{COLUMNS}", rate=15.0) as setup:
        daemon = setup.start_daemon()
        setup.begin()
        wait_until(lambda: done_in(setup.status) >= 20, "20 points", process=daemon)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(90) == 0
        status = setup.status
        assert status["state"] == "stopped"
        reported = done_in(status)
        (path,) = setup.results
        assert read_every_dataset(path) > 20
        assert validation(path)[1] == 0
        with open_result(path) as result:
            assert result.is_closed
            assert result.points_done >= reported
            before = np.asarray(result.done)
            patterns = result.patterns.to_numpy()[before]

        successor = setup.start_daemon("--once", "--close-after-idle-s", "5")
        assert successor.wait(90) == 0, (tmp_path / "daemon.log").read_text()
    assert setup.results == [path]
    with open_result(path) as result:
        after = np.asarray(result.done)
        assert after[before].all()
        assert after.sum() > before.sum()
        np.testing.assert_array_equal(result.patterns.to_numpy()[before], patterns)
        assert sum(result.ledger_sums.values()) == POINTS
        # what was sent while nobody listened is gone for good: PUB and PUSH never resend. It is named.
        assert result.ledger_sums["pending"] == result.ledger_sums["received"] == 0


@pytest.mark.slow
def test_a_second_start_before_the_stop_gives_two_files_and_loses_no_point(tmp_path):
    arguments = ("--fault", "second_start_at=17")
    with beamline(tmp_path, shape=f"4x{COLUMNS}", rate=25.0, arguments=arguments) as setup:
        daemon = setup.start_daemon("--close-after-idle-s", "15")
        setup.begin()
        wait_until(lambda: setup.status.get("finished_scans", 0) == 2, "both scans", process=daemon)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(90) == 0
    first, second = sorted(setup.results, key=lambda path: path.stat().st_ctime_ns)
    results = {}
    for path in (first, second):
        assert validation(path)[1] == 0
        with open_result(path) as result:
            results[result.counters["exit_status"]] = result.ledger_sums
    assert results["success"]["done"] == 4 * COLUMNS
    broken = results["fail"]
    # the point at which the run died was exposed or not; every one before it is there
    assert broken["done"] >= 17
    assert broken["done"] + broken["not_measured"] + broken["lost_upstream"] == 4 * COLUMNS
    assert broken["lost_upstream"] == 0
