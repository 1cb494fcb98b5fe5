"""The catalog of runs: what is in it, and bringing in what is not."""

from typing import Annotated

import typer

from phasecast.commands.options import AsJson, DataDir
from phasecast.commands.terminal import print_json, say

CatalogUri = Annotated[
    str, typer.Option("--catalog", help="A Tiled server; default: the catalog of the data directory.")
]
Uid = Annotated[str, typer.Argument(help="Uid of a run, or its beginning.", show_default=False)]


def list_runs(data_dir: DataDir, catalog: CatalogUri = "", as_json: AsJson = False) -> None:
    """List the runs of the catalog, oldest first, and those that wait to be brought in.

    Example: phasecast catalog list --data-dir beamtime
    """
    from phasecast.core.data_directory import DataDirectory
    from phasecast.services import catalog_runs as runs
    from phasecast.services.catalog import marks_of
    from phasecast.services.catalog_text import line_of, run_as_dict

    directory = DataDirectory(data_dir)
    found = runs.list_runs(directory, catalog)
    waiting = [mark for mark in marks_of(directory, catalog) if mark.state == "waiting"]
    if as_json:
        print_json(
            {
                "runs": [run_as_dict(run) for run in found],
                "waiting": {mark.uid: mark.reason for mark in waiting},
            }
        )
    for run in found:
        say(line_of(run))
    for mark in waiting:
        say(f"{mark.uid[:8]}  {mark.kind:8}waits: {mark.reason}")
    if not found and not waiting:
        say("no runs")


def show_run(uid: Uid, data_dir: DataDir, catalog: CatalogUri = "", as_json: AsJson = False) -> None:
    """Show one run: what it says of itself, its streams, and the runs that belong to it.

    Example: phasecast catalog show 3f2a91c0 --data-dir beamtime
    """
    from phasecast.core.data_directory import DataDirectory
    from phasecast.services import catalog_runs as runs
    from phasecast.services.catalog_text import lines_of, run_as_dict

    content = runs.show_run(DataDirectory(data_dir), uid, catalog)
    if as_json:
        print_json(
            {**run_as_dict(content.run), "start": content.run.start, "stop": content.run.stop}
            | {"streams": content.streams, "documents": str(content.documents) if content.documents else None}
        )
    for line in lines_of(content):
        say(line)


def sync(data_dir: DataDir, catalog: CatalogUri = "", as_json: AsJson = False) -> None:
    """Bring every finished run, raw and derived, into the catalog; what is there already is left alone.

    Runs that it does not take wait as JSON lines in the data directory; the exit status is 1 then, or if it fails.

    Example: phasecast catalog sync --data-dir beamtime
    """
    from phasecast.core.data_directory import DataDirectory
    from phasecast.services import catalog as runs
    from phasecast.services.priority import be_nice

    be_nice(15)
    report = runs.sync(DataDirectory(data_dir), catalog, say=say)
    if as_json:
        print_json(report.as_dict())
    say(
        f"{report.catalog}: {len(report.brought)} brought in, {report.kept} were there, {len(report.waiting)} wait, "
        f"{len(report.undocumented)} scans without documents"
    )
    raise typer.Exit(1 if report.waiting or report.failure else 0)


def follow(data_dir: DataDir, catalog: CatalogUri = "") -> None:
    """Bring in each run when it is finished, until a signal comes.

    Example: phasecast catalog follow --data-dir beamtime --catalog https://tiled.facility/api/v1
    """
    from phasecast.core.data_directory import DataDirectory
    from phasecast.services.catalog_follow import follow as follow_results
    from phasecast.services.priority import be_nice

    be_nice(15)
    follow_results(DataDirectory(data_dir), catalog, say=say)
