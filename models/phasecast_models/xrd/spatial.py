"""Second look at a point together with its eight neighbours.

Grains are larger than the beam: what one point shows often tells what the next one hides. The first pass gives
logits; a small learned model scores each point again from its own and its neighbours'. Neighbours across an edge of
composition count less, for steel says nothing of the rust beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from phasecast_models.xrd.axis import CLASSES
from phasecast_models.xrd.simulated_maps import SimulatedMap

Floats = NDArray[np.float64]
LogitsOf = Callable[[SimulatedMap], NDArray[np.floating]]

_LIMIT = 8.0
_HIDDEN = 12
# What a point is made of, as groups of classes of which the largest confidence counts: edges lie where it changes.
_MATTER = (
    ("magnetite", "goethite", "lepidocrocite"),
    ("ferrite", "austenite", "cementite", "peakless_iron"),
    ("resin",),
    ("other",),
)
_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


class SpatialError(ValueError):
    """Logits that are not a map, or maps that nothing can be learned from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialPass:
    """A fitted second pass: two layers of weights, and how sharply edges are respected."""

    edge: float
    first: Floats
    first_bias: Floats
    second: Floats
    second_bias: Floats

    @property
    def parameters(self) -> int:
        """Number of learned numbers."""
        return 1 + self.first.size + self.first_bias.size + self.second.size + self.second_bias.size

    def apply(self, logits: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return calibrated logits of the second pass, (rows, columns, classes); see ``neighbour_logits``."""
        return neighbour_logits(logits, self)


def neighbour_logits(logits: NDArray[np.floating], second_pass: SpatialPass) -> NDArray[np.float32]:
    """Score every point again from its own logits and those of the neighbours that are there.

    A point depends on the first-pass logits of its 3 x 3 surroundings alone, bit for bit: not on the order of
    arrival, on the size of the map, or on other points.

    Parameters
    ----------
    logits
        Shape (rows, columns, classes); NaN where not measured, which stays NaN.
    second_pass
        From ``fit_spatial``.

    Raises
    ------
    SpatialError
        If the shape is not that of a map of the pass's classes.
    """
    values = _checked(logits)
    if values.shape[2] != len(second_pass.second_bias):
        raise SpatialError(f"the map has {values.shape[2]} classes, the pass {len(second_pass.second_bias)}")
    inputs, measured = surroundings(values, second_pass.edge)
    # Sums in one fixed order for each row: a matrix product rounds differently with the number of rows.
    inner = np.tile(second_pass.first_bias, (len(inputs), 1))
    for column, weights in enumerate(second_pass.first):
        inner += inputs[:, column, None] * weights
    inner = np.tanh(inner)
    out = inputs[:, : values.shape[2]] * _LIMIT + second_pass.second_bias
    for column, weights in enumerate(second_pass.second):
        out += inner[:, column, None] * weights
    scored = np.full(values.shape, np.nan, np.float32)
    scored[measured] = out
    return scored


def surroundings(logits: NDArray[np.floating], edge: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what the second pass sees of each measured point, (points, 3 classes + 1), and which those are.

    Own logits over 8, limited to +-1; mean logits of the neighbours, likewise; their largest confidence, class by
    class; and how many neighbours count, over eight. A neighbour weighs exp(-edge d) where d is the sum of
    absolute differences in what both are made of (oxide, metal, resin, other).
    """
    values = _checked(logits)
    rows, columns, classes = values.shape
    measured = np.asarray(np.isfinite(values).all(axis=2), dtype=np.bool_)
    clipped = np.clip(np.where(measured[..., None], values, 0), -_LIMIT, _LIMIT)
    confidence = 1 / (1 + np.exp(-clipped))
    groups = [[CLASSES.index(name) for name in names] for names in _MATTER]
    matter = np.stack([confidence[..., group].max(axis=2) for group in groups], axis=2)
    mean, top, weight_sum = np.zeros_like(clipped), np.zeros_like(clipped), np.zeros((rows, columns, 1))
    for down, right in _AROUND:
        here = (slice(max(0, -down), rows - max(0, down)), slice(max(0, -right), columns - max(0, right)))
        there = (slice(max(0, down), rows + min(0, down)), slice(max(0, right), columns + min(0, right)))
        unlike = np.abs(matter[there] - matter[here]).sum(axis=2)
        weight = ((np.exp(-edge * unlike) if np.isfinite(edge) else 0.0) * measured[there])[..., None]
        mean[here] += weight * clipped[there]
        top[here] = np.maximum(top[here], weight * confidence[there])
        weight_sum[here] += weight
    mean /= np.maximum(weight_sum, 1e-6)
    parts = np.concatenate([clipped / _LIMIT, mean / _LIMIT, top, weight_sum / 8], axis=2)
    return np.asarray(parts[measured].reshape(-1, 3 * classes + 1), dtype=np.float64), measured


def fit_spatial(
    maps: Sequence[SimulatedMap],
    logits_of: LogitsOf,
    *,
    seed: int,
    truth: str = "labels_visible",
    edge: float = 1.0,
    epochs: int = 30,
) -> SpatialPass:
    """Learn a second pass from maps whose truth is known; the same arguments give the same weights.

    Parameters
    ----------
    maps
        At least two, of the training side (``simulated_map(..., hidden=False)``).
    logits_of
        First-pass logits of a map, (rows, columns, classes).
    seed
        Seed of weights and order.
    truth
        ``"labels_visible"``: what an analyst would see at the point, which is what a confidence means.
        ``"present"``: what is there, also where its grains diffract past the detector.
    edge
        How sharply edges of composition are respected; infinite for a pass that looks at no neighbour.
    epochs
        Rounds over all points.

    Raises
    ------
    SpatialError
        If there are fewer than two maps or the logits of one do not fit it.
    """
    if len(maps) < 2:
        raise SpatialError("a second pass is learned from two maps or more: the edges of one map are no rule")
    parts = []
    for item in maps:
        grid = _checked(logits_of(item))
        if grid.shape[:2] != item.shape:
            raise SpatialError(f"the logits are a map of {grid.shape[:2]}, the map has {item.shape}")
        inputs, measured = surroundings(grid, edge)
        parts.append((inputs, getattr(item, truth).reshape(*item.shape, -1)[measured]))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        first, second = _descend(
            torch.from_numpy(np.concatenate([part[0] for part in parts]).astype(np.float32)),
            torch.from_numpy(np.concatenate([part[1] for part in parts]).astype(np.float32)),
            torch.Generator().manual_seed(seed),
            epochs,
        )
    finally:
        torch.set_num_threads(threads)
    return SpatialPass(
        edge=edge,
        first=_numbers(first.weight.T),
        first_bias=_numbers(first.bias),
        second=_numbers(second.weight.T),
        second_bias=_numbers(second.bias),
    )


def _descend(x: Tensor, y: Tensor, generator: torch.Generator, epochs: int) -> tuple[nn.Linear, nn.Linear]:
    """Fit both layers; what they say is added to the point's own logits, and starts near nothing."""
    classes = y.shape[1]
    first, second = nn.Linear(x.shape[1], _HIDDEN), nn.Linear(_HIDDEN, classes)
    with torch.no_grad():
        for layer, size in ((first, 1.0), (second, 0.1)):
            layer.weight.copy_(size * torch.randn(layer.weight.shape, generator=generator))
            layer.weight.div_(layer.weight.shape[1] ** 0.5)
            layer.bias.zero_()
    optimiser = torch.optim.AdamW([*first.parameters(), *second.parameters()], lr=1e-2, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator)
        for start in range(0, len(x), 1024):
            rows = order[start : start + 1024]
            logits = x[rows, :classes] * _LIMIT + second(torch.tanh(first(x[rows])))
            loss = binary_cross_entropy_with_logits(logits, y[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        schedule.step()
    return first, second


def _numbers(tensor: Tensor) -> Floats:
    return np.array(tensor.detach().numpy(), dtype=np.float64)


def _checked(logits: NDArray[np.floating]) -> Floats:
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim != 3 or values.shape[2] != len(CLASSES):
        raise SpatialError(f"logits have shape {np.shape(logits)}, expected (rows, columns, {len(CLASSES)})")
    return values
