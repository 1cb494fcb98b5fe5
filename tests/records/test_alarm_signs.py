"""What the points of a scan and the daemon's status say, against scans of which it is known."""

import json
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest

from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.result import ColumnSpec
from phasecast.records.alarm_signs import SignReader, Signs, alarm_inputs, measured_scan
from phasecast.records.alarm_watch import AlarmWatch
from phasecast.records.alarms import evaluate
from phasecast.results.follow import ResultFollower
from phasecast.sinks.nexus import NexusSink
from support.documents import make_header, raster
from support.drifting import GOETHITE, DriftingScan
from support.result_writer import WriterProcess

SHAPE = (12, 20)
POINTS = SHAPE[0] * SHAPE[1]


def sure(rows=POINTS):
    confidence = np.full((rows, 9), 0.02)
    confidence[:, GOETHITE] = 0.97
    return confidence


def follow(tmp_path, *, confidence=None, drift_deg=0.0, shape=SHAPE, header=(), **ledger):
    x_um, y_um = raster(SHAPE)
    run = DriftingScan(
        make_header(shape=shape, expected=POINTS, bins=600, **dict(header)),
        x_um,
        y_um,
        confidence=confidence,
        drift_deg=drift_deg,
    )
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in run.opening():
        sink(*document)
    rows = np.arange(POINTS)
    sink(*run.points(rows))
    sink(*run.ledger(rows, **{name: np.asarray(value) for name, value in ledger.items()}))
    sink(*run.stop())
    return ResultFollower(sink.path)


def signs_of(*arguments, **settings):
    follower = follow(*arguments, **settings)
    signs = SignReader(follower).read()
    follower.close()
    return signs


@pytest.mark.parametrize("drift_deg", [0.0, 0.08, -0.2])
def test_the_shift_of_a_known_line_is_that_of_the_newest_points_against_the_first(tmp_path, drift_deg):
    shift = signs_of(tmp_path, confidence=sure(), drift_deg=drift_deg).line_shift_deg
    # from the middle of the first 30 points to the middle of the last 30
    assert shift == pytest.approx(drift_deg * (POINTS - 30) / (POINTS - 1), abs=0.012)


def test_no_line_no_shift(tmp_path):
    assert np.isnan(signs_of(tmp_path, confidence=np.full((POINTS, 9), 0.01)).line_shift_deg)


def test_a_beam_that_went_down_shows_as_part_of_its_usual_intensity(tmp_path):
    i0 = np.full(POINTS, 1e6)
    i0[-10:] = 2e5
    assert signs_of(tmp_path, confidence=sure(), i0=i0).i0_ratio == pytest.approx(0.2)


def test_points_that_were_rejected_for_want_of_beam_raise_the_alarm_of_the_beam(tmp_path):
    i0, state = np.full(POINTS, 1e6), np.full(POINTS, PointState.DONE, np.uint8)
    i0[-10:], state[-10:] = 100.0, PointState.REJECTED
    signs = signs_of(tmp_path, confidence=sure(), i0=i0, state=state)
    assert signs.i0_ratio == pytest.approx(1e-4)
    scan = {"state": "measuring", "uid": "scan-1", "started_s": -100.0}
    inputs = alarm_inputs({"state": "running", "time_s": 0.0, "scans": [scan]}, now_s=0.0, signs=signs)
    assert "i0_down" in [alarm.kind for alarm in evaluate(inputs)]


def test_what_the_monitor_reads_in_the_dark_is_no_beam(tmp_path):
    i0 = np.full(POINTS, 3e4)
    i0[-10:] = 2.1e4
    profile = {"monitors": {"named": [{"name": "i0", "field": "ic", "role": "i0", "offset": 2e4}]}}
    signs = signs_of(tmp_path, confidence=sure(), i0=i0, header={"profile": profile})
    assert signs.i0_ratio == pytest.approx(0.1)


def test_a_monitor_that_says_nothing_says_nothing(tmp_path):
    assert np.isnan(signs_of(tmp_path, confidence=sure(), i0=np.full(POINTS, np.nan)).i0_ratio)


def test_saturated_points_are_counted_among_the_newest(tmp_path):
    flags = np.zeros(POINTS, np.uint32)
    flags[[0, 5, POINTS - 1, POINTS - 50]] = PointFlag.SATURATED
    flags[POINTS - 51] = PointFlag.SATURATED
    signs = signs_of(tmp_path, confidence=sure(), flags=flags)
    assert (signs.saturated_points, signs.recent_points) == (2, 50)


@pytest.mark.parametrize(
    "unsure, run", [([], 0), (range(POINTS - 23, POINTS), 23), ([0, 1, 2], 0), (range(POINTS), POINTS)]
)
def test_a_run_of_unsure_points_is_counted_back_from_the_newest(tmp_path, unsure, run):
    confidence = sure()
    confidence[list(unsure), 4] = 0.5
    signs = signs_of(tmp_path, confidence=confidence)
    assert (signs.unsure_run, signs.row_points) == (run, 20)


