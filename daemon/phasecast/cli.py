"""One door: `phasecast ...`. The commands are in `phasecast.commands`; heavy imports happen inside the chosen one."""

import logging
import sys
from typing import Annotated

import typer

from phasecast import __version__
from phasecast.commands import (
    archive,
    bench,
    calibrate,
    catalog,
    demo,
    live,
    maps,
    offline,
    positions,
    preflight,
    profiles,
    replay,
    simulate,
    train,
)
from phasecast.commands.terminal import say
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
train_app = typer.Typer(help="Model bundles from labels, or from simulation.", no_args_is_help=True)
catalog_app = typer.Typer(help="The catalog of runs, for tiled and databroker.", no_args_is_help=True)
app.add_typer(live_app, name="live")
app.add_typer(simulate_app, name="simulate")
app.add_typer(train_app, name="train")
app.add_typer(bench_app, name="bench")
app.add_typer(catalog_app, name="catalog")

# in the order in which help lists them
app.command("profiles")(profiles.profiles)
app.command("integrate")(offline.integrate)
app.command("calibrate")(calibrate.calibrate)
app.command("classify")(offline.classify)
app.command("check")(offline.check)
app.command("preflight")(preflight.preflight)
app.command("archive")(archive.archive)
app.command("report")(maps.report)
app.command("map")(maps.draw_map)
app.command("repair-list")(maps.repair_list)
app.command("attach-positions")(positions.attach_log)
app.command("replay")(replay.replay)
app.command("demo")(demo.demo)
app.command("page")(live.page)
live_app.command("xrd")(live.live_xrd)
train_app.command("xrd")(train.train_xrd)
simulate_app.command("xrd")(simulate.simulate_xrd)
catalog_app.command("list")(catalog.list_runs)
catalog_app.command("show")(catalog.show_run)
catalog_app.command("sync")(catalog.sync)
catalog_app.command("follow")(catalog.follow)
bench_app.command("integrate")(bench.bench_integrate)
bench_app.command("live")(bench.bench_live)
bench_app.command("files")(bench.bench_files)
bench_app.command("page")(bench.bench_page)
bench_app.command("classify")(bench.bench_classify)
bench_app.command("rescore")(bench.bench_rescore)
bench_app.command("decode")(bench.bench_decode)
bench_app.command("replay")(bench.bench_replay)


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
    # silx says at every start that it has no OpenCL, which nobody asked for
    logging.getLogger("silx.opencl.common").setLevel(logging.ERROR)
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; errors that a user can act on are one line, not a traceback."""
    try:
        app()
    except PhasecastError as error:
        say(f"phasecast: {error}")
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        logging.getLogger(__name__).info("where it happened:", exc_info=True)
        say(f"phasecast: {error.filename}: {error.strerror}")
        sys.exit(1)


if __name__ == "__main__":
    main()
