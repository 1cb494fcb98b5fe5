"""One simulated scan through the live service, watched: what every benchmark of the running daemon stands on."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.results import open_result
from phasecast.results.layout import COMMIT
from phasecast.services.process_usage import memory_mb, seconds_of_cpu
from phasecast.services.processes import POLL_S, available_cores
from phasecast.services.simulated_live import SimulatedLive, start_simulated_live

_ROW_POINTS = 1000
_EXPOSURE_S = 0.001
"""Short, so that the simulated beamline has time left at 100 points per second: with 3 ms it fell to 86 as soon as
anybody else used the other half of its processor, and the stream that was to be measured was no longer there."""
_TAKEN = ("done", "rejected", "superseded")


def raster_shape(points: int, *, row_points: int = _ROW_POINTS) -> tuple[int, int]:
    """Rows and columns of a raster with at least that many points, in rows of at most `row_points`."""
    rows = -(-points // row_points)
    return rows, -(-points // rows)


def bench_folder(stack: ExitStack, kept_in: Path | None, name: str) -> Path:
    """Return a folder for a bench's data: new and dated in `kept_in`, or if that is None one that ends with `stack`."""
    if kept_in is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="phasecast-bench-")))
    return kept_in / time.strftime(f"{name}-%Y%m%d-%H%M%S")


@dataclass(slots=True)
class _Watch:
    """Looks at the daemon during the scan: memory at the quarters, processor time from first to last point."""

    pid: int
    points: int
    memory_mb: dict[str, float | None] = field(default_factory=dict)
    _began: tuple[float, float | None] | None = None
    _ended: tuple[float, float | None] | None = None

    def look(self, status: dict[str, Any]) -> None:
        """Note what there is to note now."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedScan:
    """A simulated beamline that waits for its start, and the daemon that listens to it.

    Parameters
    ----------
    live
        The two processes.
    shape
        Rows and columns.
    rate_hz
        Frames per second; 0 is as fast as the beamline can.
    cores
        Cores of beamline and daemon; None where they may run anywhere.
    """

    live: SimulatedLive
    shape: tuple[int, int]
    rate_hz: float
    cores: tuple[int, int] | None

    @property
    def points(self) -> int:
        """Points of the scan."""
        return self.shape[0] * self.shape[1]

    def begin(self) -> None:
        """Let the scan start."""
        self.live.begin()

    def finish(self, also: Callable[[dict[str, Any]], None] = lambda status: None) -> dict[str, Any]:
        """Follow the scan to its end and return its figures.

        Latencies are the daemon's own: from the receipt of the later of frame and position to the end of the turn
        that published the result, over the last 10,000 points.

        Parameters
        ----------
        also
            Called with the status of the daemon again and again, to look at it and do what is due.

        Raises
        ------
        PhasecastError
            If one of the processes ends early.
        """
        watch = _Watch(pid=self.live.daemon.process.pid, points=self.points)
        while self.live.daemon.process.poll() is None:
            self.live.beamline.must_live()
            said = self.live.status
            watch.look(said)
            also(said)
            time.sleep(POLL_S)
        self.live.daemon.must_live()
        self.live.beamline.process.wait()
        self.live.beamline.must_live()
        status = self.live.status
        if self.result is None or not status:
            raise PhasecastError("the daemon ended without a result", where=str(self.live.daemon.log))
        sent = json.loads((self.live.directory.root / "sent.json").read_text(encoding="utf-8"))
        return {
            "points": self.points,
            "requested_frames_per_s": self.rate_hz or None,
            "sent_frames_per_s": sent["frames_sent"] / sent["seconds"],
            **account(self.result, sent["frames_sent"]),
            "latency_ms": {name: status[f"latency_{name}_ms"] for name in ("p50", "p99", "max")},
            "daemon_cpu_cores": watch.cpu_share,
            "daemon_memory_mb_at": watch.memory_mb,
            "daemon_memory_peak_mb": status["memory_peak_mb"],
            "pinned_to_cores": self.cores and dict(zip(("beamline", "daemon"), self.cores, strict=True)),
        }

    @property
    def result(self) -> Path | None:
        """The result file, once there is one."""
        return next(self.live.directory.results.glob("*.nxs"), None)


@contextmanager
def watched_scan(
    directory: DataDirectory, *, shape: tuple[int, int], rate_hz: float, end_when: Path | None = None
) -> Iterator[WatchedScan]:
    """Start beamline and daemon, each in a process and on a core of its own, ready for `WatchedScan.begin`.

    The last point waits for the path `end_when`, if one is given.

    Raises
    ------
    PhasecastError
        If one of them does not start.
    """
    cores = available_cores()
    pinned = (cores[0], cores[1]) if len(cores) > 1 else None
    simulate = ["-o", "simplon://127.0.0.1:0", "--json", "--shape", f"{shape[0]}x{shape[1]}", "--rate", str(rate_hz)]
    simulate += ["--exposure", str(_EXPOSURE_S)]
    simulate += ["--end-when", str(end_when)] if end_when is not None else []
    with ExitStack() as stack:
        live = start_simulated_live(
            stack, directory, simulate=simulate, live=["--device", "cpu", "--once", "--catalog", "none"],
            output=directory.root / "sent.json", cores=pinned,
        )  # fmt: skip
        yield WatchedScan(live=live, shape=shape, rate_hz=rate_hz, cores=pinned)


def account(result: Path, frames_sent: int) -> dict[str, Any]:
    """Return the rate from the first commit with points to the last, and what became of every frame."""
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
    """Tell whether every frame is accounted for and every point is done, and by the new model if one came into use."""
    swap = report.get("swap")
    swapped = swap is None or swap["points_by_new_model"] == report["points"]
    return swapped and not report["frames_unaccounted"] and report["frames_done"] == report["points"]
