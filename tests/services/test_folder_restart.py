"""A daemon that is killed in the middle of a folder: its successor goes on behind what the capture holds."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from phasecast.results import open_result
from phasecast.sources.capture import CaptureReader
from phasecast.sources.file_record import decode_file
from support.daemon import done_in, wait_until, watched_folder
from support.frame_files import cbf_bytes, small_image

BEFORE, AFTER = 40, 20
SCAN = f"nx = 10\nny = {(BEFORE + AFTER) // 10}\nstep_x_um = 2.0\nstep_y_um = 2.0\nexposure_s = 0.02\n"


def write(folder: Path, numbers: range) -> None:
    for number in numbers:
        draft = folder / f".scan_{number:05d}"
        draft.write_bytes(cbf_bytes(small_image(number), "Exposure_time 0.02 s"))
        draft.rename(folder / f"scan_{number:05d}.cbf")


@pytest.mark.slow
def test_kill_9_in_mid_folder_loses_no_file_and_records_none_twice(tmp_path: Path) -> None:
    scan = tmp_path / "scan.toml"
    scan.write_text(SCAN)
    with watched_folder(tmp_path, "--scan", str(scan), "--device", "cpu", profile="bl16xu") as setup:
        frames = tmp_path / "frames"
        write(frames, range(BEFORE))
        daemon = setup.processes[-1]
        wait_until(lambda: done_in(setup.status) >= BEFORE // 2, "half of the files", process=daemon)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        write(frames, range(BEFORE, BEFORE + AFTER))
        successor = setup.start_daemon("--scan", str(scan), "--device", "cpu", "--once", wait=False)
        assert successor.wait(120) == 0, (tmp_path / "daemon.log").read_text()
        (path,) = setup.results
        before = setup.status["sources"]["files"]["recorded_before"]
    with open_result(path) as result:
        assert result.ledger_sums["done"] == BEFORE + AFTER
        assert sorted(result.frames["number"].to_numpy().tolist()) == list(range(BEFORE + AFTER))
    with CaptureReader(tmp_path / "data" / "captures", follow=False) as reader:
        names = Counter(decode_file(record).name for record in reader if record.channel == "files")
    assert len(names) == BEFORE + AFTER
    assert set(names.values()) == {1}
    assert before >= BEFORE // 2
