"""Positions that come after the scan."""

from pathlib import Path
from typing import Annotated

import typer

from phasecast.commands.options import AsJson
from phasecast.commands.terminal import print_json, say


def attach_log(
    result: Annotated[Path, typer.Argument(help="Closed result file (.nxs); it is only read.", show_default=False)],
    log: Annotated[Path, typer.Argument(help="Log of positions.", show_default=False)],
    scan: Annotated[Path, typer.Option("--scan", help="Declaration of the scan with [log].", show_default=False)],
    output: Annotated[Path | None, typer.Option("-o", help="The new result; default: beside the old one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give positions to the points of a finished scan: a new result beside the old one, from a log.

    Exit status 0 only if nothing speaks against the positions.

    Example: phasecast attach-positions results/scan.nxs positions.txt --scan scan.toml
    """
    from phasecast.services.attach_positions import attach_positions
    from phasecast.services.end_of_scan import finish_scan

    attached = attach_positions(result, log, scan=scan, output=output)
    finish_scan(attached.path)
    for line in attached.remarks:
        say(line)
    if as_json:
        print_json(attached.as_dict())
    else:
        say("ledger: " + ", ".join(f"{count} {state}" for state, count in attached.ledger.items() if count))
        say(f"result: {attached.path}")
    if attached.doubt:
        say(f"positions are doubtful: {attached.doubt}")
        raise typer.Exit(1)
