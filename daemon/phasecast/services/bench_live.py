"""Measures the live service beside a simulated beamline: does it keep up, how late is it, what does it need."""

import json
import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.records.status import read_status
from phasecast.results import open_result
from phasecast.results.layout import COMMIT
from phasecast.services.process_usage import memory_mb, seconds_of_cpu
from phasecast.services.processes import POLL_S, Child, available_cores, is_connected, spawn, wait_for

_ROW_POINTS = 1000
_TAKEN = ("done", "rejected", "superseded")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchLiveOptions:
    """What `phasecast bench live` can be told.

    Parameters
    ----------
    rate_hz
        Frames per second within a row; 0 is as fast as the beamline can.
    points
        Points of the scan, rounded up to whole rows of at most 1000.
    data_dir
        Where to keep what was recorded; None for a temporary folder.
    """

    rate_hz: float = 100.0
    points: int = 3000
    data_dir: Path | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows = -(-self.points // _ROW_POINTS)
        return rows, -(-self.points // rows)


@dataclass(slots=True)
class _Watch:
    """Looks at the daemon during the scan: memory at the quarters, processor time from first to last point."""

    pid: int
    points: int
    memory_mb: dict[str, float | None] = field(default_factory=dict)
    _began: tuple[float, float | None] | None = None
    _ended: tuple[float, float | None] | None = None

    def look(self, status: dict[str, Any]) -> None:
        done = int(status.get("counters", {}).get("scored", 0))
        now = time.monotonic(), seconds_of_cpu(self.pid)
        if not done or now[1] is None:
            return
        self._began = self._began or now
        if done < self.points or "1.00" not in self.memory_mb:
            self._ended = now
        for quarter in (0.25, 0.5, 0.75, 1.0):
            if done >= quarter * self.points:
                self.memory_mb.setdefault(f"{quarter:.2f}", memory_mb(self.pid))

    @property
    def cpu_share(self) -> float | None:
        """Processor time over wall time; 1 is one whole core."""
        if self._began is None or self._ended is None or self._ended[0] <= self._began[0]:
            return None
        began, ended = self._began[1], self._ended[1]
        return None if began is None or ended is None else (ended - began) / (self._ended[0] - self._began[0])


def bench_live(options: BenchLiveOptions) -> dict[str, Any]:
    """Run one simulated scan through the live service, each in a process and on a core of its own, and report.

    Latencies are the daemon's own: from the receipt of the later of frame and position to the end of the turn that
    published the result, over the last 10,000 points.

    Raises
    ------
    PhasecastError
        If one of the processes ends early.
    """
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        root = options.data_dir
        if root is None:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="phasecast-bench-")))
        else:
            root /= time.strftime("bench-%Y%m%d-%H%M%S")
        return _measure(options, DataDirectory(root).create(), load)


def _measure(options: BenchLiveOptions, directory: DataDirectory, load: float) -> dict[str, Any]:
    root, cores = directory.root, available_cores()
    simulator_core, daemon_core = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    rows, columns = options.shape
    announce, ready, sent_file = (root / name for name in ("beamline.json", "start", "sent.json"))
    with ExitStack() as stack:
        command = ["simulate", "xrd", "-o", "simplon://127.0.0.1:0", "--documents-port", "0", "--json"]
        command += ["--shape", f"{rows}x{columns}", "--rate", str(options.rate_hz)]
        command += ["--announce", str(announce), "--start-when", str(ready)]
        beamline = spawn(
            stack, "simulated beamline", command, root / "beamline.log", output=sent_file, core=simulator_core
        )
        wait_for(announce.exists, beamline, "the simulated beamline to open its sockets")
        addresses = json.loads(announce.read_text(encoding="utf-8"))
        command = ["live", "xrd", "--profile", "bl16xu", "--data-dir", str(root), "--device", "cpu", "--once"]
        command += ["--source", addresses["frames"], "--source", addresses["documents"]]
        daemon = spawn(stack, "daemon", command, root / "daemon.log", core=daemon_core)
        status_file = directory.status / "live-xrd.json"
        wait_for(lambda: is_connected(read_status(status_file)), daemon, "the daemon to connect")
        ready.touch()
        watch = _follow(status_file, beamline, daemon, rows * columns)
    result = next(directory.results.glob("*.nxs"), None)
    status = read_status(status_file)
    if result is None or status is None:
        raise PhasecastError("the daemon ended without a result", where=str(daemon.log))
    sent = json.loads(sent_file.read_text(encoding="utf-8"))
    return {
        "points": rows * columns,
        "requested_frames_per_s": options.rate_hz or None,
        "sent_frames_per_s": sent["frames_sent"] / sent["seconds"],
        **_account(result, sent["frames_sent"]),
        "latency_ms": {name: status[f"latency_{name}_ms"] for name in ("p50", "p99", "max")},
        "daemon_cpu_cores": watch.cpu_share,
        "daemon_memory_mb_at": watch.memory_mb,
        "daemon_memory_peak_mb": status["memory_peak_mb"],
        "pinned_to_cores": None if simulator_core is None else {"beamline": simulator_core, "daemon": daemon_core},
        "cpus": os.cpu_count(),
        "load_before": load,
    }


