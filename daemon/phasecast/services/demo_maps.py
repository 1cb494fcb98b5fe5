"""Demos of a map that several scans make up: interrupted and continued, or in two tiles."""

import time
from pathlib import Path
from typing import Literal

from rich.console import Console

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.report.map_text import is_displaced
from phasecast.results.composed_map import open_map
from phasecast.services.demo_processes import DemoOptions, make_demo_directory, running_demo
from phasecast.services.end_of_scan import summary_path
from phasecast.services.maps import MapSummary, draw_map_of, read_offsets, write_map_report, write_repair_list
from phasecast.services.processes import POLL_S, wait_for
from phasecast.services.report_place import failure_path, report_path
from phasecast.services.truth import agreements_of, mean_oxide_f1

MapDemo = Literal["interrupted", "tiles"]

MAP_NAME = "demo"
_STEP_UM = 2.0
_OVERLAP = 3
"""Rows or columns that both scans measure: what an offset is told from."""
_MARGIN = 4
"""Cells of the sample beyond the map, so that a displaced beam still meets it."""


def run_map_demo(kind: MapDemo, options: DemoOptions, console: Console) -> int:
    """Run two scans of one map through the real wires; return 0 only if every place of the map has a result.

    ``interrupted``: the beam is dumped in mid-row and the scan aborted; ten minutes later on the simulated clock it
    goes on with I0 5 % lower and the beam 3 um beside its place. ``tiles``: two scans side by side.

    Raises
    ------
    PhasecastError
        If one of the processes ends early.
    """
    directory = make_demo_directory(options)
    scans = passes_of(kind, options.rows, options.columns)
    console.print(f"[bold]phasecast demo[/]: a map of {options.rows} x {options.columns} points in two scans")
    for scan in scans:
        console.print(f"  scan: {scan}")
    with running_demo(options, directory, console, simulate=_beamline_options(options, scans)) as demo:
        beamline, daemon = demo.live.beamline, demo.live.daemon
        while beamline.process.poll() is None:
            daemon.must_live()
            time.sleep(POLL_S)
        beamline.must_live()
        wait_for(lambda: len(_finished(directory)) == len(scans), daemon, "the reports of both scans")
        daemon.end()
        code = _conclude(console, directory, demo.truth)
        if not options.once:
            demo.keep_page_open(console)
    return code


def passes_of(kind: MapDemo, rows: int, columns: int) -> tuple[str, str]:
    """Return the two scans of a demo as the simulated beamline understands them.

    Raises
    ------
    PhasecastError
        If the map is too small for two scans that overlap.
    """
    if min(rows, columns) < 3 * _OVERLAP:
        raise PhasecastError(
            f"{rows} x {columns} points are too few", where="--shape", remedy=f"give at least {3 * _OVERLAP} of both"
        )
    if kind == "tiles":
        left = (columns + _OVERLAP) // 2
        start = left - _OVERLAP
        return f"shape={rows}x{left}", f"shape={rows}x{columns - start} origin={start * _STEP_UM:g},0"
    row = rows // 2
    dumped = row * columns + columns * 2 // 3
    start = row - _OVERLAP
    return (
        f"shape={rows}x{columns} dump={dumped - 4}-{dumped - 1} abort={dumped}",
        f"shape={rows - start}x{columns} origin=0,{start * _STEP_UM:g} wait-s=600 flux=0.95 offset=3,0",
    )


def _beamline_options(options: DemoOptions, scans: tuple[str, str]) -> list[str]:
    # the sample is known at half the step of the scans, so that a displaced beam meets places that the truth knows
    fine = [f"{2 * cells + _MARGIN}" for cells in (options.rows, options.columns)]
    command = ["-o", "simplon://127.0.0.1:0", "--step-um", f"{_STEP_UM:g}", "--map", MAP_NAME]
    command += ["--sample-shape", "x".join(fine), "--sample-step-um", f"{_STEP_UM / 2:g}"]
    for scan in scans:
        command += ["--pass", scan]
    return command


def _finished(directory: DataDirectory) -> list[Path]:
    """Results of which picture, summary and report are made."""
    return [
        path
        for path in sorted(directory.results.glob("*.nxs"))
        if summary_path(path).exists() and (report_path(path).exists() or failure_path(path).exists())
    ]


def _conclude(console: Console, directory: DataDirectory, truth: Path) -> int:
    """Show the map as it was measured and, where the demo displaced the beam, with the estimate applied on request."""
    paths = _finished(directory)
    picture = directory.results / f"{MAP_NAME}-map.png"
    summary = draw_map_of(paths, picture)
    for line in summary.lines:
        console.print(line, soft_wrap=True, highlight=False)
    console.print(f"mean F1 of the oxides, positions as measured: {_f1(paths, truth, ()):.3f}")
    offsets = estimated_offsets(summary)
    if offsets:
        moved = _f1(paths, truth, offsets)
        console.print(f"mean F1 of the oxides with --offset {' '.join(offsets)}: {moved:.3f}", soft_wrap=True)
    reports = write_map_report(paths)
    found, files = write_repair_list(paths)
    console.print(f"report: {reports.html}", soft_wrap=True)
    console.print(f"repair list: {len(found.points)} points, {files[0]}", soft_wrap=True)
    if not summary.complete:
        console.print("[bold red]incomplete[/]: places of the map have no result")
    return 0 if summary.complete else 1


def estimated_offsets(summary: MapSummary) -> tuple[str, ...]:
    """Return offsets that are larger than their uncertainty explains, as ``--offset`` takes them."""
    if summary.fact is None:
        return ()
    return tuple(
        f"{one.after_file}={one.x_um or 0.0:.2f},{one.y_um or 0.0:.2f}"
        for one in summary.fact.interruptions
        if is_displaced(one) and not one.within_a_scan
    )


def _f1(paths: list[Path], truth: Path, offsets: tuple[str, ...]) -> float:
    with open_map(paths, offsets_um=read_offsets(offsets, paths)) as result:
        return mean_oxide_f1(agreements_of(result, truth))
