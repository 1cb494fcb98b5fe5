"""Measures the live service beside a simulated beamline: does it keep up, how late is it, what does it need."""

import math
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.services.bench_scan import bench_folder, raster_shape, watched_scan
from phasecast.services.bench_swap import SwapHalfway, format_swap


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
    swap
        Whether another model comes into use in the middle of the scan.
    """

    rate_hz: float = 100.0
    points: int = 3000
    data_dir: Path | None = None
    swap: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return raster_shape(self.points)


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
        root = bench_folder(stack, options.data_dir, "bench")
        directory = DataDirectory(root).create()
        swap = SwapHalfway(directory, points=math.prod(options.shape)) if options.swap else None
        end_when = swap.in_use if swap is not None else None
        scan = stack.enter_context(
            watched_scan(directory, shape=options.shape, rate_hz=options.rate_hz, end_when=end_when)
        )
        scan.begin()
        figures = scan.finish(swap.look) if swap is not None else scan.finish()
        figures["swap"] = swap.report(scan.result) if swap is not None else None
        return {**figures, "cpus": os.cpu_count(), "load_before": load}


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
    if report["swap"] is not None:
        lines += format_swap(report["swap"], report["points"])
    if report["doubt"]:
        lines.append(f"doubt: {report['doubt']}")
    return "\n".join(lines)


def _number(value: float | None, digits: int = 1) -> str:
    return "?" if value is None else f"{value:.{digits}f}"
