"""Several replays at once, each a process of its own, and the progress of one or all."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.records.status import read_status
from phasecast.services.lifecycle import exit_on_sigterm
from phasecast.services.processes import POLL_S, Child, spawn
from phasecast.services.replay_progress import SERVICE, ReplayProgress

Tell = Callable[[ReplayProgress], None]
_NAME = re.compile(r"[^\w.-]+")


@contextmanager
def progress_bars(sources: Sequence[Path], console: Console) -> Iterator[list[Tell]]:
    """Show a bar for each source; yield what moves them."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[frames]} frames, {task.fields[rate]:.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield [_mover(bars, source) for source in sources]


def _mover(bars: Progress, source: Path) -> Tell:
    task = bars.add_task(str(source), total=None, frames=0, rate=0.0)
    began_s = time.monotonic()

    def move(progress: ReplayProgress) -> None:
        rate = progress.frames / max(time.monotonic() - began_s, 1e-3)
        bars.update(task, completed=progress.bytes_done, total=progress.bytes_total, frames=progress.frames, rate=rate)

    return move


def replay_many(
    sources: Sequence[Path], words: Sequence[str], data_dir: Path, *, at_once: int, console: Console
) -> list[dict[str, Any]]:
    """Replay each source into a folder of its own, some at once; return their reports as JSON.

    Parameters
    ----------
    sources
        What is replayed.
    words
        Options of ``phasecast replay`` for each of them.
    data_dir
        Folder of their data directories.
    at_once
        How many run at the same time.
    console
        Where bars are drawn.

    Raises
    ------
    PhasecastError
        If one of them fails; the others are ended, and the same command goes on with all.
    """
    folders = _folders(sources, data_dir)
    waiting = list(range(len(sources)))
    running: dict[int, Child] = {}
    reports: dict[int, dict[str, Any]] = {}
    with ExitStack() as stack, exit_on_sigterm(), progress_bars(sources, console) as movers:
        while waiting or running:
            while waiting and len(running) < at_once:
                number = waiting.pop(0)
                running[number] = _start(stack, sources[number], words, folders[number])
            for number, child in list(running.items()):
                _look(folders[number], child, movers[number])
                if child.process.poll() is None:
                    continue
                del running[number]
                report = _read_report(folders[number])
                if report is None:
                    child.must_live()
                    raise PhasecastError("ended without a word", where=str(child.log))
                reports[number] = report
            time.sleep(POLL_S)
    return [reports[number] for number in range(len(sources))]


def _start(stack: ExitStack, source: Path, words: Sequence[str], folder: Path) -> Child:
    directory = DataDirectory(folder).create()
    _report_file(folder).unlink(missing_ok=True)
    return spawn(
        stack,
        f"replay of {source}",
        ["replay", str(source), "--data-dir", str(folder), "--json", *words],
        directory.root / "replay.log",
        output=_report_file(folder),
    )


def _look(folder: Path, child: Child, move: Tell) -> None:
    status = read_status(DataDirectory(folder).status / f"{SERVICE}.json") or {}
    if status.get("pid") == child.process.pid:
        names = ("bytes_done", "bytes_total", "frames", "points")
        move(ReplayProgress(**{name: int(status.get(name, 0)) for name in names}))


def _report_file(folder: Path) -> Path:
    return folder / "replay-report.json"


def _read_report(folder: Path) -> dict[str, Any] | None:
    try:
        (report,) = json.loads(_report_file(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None


def _folders(sources: Sequence[Path], data_dir: Path) -> list[Path]:
    """Return a data directory for each source, named after it."""
    taken: set[str] = set()
    folders = []
    for source in sources:
        parts = [part for part in source.absolute().parts if part not in ("/", "captures")]
        name = stem = _NAME.sub("-", parts[-1]).removesuffix(".nxs").removesuffix(".jsonl") or "replay"
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        folders.append(data_dir / name)
    return folders
