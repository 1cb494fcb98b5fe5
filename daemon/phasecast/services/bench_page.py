"""Measures the page on this machine: how late it is, what it costs the daemon, how fast it opens, what it keeps."""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.services.bench_page_live import scan_with_pages, scan_without_pages
from phasecast.services.bench_page_memory import memory_over_sessions
from phasecast.services.bench_page_opening import opening_times
from phasecast.services.bench_page_result import BIG_POINTS, BIG_SHAPE, write_big_result
from phasecast.services.bench_scan import bench_folder, raster_shape
from phasecast.services.bench_scan import is_complete as scan_is_complete
from phasecast.services.chromium import find_chromium
from phasecast.services.page_process import start_page

_ROW_POINTS = 250
"""Longer rows than a person's map: at each end the simulated stage turns for 0.15 s, in which nothing comes."""
_BIG_NAME = "made-for-a-benchmark.nxs"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPageOptions:
    """What `phasecast bench page` can be told.

    Parameters
    ----------
    rate_hz
        Frames per second within a row.
    points
        Points of each of the two live scans.
    sessions
        Sessions that look on beside the browser.
    big_shape, big_points
        The large result.
    opened_sessions
        Sessions opened and closed to see whether memory stays.
    data_dir
        Where to keep what was recorded; None for a temporary folder.
    """

    rate_hz: float = 100.0
    points: int = 3000
    sessions: int = 4
    big_shape: tuple[int, int] = BIG_SHAPE
    big_points: int = BIG_POINTS
    opened_sessions: int = 50
    data_dir: Path | None = None


def bench_page(options: BenchPageOptions) -> dict[str, Any]:
    """Run everything once and report.

    Raises
    ------
    PhasecastError
        If there is no Chromium, or one of the processes ends early.
    """
    find_chromium()
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        root = bench_folder(stack, options.data_dir, "bench")
        shape = raster_shape(options.points, row_points=_ROW_POINTS)
        alone = scan_without_pages(DataDirectory(root / "alone").create(), shape=shape, rate_hz=options.rate_hz)
        directory = DataDirectory(root / "seen").create()
        page = start_page(stack, directory.root, root / "page.log")
        seen = scan_with_pages(directory, page, shape=shape, rate_hz=options.rate_hz, sessions=options.sessions)
        small = next(directory.results.glob("*.nxs"), None)
        if small is None:
            raise PhasecastError("the live scan left no result", where=str(directory.results))
        # written beside and renamed, so that the page meets a finished file
        write_big_result(root / _BIG_NAME, points=options.big_points, shape=options.big_shape)
        (root / _BIG_NAME).rename(directory.results / _BIG_NAME)
        opening = opening_times(page, scan=_BIG_NAME, other_scan=small.name, points=options.big_points)
        memory = memory_over_sessions(page, page.url(scan=_BIG_NAME), sessions=options.opened_sessions)
        return {
            "alone": alone,
            "seen": seen,
            "opening": opening,
            "memory": memory,
            "cpus": os.cpu_count(),
            "load_before": load,
        }


def is_complete(report: dict[str, Any]) -> bool:
    """Tell whether nothing was lost: every frame accounted for, every commit shown, every session served, no errors."""
    seen = report["seen"]
    return (
        scan_is_complete(report["alone"])
        and scan_is_complete(seen)
        and not seen["pages"]["commits_not_shown"]
        and all(seen["sessions"])
        and not seen["pages"]["errors"]
        and not report["opening"]["errors"]
    )
