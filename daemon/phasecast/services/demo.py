"""The demo: a simulated beamline and the real daemon, each in its own process, joined by real wires."""

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.core.ledger import PointState
from phasecast.records.status import read_status
from phasecast.results import open_result
from phasecast.services.attach_positions import attach_positions
from phasecast.services.end_of_scan import finish_scan, picture_path
from phasecast.services.lifecycle import exit_on_sigterm, stop_on_signals
from phasecast.services.processes import POLL_S, Child, is_connected, is_free, spawn, wait_for
from phasecast.services.truth import compare_with_truth, mean_oxide_f1


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What `phasecast demo` can be told; names as on the command line."""

    data_dir: Path
    rows: int = 40
    columns: int = 60
    rate_hz: float = 50.0
    seed: int = 0
    files: bool = False
    log_later: bool = False
    device: str = "auto"
    port: int = 8016
    page: bool = True
    once: bool = True


_SCAN = """\
name = "錆の断面（デモ）"
nx = {columns}
ny = {rows}
step_x_um = 2.0
step_y_um = 2.0
fast_axis = "x"
snake = true
exposure_s = {exposure_s:g}
positions = "{positions}"

[log]
path = "{log}"
encoding = "cp932"
file = "ファイル名"
time = "日時"
time_zone = "Asia/Tokyo"
scalars = {{ i0 = "I0", transmission = "透過率" }}
x = {{ column = "X[pulse]", unit = "pulse", factor = 0.05 }}
y = {{ column = "Y[pulse]", unit = "pulse", factor = 0.05, sign = -1 }}
"""
"""The simulated log counts its y downwards."""


def run_demo(options: DemoOptions, console: Console) -> int:
    """Run the demo: one scan, and the live page beside it; return 0 only if every point is done.

    Without `once` the page stays open after the scan until a signal comes.

    Raises
    ------
    PhasecastError
        If one of the processes ends early.
    """
    directory = DataDirectory(options.data_dir / time.strftime("%Y%m%d-%H%M%S")).create()
    truth, announce, ready = (directory.root / name for name in ("truth.json", "beamline.json", "start"))
    with ExitStack() as stack:
        stack.enter_context(exit_on_sigterm())
        console.print(f"[bold]phasecast demo[/]: {options.rows} x {options.columns} points at {options.rate_hz:g} Hz")
        page = open_page(stack, console, directory, options) if options.page else None
        beamline = spawn(stack, "simulated beamline", *_beamline_command(options, directory, truth, announce, ready))
        wait_for(lambda: announce.exists(), beamline, "the simulated beamline to open its sockets")
        addresses = json.loads(announce.read_text(encoding="utf-8"))
        daemon = spawn(stack, "daemon", *_daemon_command(options, directory, addresses))
        status_file = directory.status / "live-xrd.json"
        wait_for(lambda: is_connected(read_status(status_file)), daemon, "the daemon to connect")
        ready.touch()
        _show_progress(console, options.rows * options.columns, status_file, beamline, daemon)
        code = daemon.process.wait()
        daemon.must_live()
        if code:
            return code
        if options.log_later:
            _attach(console, directory)
        code = _conclude(console, directory, truth)
        if page is not None and not options.once:
            keep_open(page, console)
    return code


def keep_open(page: Child, console: Console) -> None:
    """Leave the page open until a signal comes."""
    console.print("the page stays open; Ctrl-C ends the demo")
    with stop_on_signals() as stop:
        while not stop.wait(POLL_S):
            page.must_live()


def open_page(stack: ExitStack, console: Console, directory: DataDirectory, options: DemoOptions) -> Child:
    """Start the page beside the daemon, on another port where the wanted one is taken."""
    port = options.port if is_free(options.port) else 0
    if port != options.port:
        console.print(f"port {options.port} is taken; the page chooses another")
    page = spawn(
        stack, "page", ["page", "--data-dir", str(directory.root), "--port", str(port)], directory.root / "page.log"
    )
    status_file = directory.status / "page.json"
    wait_for(lambda: read_status(status_file) is not None, page, "the page to open")
    console.print(f"[bold]live page[/]: {(read_status(status_file) or {}).get('url')}", soft_wrap=True)
    return page


def _beamline_command(
    options: DemoOptions, directory: DataDirectory, truth: Path, announce: Path, ready: Path
) -> tuple[list[str], Path]:
    frames = f"files://{quote(str(directory.root.absolute() / 'frames'))}" if options.files else "simplon://127.0.0.1:0"
    command = ["simulate", "xrd", "-o", frames, "--seed", str(options.seed), "--truth", str(truth)]
    command += ["--shape", f"{options.rows}x{options.columns}", "--rate", str(options.rate_hz)]
    command += ["--announce", str(announce), "--start-when", str(ready), "--documents-port", "0"]
    if options.files:
        command += ["--position-log", str(_log_path(directory))]
    return command, directory.root / "beamline.log"


def _daemon_command(
    options: DemoOptions, directory: DataDirectory, addresses: dict[str, Any]
) -> tuple[list[str], Path]:
    command = ["live", "xrd", "--profile", "bl16xu", "--data-dir", str(directory.root), "--device", options.device]
    command += ["--source", addresses["frames"], "--once"]
    if options.files:
        command += ["--scan", str(_declare_scan(options, directory))]
    else:
        command += ["--source", addresses["documents"]]
    return command, directory.root / "daemon.log"


def _log_path(directory: DataDirectory) -> Path:
    return directory.root / "位置ログ.txt"


def _declare_scan(options: DemoOptions, directory: DataDirectory) -> Path:
    """Write the declaration of the scan, as a person at a beamline without documents would."""
    path = directory.root / "scan.toml"
    path.write_text(
        _SCAN.format(
            columns=options.columns,
            rows=options.rows,
            exposure_s=0.3 / options.rate_hz,
            positions="later" if options.log_later else "log",
            log=_log_path(directory).name,
        ),
        encoding="utf-8",
    )
    return path


def _show_progress(console: Console, points: int, status_file: Path, beamline: Child, daemon: Child) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as progress:
        task = progress.add_task("points", total=points, note="")
        while daemon.process.poll() is None:
            beamline.must_live()
            status = read_status(status_file) or {}
            for scan in status.get("scans", []):
                ledger = scan["ledger"]
                bad = sum(ledger[state.label] for state in (PointState.REJECTED, PointState.LOST_UPSTREAM))
                note = f"p99 {status.get('latency_p99_ms') or 0:.0f} ms, {bad} lost or rejected, {status['device']}"
                progress.update(task, completed=ledger["done"], note=note)
            time.sleep(POLL_S)
        progress.update(task, completed=points, note="")


def _attach(console: Console, directory: DataDirectory) -> None:
    """Give the points their positions from the log, after the scan."""
    (result,) = directory.results.glob("*.nxs")
    attached = attach_positions(result, _log_path(directory), scan=directory.root / "scan.toml")
    finish_scan(attached.path)
    for line in attached.remarks:
        console.print(line)
    console.print(f"positions attached: {attached.path}", soft_wrap=True)


def _conclude(console: Console, directory: DataDirectory, truth: Path) -> int:
    results = sorted(directory.results.glob("*.nxs"))
    if not results:
        raise PhasecastError("the daemon ended without a result", where=str(directory.root / "daemon.log"))
    result_path = results[-1]
    with open_result(result_path) as result:
        points, done, doubtful = result.points, result.points_done, result.flag_sums["position_doubtful"]
        sums = result.ledger_sums
    agreements = compare_with_truth(result_path, truth)
    table = Table(title="agreement with the true map")
    for heading in ("class", "true points", "precision", "recall", "F1"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for entry in agreements:
        numbers = (entry.precision, entry.recall, entry.f1)
        table.add_row(entry.class_id, str(entry.points), *("-" if n != n else f"{n:.3f}" for n in numbers))
    console.print(table)
    console.print(f"mean F1 of the oxides: {mean_oxide_f1(agreements):.3f}")
    console.print("ledger: " + ", ".join(f"{count} {state}" for state, count in sums.items() if count))
    made = {
        "result": result_path,
        "map": picture_path(result_path),
        "report": directory.reports / f"{result_path.stem}.html",
    }
    for label, path in made.items():
        console.print(f"{label}: {path}", soft_wrap=True)
    complete = done == points and not doubtful
    if not complete:
        console.print(
            f"[bold red]incomplete[/]: {points - done} points are not done, {doubtful} positions are doubtful"
        )
    return 0 if complete else 1
