"""The acquisition's tree is only read: on a read-only mount, with every system call watched where strace is there."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from phasecast.results import open_result
from phasecast.sources.capture import CaptureReader
from support.daemon import wait_until

CALLS = (
    "open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,"
    "symlinkat,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,truncate,ftruncate,utimensat,flock,fcntl,"
    "setxattr,fsetxattr,lsetxattr,mknod,mknodat,inotify_add_watch,connect"
)
_READS = re.compile(r"O_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND)")
_CAMSERVER_PORT = 41234


@pytest.fixture
def acquisition(measured_data, tmp_path):
    """A folder of six real frames in the tree of the detector's server."""
    folder = tmp_path / "acquisition" / "run1"
    folder.mkdir(parents=True)
    for path in sorted((measured_data / "pilatus100k_map").glob("*.cbf")):
        shutil.copy(path, folder)
    return folder.parent


def read_only(folder):
    """Command words that run what follows with the folder mounted read-only; none where nobody may mount."""
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, str(folder)]
    probe = 'touch "$0/probe" 2>/dev/null && exit 1; exit 0'
    if os.geteuid() == 0 and shutil.which("unshare"):
        done = subprocess.run([*words, "sh", "-c", probe, str(folder)], capture_output=True, check=False)
        if done.returncode == 0:
            return words
    return []


def times(folder):
    """When each file and folder was changed last, itself and its attributes."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in sorted(folder.rglob("*"))}


def test_a_scan_from_a_read_only_tree_opens_nothing_for_writing_and_locks_nothing(acquisition, measured_data, tmp_path):
    words = read_only(acquisition)
    for folder in (acquisition, acquisition / "run1"):
        folder.chmod(0o555)
    before = times(acquisition)
    trace = tmp_path / "trace.txt"
    if shutil.which("strace"):
        words += ["strace", "--follow-forks", "--seccomp-bpf", "--decode-fds=path", f"--output={trace}"]
        words += [f"--trace={CALLS}", "--signal=none"]
    command = [
        sys.executable, "-m", "phasecast.cli", "live", "xrd", "--profile", "gsecars-map", "--data-dir",
        str(tmp_path / "data"), "--source", f"files://{acquisition}", "--expected-points", "6", "--once",
        "--catalog", "none", "--poni", str(measured_data / "pilatus100k_map" / "Fe3O4map_01_module_r2c1.poni"),
    ]  # fmt: skip
    daemon = subprocess.Popen([*words, *command])
    try:
        wait_until(lambda: daemon.poll() is not None, "the end of the scan")
        after = times(acquisition)
    finally:
        daemon.kill()
        for folder in (acquisition, acquisition / "run1"):
            folder.chmod(0o755)
    assert daemon.returncode == 0
    assert before == after
    (path,) = (tmp_path / "data" / "results").glob("*.nxs")
    with open_result(path) as result:
        assert result.ledger_sums["done"] == result.points == 6
    _captured_by_name_and_checksum_alone(tmp_path / "data" / "captures", acquisition)
    if trace.exists():
        _watched(trace.read_text(errors="replace"), str(acquisition))


def _captured_by_name_and_checksum_alone(captures, acquisition):
    frames = sum(path.stat().st_size for path in acquisition.rglob("*.cbf"))
    with CaptureReader(captures, follow=False) as reader:
        records = [record for record in reader if record.channel == "files"]
    assert len(records) == 6
    assert sum(len(part) for record in records for part in record.parts) < frames / 100
    assert sum(path.stat().st_size for path in captures.iterdir()) < frames / 100


def _watched(calls, tree):
    assert calls.count(tree) >= 6, "the trace sees the frames"
    for line in calls.splitlines():
        assert f"htons({_CAMSERVER_PORT})" not in line
        if tree not in line or "ENOENT" in line:
            continue
        assert re.search(r"\b(open|openat|openat2|fcntl)(\(| resumed>)", line), line
        assert not _READS.search(line), line
        assert "F_SETLK" not in line, line
        assert "F_OFD_SETLK" not in line, line
