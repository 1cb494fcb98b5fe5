"""What was recorded, once more."""

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from phasecast.commands.options import AsJson, Device, RawRoots, replay_speed
from phasecast.commands.terminal import print_json, say
from phasecast.core.errors import PhasecastError


def replay(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Captures (a folder, a segment or a data directory), documents as JSON lines (.jsonl), "
            "results (.nxs) or folders of frames.",
            show_default=False,
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            help="New data directory of the results; of several sources each gets a folder in it. "
            "The same one goes on where a replay was killed. Default: a dated one in replays/.",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        str, typer.Option("--profile", help="Profile; default: that of the results beside the capture.")
    ] = "",
    speed: Annotated[str, typer.Option("--speed", help="max, or recorded seconds a second: 1 is as it was.")] = "max",
    frames: Annotated[
        Path | None, typer.Option("--frames", help="Folder of the frames that belong to documents (.jsonl).")
    ] = None,
    scan: Annotated[Path | None, typer.Option("--scan", help="Declaration of scans that no document announces.")] = (
        None
    ),
    model: Annotated[str | None, typer.Option("--model", help="Bundle; default: the profile's.")] = None,
    device: Device = "auto",
    poni: Annotated[Path | None, typer.Option("--poni", help="Geometry; wins over the profile's.")] = None,
    raw_root: RawRoots = None,
    expected_points: Annotated[int | None, typer.Option(help="Points of a scan that has no documents.")] = None,
    close_after_idle_s: Annotated[
        float, typer.Option(help="Declare a scan over that was silent for this long in the recording.")
    ] = 900.0,
    compare: Annotated[
        list[Path] | None,
        typer.Option("--compare", help="Result to compare the new one of the same scan with, to the bit."),
    ] = None,
    no_reports: Annotated[bool, typer.Option("--no-reports", help="Without pictures, summaries and reports.")] = False,
    run_uid: Annotated[
        str,
        typer.Option("--run", help="Uid of one run, of a data directory or of --catalog.", show_default=False),
    ] = "",
    catalog: Annotated[
        str, typer.Option("--catalog", help="With --run: a Tiled server that has it.", show_default=False)
    ] = "",
    at_once: Annotated[int | None, typer.Option(min=1, help="Sources at the same time; default: one a core.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run what was recorded through the live loop again, into new results; the old ones are only read.

    Exit status 0 only if all came to their end and nothing that was compared differs.

    Example: phasecast replay beamtime/captures --model my-bundle --compare beamtime/results/scan.nxs
    """
    from rich.console import Console

    from phasecast.services.replay_many import progress_bars, replay_many

    target = data_dir or Path("replays") / time.strftime("%Y%m%d-%H%M%S")
    console = Console(stderr=True)
    pace = replay_speed(speed)
    sources = _named_run(sources or [], run_uid, catalog, target) if run_uid else sources
    if not sources:
        raise PhasecastError("nothing to replay", where="replay", remedy="name a recording, or a run with --run")
    reports: list[dict[str, Any]]
    if len(sources) == 1:
        from phasecast.services.replay import ReplayOptions
        from phasecast.services.replay import replay as run

        options = ReplayOptions(
            data_dir=target,
            profile=profile,
            speed=pace,
            frames=frames,
            scan=scan,
            model=model,
            device=device,
            poni=poni,
            raw_roots=tuple(raw_root or ()),
            expected_points=expected_points,
            close_after_idle_s=close_after_idle_s,
            compare=tuple(compare or ()),
            reports=not no_reports,
        )
        with progress_bars(sources, console) as (move,):
            reports = [run(sources[0], options, tell=move).as_dict()]
    else:
        if frames is not None:
            raise PhasecastError("belongs to one file of documents", where="--frames", remedy="replay them one by one")
        words = ["--speed", speed, "--device", device, "--close-after-idle-s", str(close_after_idle_s)]
        named = {"--profile": profile, "--scan": scan, "--model": model, "--poni": poni}
        words += [word for name, value in named.items() if value for word in (name, str(value))]
        words += [word for root in raw_root or () for word in ("--raw-root", str(root))]
        words += ["--expected-points", str(expected_points)] if expected_points is not None else []
        words += ["--no-reports"] if no_reports else []
        reports = replay_many(sources, words, target, at_once=at_once or os.cpu_count() or 1, console=console)
        _compare_all(compare or [], reports)
    for report in reports:
        _tell(report)
    if as_json:
        print_json(reports)
    if not all(report["complete"] and all(one["identical"] for one in report["comparisons"].values())
               for report in reports):  # fmt: skip
        raise typer.Exit(1)


def _named_run(sources: list[Path], uid: str, catalog: str, target: Path) -> list[Path]:
    """Return what one run is replayed from."""
    from phasecast.core.data_directory import DataDirectory
    from phasecast.services.catalog_runs import fetch_run

    if len(sources) > 1 or not (sources or catalog):
        raise PhasecastError(
            "a run is in one data directory or catalog", where="--run", remedy="name one of them, or --catalog URI"
        )
    directory = DataDirectory(target)
    return [fetch_run(DataDirectory(sources[0]) if sources else directory, uid, directory, catalog)]


def _compare_all(wanted: list[Path], reports: list[dict[str, Any]]) -> None:
    """Compare each result with what any of several replays made of its scan."""
    from phasecast.services.replay_progress import compare_with

    made = [Path(path) for report in reports for path in report["results"]]
    for path in wanted:
        reports[0]["comparisons"][str(path)] = compare_with(path, made)


def _tell(report: dict[str, Any]) -> None:
    say(
        f"{report['source']}: {report['records']} records, {report['frames']} frames in {report['seconds']:.1f} s "
        f"({report['frames_per_s']:.0f}/s)" + ("" if report["complete"] else "; stopped, the same command goes on")
    )
    for line in report["damage"]:
        say(f"  damage: {line}")
    for path in report["results"]:
        sums = report["ledgers"][Path(path).name]
        say(f"  {path}: " + ", ".join(f"{count} {state}" for state, count in sums.items()))
    for path, found in report["comparisons"].items():
        say(f"  compared with {path}: {found['line']}")
