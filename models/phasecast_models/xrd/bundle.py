"""Model bundles: a folder of weights and a card, loaded with a hash check.

A bundle is ``weights.safetensors`` beside ``model.toml``. The card says what the model was trained on, how
well it does, and how it must be used; nothing in it is executed.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType

import numpy as np
import tomli_w
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from phasecast_models.xrd.axis import CLASSES, PatternAxis
from phasecast_models.xrd.calibration import Calibration
from phasecast_models.xrd.features import Measurement, features, prepare
from phasecast_models.xrd.network import PatternNetwork
from phasecast_models.xrd.structures import load_structures, powder_lines

SCHEMA_VERSION = 1
FEATURES = "shape-significance-lines-v2"
BLOCK = 32
"""Patterns per inference block: every block is padded to it, so results do not depend on batch size.

A stream brings one or a few patterns at a time and pays for the whole block: 1.4 ms with 32, while a pattern of a whole
map costs 40 us in a block of 32 and 60 us in one of 8.
"""

_ROWS_AT_ONCE = 1024
"""Patterns whose features are held at once."""

FEWEST_COUNTS = 100.0
"""Effective counts of a whole pattern below which it is taken for an empty one.

With 6 to 60 counts in all, one pattern in 400 of pure noise was called an oxide or iron with 0.5 and more.
"""

_WEIGHTS = "weights.safetensors"
_CARD = "model.toml"


class BundleError(ValueError):
    """A bundle that is missing, damaged or made for another version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A loaded model.

    ``sha256`` is that of the weights; ``reference_lines`` gives (tth_deg, intensity with the strongest = 100)
    per crystalline class, so that a page can draw them without a structure library; ``card`` is the whole card.
    """

    name: str
    version: str
    classes: tuple[str, ...]
    axis: PatternAxis
    sha256: str
    block: int
    calibration: Calibration = field(repr=False)
    reference_lines: Mapping[str, tuple[tuple[float, float], ...]] = field(repr=False)
    card: Mapping[str, object] = field(repr=False)
    network: PatternNetwork = field(repr=False)

    def confidences(
        self,
        intensity: ArrayLike,
        tth_deg: ArrayLike,
        sigma: ArrayLike | None = None,
        transmission: ArrayLike | None = None,
        monitor: ArrayLike | None = None,
        context: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Return calibrated confidences in [0, 1], shape (n, classes); several may be high at once.

        A row depends on its own pattern alone, bit for bit, whatever else is in the call. Bins that are NaN
        count as not measured: they are bridged by straight lines (held constant at the ends), and a
        phase whose lines all lie there is not seen. A pattern without any measured bin gets the
        confidences of an empty one, and so does one of fewer than ``FEWEST_COUNTS`` effective counts in all.

        Parameters
        ----------
        intensity
            Shape (bins,) or (n, bins). With ``sigma`` any scale will do, for the model sees the shape of I and,
            for its significance, (I / sigma)^2; without it these are counts per bin.
        tth_deg
            Bin centres, which must be those of ``axis``.
        sigma
            Standard deviation, the shape of ``intensity``.
        transmission, monitor, context
            Accepted for models that use them; this kind does not.

        Raises
        ------
        AxisMismatchError
            If the bins are not those the model was trained on.
        PatternError
            If the arrays do not fit each other.
        """
        self.axis.require(tth_deg)
        measured = prepare(intensity, sigma, self.axis)
        count = len(measured.counts)
        if not count:
            return np.empty((0, len(self.classes)), np.float32)
        lit = measured.counts.sum(axis=1, keepdims=True) >= FEWEST_COUNTS
        measured = Measurement(intensity=measured.intensity * lit, counts=measured.counts * lit)
        logits = np.concatenate(
            [
                network_logits(
                    self.network,
                    features(
                        Measurement(
                            intensity=measured.intensity[start : start + _ROWS_AT_ONCE],
                            counts=measured.counts[start : start + _ROWS_AT_ONCE],
                        ),
                        self.axis,
                    ),
                    self.block,
                )
                for start in range(0, count, _ROWS_AT_ONCE)
            ]
        )
        return self.calibration.confidences(logits)


def shipped_bundles() -> tuple[str, ...]:
    """Return the names of the bundles that come with the package."""
    folder = resources.files(__package__).joinpath("bundles")
    return tuple(sorted(item.name for item in folder.iterdir() if item.joinpath(_CARD).is_file()))


