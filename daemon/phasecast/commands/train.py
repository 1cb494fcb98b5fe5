"""Model bundles from labels, or from simulation."""

import os
from pathlib import Path
from typing import Annotated, cast

import typer

from phasecast.commands.terminal import say
from phasecast.core.errors import PhasecastError


def train_xrd(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the new bundle.", show_default=False)],
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Data directory whose labels teach.", show_default=False)
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option("--labels", help="Journal of labels (.jsonl); several may be given.", show_default=False),
    ] = None,
    scan: Annotated[
        list[str] | None,
        typer.Option("--scan", help="Raw uid of a scan whose labels teach; all if not given.", show_default=False),
    ] = None,
    trusted: Annotated[
        str, typer.Option(help="Person whose word counts where people contradict each other.", show_default=False)
    ] = "",
    profile: Annotated[
        str,
        typer.Option(help="Instrument whose classes and axis are simulated; default: bl16xu's.", show_default=False),
    ] = "",
    base: Annotated[
        str, typer.Option(help="Bundle that is trained further; default: the profile's.", show_default=False)
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the bundle; default: the base's.", show_default=False)] = "",
    version: Annotated[str, typer.Option(help="Its version.")] = "1",
    owner: Annotated[
        str, typer.Option(help="Group whose labels these are; nobody else gets it as a default.", show_default=False)
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 1,
    effort: Annotated[str, typer.Option(help="full, or quick: seconds, to see whether anything comes of it.")] = "full",
    while_open: Annotated[bool, typer.Option("--while-open", hidden=True)] = False,
) -> None:
    """Train a model on labels; without labels, from simulation alone.

    Example: phasecast train xrd --data-dir beamtime --owner "group of A. Sato" -o rust-sato
    """
    # before numpy and torch are loaded: two cores belong to the daemon as well
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    from phasecast.services.priority import be_nice
    from phasecast.services.training import NICE, Effort, TrainOptions, run_training

    if effort not in ("full", "quick"):
        raise PhasecastError(f"no effort {effort!r}", where="--effort", remedy="give full or quick")
    be_nice(NICE)
    code = run_training(
        TrainOptions(
            output=output,
            data_dir=data_dir,
            labels=tuple(labels or ()),
            scans=tuple(scan or ()),
            trusted=trusted,
            profile=profile,
            base=base,
            name=name,
            version=version,
            owner=owner,
            seed=seed,
            effort=cast(Effort, effort),
            while_open=while_open,
        ),
        say=say,
    )
    raise typer.Exit(code)
