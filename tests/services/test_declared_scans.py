"""Scans without documents, as processes: frames in a folder, a log beside them, and a declaration."""

import json
import os
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest

from phasecast.core.errors import PhasecastError
from phasecast.results import open_result
from phasecast.services.attach_positions import ATTACHED_KEY, attach_positions
from phasecast.services.truth import compare_with_truth, mean_oxide_f1
from support.daemon import Setup, beamline, done_in, wait_until

SCAN = """
name = "錆の断面"
nx = {columns}
ny = {rows}
step_x_um = 2.0
step_y_um = 2.0
snake = true
exposure_s = 0.015
{more}

[log]
path = '{log}'
time = "日時"
time_zone = "Asia/Tokyo"
file = "ファイル名"
patience_s = 4.0
scalars = {{ i0 = "I0", transmission = "透過率" }}
x = {{ column = "X[pulse]", unit = "pulse", factor = 0.05 }}
y = {{ column = "Y[pulse]", unit = "pulse", factor = 0.05, sign = -1 }}
"""


def declare(folder: Path, *, log: str = "位置.txt", rows: int = 6, columns: int = 10, more: str = "") -> Path:
    path = folder / "scan.toml"
    path.write_text(SCAN.format(rows=rows, columns=columns, more=more, log=log), encoding="utf-8")
    return path


def files_only(folder: Path, *faults: str, frames: str = "frames", log: str = "位置.txt", rate=50.0):
    arguments = ["--position-log", str(folder / log), *(word for fault in faults for word in ("--fault", fault))]
    output = f"files://{quote(os.fsencode(folder / frames))}"
    return beamline(folder, shape="6x10", rate=rate, arguments=tuple(arguments), frames=output)


def finish(setup: Setup, scan: Path, *more: str) -> Path:
    """Run a daemon through one scan; return its result."""
    del setup.addresses["documents"]
    daemon = setup.start_daemon("--scan", str(scan), "--once", "--device", "cpu", *more)
    setup.begin()
    assert daemon.wait(120) == 0, (setup.folder / "daemon.log").read_text()
    (path,) = setup.results
    return path


@pytest.mark.slow
def test_lost_and_doubled_triggers_move_no_point_whatever_the_names_of_folder_and_log_are(tmp_path):
    frames = f"{os.fsdecode('試料'.encode('cp932'))}/{unicodedata.normalize('NFD', 'ガンマ')}/２日目＿Ａ"
    log = unicodedata.normalize("NFD", "ログ＿位置.txt")
    (tmp_path / frames).mkdir(parents=True)
    with files_only(tmp_path, "drop=17", "double=31", "lead-in-rows=1", frames=frames, log=log) as setup:
        path = finish(setup, declare(tmp_path, log=log, more="lead_in_frames_per_row = 1"))
    assert mean_oxide_f1(compare_with_truth(path, setup.truth)) > 0.5
    with open_result(path) as result:
        sums, counters = result.ledger_sums, result.counters["counters"]
        assert result.flag_sums["not_normalised"] == result.flag_sums["position_doubtful"] == 0
        assert result.header.metadata["title"] == "錆の断面"
        paths = [one for one in result.frames["path"].to_numpy().tolist() if one]
    assert (sums["done"], sums["lost_upstream"]) == (59, 1)
    assert counters["surplus_frames"] == 7, "six lead-in frames and the doubled one"
    assert all(Path(one).name.startswith("rust001_") for one in paths)


@pytest.mark.slow
def test_a_killed_daemon_is_followed_by_one_that_ends_with_the_whole_map(tmp_path):
    scan = declare(tmp_path)
    with files_only(tmp_path, rate=20.0) as setup:
        del setup.addresses["documents"]
        daemon = setup.start_daemon("--scan", str(scan), "--device", "cpu")
        setup.begin()
        wait_until(lambda: done_in(setup.status) >= 20, "20 points", process=daemon)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        successor = setup.start_daemon("--scan", str(scan), "--device", "cpu", "--once")
        assert successor.wait(120) == 0, (tmp_path / "daemon.log").read_text()
    (path,) = setup.results
    assert mean_oxide_f1(compare_with_truth(path, setup.truth)) > 0.5
    with open_result(path) as result:
        assert result.ledger_sums["done"] == 60, "frames and rows of the time between lie in files"


@pytest.mark.slow
@pytest.mark.long
def test_positions_that_come_later_make_a_new_result_and_leave_the_old_one_as_it_was(tmp_path):
    scan = declare(tmp_path, more='positions = "later"')
    with files_only(tmp_path, "drop=17") as setup:
        old = finish(setup, scan, "--close-after-idle-s", "3")
    before = old.read_bytes()
    with open_result(old) as result:
        assert result.ledger_sums["done"] == 59
        assert result.flag_sums["no_position"] == 59
        confidences = result.confidences.to_numpy()
    command = ["attach-positions", str(old), str(tmp_path / "位置.txt"), "--scan", str(scan), "--json"]
    ended = subprocess.run(
        [sys.executable, "-m", "phasecast.cli", *command], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    new = Path(json.loads(ended.stdout)["result"])
    assert old.read_bytes() == before
    assert new == old.with_name(f"{old.stem}_positions.nxs")
    assert mean_oxide_f1(compare_with_truth(new, setup.truth)) > 0.5
    with open_result(new) as result:
        sums = result.ledger_sums
        assert (sums["done"], sums["lost_upstream"]) == (59, 1), "the lost trigger is where the log has it"
        assert result.flag_sums["no_position"] == 0
        provenance = result.header.metadata[ATTACHED_KEY]
        kept = result.confidences.to_numpy()
        assert result.reason_of(17)
    assert provenance["from_result"] == old.name
    assert len(provenance["log_sha256"]) == 64
    assert kept[18:60] == pytest.approx(confidences[17:59], nan_ok=True)
    again = attach_positions(old, tmp_path / "位置.txt", scan=scan)
    assert again.path.name.endswith("_positions-2.nxs"), "nothing is overwritten"
    (tmp_path / "other.txt").write_text("no rows\n")
    with pytest.raises(PhasecastError, match="no row of the log belongs to this scan"):
        attach_positions(old, tmp_path / "other.txt", scan=scan)
