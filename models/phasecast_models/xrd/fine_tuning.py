"""Fine-tune a bundle on the few patterns that people labelled, without forgetting what simulation taught it.

Every epoch holds fresh simulated patterns (replay) beside the labelled ones, each of which comes back many times. Part
of the labels decides where to stop, another part only measures, by sample wherever there are three samples or more.
"""

import copy
import logging
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.bundle import Bundle, BundleError, load_bundle, network_logits, write_bundle
from phasecast_models.xrd.calibration import Calibration, expected_calibration_error, f1_scores, fit_calibration
from phasecast_models.xrd.examples import Examples as Examples
from phasecast_models.xrd.examples import LabelError as LabelError
from phasecast_models.xrd.features import features, prepare
from phasecast_models.xrd.label_metrics import label_metrics
from phasecast_models.xrd.network import PatternNetwork
from phasecast_models.xrd.patterns import SimulatedPatterns, simulate_patterns

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Progress = Callable[[str], None]
Simulate = Callable[[int, int], SimulatedPatterns]

FEWEST = 4
"""Labels below which nothing can be held out."""

_SPLITS_TRIED = 200


class TrainingCancelledError(Exception):
    """Somebody stopped the training; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTunePlan:
    """Everything that decides the new weights besides base, labels and code.

    Parameters
    ----------
    replay
        Simulated patterns an epoch, new ones each time.
    repeats
        How often an epoch shows each label; less where labels would outnumber the replay.
    learning_rate, epochs, batch, weight_decay
        Of AdamW with a one-cycle schedule.
    stop_share, test_share
        Shares of the labels that decide where to stop, and that only measure.
    calibration_replay, calibration_pull
        Simulated patterns that the calibration is fitted on beside the held-out labels, and its pull to the base's, in
        patterns.
    measured_replay
        Simulated patterns that tell whether anything was forgotten.
    seed, threads
        Seed of every draw; threads of the network.
    """

    replay: int = 3000
    repeats: int = 18
    learning_rate: float = 3e-4
    epochs: int = 6
    batch: int = 128
    weight_decay: float = 1e-3
    stop_share: float = 0.15
    test_share: float = 0.2
    calibration_replay: int = 4000
    calibration_pull: float = 20.0
    measured_replay: int = 4000
    seed: int = 1
    threads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Rows that teach, that decide where to stop, and that only measure; ``by`` is "sample" or "point"."""

    train: Rows
    stop: Rows
    test: Rows
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A network after fine-tuning; ``epoch`` is the one kept (0: the base), ``history`` the loss on the stop labels."""

    network: PatternNetwork = field(repr=False)
    calibration: Calibration = field(repr=False)
    epoch: int
    history: tuple[float, ...]


def simulate_replay(count: int, seed: int) -> SimulatedPatterns:
    """Simulate patterns of the shipped task."""
    return simulate_patterns(count, seed=seed)


def fine_tune(
    base: Bundle,
    examples: Examples,
    output: Path,
    *,
    plan: FineTunePlan = FineTunePlan(),
    name: str = "",
    version: str = "1",
    owner: str = "",
    simulate: Simulate = simulate_replay,
    progress: Progress = logger.info,
    cancelled: Callable[[], bool] = lambda: False,
) -> Bundle:
    """Fine-tune a bundle on labels and write the new one; the base stays as it is.

    The same base, examples and plan give the same weights on the same machine and number of threads.

    Parameters
    ----------
    base
        What to start from.
    examples
        Labelled patterns; ``label_checks.check_labels`` makes them.
    output
        Folder of the new bundle; must not exist. It appears whole or not at all.
    plan
        Sizes and seed.
    name, version
        What the new bundle carries; the base's name if empty.
    owner
        Whose labels these are; a bundle with an owner is nobody else's default.
    simulate
        (count, seed) to simulated patterns with the base's axis and classes.
    progress
        Called with one line of text now and then.
    cancelled
        Asked at every batch.

    Raises
    ------
    LabelError
        If the examples do not fit the base or are too few.
    BundleError
        If ``output`` exists.
    TrainingCancelledError
        If ``cancelled`` said so; nothing is left.
    """
    _require_fit(base, examples)
    if output.exists():
        raise BundleError(f"{output}: exists already - choose another folder; bundles are never overwritten")
    split = split_examples(examples, plan)
    progress(
        f"{len(split.train)} labels teach, {len(split.stop)} decide where to stop, {len(split.test)} measure "
        f"(held out by {split.by})"
    )
    tuned = tune(
        base,
        examples.take(split.train),
        examples.take(split.stop),
        plan=plan,
        simulate=simulate,
        progress=progress,
        cancelled=cancelled,
    )
    metrics = _before_and_after(base, tuned, examples.take(split.test), plan, simulate, cancelled)
    progress(_summary(metrics))
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}-", suffix=".tmp", dir=output.parent))
    try:
        write_bundle(
            folder,
            network=tuned.network,
            calibration=tuned.calibration,
            axis=base.axis,
            name=name or base.name,
            version=version,
            owner=owner,
            calibrated_on=_calibrated_on(examples, owner),
            training=_training_table(base, examples, split, tuned, plan, owner),
            metrics=metrics,
        )
        load_bundle(folder)
        _raise_if(cancelled)
        folder.chmod(0o755)
        os.rename(folder, output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    progress(f"wrote {output}")
    return load_bundle(output)


def tune(
    base: Bundle,
    train: Examples,
    stop: Examples,
    *,
    plan: FineTunePlan = FineTunePlan(),
    simulate: Simulate = simulate_replay,
    progress: Progress = logger.info,
    cancelled: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Return the base's network after fine-tuning, in memory; parameters as in `fine_tune`.

    Of all epochs, the base included, the one with the least loss on ``stop`` is kept; without ``stop`` the last.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(plan.threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            network, epoch, history = _fit(base, train, stop, plan, simulate, progress, cancelled)
    finally:
        torch.set_num_threads(threads)
    calibration = _recalibrated(base, network, stop, plan, simulate)
    return Tuned(network=network, calibration=calibration, epoch=epoch, history=tuple(history))


def tuned_confidences(base: Bundle, tuned: Tuned, examples: Examples) -> Floats:
    """Return the confidences of a fine-tuned network in memory, (n, classes)."""
    return tuned.calibration.confidences(_logits(tuned.network, _features(examples, base.axis), base.block))


def split_examples(examples: Examples, plan: FineTunePlan = FineTunePlan()) -> Split:
    """Divide labels into those that teach, stop and measure; the same seed gives the same split.

    With three samples or more, those that measure are whole samples, which the network and its stopping never saw; with
    fewer they are points, and figures on them say little of a new sample. Those that decide where to stop
    are points of the other samples. Of many random divisions the one is taken that comes closest to the wanted
    shares while classes are in all parts.
    """
    count = len(examples)
    if count < FEWEST:
        raise LabelError(f"{count} labels are too few to hold any out - label {FEWEST} patterns at least")
    rng = np.random.default_rng([plan.seed, 4])
    several = len(set(examples.samples.tolist())) >= 3
    points = np.arange(count).astype(str)
    test = _held_out(examples.labels, examples.samples if several else points, plan.test_share, rng)
    rest = np.flatnonzero(~test)
    share = min(0.5, plan.stop_share * count / len(rest))
    stop = np.zeros(len(rest), bool)
    if len(rest) > 1:
        stop = _held_out(examples.labels[rest], points[rest], share, rng)
    return Split(train=rest[~stop], stop=rest[stop], test=np.flatnonzero(test), by="sample" if several else "point")


def _held_out(labels: Floats, groups: NDArray[np.str_], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose whole groups, one at least and not all: near the share, with every class on both sides."""
    names, member = np.unique(groups, return_inverse=True)
    wanted = share * len(labels)
    best, least = np.zeros(len(labels), bool), np.inf
    for _ in range(_SPLITS_TRIED):
        order = rng.permutation(len(names))[:-1]
        sizes = np.cumsum(np.bincount(member, minlength=len(names))[order])
        chosen = np.isin(member, order[: 1 + int(np.argmin(np.abs(sizes - wanted)))])
        taught, measured = labels[~chosen].any(axis=0), labels[chosen].any(axis=0)
        # A class that nothing teaches is lost; one that nothing measures is only unknown.
        badness = abs(chosen.sum() - wanted) / len(labels) + 0.2 * np.mean(~taught) + 0.1 * np.mean(~measured)
        if badness < least:
            best, least = chosen, badness
    return best


