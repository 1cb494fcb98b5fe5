"""The shipped architecture trained on labels alone, from random weights: what fine-tuning is compared with."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from phasecast_models.xrd.bundle import Bundle
from phasecast_models.xrd.calibration import Calibration, fit_calibration
from phasecast_models.xrd.examples import Examples
from phasecast_models.xrd.network import PatternNetwork
from phasecast_models.xrd.tuning import Tuned, example_inputs, tuned_confidences


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchPlan:
    """Training of the default network from random weights on labels alone; ``batch`` grows to a sixteenth of them."""

    learning_rate: float = 1e-3
    epochs: int = 150
    patience: int = 25
    batch: int = 16
    calibration_pull: float = 20.0
    seed: int = 1


_PLAN = ScratchPlan()


def train_from_scratch(base: Bundle, train: Examples, stop: Examples, *, plan: ScratchPlan = _PLAN) -> Tuned:
    """Train the architecture of a bundle on labels alone, from random weights; the epoch of least stop loss is kept."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            network, epoch, history = _fit_scratch(base, train, stop, plan)
    finally:
        torch.set_num_threads(threads)
    neutral = Calibration(scale=np.ones(len(base.classes)), bias=np.zeros(len(base.classes)))
    tuned = Tuned(network=network, calibration=neutral, epoch=epoch, history=tuple(history))
    if not len(stop):
        return tuned
    p = np.clip(tuned_confidences(base, tuned, stop).astype(np.float64), 1e-6, 1 - 1e-6)
    calibration = fit_calibration(np.log(p / (1 - p)), stop.labels, pull=plan.calibration_pull)
    return replace(tuned, calibration=calibration)


def _fit_scratch(
    base: Bundle, train: Examples, stop: Examples, plan: ScratchPlan
) -> tuple[PatternNetwork, int, list[float]]:
    network = PatternNetwork(base.axis, len(base.classes), **base.network.sizes)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=1e-3)
    inputs, targets = _tensors(base, train)
    seen, told = _tensors(base, stop)
    kept, best, history = copy.deepcopy(network.state_dict()), 0, [np.inf]
    batch = max(plan.batch, len(inputs) // 16)
    for epoch in range(1, plan.epochs + 1):
        network.train()
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), batch):
            rows = order[start : start + batch]
            members = network.members(inputs[rows])
            loss = torch.stack([binary_cross_entropy_with_logits(part, targets[rows]) for part in members]).sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        network.eval()
        with torch.no_grad():
            history.append(float(binary_cross_entropy_with_logits(network(seen), told)) if len(seen) else 0.0)
        if not len(seen) or history[-1] < min(history[:-1]):
            kept, best = copy.deepcopy(network.state_dict()), epoch
        if epoch - best >= plan.patience:
            break
    network.load_state_dict(kept)
    network.eval()
    return network, best, history[1:]


def _tensors(base: Bundle, examples: Examples) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(example_inputs(examples, base.axis)), torch.from_numpy(examples.labels.astype(np.float32))
