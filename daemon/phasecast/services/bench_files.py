"""Measures how fast frames in a folder become results: found, checked, decoded, integrated, classified and written."""

import os
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fabio.cbfimage import CbfImage

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.services.bench_scan import account, bench_folder, raster_shape
from phasecast.services.process_usage import seconds_of_cpu
from phasecast.services.processes import POLL_S, available_cores, spawn
from phasecast.services.simulated_live import read_live_status
from phasecast.sources.folder_watch import FolderWatch

_SHAPE = (195, 487)
_KINDS = 32
_MEAN_COUNTS = 5.0
_LINKS = 10_000
"""ext4 allows 65,000 names of one file."""
_HEADER = (
    "# Detector: PILATUS 100K, S/N 1-0000, benchmark\r\n# Pixel_size 172e-6 m x 172e-6 m\r\n# Exposure_time 0.0970000 s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFilesOptions:
    """What `phasecast bench files` can be told.

    Parameters
    ----------
    frames
        CBF files, rounded up to whole rows.
    listed
        Sizes of folders for which the cost of finding one file is measured; empty to leave that out.
    data_dir
        Where to keep files and data; None for a temporary folder.
    """

    frames: int = 3000
    listed: tuple[int, ...] = (10_000, 50_000, 100_000)
    data_dir: Path | None = None


def bench_files(options: BenchFilesOptions) -> dict[str, Any]:
    """Let the live service work off a folder of CBF files on two cores, and report.

    Raises
    ------
    PhasecastError
        If the daemon ends early.
    """
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        root = bench_folder(stack, options.data_dir, "bench-files")
        directory = DataDirectory(root).create()
        rows, cols = raster_shape(options.frames)
        frames = root / "frames"
        frames.mkdir()
        contents = _contents(root)
        for number in range(rows * cols):
            (frames / f"bench_{number:05d}.cbf").write_bytes(contents[number % _KINDS])
        report = _run(stack, directory, frames, rows, cols)
        report["find_us_a_file"] = {
            str(size): find_cost_us(root / f"listed-{size}", size, contents[0]) for size in options.listed
        }
        return {**report, "cpus": os.cpu_count(), "load_before": load}


def is_complete(report: dict[str, Any]) -> bool:
    """Whether every frame has a result."""
    return bool(report["frames_done"] == report["frames_sent"])


def find_cost_us(folder: Path, files: int, content: bytes) -> float:
    """Return what one file costs from listing to hash, in us, in a folder of that many (hard links of one file)."""
    folder.mkdir(parents=True)
    watch, first = FolderWatch(folder), folder
    began_s = time.process_time()
    found = 0
    for number in range(files):
        path = folder / f"scan_{number:06d}.cbf"
        if number % _LINKS:
            os.link(first, path)
        else:
            first = path
            first.write_bytes(content)
        if number % 100 == 0:
            found += sum(1 for _ in watch.look())
    found += sum(1 for _ in watch.look())
    if found != files:
        raise PhasecastError(f"{found} of {files} files were found", where=str(folder))
    return (time.process_time() - began_s) / files * 1e6


def _contents(root: Path) -> list[bytes]:
    draft = root / "draft.cbf"
    header = {"_array_data.header_convention": "PILATUS_1.2", "_array_data.header_contents": _HEADER}
    contents = []
    for seed in range(_KINDS):
        counts = np.random.default_rng(seed).poisson(_MEAN_COUNTS, _SHAPE).astype(np.int32)
        CbfImage(data=counts, header=header).write(str(draft))
        contents.append(draft.read_bytes())
    draft.unlink()
    return contents


def _run(stack: ExitStack, directory: DataDirectory, frames: Path, rows: int, cols: int) -> dict[str, Any]:
    root = directory.root
    declaration = root / "scan.toml"
    declaration.write_text(
        f"nx = {cols}\nny = {rows}\nstep_x_um = 2.0\nstep_y_um = 2.0\nexposure_s = 0.097\n", encoding="utf-8"
    )
    cores = available_cores()[:2]
    daemon = spawn(
        stack,
        "daemon",
        ["live", "xrd", "--profile", "bl16xu", "--data-dir", str(root), "--source", f"files://{frames}",
         "--scan", str(declaration), "--once", "--device", "cpu", "--catalog", "none"],
        root / "daemon.log",
    )  # fmt: skip
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.sched_setaffinity(daemon.process.pid, set(cores))
    first = last = (0, 0.0)
    while daemon.process.poll() is None:
        scored = int(read_live_status(directory).get("counters", {}).get("scored", 0))
        cpu_s = seconds_of_cpu(daemon.process.pid)
        if cpu_s is not None and scored > last[0]:
            last = (scored, cpu_s)
            first = first if first[0] else last
        time.sleep(POLL_S)
    daemon.must_live()
    result = next(directory.results.glob("*.nxs"), None)
    if result is None:
        raise PhasecastError("the daemon ended without a result", where=str(daemon.log))
    return {
        "points": rows * cols,
        **account(result, rows * cols),
        "daemon_memory_peak_mb": read_live_status(directory).get("memory_peak_mb", 0.0),
        "daemon_cpu_ms_a_frame": 1e3 * (last[1] - first[1]) / (last[0] - first[0]) if last[0] > first[0] else None,
        "cores": list(cores),
    }


def format_report(report: dict[str, Any]) -> str:
    """Return the report as lines for people."""
    rate, cpu_ms = report["done_frames_per_s"], report["daemon_cpu_ms_a_frame"]
    lines = [
        f"CBF files in a folder to results (found, checked, decoded, integrated, classified, written): "
        f"{'?' if rate is None else f'{rate:.0f}'} frames/s on {len(report['cores'])} cores of {report['cpus']}, "
        f"{'?' if cpu_ms is None else f'{cpu_ms:.2f}'} ms of processor a frame, "
        f"machine load before {report['load_before']:.1f}",
        f"frames: {report['frames_sent']} in, {report['frames_done']} done, {report['frames_unaccounted']} unaccounted",
        f"daemon: peak memory {report['daemon_memory_peak_mb']:.0f} MB",
    ]
    costs = report["find_us_a_file"]
    if costs:
        least = costs[min(costs, key=int)]
        ordered = sorted(costs.items(), key=lambda item: int(item[0]))
        named = ", ".join(f"{int(size):,} files {cost:.0f} us ({cost / least:.2f} x)" for size, cost in ordered)
        lines.append(f"cost of finding, reading and hashing one: {named}")
    return "\n".join(lines)
