"""Is everything ready for a scan."""

from pathlib import Path
from typing import Annotated

import typer

from phasecast.commands.options import AsJson, ProfileName
from phasecast.commands.terminal import print_json


def preflight(
    profile: ProfileName,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Source URI; several may be given. Default: the profile's.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where the scan will be kept: its disk is looked at.")
    ] = None,
    points: Annotated[int | None, typer.Option(min=1, help="Points of the planned scan.")] = None,
    poni: Annotated[Path | None, typer.Option("--poni", help="Geometry; wins over the profile's.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Bundle; default: the profile's.")] = None,
    frame: Annotated[Path | None, typer.Option("--frame", help="A frame to try, instead of the next one.")] = None,
    log: Annotated[list[Path] | None, typer.Option("--log", help="Log of positions that must be growing.")] = None,
    scan: Annotated[Path | None, typer.Option("--scan", help="Declaration of the planned scan (scan.toml).")] = None,
    listen_s: Annotated[float, typer.Option(min=0, max=90, help="How long to listen to the sources.")] = 20.0,
    max_geometry_age_h: Annotated[float, typer.Option(min=0, help="Oldest calibration that is believed.")] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Look at everything a scan needs before it starts: green or red, and what to do.

    Take a test exposure and count one point while it listens. Exit status 0 only if nothing is red.

    Example: phasecast preflight --profile bl16xu --data-dir beamtime --points 24000
    """
    from rich.console import Console

    from phasecast.services.preflight import PreflightOptions, is_ready, run_preflight, show_table

    found = run_preflight(
        PreflightOptions(
            profile=profile,
            sources=tuple(source or ()),
            data_dir=data_dir,
            points=points,
            poni=poni,
            model=model,
            frame=frame,
            logs=tuple(log or ()),
            scan=scan,
            listen_s=listen_s,
            max_geometry_age_h=max_geometry_age_h,
        )
    )
    if as_json:
        print_json([check.as_dict() for check in found])
    else:
        show_table(found, Console())
    if not is_ready(found):
        raise typer.Exit(1)
