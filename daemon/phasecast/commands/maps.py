"""One scan or several as one map: report, picture, and what to measure again."""

import json
from pathlib import Path
from typing import Annotated

import typer

from phasecast.commands.options import AsJson, MapName, MapOffset, RawRoots, language_named
from phasecast.commands.terminal import print_json, say


def report(
    results: Annotated[
        list[Path], typer.Argument(help="Result file (.nxs); several are reported as one map.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("-o", help="HTML file; default: in the data directory's reports.")
    ] = None,
    name: MapName = "",
    offset: MapOffset = None,
    language: Annotated[str, typer.Option("--language", help="en or ja.")] = "en",
    figures: Annotated[
        bool,
        typer.Option(
            "--figures",
            help="Also figure files (SVG, PDF, 600 dpi TIFF at 85 and 170 mm), beside the maps and patterns.",
        ),
    ] = False,
    raw_root: RawRoots = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of a scan, or of several as one map: one HTML file that opens anywhere, and the same as JSON.

    Example: phasecast report results/scan.nxs --language ja --figures
    """
    from phasecast.services.maps import write_map_report

    paths = write_map_report(
        results, output, name=name, offsets=offset or (), language=language_named(language), figures=figures
    )
    made = {"html": paths.html, "json": paths.json, "folder": paths.folder}
    frames = None
    if raw_root:
        from phasecast.services.raw_frames import check_raw_frames

        frames = check_raw_frames(results[0], raw_root)
    if as_json:
        print_json(made | ({"raw_frames": frames.as_dict()} if frames is not None else {}))
        return
    for name, path in made.items():
        if path is not None:
            say(f"{name}: {path}")
    if frames is not None:
        say(frames.line)


def draw_map(
    results: Annotated[list[Path], typer.Argument(help="Result files (.nxs) of one map.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", help="PNG file; a CSV of all points lies beside it. Default: only print.")
    ] = None,
    name: MapName = "",
    offset: MapOffset = None,
    language: Annotated[str, typer.Option("--language", help="en or ja.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Show several scans as one map: what counts, where it was interrupted, and by how much it seems displaced.

    Exit status 0 only if every place has a result.

    Example: phasecast map results/*.nxs -o map.png
    """
    from phasecast.services.maps import draw_map_of

    summary = draw_map_of(results, output, name=name, offsets=offset or (), language=language_named(language))
    if as_json:
        fact = summary.fact.model_dump(mode="json") if summary.fact is not None else None
        print_json(
            {"name": summary.name, "ledger": summary.ledger, "complete": summary.complete, "map": fact,
             "files": summary.files}
        )  # fmt: skip
    else:
        for line in summary.lines:
            typer.echo(line)
    if not summary.complete:
        raise typer.Exit(1)


def repair_list(
    results: Annotated[list[Path], typer.Argument(help="Result files (.nxs) of one map.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("-o", help="Name of the files without ending; default: in the data directory's reports."),
    ] = None,
    name: MapName = "",
    offset: MapOffset = None,
    as_json: AsJson = False,
) -> None:
    """List missing and doubtful points in the motors' units: a table (.csv), data (.json), a bluesky plan (.py).

    Example: phasecast repair-list results/scan.nxs
    """
    from phasecast.services.maps import write_repair_list

    found, files = write_repair_list(results, output, name=name, offsets=offset or ())
    if as_json:
        print_json({**json.loads(found.as_json()), "without_place": found.without_place, "files": files})
        return
    typer.echo(f"{len(found.points)} points to measure again; {found.without_place} more without a known place")
    for path in files:
        typer.echo(str(path))