def _follow(status_file: Path, beamline: Child, daemon: Child, points: int) -> _Watch:
    watch = _Watch(pid=daemon.process.pid, points=points)
    while daemon.process.poll() is None:
        beamline.must_live()
        watch.look(read_status(status_file) or {})
        time.sleep(POLL_S)
    daemon.must_live()
    beamline.process.wait()
    beamline.must_live()
    return watch


def _account(result: Path, frames_sent: int) -> dict[str, Any]:
    with open_result(result) as opened:
        ledger, counters = opened.ledger_sums, opened.counters
        flags = opened.flag_sums
        commits = opened.file[COMMIT][...]
    surplus = int(counters["counters"].get("surplus_frames", 0))
    done, seconds = commits["points_done"], commits["time_s"]
    first = int((done > 0).argmax())
    last = int((done >= done.max()).argmax())
    span_s = float(seconds[last] - seconds[first])
    return {
        "done_frames_per_s": float(done[last] - done[first]) / span_s if span_s > 0 else None,
        "frames_sent": frames_sent,
        "frames_done": ledger["done"],
        "frames_unaccounted": frames_sent - sum(ledger[state] for state in _TAKEN) - surplus,
        "ledger": {state: count for state, count in ledger.items() if count},
        "positions_doubtful": flags["position_doubtful"],
        "doubt": counters["doubt"],
    }


def is_complete(report: dict[str, Any]) -> bool:
    """Tell whether every frame is accounted for and every point is done."""
    return not report["frames_unaccounted"] and report["frames_done"] == report["points"]


def format_report(report: dict[str, Any]) -> str:
    """Return the report as lines for people."""
    latency, memory = report["latency_ms"], report["daemon_memory_mb_at"]
    asked, done_rate, share = (
        report[key] for key in ("requested_frames_per_s", "done_frames_per_s", "daemon_cpu_cores")
    )
    pinned = "each on a core of its own" if report["pinned_to_cores"] else "not pinned to cores"
    lines = [
        f"simulated beamline and daemon in a process each, {pinned}, machine load before {report['load_before']:.1f}",
        f"frames/s: {'as fast as it goes' if asked is None else f'{asked:g}'} requested, "
        f"{report['sent_frames_per_s']:.1f} sent, {_number(done_rate)} done",
        f"frames: {report['frames_sent']} sent, {report['frames_done']} done, "
        f"{report['frames_unaccounted']} unaccounted, {report['positions_doubtful']} positions doubtful",
        "latency from received to result: " + ", ".join(f"{name} {_number(latency[name])} ms" for name in latency),
        f"daemon: {_number(share, 2)} cores, peak memory {_number(report['daemon_memory_peak_mb'])} MB; "
        + ", ".join(f"{_number(value)} MB at {float(part):.0%}" for part, value in memory.items()),
    ]
    if report["doubt"]:
        lines.append(f"doubt: {report['doubt']}")
    return "\n".join(lines)


def _number(value: float | None, digits: int = 1) -> str:
    return "?" if value is None else f"{value:.{digits}f}"