def load_bundle(name_or_path: str | Path) -> Bundle:
    """Load a bundle by the name of a shipped one or by its folder, and check its hash.

    Raises
    ------
    BundleError
        If it is missing, damaged, or of another schema.
    """
    folder = _folder(name_or_path)
    try:
        card = tomllib.loads((folder / _CARD).read_text(encoding="utf-8"))
        weights = (folder / _WEIGHTS).read_bytes()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BundleError(f"{folder}: not a readable bundle ({error})") from error
    if card.get("schema_version") != SCHEMA_VERSION:
        raise BundleError(
            f"{folder / _CARD}: schema_version is {card.get('schema_version')!r}, this version reads "
            f"{SCHEMA_VERSION} - train it again or install the phasecast it was made with"
        )
    found = hashlib.sha256(weights).hexdigest()
    if found != card.get("sha256"):
        raise BundleError(
            f"{folder / _WEIGHTS}: sha256 is {found[:16]}..., the card says {str(card.get('sha256'))[:16]}... - "
            "the weights are damaged or belong to another card; restore the folder"
        )
    try:
        return _from_card(card, weights)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"{folder / _CARD}: does not describe its weights ({reason})") from error


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
) -> None:
    """Write weights and card of a trained network into a folder, creating it.

    ``calibrated_on`` says in words what the model learned from; ``owner`` names the group whose labels were among it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = save_tensors({key: value.detach().contiguous() for key, value in network.state_dict().items()})
    card = {
        "name": name,
        "version": version,
        "schema_version": SCHEMA_VERSION,
        "classes": list(CLASSES),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "calibrated_on": calibrated_on,
        "owner": owner,
        "axis": {
            "tth_min_deg": axis.tth_min_deg,
            "tth_max_deg": axis.tth_max_deg,
            "bins": axis.bins,
            "energy_kev": axis.energy_kev,
        },
        "network": {key: list(v) if isinstance(v, tuple) else v for key, v in network.sizes.items()},
        "inference": {"features": FEATURES, "block": BLOCK, "inputs": ["intensity", "sigma"]},
        "calibration": {
            "scale": [round(float(value), 6) for value in calibration.scale],
            "bias": [round(float(value), 6) for value in calibration.bias],
        },
        "training": dict(training),
        "metrics": dict(metrics),
        "reference_lines": reference_lines(axis),
    }
    (folder / _WEIGHTS).write_bytes(weights)
    (folder / _CARD).write_text(tomli_w.dumps(card), encoding="utf-8")


def reference_lines(axis: PatternAxis) -> dict[str, list[list[float]]]:
    """Return the lines of every class that has a structure, 1 % of the strongest and above."""
    out = {}
    for class_id in CLASSES:
        structure = load_structures().get(class_id)
        if structure is not None:
            lines = powder_lines(structure, axis.energy_kev, axis.tth_min_deg, axis.tth_max_deg)
            out[class_id] = [
                [round(float(tth), 3), round(float(height), 1)]
                for tth, height in zip(lines.tth_deg, lines.intensity, strict=True)
                if height >= 1
            ]
    return out


def network_logits(network: PatternNetwork, inputs: NDArray[np.float32], block: int = BLOCK) -> NDArray[np.float32]:
    """Return logits of features, (n, classes), computed in blocks padded to one size, on one thread.

    Matrix products of another height or another number of threads round differently: unpadded, up to 60 % of the rows
    change in the last bits, and with two threads nearly all do.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            parts = [
                network(torch.from_numpy(_padded(inputs[start : start + block], block))).numpy()
                for start in range(0, len(inputs), block)
            ]
    finally:
        torch.set_num_threads(threads)
    return np.asarray(np.concatenate(parts)[: len(inputs)], dtype=np.float32)


def _padded(rows: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    padded = np.zeros((block, rows.shape[1]), np.float32)
    padded[: len(rows)] = rows
    return padded


def _folder(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    if text in shipped_bundles():
        return Path(str(resources.files(__package__).joinpath("bundles", text)))
    folder = Path(name_or_path)
    if not folder.is_dir():
        raise BundleError(
            f"{text!r} is neither a folder nor a shipped bundle - shipped: {', '.join(shipped_bundles())}"
        )
    return folder


def _from_card(card: Mapping[str, object], weights: bytes) -> Bundle:
    axis_table, inference, calibration = card["axis"], card["inference"], card["calibration"]
    classes, lines = card["classes"], card["reference_lines"]
    tables = (axis_table, inference, calibration, lines)
    if not all(isinstance(table, dict) for table in tables) or not isinstance(classes, list):
        raise TypeError("axis, inference, calibration and reference_lines must be tables, classes a list")
    assert isinstance(axis_table, dict)
    assert isinstance(inference, dict)
    assert isinstance(calibration, dict)
    assert isinstance(lines, dict)
    if inference["features"] != FEATURES:
        raise ValueError(f"features are {inference['features']!r}, this version computes {FEATURES!r}")
    block = int(inference["block"])
    scale, bias = (np.array(calibration[key], dtype=np.float64) for key in ("scale", "bias"))
    if block < 1 or scale.shape != (len(classes),) or bias.shape != scale.shape:
        raise ValueError("block must be positive, and scale and bias one number per class")
    axis = PatternAxis(**axis_table)
    sizes = card.get("network", {})
    if not isinstance(sizes, dict):
        raise TypeError("network must be a table")
    network = PatternNetwork(
        axis, len(classes), **{key: tuple(v) if isinstance(v, list) else v for key, v in sizes.items()}
    )
    network.load_state_dict(load_tensors(weights))
    network.eval()
    return Bundle(
        name=str(card["name"]),
        version=str(card["version"]),
        classes=tuple(str(item) for item in classes),
        axis=axis,
        sha256=str(card["sha256"]),
        block=block,
        calibration=Calibration(scale=scale, bias=bias),
        reference_lines=MappingProxyType(
            {key: tuple((float(tth), float(height)) for tth, height in rows) for key, rows in lines.items()}
        ),
        card=MappingProxyType(dict(card)),
        network=network,
    )