def _fit(
    base: Bundle,
    train: Examples,
    stop: Examples,
    plan: FineTunePlan,
    simulate: Simulate,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> tuple[PatternNetwork, int, list[float]]:
    network = copy.deepcopy(base.network)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    real = torch.from_numpy(_features(train, base.axis))
    told = torch.from_numpy(train.labels.astype(np.float32))
    repeats = max(1, min(plan.repeats, plan.replay // max(1, len(train))))
    rows = plan.replay + repeats * len(train)
    steps = -(-rows // plan.batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.learning_rate, total_steps=plan.epochs * steps)
    stop_inputs = _features(stop, base.axis)
    history = [_stop_loss(network, stop_inputs, stop, base)]
    kept, epoch_kept = copy.deepcopy(network.state_dict()), 0

    def replayed(epoch: int) -> tuple[Floats, Floats]:
        return _simulated(simulate, plan.replay, plan.seed * 10_000 + 5_000_000 + epoch, base)

    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(replayed, 0)
        for epoch in range(plan.epochs):
            values, labels = coming.result()
            if epoch + 1 < plan.epochs:
                coming = pool.submit(replayed, epoch + 1)
            inputs = torch.cat([torch.from_numpy(values), real.repeat(repeats, 1)])
            targets = torch.cat([torch.from_numpy(labels), told.repeat(repeats, 1)])
            network.train()
            order = torch.randperm(rows)
            for start in range(0, rows, plan.batch):
                _raise_if(cancelled)
                chosen = order[start : start + plan.batch]
                members = network.members(inputs[chosen])
                loss = torch.stack([binary_cross_entropy_with_logits(part, targets[chosen]) for part in members]).sum()
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
            network.eval()
            history.append(_stop_loss(network, stop_inputs, stop, base))
            progress(
                f"epoch {epoch + 1}/{plan.epochs}: loss on the stop labels {history[-1]:.4f}, base {history[0]:.4f}"
            )
            if len(stop) == 0 or history[-1] < min(history[:-1]):
                kept, epoch_kept = copy.deepcopy(network.state_dict()), epoch + 1
    network.load_state_dict(kept)
    network.eval()
    return network, epoch_kept, history


def _stop_loss(network: PatternNetwork, inputs: Floats, stop: Examples, base: Bundle) -> float:
    if not len(stop):
        return float("nan")
    z = _logits(network, inputs, base.block) * base.calibration.scale + base.calibration.bias
    return float(np.mean(np.logaddexp(0, z) - stop.labels * z))


def _recalibrated(
    base: Bundle, network: PatternNetwork, stop: Examples, plan: FineTunePlan, simulate: Simulate
) -> Calibration:
    """Fit on replayed simulation and the stop labels, pulled to the base's calibration."""
    inputs, labels = _simulated(simulate, plan.calibration_replay, plan.seed * 10_000 + 6_000_000, base)
    logits = _logits(network, inputs, base.block)
    if len(stop):
        logits = np.concatenate([logits, _logits(network, _features(stop, base.axis), base.block)])
        labels = np.concatenate([labels, stop.labels])
    old = base.calibration
    step = fit_calibration(logits * old.scale + old.bias, labels, pull=plan.calibration_pull)
    return Calibration(scale=step.scale * old.scale, bias=step.scale * old.bias + step.bias)


def _before_and_after(
    base: Bundle,
    tuned: Tuned,
    test: Examples,
    plan: FineTunePlan,
    simulate: Simulate,
    cancelled: Callable[[], bool],
) -> dict[str, object]:
    _raise_if(cancelled)
    inputs, truth = _simulated(simulate, plan.measured_replay, plan.seed * 10_000 + 7_000_000, base)
    told = _features(test, base.axis)
    out: dict[str, object] = {}
    tables: dict[str, dict[str, object]] = {}
    for when, network, calibration in (
        ("before", base.network, base.calibration),
        ("after", tuned.network, tuned.calibration),
    ):
        _raise_if(cancelled)
        on_labels = calibration.confidences(_logits(network, told, base.block))
        on_simulation = calibration.confidences(_logits(network, inputs, base.block))
        tables[when] = {
            "labels": label_metrics(on_labels, test.labels, base.classes, seed=plan.seed),
            "simulation": _simulation_metrics(on_simulation, truth, base.classes),
        }
    simulation = tables["after"]["simulation"]
    assert isinstance(simulation, dict)
    out.update(simulation)
    out.update(tables)
    return out


def _simulation_metrics(confidences: Floats, labels: Floats, classes: tuple[str, ...]) -> dict[str, object]:
    scores = f1_scores(confidences, labels)
    return {
        "patterns": len(labels),
        "macro_f1": round(float(scores.mean()), 4),
        "f1": {name: round(float(score), 4) for name, score in zip(classes, scores, strict=True)},
        "exact_match": round(float(((confidences >= 0.5) == (labels > 0.5)).all(axis=1).mean()), 4),
        "ece": round(expected_calibration_error(confidences, labels), 4),
        "brier": round(float(np.mean((confidences - labels) ** 2)), 4),
    }


def _training_table(
    base: Bundle, examples: Examples, split: Split, tuned: Tuned, plan: FineTunePlan, owner: str
) -> dict[str, object]:
    per_class = {
        name: int(count) for name, count in zip(base.classes, (examples.labels > 0.5).sum(axis=0), strict=True)
    }
    return {
        **asdict(plan),
        "owner": owner,
        "data": f"{len(examples)} labelled patterns, with {plan.replay} simulated patterns an epoch replayed",
        "base": {"name": base.name, "version": base.version, "sha256": base.sha256},
        "labels": len(examples),
        "labels_per_class": per_class,
        "samples": dict(sorted(Counter(examples.samples.tolist()).items())),
        "held_out_by": split.by,
        "taught": len(split.train),
        "decided_where_to_stop": len(split.stop),
        "measured": len(split.test),
        "measured_samples": sorted(set(examples.samples[split.test].tolist())),
        "epoch_kept": tuned.epoch,
        "stop_loss": [round(value, 5) for value in tuned.history],
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }


def _calibrated_on(examples: Examples, owner: str) -> str:
    count, samples = len(examples), len(set(examples.samples.tolist()))
    whose = f" of {owner}" if owner else ""
    return (
        f"simulation and {count} label{'s' if count != 1 else ''}{whose}, {samples} sample{'s' if samples != 1 else ''}"
    )


def _summary(metrics: Mapping[str, object]) -> str:
    parts = []
    for when in ("before", "after"):
        table = metrics[when]
        assert isinstance(table, dict)
        on, sim = table["labels"], table["simulation"]
        parts.append(
            f"{when}: macro-F1 {on['macro_f1']:.3f} ({on['macro_f1_low']:.3f} to {on['macro_f1_high']:.3f}) on "
            f"{on['labels']} held-out labels, {sim['macro_f1']:.3f} on simulation"
        )
    return "; ".join(parts)


def _require_fit(base: Bundle, examples: Examples) -> None:
    if examples.intensity.shape[1] != base.axis.bins or examples.labels.shape[1] != len(base.classes):
        raise LabelError(
            f"the labels have {examples.intensity.shape[1]} bins and {examples.labels.shape[1]} classes, {base.name} "
            f"has {base.axis.bins} and {len(base.classes)} - label patterns of the same axis, or choose another base"
        )
    if len(examples) < FEWEST:
        raise LabelError(f"{len(examples)} labels are too few to hold any out - label {FEWEST} patterns at least")


def _simulated(simulate: Simulate, count: int, seed: int, base: Bundle) -> tuple[Floats, Floats]:
    simulated = simulate(count, seed)
    intensity, sigma = simulated.draw(np.random.default_rng([seed, 1]))
    return features(prepare(intensity, sigma, base.axis), base.axis), simulated.labels


def _features(examples: Examples, axis: PatternAxis) -> Floats:
    return features(prepare(examples.intensity, examples.sigma, axis), axis)


def _logits(network: PatternNetwork, inputs: Floats, block: int) -> Floats:
    if not len(inputs):
        return np.zeros((0, 1), np.float32)
    return network_logits(network, inputs, block)


def _raise_if(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise TrainingCancelledError("training was cancelled - nothing was written, the old model stays")
