"""Learn to score a point again with its neighbours, and put that second pass into a bundle.

``python -m phasecast_models.xrd.fit_spatial BUNDLE -o DIR``
"""

import argparse
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from phasecast_models.xrd.axis import CLASSES
from phasecast_models.xrd.bundle import Bundle, load_bundle, write_bundle
from phasecast_models.xrd.calibration import expected_calibration_error, f1_scores
from phasecast_models.xrd.simulated_maps import STEP_X_UM, STEP_Y_UM, SimulatedMap, simulated_map
from phasecast_models.xrd.spatial import LIMIT, Floats, SpatialError, SpatialPass, checked_map, logits_of, surroundings
from phasecast_models.xrd.task import BL16XU_TASK

logger = logging.getLogger(__name__)

LogitsOf = Callable[[SimulatedMap], NDArray[np.floating]]

MAPS, HELD_OUT_MAPS, MAP_SHAPE = 24, 6, (32, 32)
"""Maps that a pass learns from, further ones that measure it, and their rows and columns."""
_HIDDEN = 12


def has_maps(bundle: Bundle) -> bool:
    """Tell whether maps can be simulated for a bundle: it has the shipped classes and axis."""
    return bundle.classes == CLASSES and bundle.axis == BL16XU_TASK.axis


def with_spatial(
    bundle: Bundle, output: Path, *, seed: int = 1, maps: int = MAPS, check: Callable[[], None] = lambda: None
) -> Bundle:
    """Learn a second pass for a bundle, write both into a new one and return that; the first pass stays as it is.

    Parameters
    ----------
    bundle
        Of the shipped classes and axis, for which maps are simulated; a pass that it has is replaced.
    output
        Folder to write; created if missing. It may be the bundle's own as long as nobody reads it.
    seed
        Of weights, order and maps.
    maps
        How many maps it learns from. A fifth as many and `HELD_OUT_MAPS` at most are measured on, all of the training
        side: the hidden domain judges and teaches nothing.
    check
        Called at every map and round; what it raises ends the learning, before anything is written.

    Raises
    ------
    SpatialError
        If no maps can be simulated for the bundle, or ``maps`` is below two.
    """
    if not has_maps(bundle):
        raise SpatialError(
            f"{bundle.name}: maps are simulated for the shipped classes and for {BL16XU_TASK.axis} alone - use this "
            "bundle without a second pass"
        )

    def first_pass(item: SimulatedMap) -> NDArray[np.float32]:
        check()
        said = bundle.confidences(item.intensity, bundle.axis.tth_deg, item.sigma, threads=1)
        return said.reshape(*item.shape, -1)

    first_seed = 1000 * seed
    taught = (simulated_map(*MAP_SHAPE, seed=first_seed + number, hidden=False) for number in range(maps))
    logits, truths = [], []
    for item in taught:  # the patterns of one map at a time are enough
        logits.append(logits_of(first_pass(item)))
        truths.append(item.labels_visible.reshape(*item.shape, -1))
    fitted = _fit(logits, truths, seed=seed, check=check)
    measured = min(HELD_OUT_MAPS, max(2, maps // 5))
    held_out = (simulated_map(*MAP_SHAPE, seed=first_seed + 500 + number, hidden=False) for number in range(measured))
    figures = _figures(fitted, held_out, first_pass)
    card = bundle.card
    rows, columns = MAP_SHAPE
    write_bundle(
        output,
        network=bundle.network,
        calibration=bundle.calibration,
        axis=bundle.axis,
        classes=bundle.classes,
        lines=bundle.reference_lines,
        threshold_kev=bundle.valid.threshold_kev,
        drift=bundle.drift_limits,
        name=bundle.name,
        version=bundle.version,
        owner=str(card.get("owner", "")),
        calibrated_on=str(card.get("calibrated_on", "unknown")),
        training=_table(card, "training"),
        metrics=_table(card, "metrics"),
        study=_table(card, "study") or None,
        second_pass=fitted,
        neighbours={
            "fitted_on": f"{maps} simulated maps of the training side, {rows} x {columns} points, steps of "
            f"{STEP_X_UM:g} um along x and {STEP_Y_UM:g} um along y; no measured map was used",
            "valid_for": "rasters whose steps are smaller than the grains",
            "maps": maps,
            "points": maps * rows * columns,
            "seed": seed,
            "edge": fitted.edge,
            "truth": "labels_visible",
            **figures,
        },
    )
    return load_bundle(output)


def fit_spatial(
    maps: Sequence[SimulatedMap],
    logits_of_map: LogitsOf,
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
    logits_of_map
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
    logits = [checked_map(logits_of_map(item)) for item in maps]
    for grid, item in zip(logits, maps, strict=True):
        if grid.shape[:2] != item.shape:
            raise SpatialError(f"the logits are a map of {grid.shape[:2]}, the map has {item.shape}")
    truths = [getattr(item, truth).reshape(*item.shape, -1) for item in maps]
    return _fit(logits, truths, seed=seed, edge=edge, epochs=epochs)


def _fit(
    logits: Sequence[Floats],
    truths: Sequence[NDArray[np.float32]],
    *,
    seed: int,
    edge: float = 1.0,
    epochs: int = 30,
    check: Callable[[], None] = lambda: None,
) -> SpatialPass:
    if len(logits) < 2:
        raise SpatialError("a second pass is learned from two maps or more: the edges of one map are no rule")
    parts = []
    for grid, truth in zip(logits, truths, strict=True):
        inputs, measured = surroundings(grid, edge)
        parts.append((inputs, truth[measured]))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        first, second = _descend(
            torch.from_numpy(np.concatenate([part[0] for part in parts]).astype(np.float32)),
            torch.from_numpy(np.concatenate([part[1] for part in parts]).astype(np.float32)),
            torch.Generator().manual_seed(seed),
            epochs,
            check,
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


def _descend(
    x: Tensor, y: Tensor, generator: torch.Generator, epochs: int, check: Callable[[], None]
) -> tuple[nn.Linear, nn.Linear]:
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
        check()
        order = torch.randperm(len(x), generator=generator)
        for start in range(0, len(x), 1024):
            rows = order[start : start + 1024]
            logits = x[rows, :classes] * LIMIT + second(torch.tanh(first(x[rows])))
            loss = binary_cross_entropy_with_logits(logits, y[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        schedule.step()
    return first, second


def _numbers(tensor: Tensor) -> Floats:
    return np.array(tensor.detach().numpy(), dtype=np.float64)


def _figures(
    fitted: SpatialPass, maps: Iterable[SimulatedMap], first_pass: Callable[[SimulatedMap], NDArray[np.float32]]
) -> dict[str, object]:
    """Return macro-F1 and calibration error of points alone and with their neighbours."""
    alone, together, truths = [], [], []
    for item in maps:
        said = first_pass(item)
        alone.append(said.reshape(len(item), -1))
        again = expit(fitted.apply(logits_of(said)))
        together.append(again.reshape(len(item), -1))
        truths.append(item.labels_visible)
    truth = np.concatenate(truths)
    out: dict[str, object] = {"measured_points": len(truth)}
    for name, parts in (("alone", alone), ("with_neighbours", together)):
        said = np.concatenate(parts)
        usable = np.isfinite(said).all(axis=1)
        out[f"macro_f1_{name}"] = round(float(f1_scores(said[usable], truth[usable]).mean()), 4)
        out[f"ece_{name}"] = round(expected_calibration_error(said[usable], truth[usable]), 4)
    return out


def _table(card: Mapping[str, object], name: str) -> dict[str, object]:
    found = card.get(name, {})
    return dict(found) if isinstance(found, Mapping) else {}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="folder of a bundle or name of a shipped one")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the new bundle")
    parser.add_argument("--seed", type=int, default=1, help="seed of the maps and of the second pass")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    made = with_spatial(load_bundle(arguments.bundle), arguments.output, seed=arguments.seed)
    for name, value in _table(made.card, "neighbours").items():
        logger.info("%s: %s", name, value)


if __name__ == "__main__":
    main()
