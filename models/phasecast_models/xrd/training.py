"""Train a bundle from simulated patterns alone: one command, the same weights for the same seed.

``python -m phasecast_models.xrd.training -o DIR --seed N``
"""

import argparse
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.bundle import Bundle, load_bundle
from phasecast_models.xrd.bundle_card import reference_lines, write_bundle
from phasecast_models.xrd.calibration import (
    expected_calibration_error,
    f1_scores,
    fit_calibration,
)
from phasecast_models.xrd.drift import fit_drift
from phasecast_models.xrd.features import features, prepare
from phasecast_models.xrd.inference import BLOCK, network_logits
from phasecast_models.xrd.network import LARGE, NetworkSizes, PatternNetwork
from phasecast_models.xrd.patterns import SimulatedPatterns, simulate_patterns
from phasecast_models.xrd.task import BL16XU_TASK, Task

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Everything that decides the weights, besides the code and the task.

    Every epoch sees patterns that were never seen before, each measured ``draws`` times, so there is nothing to
    over-fit to.
    """

    seed: int = 1
    epochs: int = 28
    patterns_per_epoch: int = 40_000
    draws: int = 1
    held_out: int = 20_000
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    threads: int = 1


def train(
    output: Path,
    plan: TrainingPlan,
    *,
    name: str = "bl16xu-rust",
    version: str = "1",
    task: Task = BL16XU_TASK,
    sizes: NetworkSizes = LARGE,
    progress: Progress = logger.info,
) -> Bundle:
    """Train, calibrate, measure and write a bundle; return it as loaded from disk.

    Parameters
    ----------
    output
        Folder to write; created if missing.
    plan
        Seed and sizes.
    name, version
        Identity the bundle carries.
    task
        Classes, crystals and axis.
    sizes
        Of the network.
    progress
        Called with one line of text now and then.
    """
    started = time.monotonic()
    threads = torch.get_num_threads()
    torch.set_num_threads(plan.threads)
    try:
        network, digest = fit_network(plan, task, sizes, progress)
        inputs, labels = held_out_inputs(plan, task, seed=plan.seed + 1_000_003)
        calibration = fit_calibration(network_logits(network, inputs, BLOCK), labels)
        with torch.inference_mode():
            drift = fit_drift(network.hidden_layer(torch.from_numpy(inputs)).numpy())
        inputs, labels = held_out_inputs(plan, task, seed=plan.seed + 2_000_003)
        logits = network_logits(network, inputs, BLOCK)
    finally:
        torch.set_num_threads(threads)
    metrics = measure(calibration.confidences(logits), labels, task.ids)
    progress(metrics_table(metrics))
    write_bundle(
        output,
        network=network,
        calibration=calibration,
        axis=task.axis,
        classes=task.ids,
        lines=reference_lines(task.axis, task.classes),
        name=name,
        version=version,
        drift=drift,
        training={
            **asdict(plan),
            "command": f"python -m phasecast_models.xrd.training -o DIR --seed {plan.seed}",
            "data": f"{plan.epochs * plan.patterns_per_epoch} simulated patterns, 10^3 to 10^7 counts each, measured "
            f"{plan.draws} times; no measured pattern was used",
            "first_epoch_sha256": digest,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
        metrics=metrics,
    )
    progress(f"wrote {output} after {time.monotonic() - started:.0f} s")
    return load_bundle(output)


def measure(confidences: Floats, labels: Floats, classes: Sequence[str]) -> dict[str, object]:
    """Return F1 per class, their mean, exact match and calibration error of labelled confidences."""
    scores = f1_scores(confidences, labels)
    return {
        "patterns": len(labels),
        "macro_f1": round(float(scores.mean()), 4),
        "f1": {name: round(float(score), 4) for name, score in zip(classes, scores, strict=True)},
        "exact_match": round(float(((confidences >= 0.5) == (labels > 0.5)).all(axis=1).mean()), 4),
        "ece": round(expected_calibration_error(confidences, labels), 4),
        "brier": round(float(np.mean((confidences - labels) ** 2)), 4),
    }


def metrics_table(metrics: dict[str, object]) -> str:
    """Return the metrics as aligned text."""
    scores = metrics["f1"]
    assert isinstance(scores, dict)
    lines = [f"  {name:<14} F1 {score:.3f}" for name, score in scores.items()]
    keys = ("macro_f1", "exact_match", "ece", "brier", "patterns")
    return "\n".join([*lines, "  " + "  ".join(f"{key} {metrics[key]}" for key in keys)])


def fit_network(plan: TrainingPlan, task: Task, sizes: NetworkSizes, progress: Progress) -> tuple[PatternNetwork, str]:
    """Train a network; return it with the hash of what its first epoch saw."""
    torch.manual_seed(plan.seed)
    network = PatternNetwork(task.axis, len(task.classes), **sizes)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    steps = plan.epochs * (plan.patterns_per_epoch * plan.draws // plan.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.learning_rate, total_steps=steps)
    digest = ""
    network.train()
    for epoch, (values, labels) in enumerate(_epochs(plan, task)):
        inputs, targets = torch.from_numpy(values), torch.from_numpy(labels)
        if epoch == 0:
            digest = hashlib.sha256(values.tobytes() + labels.tobytes()).hexdigest()
        total = 0.0
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs) - plan.batch + 1, plan.batch):
            rows = order[start : start + plan.batch]
            members = network.members(inputs[rows])
            loss = torch.stack([binary_cross_entropy_with_logits(part, targets[rows]) for part in members]).sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        share = total / (len(inputs) // plan.batch) / len(members)
        progress(f"epoch {epoch + 1}/{plan.epochs}: loss {share:.4f}")
    network.eval()
    return network, digest


def held_out_inputs(plan: TrainingPlan, task: Task, *, seed: int) -> tuple[Floats, Floats]:
    """Return features and labels of simulated patterns that no training sees."""
    simulated = simulate_patterns(plan.held_out, seed=seed, task=task)
    return _inputs(simulated, [seed, 1]), simulated.labels


def _epochs(plan: TrainingPlan, task: Task) -> Iterator[tuple[Floats, Floats]]:
    """Features and labels of every epoch; the next is simulated while the network learns from this one."""

    def simulate(epoch: int) -> tuple[Floats, Floats]:
        seed = plan.seed * 10_000 + epoch
        simulated = simulate_patterns(plan.patterns_per_epoch, seed=seed, task=task)
        inputs = [_inputs(simulated, [seed, draw + 1]) for draw in range(plan.draws)]
        return np.concatenate(inputs), np.concatenate([simulated.labels] * plan.draws)

    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(simulate, 0)
        for epoch in range(plan.epochs):
            ready = coming.result()
            if epoch + 1 < plan.epochs:
                coming = pool.submit(simulate, epoch + 1)
            yield ready


def _inputs(simulated: SimulatedPatterns, seed: Sequence[int]) -> Floats:
    axis: PatternAxis = simulated.axis
    intensity, sigma = simulated.draw(np.random.default_rng(seed))
    return features(prepare(intensity, sigma, axis), axis)


def main() -> None:
    """Run the training command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the new bundle")
    parser.add_argument("--seed", type=int, default=1, help="seed of the simulation and of the network")
    parser.add_argument("--epochs", type=int, default=TrainingPlan().epochs, help="rounds of fresh patterns")
    parser.add_argument("--name", default="bl16xu-rust", help="name the bundle carries")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(arguments.output, TrainingPlan(seed=arguments.seed, epochs=arguments.epochs), name=arguments.name)


if __name__ == "__main__":
    main()
