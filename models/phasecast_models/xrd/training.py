"""Train a bundle from simulated patterns alone: one command, the same weights for the same seed.

``python -m phasecast_models.xrd.training -o DIR --seed N``
"""

import argparse
import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits

from phasecast_models.xrd.axis import BL16XU_AXIS, CLASSES, PatternAxis
from phasecast_models.xrd.bundle import BLOCK, Bundle, load_bundle, network_logits, write_bundle
from phasecast_models.xrd.calibration import (
    expected_calibration_error,
    f1_scores,
    fit_calibration,
)
from phasecast_models.xrd.features import features, prepare
from phasecast_models.xrd.network import PatternNetwork
from phasecast_models.xrd.patterns import SimulatedPatterns, simulate_patterns

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Everything that decides the weights, besides the code.

    Every epoch sees patterns that were never seen before, so there is nothing to over-fit to.
    """

    seed: int = 1
    epochs: int = 15
    patterns_per_epoch: int = 40_000
    held_out: int = 20_000
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    threads: int = 1


def train(output: Path, plan: TrainingPlan, *, name: str = "bl16xu-rust", progress: Progress = logger.info) -> Bundle:
    """Train, calibrate, measure and write a bundle; return it as loaded from disk.

    Parameters
    ----------
    output
        Folder to write; created if missing.
    plan
        Seed and sizes.
    name
        Name the bundle carries.
    progress
        Called with one line of text now and then.
    """
    axis = BL16XU_AXIS
    started = time.monotonic()
    threads = torch.get_num_threads()
    torch.set_num_threads(plan.threads)
    try:
        network, digest = _fit(plan, axis, progress)
        logits, labels = _held_out(network, plan, axis, seed=plan.seed + 1_000_003)
        calibration = fit_calibration(logits, labels)
        logits, labels = _held_out(network, plan, axis, seed=plan.seed + 2_000_003)
    finally:
        torch.set_num_threads(threads)
    metrics = measure(calibration.confidences(logits), labels)
    progress(metrics_table(metrics))
    write_bundle(
        output,
        network=network,
        calibration=calibration,
        axis=axis,
        name=name,
        training={
            **asdict(plan),
            "command": f"python -m phasecast_models.xrd.training -o DIR --seed {plan.seed}",
            "data": f"{plan.epochs * plan.patterns_per_epoch} simulated patterns, 10^3 to 10^7 counts each; "
            "no measured pattern was used",
            "first_epoch_sha256": digest,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
        metrics=metrics,
    )
    progress(f"wrote {output} after {time.monotonic() - started:.0f} s")
    return load_bundle(output)


def measure(confidences: Floats, labels: Floats) -> dict[str, object]:
    """Return F1 per class, their mean, exact match and calibration error of labelled confidences."""
    scores = f1_scores(confidences, labels)
    return {
        "patterns": len(labels),
        "macro_f1": round(float(scores.mean()), 4),
        "f1": {name: round(float(score), 4) for name, score in zip(CLASSES, scores, strict=True)},
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


def _fit(plan: TrainingPlan, axis: PatternAxis, progress: Progress) -> tuple[PatternNetwork, str]:
    torch.manual_seed(plan.seed)
    network = PatternNetwork(axis, len(CLASSES))
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    steps = plan.epochs * (plan.patterns_per_epoch // plan.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.learning_rate, total_steps=steps)
    digest = ""
    network.train()
    for epoch, (values, labels) in enumerate(_epochs(plan, axis)):
        inputs, targets = torch.from_numpy(values), torch.from_numpy(labels)
        if epoch == 0:
            digest = hashlib.sha256(values.tobytes() + labels.tobytes()).hexdigest()
        total = 0.0
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs) - plan.batch + 1, plan.batch):
            rows = order[start : start + plan.batch]
            losses = [
                binary_cross_entropy_with_logits(logits, targets[rows]) for logits in network.members(inputs[rows])
            ]
            loss = losses[0] + losses[1]
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        progress(f"epoch {epoch + 1}/{plan.epochs}: loss {total / (len(inputs) // plan.batch) / 2:.4f}")
    network.eval()
    return network, digest


def _epochs(plan: TrainingPlan, axis: PatternAxis) -> Iterator[tuple[Floats, Floats]]:
    """Features and labels of every epoch; the next is simulated while the network learns from this one."""

    def simulate(epoch: int) -> tuple[Floats, Floats]:
        seed = plan.seed * 10_000 + epoch
        simulated = simulate_patterns(plan.patterns_per_epoch, seed=seed)
        return _inputs(simulated, seed), simulated.labels

    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(simulate, 0)
        for epoch in range(plan.epochs):
            ready = coming.result()
            if epoch + 1 < plan.epochs:
                coming = pool.submit(simulate, epoch + 1)
            yield ready


def _held_out(network: PatternNetwork, plan: TrainingPlan, axis: PatternAxis, *, seed: int) -> tuple[Floats, Floats]:
    simulated = simulate_patterns(plan.held_out, seed=seed)
    return network_logits(network, _inputs(simulated, seed), BLOCK), simulated.labels


def _inputs(simulated: SimulatedPatterns, seed: int) -> Floats:
    intensity, sigma = simulated.draw(np.random.default_rng([seed, 1]))
    return features(prepare(intensity, sigma, simulated.axis), simulated.axis)


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
