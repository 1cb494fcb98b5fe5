"""What was recorded gives the same results again, to the bit, at any speed, in any cut, whole or in two halves."""

import json
import os
import signal
import subprocess
import sys

import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.records.status import read_status
from phasecast.results import open_result
from phasecast.services.replay import ReplayOptions, replay
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
def test_a_replay_killed_in_the_middle_goes_on_to_the_same_ledger(recorded, tmp_path):
    directory, live = recorded
    words = ["replay", str(directory.captures), "--data-dir", str(tmp_path), "--device", "cpu", "--no-reports"]
    status = tmp_path / "status" / "replay.json"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "phasecast.cli", *words, "--speed", "1"], stderr=log)
    wait_until(lambda: (read_status(status) or {}).get("points", 0) >= 5, "five points", process=process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (path,) = (tmp_path / "results").glob("*.nxs")
    with open_result(path) as left:
        already = left.points_done
        assert 5 <= already < ROWS * COLUMNS
    report = again(directory.captures, tmp_path, compare=(live,))
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


def test_several_sources_are_replayed_at_once_each_into_a_folder_of_its_own(recorded, tmp_path):
    directory, live = recorded
    (whole,) = directory.captures.iterdir()
    copy = tmp_path / "copy" / "captures"
    copy.mkdir(parents=True)
    (copy / whole.name).symlink_to(whole)
    words = ("--profile", "bl16xu", "--device", "cpu", "--no-reports", "--compare", str(live), "--json")
    command = ["replay", str(directory.root), str(copy), "--data-dir", str(tmp_path / "out"), *words]
    ended = subprocess.run(
        [sys.executable, "-m", "phasecast.cli", *command], capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 0, ended.stderr
    reports = json.loads(ended.stdout)
    assert [report["complete"] for report in reports] == [True, True]
    assert all((tmp_path / "out" / name / "results").is_dir() for name in ("data", "copy"))
