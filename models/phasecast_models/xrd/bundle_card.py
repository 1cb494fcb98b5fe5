"""The card of a bundle: what a folder of weights says of itself, and how such a folder is written."""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tomli_w
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from phasecast_models.xrd.axis import CLASSES, PatternAxis
from phasecast_models.xrd.calibration import Calibration
from phasecast_models.xrd.drift import Drift
from phasecast_models.xrd.inference import BLOCK, CONVOLUTION_BLOCK
from phasecast_models.xrd.network import PatternNetwork
from phasecast_models.xrd.spatial import SpatialPass
from phasecast_models.xrd.structures import powder_lines
from phasecast_models.xrd.task import BL16XU_TASK, TaskClass

SCHEMA_VERSION = 1
FEATURES = "shape-significance-lines-v2"
WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "model.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidRange:
    """Measurements that a model was made for; ``threshold_kev`` is None where the detector's threshold is all one."""

    energy_kev: float
    tth_min_deg: float
    tth_max_deg: float
    threshold_kev: tuple[float, float] | None = None

    def takes_threshold(self, threshold_kev: float | None) -> bool:
        """Return whether a detector's threshold is within the range; what is not known is not held against it."""
        if self.threshold_kev is None or threshold_kev is None:
            return True
        return self.threshold_kev[0] <= threshold_kev <= self.threshold_kev[1]


def valid_range(table: Mapping[str, object] | None, axis: PatternAxis) -> ValidRange:
    """Read the table of a card; bundles without one are valid on their axis behind any threshold.

    Raises
    ------
    ValueError
        If it is no table of numbers in rising order, or is not valid for the axis of the bundle.
    """
    whole = ValidRange(energy_kev=axis.energy_kev, tth_min_deg=axis.tth_min_deg, tth_max_deg=axis.tth_max_deg)
    if table is None:
        return whole
    energy, low, high = (float(str(table[key])) for key in ("energy_kev", "tth_min_deg", "tth_max_deg"))
    if energy != axis.energy_kev or low > axis.tth_min_deg or high < axis.tth_max_deg:
        raise ValueError(f"valid states {low:g}-{high:g} deg at {energy:g} keV, the axis is {axis}")
    threshold = table.get("threshold_kev")
    if threshold is None:
        return ValidRange(energy_kev=energy, tth_min_deg=low, tth_max_deg=high)
    if not isinstance(threshold, list) or len(threshold) != 2 or not 0 <= float(threshold[0]) <= float(threshold[1]):
        raise ValueError(f"valid.threshold_kev is {threshold!r}, expected two numbers, the lower first")
    limits = float(threshold[0]), float(threshold[1])
    return ValidRange(energy_kev=energy, tth_min_deg=low, tth_max_deg=high, threshold_kev=limits)


def write_bundle(
    folder: Path,
    *,
    network: PatternNetwork,
    calibration: Calibration,
    axis: PatternAxis,
    name: str,
    training: Mapping[str, object],
    metrics: Mapping[str, object],
    version: str = "1",
    calibrated_on: str = "simulation only",
    owner: str = "",
    classes: tuple[str, ...] = CLASSES,
    lines: Mapping[str, Iterable[Iterable[float]]] | None = None,
    threshold_kev: tuple[float, float] | None = None,
    drift: Drift | None = None,
    study: Mapping[str, object] | None = None,
    second_pass: SpatialPass | None = None,
    neighbours: Mapping[str, object] | None = None,
) -> None:
    """Write weights and card of a trained network into a folder, creating it.

    ``calibrated_on`` says in words what the model learned from; ``owner`` names the group whose labels were among it.
    ``classes`` are the ids in the order of the logits, ``lines`` their reference lines (None: those of the shipped
    classes), ``threshold_kev`` the detector thresholds the model is valid for (None: all), ``study`` tables of what was
    measured, as `phasecast bench classify` prints them. ``second_pass`` scores points again with their neighbours;
    ``neighbours`` says what it was fitted on, or why there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.detach().contiguous() for key, value in network.state_dict().items()}
    for part in (drift, second_pass):
        tensors |= part.tensors() if part is not None else {}
    weights = save_tensors(tensors)
    limits = {} if threshold_kev is None else {"threshold_kev": [float(value) for value in threshold_kev]}
    if lines is None:
        lines = reference_lines(axis)
    card = {
        "name": name,
        "version": version,
        "schema_version": SCHEMA_VERSION,
        "classes": list(classes),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "calibrated_on": calibrated_on,
        "owner": owner,
        "axis": {
            "tth_min_deg": axis.tth_min_deg,
            "tth_max_deg": axis.tth_max_deg,
            "bins": axis.bins,
            "energy_kev": axis.energy_kev,
        },
        "valid": {
            "energy_kev": axis.energy_kev,
            "tth_min_deg": axis.tth_min_deg,
            "tth_max_deg": axis.tth_max_deg,
            **limits,
        },
        "network": {key: list(v) if isinstance(v, tuple) else v for key, v in network.sizes.items()},
        "inference": {
            "features": FEATURES,
            "block": BLOCK,
            "convolution_block": CONVOLUTION_BLOCK,
            "inputs": ["intensity", "sigma"],
        },
        "calibration": {
            "scale": [round(float(value), 6) for value in calibration.scale],
            "bias": [round(float(value), 6) for value in calibration.bias],
        },
        "training": dict(training),
        "metrics": dict(metrics),
        **({} if neighbours is None else {"neighbours": dict(neighbours)}),
        **({} if study is None else {"study": dict(study)}),
        "reference_lines": {key: [[float(part) for part in row] for row in rows] for key, rows in lines.items()},
    }
    (folder / WEIGHTS_FILE).write_bytes(weights)
    (folder / CARD_FILE).write_text(tomli_w.dumps(card), encoding="utf-8")


def add_study(folder: Path, study: Mapping[str, object]) -> None:
    """Put tables of what was measured into the card of a bundle; its weights stay as they are."""
    path = folder / CARD_FILE
    card = tomllib.loads(path.read_text(encoding="utf-8"))
    path.write_text(tomli_w.dumps({**card, "study": dict(study)}), encoding="utf-8")


def write_twin(source: Path, folder: Path, *, version: str) -> None:
    """Write a bundle that says what another one says, to the bit, and is told apart by its version and hash."""
    card = tomllib.loads((source / CARD_FILE).read_text(encoding="utf-8"))
    tensors = load_tensors((source / WEIGHTS_FILE).read_bytes())
    weights = save_tensors(tensors, metadata={"twin_of": str(card["sha256"]), "version": version})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS_FILE).write_bytes(weights)
    twin = {**card, "version": version, "sha256": hashlib.sha256(weights).hexdigest()}
    (folder / CARD_FILE).write_text(tomli_w.dumps(twin), encoding="utf-8")


def reference_lines(
    axis: PatternAxis, classes: tuple[TaskClass, ...] = BL16XU_TASK.classes
) -> dict[str, list[list[float]]]:
    """Return the lines of every class that has a structure (of its first one), 1 % of the strongest and above."""
    out = {}
    for item in classes:
        if item.structures:
            lines = powder_lines(item.structures[0], axis.energy_kev, axis.tth_min_deg, axis.tth_max_deg)
            out[item.id] = [
                [round(float(tth), 3), round(float(height), 1)]
                for tth, height in zip(lines.tth_deg, lines.intensity, strict=True)
                if height >= 1
            ]
    return out
