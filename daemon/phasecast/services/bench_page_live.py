"""How late the page shows what is on disk, and what looking costs the daemon."""

from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.data_directory import DataDirectory
from phasecast.results import open_result
from phasecast.results.layout import COMMIT
from phasecast.services.bench_page_watchers import Watchers
from phasecast.services.bench_scan import watched_scan
from phasecast.services.page_process import PageProcess
from phasecast.services.process_usage import seconds_of_cpu


def scan_without_pages(directory: DataDirectory, *, shape: tuple[int, int], rate_hz: float) -> dict[str, Any]:
    """Run one scan that nobody looks at; return its figures.

    Raises
    ------
    PhasecastError
        If one of the processes ends early.
    """
    with watched_scan(directory, shape=shape, rate_hz=rate_hz) as scan:
        scan.begin()
        return scan.finish()


def scan_with_pages(
    directory: DataDirectory, page: PageProcess, *, shape: tuple[int, int], rate_hz: float, sessions: int
) -> dict[str, Any]:
    """Run one scan that a browser and some sessions look at, all loaded before it begins; return its figures.

    Raises
    ------
    PhasecastError
        If one of the processes ends early.
    """
    root = directory.root
    with ExitStack() as stack:
        scan = stack.enter_context(watched_scan(directory, shape=shape, rate_hz=rate_hz))
        browser = Watchers(stack, root / "browser.log", "browser", page.url())
        others = Watchers(stack, root / "sessions.log", "sessions", page.url(), str(sessions))
        browser.loaded()
        others.loaded()
        cpu_before_s = seconds_of_cpu(page.pid)
        scan.begin()
        figures = scan.finish()
        cpu_after_s = seconds_of_cpu(page.pid)
        assert scan.result is not None
        with open_result(scan.result) as opened:
            commits = opened.file[COMMIT][...]
        span_s = float(commits["time_s"][-1] - commits["time_s"][0])
        seen = browser.stop(int(commits["sequence"][-1]))
        patches = others.stop(0)
    share = None if cpu_before_s is None or cpu_after_s is None or not span_s else (cpu_after_s - cpu_before_s) / span_s
    return {
        **figures,
        "pages": {**lateness(commits["sequence"], commits["time_s"], seen["shown"]), "errors": seen["errors"]},
        "sessions": [session["patches"] for session in patches],
        "page_cpu_cores": share,
    }


def lateness(
    sequence: NDArray[np.int64], commit_time_s: NDArray[np.float64], shown: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return how long after its commit each commit was on the screen.

    A commit is shown by the first picture of itself or of a later one.

    Parameters
    ----------
    sequence, commit_time_s
        All commits of the result file, (n,), POSIX s.
    shown
        What the browser saw, in order: of each picture ``sequence``, ``known_ms`` (POSIX) when the browser had been
        told, ``shown_ms`` when it was on the screen, and whether it was ``repainted``.
    """
    pictures = [entry for entry in shown if entry["sequence"] > 0]
    numbers = np.array([entry["sequence"] for entry in pictures], dtype=np.int64)
    newest = np.maximum.accumulate(numbers) if numbers.size else numbers
    first = np.searchsorted(newest, sequence, side="left")
    was_shown = first < numbers.size
    late = {}
    for name, moment in (("disk_to_browser_ms", "known_ms"), ("disk_to_pixel_ms", "shown_ms")):
        at_ms = np.array([entry[moment] for entry in pictures], dtype=np.float64)
        late[name] = _percentiles(at_ms[first[was_shown]] - commit_time_s[was_shown] * 1e3)
    return {
        "commits": int(sequence.size),
        "commits_not_shown": int(np.count_nonzero(~was_shown)),
        "pictures": int(np.unique(numbers).size),
        "pictures_repainted": sum(bool(entry["repainted"]) for entry in pictures),
        **late,
    }


def _percentiles(values: NDArray[np.float64]) -> dict[str, float | None]:
    found = np.percentile(values, (50, 95, 100)).tolist() if values.size else (None, None, None)
    return dict(zip(("p50", "p95", "max"), found, strict=True))
