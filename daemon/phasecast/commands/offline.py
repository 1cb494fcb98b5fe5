"""Files that lie there: frames to patterns, patterns to phases, and is a file valid."""

from pathlib import Path
from typing import Annotated

import typer

from phasecast.commands.options import AsJson, Device, ProfileName, RawRoots
from phasecast.commands.terminal import print_json, say


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
        say(entry.line)
    if as_json:
        print_json([entry.as_dict() for entry in report])
    if any(entry.error for entry in report):
        raise typer.Exit(1)


def classify(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Frames, patterns as .xy or .csv, or results (.nxs) for the raw frames of their points.",
            show_default=False,
        ),
    ],
    profile: ProfileName = "bl16xu",
    model: Annotated[str | None, typer.Option("--model", help="Bundle; default: the profile's.")] = None,
    wavelength_angstrom: Annotated[
        float | None,
        typer.Option(help="Wavelength at which the patterns' 2theta was measured; default: the profile's."),
    ] = None,
    poni: Annotated[Path | None, typer.Option("--poni", help="Geometry of the frames.")] = None,
    raw_root: RawRoots = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Name the phases in frames or patterns, with calibrated confidences.

    Example: phasecast classify pattern.xy --wavelength-angstrom 1.5406
    """
    from phasecast.services.offline import classify_files

    if raw_root or any(path.suffix == ".nxs" for path in files):
        from phasecast.services.raw_frames import frames_named_by

        files = frames_named_by(files, raw_root or ())
    report = classify_files(
        files, profile=profile, model=model, wavelength_angstrom=wavelength_angstrom, poni=poni, device=device
    )
    if as_json:
        print_json([entry.as_dict() for entry in report])
    else:
        for entry in report:
            typer.echo(entry.line)
    if any(entry.error for entry in report):
        raise typer.Exit(1)


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
        print_json([verdict.as_dict() for verdict in verdicts])
    else:
        for verdict in verdicts:
            typer.echo(verdict.line)
    if not all(verdict.valid for verdict in verdicts):
        raise typer.Exit(1)
