"""What a daemon starts does not outlive it, even if it was killed, and ends with whole files."""

import os
import select
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from phasecast.services.end_of_scan import picture_path, summary_path
from phasecast.services.report_place import report_path
from phasecast.sinks.tiled_catalog import is_installed
from support.daemon import TIMEOUT_S, beamline, wait_until


def children(pid: int) -> list[int]:
    return [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found in /proc")
def test_a_killed_daemon_leaves_no_process_and_the_report_that_was_begun_becomes_whole(tmp_path: Path) -> None:
    catalog = "embedded" if is_installed() else "none"
    with beamline(tmp_path, shape="2x3", rate=50.0) as setup, ExitStack() as stack:
        daemon = setup.start_daemon("--catalog", catalog, reports=True)
        setup.begin()
        (result,) = wait_until(lambda: setup.results, "the result", process=daemon)
        wait_until(picture_path(result).is_file, "the picture, which comes before the report", process=daemon)
        started = children(daemon.pid)
        assert started
        ends = {pid: os.pidfd_open(pid) for pid in started}
        for end in ends.values():
            stack.callback(os.close, end)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        for pid, end in ends.items():
            command = Path(f"/proc/{pid}/cmdline")
            assert select.select([end], [], [], TIMEOUT_S)[0], f"{command.read_bytes()!r} outlives the daemon"
    assert summary_path(result).is_file()
    assert report_path(result).is_file()
    assert not list(setup.data_dir.rglob(".part-*"))
