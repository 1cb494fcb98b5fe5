"""Faults of a real beamline, through real sockets: each is reported, none shifts the map in silence."""

import pytest

from phasecast.core.ledger import PointState
from phasecast.results import open_result
from support.daemon import beamline

ROWS, COLUMNS = 4, 10
POINTS = ROWS * COLUMNS


def run_scan(folder, *faults, counter=True, rate=25.0):
    arguments = [word for fault in faults for word in ("--fault", fault)]
    if not counter:
        arguments.append("--no-counter")
    with beamline(folder, shape=f"{ROWS}x{COLUMNS}", rate=rate, arguments=tuple(arguments)) as setup:
        daemon = setup.start_daemon("--once", "--close-after-idle-s", "3")
        setup.begin()
        assert daemon.wait(90) == 0, (folder / "daemon.log").read_text()
        return setup.results[-1]


@pytest.mark.slow
def test_a_tidy_scan_by_order_alone_is_complete_and_undoubted(tmp_path):
    with open_result(run_scan(tmp_path, counter=False)) as result:
        assert result.ledger_sums["done"] == POINTS
        assert result.flag_sums["joined_by_order"] == POINTS
        assert result.flag_sums["position_doubtful"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop_triggers=13", "double_triggers=13", "pauses=13"])
def test_triggers_that_go_wrong_are_doubted_within_a_row_when_joined_by_order(tmp_path, fault):
    with open_result(run_scan(tmp_path, fault, counter=False)) as result:
        doubtful = [int(index) for index in result.ledger["flags"].to_numpy() & 1].index(1)
        assert doubtful <= 13
        assert doubtful >= 0
        assert "position doubtful" in list(result.defects["reason"].to_numpy())
        assert sum(result.ledger_sums.values()) >= POINTS


@pytest.mark.slow
def test_lead_in_frames_are_doubted_from_the_first_row(tmp_path):
    with open_result(run_scan(tmp_path, "lead_in_rows=2", counter=False)) as result:
        assert bool(result.ledger["flags"].to_numpy()[0] & 1)


@pytest.mark.slow
def test_counters_in_events_keep_every_frame_in_its_place(tmp_path):
    faults = ("drop_triggers=7", "double_triggers=15", "lose_frames=22", "truncated_frames=30", "wrong_shape_frames=33")
    with open_result(run_scan(tmp_path, *faults)) as result:
        states = [PointState(int(state)).label for state in result.ledger["state"].to_numpy()]
        assert states[7] == "lost_upstream"
        assert states[22] == "lost_upstream"
        assert states[30] == "rejected"
        assert states[33] == "rejected"
        assert result.ledger_sums["done"] == POINTS - 4
        assert sum(result.ledger_sums.values()) == POINTS


@pytest.mark.slow
def test_a_scan_without_its_stop_is_declared_over_and_keeps_its_points(tmp_path):
    with open_result(run_scan(tmp_path, "no_stop=true")) as result:
        assert result.ledger_sums["done"] == POINTS
        assert result.counters["exit_status"] == "fail"
