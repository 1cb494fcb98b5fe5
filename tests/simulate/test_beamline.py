"""A whole scan through a real RunEngine, a real 0MQ proxy and real frame wires."""

import json

import numpy as np
import pytest

from phasecast.simulate import BeamlineOptions, Faults, read_truth, run_beamline
from phasecast.simulate.documents import DocumentWire
from phasecast.simulate.errors import SimulationError
from support.simulated_consumer import decode_v1, listen

SHAPE = (3, 4)
POINTS = 12


def _options(**changes):
    base = {"output": "simplon://127.0.0.1:0", "shape": SHAPE, "rate_hz": None, "turnaround_s": 0.0, "seed": 2}
    return BeamlineOptions(**(base | changes))


def _numbers(received):
    return [document["data"]["pilatus_image_number"] for document in received.of("event")]


def _frames(received):
    return [head["frame"] for head in received.heads("dimage-1.0")]


def test_a_scan_arrives_complete_on_both_wires(tmp_path):
    received = listen(_options(truth=tmp_path / "truth.json"), tmp_path)
    assert [name for name, _ in received.documents] == ["start", "descriptor", *["event"] * POINTS, "stop"]
    (start,) = received.of("start")
    assert tuple(start["shape"]) == SHAPE
    assert list(start["snaking"]) == [False, True]
    assert start["plan_name"] == "grid_scan"
    assert [list(fields) for fields, _ in start["hints"]["dimensions"]] == [["stage_y"], ["stage_x"]]
    assert start["sample"]["name"]
    (descriptor,) = received.of("descriptor")
    assert descriptor["data_keys"]["stage_x"]["units"] == "um"
    assert {"i0", "i1", "transmission", "pilatus_image_number"} <= set(descriptor["data_keys"])

    assert [json.loads(parts[0])["htype"] for parts in received.messages] == [
        "dheader-1.0",
        *["dimage-1.0"] * POINTS,
        "dseries_end-1.0",
    ]
    assert _frames(received) == list(range(POINTS)) == _numbers(received)
    (stop,) = received.of("stop")
    assert stop["exit_status"] == "success"
    assert received.summary.frames_sent == received.summary.points == POINTS
    assert received.summary.uids == (start["uid"],)
    assert received.announced["points"] == POINTS

    truth = read_truth(tmp_path / "truth.json")
    events = received.of("event")
    snaked = np.arange(POINTS).reshape(SHAPE)
    snaked[1] = snaked[1, ::-1]
    np.testing.assert_allclose([event["data"]["stage_x"] for event in events], truth.x_um[snaked.ravel()])
    np.testing.assert_allclose([event["data"]["stage_y"] for event in events], truth.y_um[snaked.ravel()])
    transmission = np.array([event["data"]["transmission"] for event in events])
    assert transmission.min() > 0.1
    assert transmission[truth.fractions["resin"][snaked.ravel()] > 0.99].min(initial=1) > 0.95


def test_the_same_seed_sends_the_same_frames(tmp_path):
    counts = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        received = listen(_options(shape=(2, 2)), folder)
        counts.append([decode_v1(parts) for parts in received.messages[1:-1]])
    np.testing.assert_array_equal(counts[0], counts[1])


def test_files_appear_for_every_point(tmp_path):
    received = listen(_options(output=str(tmp_path / "frames")), tmp_path, pull=False)
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == [f"rust001_{number:05d}.cbf" for number in range(POINTS)]
    assert received.summary.frames_uri == f"files://{tmp_path / 'frames'}"


def test_the_counter_can_be_left_out(tmp_path):
    received = listen(_options(counter=False), tmp_path)
    assert len(received.of("event")) == POINTS
    assert "pilatus_image_number" not in received.of("descriptor")[0]["data_keys"]


def test_a_dropped_trigger_leaves_a_point_without_frame(tmp_path):
    received = listen(_options(faults=Faults(drop_triggers=(5,))), tmp_path)
    assert len(received.of("event")) == POINTS
    assert _frames(received) == list(range(POINTS - 1))
    assert _numbers(received) == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10]