@dataclass
class StrangeScan(DriftingScan):
    """The model knows the first half, and nothing of what is under every third point."""

    def points(self, rows, *, revision=0):
        name, page = super().points(rows, revision=revision)
        drift = np.where(rows < POINTS // 2, 0.4, 1.6).astype(np.float32)
        page["data"]["drift"] = np.where(rows % 3 == 0, np.nan, drift)
        return name, page


def test_patterns_that_the_model_does_not_know_raise_an_alarm_once_they_are_most_of_the_newest(tmp_path):
    header = make_header(shape=SHAPE, expected=POINTS, bins=600)
    header = replace(header, columns=(*header.columns, ColumnSpec(name="drift", dtype="<f4")))
    run = StrangeScan(header, *raster(SHAPE), confidence=sure())
    seen = {}
    # 100 known points are there after 150; from 195 on more than half of the newest 100 are strange
    for points in (140, 160, POINTS):
        with NexusSink(tmp_path / f"{points}.nxs") as sink:
            for document in (*run.opening(), *run.pages(20, last=points), run.stop()):
                sink(*document)
        follower = ResultFollower(tmp_path / f"{points}.nxs")
        seen[points] = SignReader(follower).read().strangeness
        follower.close()
    assert np.isnan(seen[140])
    assert seen[160] == pytest.approx(0.4)
    assert seen[POINTS] == pytest.approx(1.6)
    status = status_of() | {"time_s": 1000.0}
    alarms = evaluate(alarm_inputs(status, now_s=1000.0, signs=Signs(strangeness=seen[POINTS])))
    assert [alarm.kind for alarm in alarms] == ["strange_patterns"]


def status_of(**scan):
    fields = {
        "uid": "raw-1", "state": "measuring", "result": "a.nxs", "started_s": 900.0, "last_frame_s": 999.0,
        "last_position_s": 998.0, "frame_period_s": 0.1, "positions_expected": True,
    }  # fmt: skip
    return {"time_s": 999.5, "state": "running", "scans": [fields | scan], "disk": {"free_bytes": 1e12}}


def test_the_status_of_the_daemon_becomes_inputs():
    inputs = alarm_inputs(status_of(), now_s=1000.0)
    assert (inputs.daemon_state, inputs.scan_uid) == ("running", "raw-1")
    assert inputs.status_age_s == pytest.approx(0.5)
    assert inputs.since_frame_s == pytest.approx(1.0)
    assert inputs.since_position_s == pytest.approx(2.0)
    assert inputs.scan_age_s == pytest.approx(100.0)
    assert evaluate(inputs) == []
    assert alarm_inputs(status_of(state="stopped"), now_s=1000.0).scan_uid == ""
    gone = alarm_inputs(status_of(), now_s=1010.0)
    assert [alarm.kind for alarm in evaluate(gone)] == ["daemon_gone"]


@pytest.mark.parametrize(
    "status",
    [None, {}, {"scans": 5}, {"scans": [5]}, {"scans": [{}], "disk": 3, "time_s": "now"},
     {"state": 7, "scans": [{"state": "measuring", "last_frame_s": "soon"}], "disk": {"free_bytes": None}}],
)  # fmt: skip
def test_a_status_of_another_version_raises_no_alarm_and_no_error(status):
    assert evaluate(alarm_inputs(status, now_s=1000.0)) == []
    measured_scan(status)


def test_the_watch_puts_status_and_result_together(directory):
    now_s = time.time()
    with WriterProcess(directory.results / "live.nxs") as writer:
        writer.ask("pages 20")
        # confidences of this run are multiples of 0.1: every point is unsure
        scan = status_of(result="live.nxs", last_frame_s=now_s, last_position_s=now_s, started_s=now_s - 60)
        (directory.status / "live-xrd.json").write_text(json.dumps(scan | {"time_s": now_s}))
        watch = AlarmWatch(directory, clock=lambda: now_s)
        (alarm,) = watch.step()
        assert (alarm.kind, alarm.values) == ("unsure_row", {"count": "60"})
        writer.ask("pages 20")
        assert watch.step() == []
        assert watch.book.alarms[0].values == {"count": "120"}
        other = AlarmWatch(directory, clock=lambda: now_s)
        assert other.step(leads=False) == []
        assert [one.id for one in other.book.alarms] == [alarm.id]
        (directory.results / "live.nxs").rename(directory.results / "away.nxs")
        watch.step()
        assert watch.book.alarms == []
        watch.close()
    (directory.status / "live-xrd.json").write_text("{")
    assert AlarmWatch(directory).step() == []


def test_a_beam_that_stays_away_does_not_become_the_usual_one(tmp_path):
    i0 = np.full(POINTS, 1e6)
    i0[60:] = 1e4
    assert signs_of(tmp_path, confidence=sure(), i0=i0).i0_ratio == pytest.approx(0.01)
