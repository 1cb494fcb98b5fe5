"""One door: `phasecast ...`. Heavy imports happen inside the chosen command."""

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from phasecast import __version__
from phasecast.core.errors import PhasecastError

app = typer.Typer(
    name="phasecast",
    help="Live phase maps from a diffraction beamline: frames in, calibrated phase confidences out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
live_app = typer.Typer(help="The daemon: live streams in, result files out.", no_args_is_help=True)
simulate_app = typer.Typer(help="Instruments that do not exist but speak the real protocols.", no_args_is_help=True)
bench_app = typer.Typer(help="This machine, side by side with the peers that are installed.", no_args_is_help=True)
app.add_typer(live_app, name="live")
app.add_typer(simulate_app, name="simulate")
app.add_typer(bench_app, name="bench")

DataDir = Annotated[Path, typer.Option("--data-dir", help="Data directory of the beamtime.")]
ProfileName = Annotated[str, typer.Option("--profile", help="Name of a shipped profile, or a TOML file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=1, default=str))


def _say(line: str) -> None:
    typer.echo(line, err=True)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def profiles(as_json: AsJson = False) -> None:
    """List the instrument profiles that ship, one line each.

    Example: phasecast profiles
    """
    from phasecast.profiles import list_profiles, load_profile

    titles = {name: load_profile(name).title for name in list_profiles()}
    if as_json:
        _print_json(titles)
        return
    for name, title in titles.items():
        typer.echo(f"{name:<14} {title}")


@app.command()
def integrate(
    frames: Annotated[list[Path], typer.Argument(help="Frames in any format that fabio reads.", show_default=False)],
    profile: ProfileName,
    output: Annotated[
        Path | None, typer.Option("-o", help="Folder for the .xy files; default: beside each frame.")
    ] = None,
    poni: Annotated[Path | None, typer.Option("--poni", help="Geometry; wins over the profile's.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Integrate frames into .xy files: 2theta in deg, intensity, sigma.

    Example: phasecast integrate rust_*.cbf --profile bl16xu -o patterns/
    """
    from phasecast.services.offline import integrate_files

    report = integrate_files(frames, profile=profile, output=output, poni=poni, device=device)
    for entry in report:
        _say(entry.line)
    if as_json:
        _print_json([entry.as_dict() for entry in report])
    if any(entry.error for entry in report):
        raise typer.Exit(1)


@app.command()
def classify(
    files: Annotated[list[Path], typer.Argument(help="Frames, or patterns as .xy or .csv.", show_default=False)],
    profile: ProfileName = "bl16xu",
    model: Annotated[str | None, typer.Option("--model", help="Bundle; default: the profile's.")] = None,
    wavelength_angstrom: Annotated[
        float | None,
        typer.Option(help="Wavelength at which the patterns' 2theta was measured; default: the profile's."),
    ] = None,
    poni: Annotated[Path | None, typer.Option("--poni", help="Geometry of the frames.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Name the phases in frames or patterns, with calibrated confidences.

    Example: phasecast classify pattern.xy --wavelength-angstrom 1.5406
    """
    from phasecast.services.offline import classify_files

    report = classify_files(
        files, profile=profile, model=model, wavelength_angstrom=wavelength_angstrom, poni=poni, device=device
    )
    if as_json:
        _print_json([entry.as_dict() for entry in report])
    else:
        for entry in report:
            typer.echo(entry.line)
    if any(entry.error for entry in report):
        raise typer.Exit(1)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Profiles, results, captures or bundles.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Say of each file whether it is valid, or the exact reason why not.

    Example: phasecast check my_beamline.toml results/*.nxs
    """
    from phasecast.services.check import check_file

    verdicts = [check_file(path) for path in files]
    if as_json:
        _print_json([verdict.as_dict() for verdict in verdicts])
    else:
        for verdict in verdicts:
            typer.echo(verdict.line)
    if not all(verdict.valid for verdict in verdicts):
        raise typer.Exit(1)


@live_app.command("xrd")
def live_xrd(
    profile: ProfileName,
    data_dir: DataDir,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="Source URI; give several for several wires. Default: the profile's."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Bundle; default: the profile's.")] = None,
    device: Device = "auto",
    poni: Annotated[Path | None, typer.Option("--poni", help="Geometry; wins over the profile's.")] = None,
    expected_points: Annotated[
        int | None, typer.Option(help="Points of a scan that has no documents; closes it when they are there.")
    ] = None,
    close_after_idle_s: Annotated[
        float, typer.Option(help="Declare a scan over that has been silent for this long.")
    ] = 900.0,
    once: Annotated[bool, typer.Option("--once", help="End after the first scan is finished.")] = False,
) -> None:
    """Turn live frames and positions into a growing result file.

    Example: phasecast live xrd --profile bl16xu --data-dir beamtime
    --source simplon://detector:9999 --source "bluesky://beamline:5578?prefix=bl16xu"
    """
    from phasecast.services.live_xrd import LiveOptions, run_live_xrd

    code = run_live_xrd(
        LiveOptions(
            profile=profile,
            data_dir=data_dir,
            sources=tuple(source or ()),
            model=model,
            device=device,
            poni=poni,
            expected_points=expected_points,
            close_after_idle_s=close_after_idle_s,
            once=once,
        )
    )
    raise typer.Exit(code)


@bench_app.command("integrate")
def bench_integrate(as_json: AsJson = False) -> None:
    """Time one frame: ours, warm pyFAI, and azint if it is installed, in one run.

    Example: phasecast bench integrate --json
    """
    from phasecast.xrd.benchmark import bench_integrate as measure
    from phasecast.xrd.benchmark import format_report

    report = measure()
    if as_json:
        _print_json(report)
    else:
        typer.echo(format_report(report))


def main() -> None:
    """Run the command line; errors that a user can act on are one line, not a traceback."""
    try:
        app()
    except PhasecastError as error:
        _say(f"phasecast: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
