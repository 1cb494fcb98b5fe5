"""Several scans over one sample: aborted, continued, with the beam beside its place; nobody waits ten minutes."""

import itertools
import json

import numpy as np
import pytest

from phasecast.simulate import BeamlineOptions, Faults
from phasecast.simulate.errors import SimulationError
from phasecast.simulate.passes import Conditions, MapPass, parse_pass
from phasecast.simulate.stage import StageAxes
from support.simulated_consumer import listen

WHOLE = MapPass(shape=(4, 5), step_um=2.0)


def run(folder, *passes, **changes):
    base = {"output": "simplon://127.0.0.1:0", "shape": (4, 5), "rate_hz": None, "turnaround_s": 0.0, "seed": 2}
    return listen(BeamlineOptions(**(base | {"passes": passes} | changes)), folder)


def test_a_scan_is_read_from_words():
    scan = parse_pass("shape=2x5 origin=0,4 wait-s=600 flux=0.95 offset=3,-1 abort=7 drop=2", default=WHOLE)
    assert scan == MapPass(
        shape=(2, 5), step_um=2.0, origin_um=(0.0, 4.0), wait_s=600.0, flux=0.95, offset_um=(3.0, -1.0),
        faults=Faults(abort_at=7, drop_triggers=(2,)),
    )  # fmt: skip
    assert scan.end_um == (8.0, 6.0)


@pytest.mark.parametrize("text", ["shape=2", "origin=1", "flux=much", "nothing=1"])
def test_words_that_mean_nothing_are_refused(text):
    with pytest.raises(SimulationError, match="--"):
        parse_pass(text, default=WHOLE)


def test_an_aborted_scan_and_its_continuation_are_two_runs_of_one_map_ten_minutes_apart(tmp_path):
    first = parse_pass("abort=7", default=WHOLE)
    second = parse_pass("shape=3x5 origin=0,2 wait-s=600 flux=0.95", default=WHOLE)
    received = run(tmp_path, first, second, map_name="A-3")
    starts, stops, events = received.of("start"), received.of("stop"), received.of("event")
    assert [stop["exit_status"] for stop in stops] == ["abort", "success"]
    assert [start["map"] for start in starts] == ["A-3", "A-3"]
    assert [tuple(start["shape"]) for start in starts] == [(4, 5), (3, 5)]
    assert len(events) == 7 + 15
    times = np.array([event["time"] for event in events])
    assert 600 < times[7] - times[6] < 630
    assert np.all(np.delete(np.diff(times), 6) < 30)
    exposed = [head["frame"] for head in received.heads("dimage-1.0")]
    assert exposed == [*range(7), *range(15)]
    assert {event["data"]["stage_y"] for event in events[7:]} == {2.0, 4.0, 6.0}


def test_a_beam_that_comes_back_in_mid_row_is_weaker_and_beside_its_place_on_both_clocks(tmp_path):
    lost = Faults(beam_lost_at=7, offset_after_um=(2.0, 0.0))
    received = run(tmp_path, MapPass(shape=(4, 5), step_um=2.0, faults=lost))
    events = received.of("event")
    i0 = np.array([event["data"]["i0"] for event in events])
    assert 0.90 < np.median(i0[7:]) / np.median(i0[:7]) < 0.99
    assert events[7]["time"] - events[6]["time"] > 600
    started = [head["start_time"] for head in (json_of(parts) for parts in received.messages) if "start_time" in head]
    assert np.diff(started)[6] > 600e9
    # what the stage reads knows nothing of the offset
    assert [event["data"]["stage_x"] for event in events[5:10]] == [8.0, 6.0, 4.0, 2.0, 0.0]


def json_of(parts):
    merged = {}
    for part in parts:
        if part[:1] == b"{":
            merged |= json.loads(part)
    return merged


def test_conditions_add_up():
    conditions = Conditions()
    conditions.begin(MapPass(shape=(2, 2), step_um=1.0, wait_s=10.0, flux=0.9))
    conditions.beam_returns(Faults(i0_after=0.5))
    assert (conditions.ahead_s, conditions.flux, conditions.offset_um) == (610.0, 0.45, (3.0, 0.0))


@pytest.mark.parametrize("text", ["x=x,y=y", "x=-y,y=x", "x=-x,y=-y"])
def test_a_turned_stage_scans_the_same_places(tmp_path, text):
    stage = StageAxes.parse(text)
    received = run(tmp_path, stage=stage)
    places = {stage.sample_at(event["data"]["stage_x"], event["data"]["stage_y"]) for event in received.of("event")}
    assert places == {(2.0 * x, 2.0 * y) for x, y in itertools.product(range(5), range(4))}
