"""Everything at once."""

from pathlib import Path
from typing import Annotated

import typer

from phasecast.commands.options import Device, LiveCatalog, map_shape


def demo(
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where the demo keeps its data.")] = Path("demo-data"),
    shape: Annotated[str, typer.Option(help="Rows x columns of the map.")] = "40x60",
    rate: Annotated[float, typer.Option(help="Points per second.")] = 50.0,
    seed: Annotated[int, typer.Option(help="Seed of the simulated sample.")] = 0,
    files: Annotated[
        bool,
        typer.Option("--files", help="Frames as CBF files and a growing log of positions; no stream, no documents."),
    ] = False,
    log_later: Annotated[
        bool, typer.Option("--log-later", help="With --files: without the log, which is attached after the scan.")
    ] = False,
    interrupted: Annotated[
        bool, typer.Option("--interrupted", help="A map whose beam is dumped in mid-row, and its continuation.")
    ] = False,
    tiles: Annotated[bool, typer.Option("--tiles", help="A map of two scans side by side.")] = False,
    device: Device = "auto",
    port: Annotated[int, typer.Option(help="Port of the live page.")] = 8016,
    no_page: Annotated[bool, typer.Option("--no-page", help="Without the live page.")] = False,
    once: Annotated[bool, typer.Option("--once", help="End when the report is written; else the page stays open.")] = (
        False
    ),
    catalog: LiveCatalog = "embedded",
) -> None:
    """Run everything at once: a simulated BL16XU scan through the real wires, to a live phase map and a report.

    Exit status 0 only if every point is done.

    Example: phasecast demo --once
    """
    from rich.console import Console

    from phasecast.services.demo import run_demo
    from phasecast.services.demo_processes import DemoOptions

    rows, columns = map_shape(shape)
    options = DemoOptions(
        data_dir=data_dir,
        rows=rows,
        columns=columns,
        rate_hz=rate,
        seed=seed,
        files=files or log_later,
        log_later=log_later,
        device=device,
        port=port,
        page=not no_page,
        once=once,
        catalog=catalog,
    )
    if interrupted or tiles:
        from phasecast.services.demo_maps import run_map_demo

        raise typer.Exit(run_map_demo("interrupted" if interrupted else "tiles", options, Console(stderr=True)))
    raise typer.Exit(run_demo(options, Console(stderr=True)))
