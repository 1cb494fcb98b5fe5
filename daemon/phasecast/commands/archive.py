"""Closed scans, copied and proven."""

from pathlib import Path
from typing import Annotated

import typer

from phasecast.commands.options import AsJson
from phasecast.commands.terminal import print_json, say
from phasecast.core.errors import PhasecastError


def archive(
    source: Annotated[Path, typer.Argument(help="A closed result (.nxs), or a data directory.", show_default=False)],
    target: Annotated[
        Path | None, typer.Argument(help="Folder that becomes a data directory of closed scans.", show_default=False)
    ] = None,
    captures: Annotated[
        bool, typer.Option("--captures", help="Also the raw record; frames of a stream lie nowhere else.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Only read an archive and check its checksums.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy closed scans with pictures, reports, labels and notes; every copy is read back and has a checksum.

    Scans that still grow are named and left out. The same command goes on where it was interrupted.

    Example: phasecast archive beamtime /mnt/server/2026A1234
    """
    from phasecast.services.archive import archive as copy_closed
    from phasecast.services.archive import verify as read_again

    if verify:
        wrong = read_again(source)
        if as_json:
            print_json(wrong)
        for name, reason in wrong.items():
            say(f"FAILED {name}: {reason}")
        say(f"{source}: {len(wrong) or 'no'} file{'s are' if len(wrong) != 1 else ' is'} missing or changed")
        raise typer.Exit(1 if wrong else 0)
    if target is None:
        raise PhasecastError("no folder to copy to", where=str(source), remedy="name it: phasecast archive FROM TO")
    report = copy_closed(source, target, captures=captures, say=say)
    if as_json:
        print_json(report.as_dict())
    say(
        f"{report.target}: {len(report.copied)} files copied ({report.bytes / 1e6:.1f} MB), {len(report.kept)} were "
        f"there, {len(report.skipped)} scans skipped, {len(report.failed)} failed"
    )
    if report.failed:
        raise typer.Exit(1)
