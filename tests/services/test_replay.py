"""What was recorded gives the same results again, to the bit, at any speed, in any cut, whole or in two halves."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import zmq

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.records.status import read_status
from phasecast.results import open_result
from phasecast.services.replay import ReplayOptions, replay
from phasecast.simulate.recorded import RecordedOptions, send_recorded
from phasecast.sources.capture import CaptureReader
from support.daemon import beamline, wait_until

ROWS, COLUMNS = 8, 12


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A data directory in which a daemon recorded and reduced one simulated scan."""
    folder = tmp_path_factory.mktemp("live")
    with beamline(folder, shape=f"{ROWS}x{COLUMNS}", rate=60.0) as setup:
        daemon = setup.start_daemon("--once", "--device", "cpu")
        setup.begin()
        assert daemon.wait(90) == 0, (folder / "daemon.log").read_text()
        (result,) = setup.results
    return DataDirectory(setup.data_dir), result


def again(source, target, **options):
    return replay(source, ReplayOptions(data_dir=target, device="cpu", reports=False, **options))


@pytest.mark.parametrize(
    "pace",
    [{}, {"turn_records": 1}, {"turn_records": 7}, {"speed": 8.0}],
    ids=["max", "one a turn", "seven a turn", "8x"],
)
def test_a_replay_gives_the_result_of_the_live_scan_to_the_bit(recorded, tmp_path, pace):
    directory, live = recorded
    before = live.stat().st_mtime_ns
    report = again(directory.root, tmp_path / "again", compare=(live,), **pace)
    assert report.complete
    assert report.identical, report.comparisons
    assert report.damage == ()
    (path,) = report.results
    assert report.ledgers[path.name] == {"done": ROWS * COLUMNS}
    with open_result(path) as new, open_result(live) as old:
        assert new.header.raw_uid == old.header.raw_uid
        assert new.header.result_uid != old.header.result_uid
        assert new.confidences.to_numpy().tobytes() == old.confidences.to_numpy().tobytes()
    assert live.stat().st_mtime_ns == before


@pytest.mark.slow
def test_replays_at_once_that_are_killed_in_the_middle_go_on_to_the_same_ledger(recorded, tmp_path):
    directory, live = recorded
    (whole,) = directory.captures.iterdir()
    copy = tmp_path / "copy" / "captures"
    copy.mkdir(parents=True)
    (copy / whole.name).symlink_to(whole)
    out = tmp_path / "out"
    words = ["replay", str(directory.root), str(copy), "--data-dir", str(out), "--profile", "bl16xu"]
    words += ["--device", "cpu", "--no-reports", "--speed", "1", "--at-once", "2"]
    folders = {directory.root: out / "data", copy: out / "copy"}

    def statuses():
        return [read_status(folder / "status" / "replay.json") or {} for folder in folders.values()]

    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "phasecast.cli", *words], stderr=log)
    wait_until(lambda: all(one.get("points", 0) >= 5 for one in statuses()), "five points of each", process=process)
    for one in statuses():
        os.kill(one["pid"], signal.SIGKILL)
    assert process.wait(60) == 1
    assert "ended with status -9" in (tmp_path / "log").read_text()
    for source, folder in folders.items():
        (path,) = (folder / "results").glob("*.nxs")
        with open_result(path) as left:
            already = left.points_done
        assert 5 <= already < ROWS * COLUMNS
        report = again(source, folder, profile="bl16xu", compare=(live,))
        assert report.identical, report.comparisons
        assert report.results == (path,)
        assert report.frames == ROWS * COLUMNS
        assert report.reduced == ROWS * COLUMNS - already


def test_a_result_is_classified_again_from_its_capture(recorded, tmp_path):
    _, live = recorded
    report = again(live, tmp_path, compare=(live,))
    assert report.identical, report.comparisons


