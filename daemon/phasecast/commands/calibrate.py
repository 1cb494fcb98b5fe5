"""The geometry of the detector."""

import os
from pathlib import Path
from typing import Annotated

import typer

from phasecast.commands.options import AsJson, ProfileName
from phasecast.commands.terminal import print_json, say


def calibrate(
    frames: Annotated[list[Path], typer.Argument(help="Frames of one detector position.", show_default=False)],
    profile: ProfileName,
    standard: Annotated[str, typer.Option("--standard", help="LaB6, CeO2 or Si.")],
    poni: Annotated[Path | None, typer.Option("--poni", help="Geometry to start from; default: the profile's.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The .poni file; default: a dated one beside the profile.")
    ] = None,
    sample_offset_mm: Annotated[
        float, typer.Option(help="Sample less standard along the beam, positive downstream, in mm.")
    ] = 0.0,
    ignore_headers: Annotated[
        bool, typer.Option("--ignore-headers", help="Go on where a frame's header contradicts the profile.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find the detector's geometry from frames of a standard; writes a .poni file and a picture.

    Example: phasecast calibrate lab6.cbf --profile my_beamline.toml --standard LaB6
    """
    # before numpy and pyFAI are loaded: all heed the number, and loops that ask for a thread a core heed the limit
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")
    from phasecast.services.calibrate import calibrate_files

    report = calibrate_files(
        frames,
        profile=profile,
        standard=standard,
        poni=poni,
        output=output,
        sample_offset_mm=sample_offset_mm,
        ignore_headers=ignore_headers,
    )
    for line in report.summary:
        say(line)
    if as_json:
        print_json(report.as_dict())
    else:
        typer.echo(report.table)
