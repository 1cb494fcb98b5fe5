"""Trains a bundle on labels, or from simulation alone: what `phasecast train xrd` does."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import BundleMismatchError
from phasecast.profiles import load_profile
from phasecast.records.status import StatusFile
from phasecast.services.lifecycle import stop_on_signals
from phasecast.services.training_labels import TrainingError, checked_labels
from phasecast.services.training_process import CANCELLED, SERVICE
from phasecast.xrd.task import task_of_profile
from phasecast_models.xrd.bundle import Bundle, BundleError, load_bundle
from phasecast_models.xrd.examples import LabelError
from phasecast_models.xrd.fine_tuning import FineTunePlan, TrainingCancelledError, fine_tune
from phasecast_models.xrd.task import BL16XU_TASK
from phasecast_models.xrd.training import TrainingPlan, train
from phasecast_models.xrd.tuning import replay_of

logger = logging.getLogger(__name__)

NICE = 10
_SHIPPED = "bl16xu-rust"

Effort = Literal["full", "quick"]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What `phasecast train xrd` can be told; names as on the command line.

    Parameters
    ----------
    output
        Folder of the new bundle; must not exist.
    data_dir
        Data directory whose labels teach, and where the status is written; None: neither.
    labels
        Journals of labels; all of the data directory if empty. With neither, simulation alone teaches.
    scans, trusted
        See `checked_labels`.
    profile
        Instrument whose classes, crystals and axis are simulated; the shipped task if empty.
    base
        Bundle that is trained further; the profile's own if empty.
    name, version, owner
        What the new bundle carries; the base's name if empty.
    seed, effort
        Of the training.
    while_open
        Whether it is cancelled when standard input is closed: whoever started it is gone.
    """

    output: Path
    data_dir: Path | None = None
    labels: tuple[Path, ...] = ()
    scans: tuple[str, ...] = ()
    trusted: str = ""
    profile: str = ""
    base: str = ""
    name: str = ""
    version: str = "1"
    owner: str = ""
    seed: int = 1
    effort: Effort = "full"
    while_open: bool = False


def plan_of(effort: Effort, seed: int) -> FineTunePlan:
    """Return the plan of an effort: ``quick`` shows in seconds whether anything comes of the labels."""
    if effort == "full":
        return FineTunePlan(seed=seed)
    return FineTunePlan(seed=seed, replay=400, repeats=6, epochs=2, calibration_replay=500, measured_replay=500)


def run_training(options: TrainOptions, *, say: Say) -> int:
    """Train as told; return the exit status: 0, or `CANCELLED`.

    A signal cancels it. The bundle appears whole or not at all.

    Parameters
    ----------
    options
        What is wanted.
    say
        Takes one line now and then.

    Raises
    ------
    PhasecastError
        If there is nothing to learn from, the base cannot be used, or the folder exists.
    """
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        if options.while_open:
            threading.Thread(target=_stop_at_end_of_input, args=(stop,), name="input", daemon=True).start()
        report = _Report(options, say)
        try:
            bundle = _train(options, report, stop.is_set)
        except TrainingCancelledError as cancelled:
            report.end("cancelled", str(cancelled))
            say(str(cancelled))
            return CANCELLED
        except Exception as error:
            report.end("failed", str(error))
            raise
        report.end("done", f"{bundle.name} {bundle.version}")
    return 0


def _train(options: TrainOptions, report: "_Report", cancelled: Callable[[], bool]) -> Bundle:
    if options.output.exists():
        raise TrainingError("exists already", where=str(options.output), remedy="bundles are never overwritten")
    directory = DataDirectory(options.data_dir) if options.data_dir is not None else None
    profile = load_profile(options.profile) if options.profile else None
    task = task_of_profile(profile, tell=report.line) if profile is not None else BL16XU_TASK
    if directory is None and not options.labels:
        plan = TrainingPlan(seed=options.seed)
        if options.effort == "quick":
            plan = replace(plan, epochs=2, patterns_per_epoch=4000, held_out=4000)
        name = options.name or (profile.name if profile is not None else "xrd")
        return train(options.output, plan, name=name, version=options.version, task=task, progress=report.line)
    wanted = options.base or (profile.default_bundle if profile is not None else None) or _SHIPPED
    try:
        base = load_bundle(wanted)
    except BundleError as error:
        raise BundleMismatchError(str(error), where="--base") from error
    checked = checked_labels(directory, base, files=options.labels, scans=options.scans, trusted=options.trusted)
    left_out = "".join(f", {count} left out ({reason})" for reason, count in checked.left_out.items())
    report.line(f"{len(checked.examples)} labels{left_out}")
    try:
        return fine_tune(
            base,
            checked.examples,
            options.output,
            plan=plan_of(options.effort, options.seed),
            name=options.name or base.name,
            version=options.version,
            owner=options.owner,
            simulate=replay_of(task),
            progress=report.line,
            cancelled=cancelled,
        )
    except LabelError as error:
        raise TrainingError(str(error)) from error
    except BundleError as error:
        raise TrainingError(str(error)) from error


class _Report:
    """Says how far a training is, on the terminal and in the status of the data directory."""

    def __init__(self, options: TrainOptions, say: Say) -> None:
        self._say = say
        self._about = {
            "service": SERVICE,
            "model": options.output.name,
            "owner": options.owner,
            "effort": options.effort,
            "began_s": time.time(),
        }
        status = options.data_dir / "status" if options.data_dir is not None else None
        self._file = StatusFile(status / f"{SERVICE}.json") if status is not None and status.is_dir() else None
        self._write("running", "")

    def line(self, text: str) -> None:
        """Say one line."""
        self._say(text)
        self._write("running", text)

    def end(self, state: str, detail: str) -> None:
        """Say how it ended."""
        self._write(state, detail)

    def _write(self, state: str, detail: str) -> None:
        if self._file is not None:
            content: dict[str, Any] = {**self._about, "state": state, "detail": detail}
            self._file.write(lambda: content, now=True)


def _stop_at_end_of_input(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop.set()