def test_a_cut_capture_is_replayed_up_to_the_damage_which_is_named(recorded, tmp_path):
    directory, live = recorded
    (whole,) = directory.captures.iterdir()
    cut = tmp_path / whole.name
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    report = again(cut, tmp_path / "again", profile="bl16xu", compare=(live,))
    (line,) = report.damage
    assert f"{whole.name} ends inside the record that begins at byte" in line
    (path,) = report.results
    done = report.ledgers[path.name]["done"]
    assert 0 < done < ROWS * COLUMNS
    assert not report.identical
    (found,) = report.comparisons.values()
    assert f"state of {ROWS * COLUMNS - done} of {ROWS * COLUMNS} points, first at point {done}" in found["line"]


def test_a_damaged_record_costs_its_point_alone(recorded, tmp_path):
    directory, live = recorded
    (whole,) = directory.captures.iterdir()
    with open_result(live) as result:
        offset = result.frame_reference(40).offset
    content = bytearray(whole.read_bytes())
    content[offset + 2000] ^= 0xFF
    broken = tmp_path / whole.name
    broken.write_bytes(content)
    report = again(broken, tmp_path / "again", profile="bl16xu")
    (line,) = report.damage
    assert f"{whole.name} at byte {offset}: checksum differs" in line
    (sums,) = report.ledgers.values()
    assert sums == {"done": ROWS * COLUMNS - 1, "lost_upstream": 1}


def test_a_replay_never_writes_among_the_scans_of_a_data_directory(recorded, tmp_path):
    directory, live = recorded
    with pytest.raises(PhasecastError, match="holds scans of its own"):
        again(directory.root, directory.root)
    again(directory.root, tmp_path, compare=(live,))
    with pytest.raises(PhasecastError, match="the replay of something else"):
        again(live, tmp_path)


def test_documents_of_a_live_scan_are_json_lines_that_are_replayed_with_their_frames_elsewhere(recorded, tmp_path):
    directory, live = recorded
    with open_result(live) as result:
        uid = result.header.raw_uid
    lines = directory.documents / f"{uid}.jsonl"
    names = [json.loads(line)["name"] for line in lines.read_text().splitlines()]
    assert (names[0], names[-1]) == ("start", "stop")
    assert names.count("event") == ROWS * COLUMNS
    report = again(lines, tmp_path / "again", profile="bl16xu")
    (path,) = report.results
    # the frames of this scan came by a stream: without them every point is named as lost
    assert report.ledgers[path.name] == {"lost_upstream": ROWS * COLUMNS}
    with open_result(path) as new, open_result(live) as old:
        for name in ("x_um", "y_um", "time_s"):
            assert (new.ledger[name].to_numpy() == old.ledger[name].to_numpy()).all()


def test_a_capture_is_sent_onto_real_sockets_again_message_by_message(recorded, tmp_path):
    directory, _ = recorded
    with CaptureReader(directory.captures, follow=False) as reader:
        records = list(reader)
    context = zmq.Context()
    received = {"simplon": [], "bluesky": []}
    announce = tmp_path / "announce.json"
    with ThreadPoolExecutor(1) as pool:
        options = RecordedOptions(
            capture=directory.captures, output="simplon://127.0.0.1:0", speed=None, announce=announce
        )
        sending = pool.submit(send_recorded, options)
        wait_until(lambda: announce.exists() or sending.done(), "the addresses")
        addresses = json.loads(announce.read_text())
        sockets = {}
        for kind, key, socket_type in (("simplon", "frames", zmq.PULL), ("bluesky", "documents", zmq.SUB)):
            sockets[kind] = context.socket(socket_type)
            sockets[kind].setsockopt(zmq.RCVHWM, 0)
            if socket_type == zmq.SUB:
                sockets[kind].setsockopt(zmq.SUBSCRIBE, b"bl16xu ")
            sockets[kind].connect("tcp://" + addresses[key].partition("://")[2].partition("?")[0])
        wanted = {kind: [list(one.parts) for one in records if one.channel == kind] for kind in received}
        for kind, socket in sockets.items():
            for _ in wanted[kind]:
                assert socket.poll(30_000), kind
                received[kind].append(socket.recv_multipart())
        summary = sending.result()
    context.destroy(linger=0)
    assert received == wanted
    assert summary.documents == len(wanted["bluesky"])
    assert summary.frames_lost == 0
