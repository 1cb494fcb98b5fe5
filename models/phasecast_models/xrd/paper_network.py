"""The reference's way: a fully connected network trained on a few labelled patterns alone; the baseline `paper`.

Known of it: a pattern of about 300 bins goes in, one confidence from 0 to 1 per class comes out, several may be high
at once, 81 labelled patterns teach it and 29 validate it. The widths of its hidden layers, its activation and its
optimiser are not known to us: those below are our choice.
"""

import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.examples import Examples
from phasecast_models.xrd.features import prepare

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperPlan:
    """Sizes and seed of the baseline; ``patience`` is the epochs without a better validation before it stops."""

    hidden: tuple[int, int] = (256, 128)
    learning_rate: float = 1e-3
    epochs: int = 300
    patience: int = 40
    batch: int = 16
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperModel:
    """A trained baseline; its confidences are the network's own, nobody calibrated them."""

    axis: PatternAxis
    network: nn.Module = field(repr=False)
    epochs: int

    def confidences(self, intensity: ArrayLike) -> Floats:
        """Return confidences in [0, 1], shape (n, classes), of patterns (bins,) or (n, bins)."""
        with torch.inference_mode():
            logits = self.network(torch.from_numpy(paper_inputs(intensity, self.axis)))
        return np.asarray(torch.sigmoid(logits).numpy(), dtype=np.float32)


def paper_inputs(intensity: ArrayLike, axis: PatternAxis) -> Floats:
    """Return patterns scaled to minimum 0 and maximum 1, shape (n, bins); unmeasured bins are bridged."""
    values = prepare(intensity, None, axis).intensity
    low = values.min(axis=1, keepdims=True)
    span = values.max(axis=1, keepdims=True) - low
    return np.asarray((values - low) / np.where(span > 0, span, 1), dtype=np.float32)


def paper_layers(axis: PatternAxis, classes: int, hidden: tuple[int, int]) -> nn.Sequential:
    """Return the untrained network: bins to two hidden layers to one logit per class."""
    first, second = hidden
    return nn.Sequential(
        nn.Linear(axis.bins, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, classes)
    )


def train_paper(
    train: Examples, validation: Examples, axis: PatternAxis, *, plan: PaperPlan = PaperPlan()
) -> PaperModel:
    """Train the baseline on labels alone and keep the epoch of least validation loss; the same seed, the same weights.

    Without validation the last epoch is kept.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            network, epoch = _fit(train, validation, axis, plan)
    finally:
        torch.set_num_threads(threads)
    return PaperModel(axis=axis, network=network, epochs=epoch)


def _fit(train: Examples, validation: Examples, axis: PatternAxis, plan: PaperPlan) -> tuple[nn.Module, int]:
    network = paper_layers(axis, train.labels.shape[1], plan.hidden)
    optimiser = torch.optim.Adam(network.parameters(), lr=plan.learning_rate)
    inputs, targets = torch.from_numpy(paper_inputs(train.intensity, axis)), torch.from_numpy(train.labels)
    seen, told = torch.from_numpy(paper_inputs(validation.intensity, axis)), torch.from_numpy(validation.labels)
    kept, best, least = copy.deepcopy(network.state_dict()), 0, np.inf
    for epoch in range(1, plan.epochs + 1):
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), plan.batch):
            rows = order[start : start + plan.batch]
            loss = binary_cross_entropy_with_logits(network(inputs[rows]), targets[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            error = float(binary_cross_entropy_with_logits(network(seen), told)) if len(seen) else 0.0
        if not len(seen) or error < least:
            kept, best, least = copy.deepcopy(network.state_dict()), epoch, error
        if epoch - best >= plan.patience:
            break
    network.load_state_dict(kept)
    network.eval()
    return network, best
