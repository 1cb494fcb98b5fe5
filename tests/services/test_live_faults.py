"""Faults of a real beamline, through real sockets: each is reported, none shifts the map in silence."""

import numpy as np
import pytest

from phasecast.core.ledger import PointState
from phasecast.results import layout, open_result
from support.daemon import LongDaemon

ROWS, COLUMNS = 4, 10
POINTS = ROWS * COLUMNS


@pytest.fixture(scope="module")
def run_scan(tmp_path_factory):
    """Run scans one after another through one daemon, which must end in order."""
    daemon = LongDaemon(tmp_path_factory.mktemp("daemon"), "--close-after-idle-s", "8")

    def run(*faults, counter=True):
        return daemon.scan(*faults, shape=f"{ROWS}x{COLUMNS}", counter=counter)

    try:
        yield run
    finally:
        status = daemon.end()
    assert status == 0, daemon.log
    assert "Traceback" not in daemon.log


@pytest.mark.slow
def test_a_tidy_scan_by_order_alone_is_complete_and_undoubted(run_scan):
    with open_result(run_scan(counter=False)) as result:
        assert result.ledger_sums["done"] == POINTS
        assert result.flag_sums["joined_by_order"] == POINTS
        assert result.flag_sums["position_doubtful"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop_triggers=13", "double_triggers=13", "pauses=13"])
def test_triggers_that_go_wrong_are_doubted_within_a_row_when_joined_by_order(run_scan, fault):
    with open_result(run_scan(fault, counter=False)) as result:
        doubtful = [int(index) for index in result.ledger["flags"].to_numpy() & 1].index(1)
        assert doubtful <= 13
        assert doubtful >= 0
        assert "position doubtful" in list(result.defects["reason"].to_numpy())
        assert sum(result.ledger_sums.values()) >= POINTS


@pytest.mark.slow
def test_lead_in_frames_are_doubted_from_the_first_row(run_scan):
    with open_result(run_scan("lead_in_rows=2", counter=False)) as result:
        assert bool(result.ledger["flags"].to_numpy()[0] & 1)


@pytest.mark.slow
def test_counters_in_events_keep_every_frame_in_its_place(run_scan):
    faults = ("drop_triggers=7", "double_triggers=15", "lose_frames=22", "truncated_frames=30", "wrong_shape_frames=33")
    with open_result(run_scan(*faults)) as result:
        states = [PointState(int(state)).label for state in result.ledger["state"].to_numpy()]
        assert states[7] == "lost_upstream"
        assert states[22] == "lost_upstream"
        assert states[30] == "rejected"
        assert states[33] == "rejected"
        assert result.ledger_sums["done"] == POINTS - 4
        assert sum(result.ledger_sums.values()) == POINTS


@pytest.mark.slow
@pytest.mark.parametrize(("first", "last"), [(0, 9), (17, 26)], ids=["from the start", "in mid-row"])
def test_points_of_a_dead_beam_are_found_and_named_and_not_classified(run_scan, first, last):
    with open_result(run_scan(f"beam_dump={first}-{last}")) as result:
        dark = np.arange(first, last + 1)
        assert list(np.flatnonzero(result.ledger["state"].to_numpy() == PointState.REJECTED)) == list(dark)
        assert set(result.ledger["reason"].to_numpy()[dark]) == {"no beam"}
        kept = result.file[layout.CONFIDENCES][...]
        assert list(np.flatnonzero(np.isnan(kept).any(axis=1))) == list(dark)
        assert result.ledger_sums["done"] == POINTS - dark.size
        assert sum(result.ledger_sums.values()) == POINTS
        assert result.counters["counters"]["no_beam_points"] == dark.size
        said = [str(line) for line in result.defects["detail"].to_numpy()]
        assert any(line.startswith(f"points {first} to {last}: I0 at most") for line in said)


@pytest.mark.slow
def test_a_scan_without_its_stop_is_declared_over_and_keeps_its_points(run_scan):
    with open_result(run_scan("no_stop=true")) as result:
        assert result.ledger_sums["done"] == POINTS
        assert result.counters["exit_status"] == "fail"
