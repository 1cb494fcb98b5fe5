"""The demo of one scan: through the real wires, to a map that agrees with the truth."""

import time
from pathlib import Path
from urllib.parse import quote

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.core.ledger import PointState
from phasecast.results import open_result
from phasecast.services.attach_positions import attach_positions
from phasecast.services.demo_processes import DemoOptions, make_demo_directory, running_demo
from phasecast.services.end_of_scan import finish_scan, picture_path
from phasecast.services.processes import POLL_S
from phasecast.services.simulated_live import SimulatedLive
from phasecast.services.truth import compare_with_truth, mean_oxide_f1

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
    directory = make_demo_directory(options)
    console.print(f"[bold]phasecast demo[/]: {options.rows} x {options.columns} points at {options.rate_hz:g} Hz")
    simulate, live = ["-o", "simplon://127.0.0.1:0"], ["--once"]
    if options.files:
        frames = f"files://{quote(str(directory.root.absolute() / 'frames'))}"
        simulate = ["-o", frames, "--position-log", str(_log_path(directory))]
        live += ["--scan", str(_declare_scan(options, directory))]
    with running_demo(options, directory, console, simulate=simulate, live=live) as demo:
        _show_progress(console, options.rows * options.columns, demo.live)
        code = demo.live.daemon.process.wait()
        demo.live.daemon.must_live()
        if code:
            return code
        if options.log_later:
            _attach(console, directory)
        code = _conclude(console, directory, demo.truth)
        if not options.once:
            demo.keep_page_open(console)
    return code


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


def _show_progress(console: Console, points: int, live: SimulatedLive) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as progress:
        task = progress.add_task("points", total=points, note="")
        while live.daemon.process.poll() is None:
            live.beamline.must_live()
            status = live.status
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