def test_a_double_trigger_gives_a_frame_too_many(tmp_path):
    received = listen(_options(faults=Faults(double_triggers=(5,))), tmp_path)
    assert len(received.of("event")) == POINTS
    assert _frames(received) == list(range(POINTS + 1))
    assert _numbers(received) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]


def test_a_lost_frame_leaves_a_gap_in_the_numbers(tmp_path):
    received = listen(_options(faults=Faults(lose_frames=(5,))), tmp_path)
    assert _numbers(received) == list(range(POINTS))
    assert _frames(received) == [number for number in range(POINTS) if number != 5]
    assert received.summary.frames_lost == 1


def test_a_pause_exposes_its_point_twice_and_reports_it_once(tmp_path):
    received = listen(_options(faults=Faults(pauses=(5,), pause_s=0.05)), tmp_path)
    assert [event["seq_num"] for event in received.of("event")] == list(range(1, POINTS + 1))
    assert _frames(received) == list(range(POINTS + 1))
    assert _numbers(received) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
    assert received.of("stop")[0]["exit_status"] == "success"


def test_lead_in_frames_come_before_the_scan_and_before_rows(tmp_path):
    received = listen(_options(faults=Faults(lead_in_frames=2, lead_in_rows=1)), tmp_path)
    assert len(_frames(received)) == POINTS + 2 + 3
    assert _numbers(received) == [3, 4, 5, 6, 8, 9, 10, 11, 13, 14, 15, 16]


def test_defects_reach_the_wire_on_their_point(tmp_path):
    faults = Faults(truncated_frames=(2,), wrong_shape_frames=(4,))
    received = listen(_options(faults=faults), tmp_path)
    images = received.messages[1:-1]
    broken = []
    for number, parts in enumerate(images):
        try:
            shape = decode_v1(parts).shape
        except Exception:  # whatever the decoder says to a cut blob
            broken.append(number)
        else:
            assert shape == ((195, 486) if number == 4 else (195, 487))
    assert broken == [2]


def test_a_stop_can_stay_away(tmp_path):
    received = listen(_options(faults=Faults(no_stop=True)), tmp_path)
    assert len(received.of("event")) == POINTS
    assert received.of("stop") == []


def test_a_run_can_die_and_start_again_without_a_stop(tmp_path):
    received = listen(_options(faults=Faults(second_start_at=5)), tmp_path)
    names = [name for name, _ in received.documents]
    assert names == ["start", "descriptor", *["event"] * 5, "start", "descriptor", *["event"] * POINTS, "stop"]
    assert len(set(received.summary.uids)) == 2
    assert [head["series"] for head in received.heads("dheader-1.0")] == [1, 2]
    assert len(received.heads("dimage-1.0")) == 5 + POINTS


def test_a_dumped_beam_is_dark_and_says_so(tmp_path):
    received = listen(_options(faults=Faults(beam_dump=(4, 6))), tmp_path)
    i0 = np.array([event["data"]["i0"] for event in received.of("event")])
    dark = np.isin(np.arange(POINTS), (4, 5, 6))
    assert i0[dark].max() < 1e-3 * i0[~dark].min()
    totals = np.array([decode_v1(parts).sum() for parts in received.messages[1:-1]])
    assert totals[dark].max() < 0.1 * totals[~dark].min()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "kafka://127.0.0.1:1"}, "unknown scheme"),
        ({"output": "simplon://192.0.2.1:9999"}, "only bind 127.0.0.1"),
        ({"output": "simplon://127.0.0.1:0", "documents_in_port": 0, "documents_out_port": 0}, "no consumer"),
    ],
)
def test_what_cannot_run_says_why(changes, message):
    with pytest.raises(SimulationError, match=message):
        run_beamline(_options(start_timeout_s=0.3, **changes))


def test_a_start_signal_that_never_comes_is_an_error(tmp_path):
    options = _options(start_when=tmp_path / "never", start_timeout_s=0.2, documents_in_port=0, documents_out_port=0)
    with pytest.raises(SimulationError, match="start signal did not come"):
        run_beamline(options)


def test_ports_in_use_are_an_error():
    wire = DocumentWire()
    port = int(wire.out_address.rpartition(":")[2])
    with pytest.raises(SimulationError, match="cannot bind ports"):
        DocumentWire(out_port=port)
    wire.close()
