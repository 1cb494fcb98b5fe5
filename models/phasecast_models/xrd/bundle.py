"""Model bundles: a folder of weights and a card, loaded with a hash check.

A bundle is ``weights.safetensors`` beside ``model.toml``. The card says what the model was trained on, how
well it does, and how it must be used; nothing in it is executed.
"""

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from scipy.special import expit
from torch import Tensor

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.bundle_card import (
    CARD_FILE,
    FEATURES,
    SCHEMA_VERSION,
    WEIGHTS_FILE,
    ValidRange,
    reference_lines,
    valid_range,
    write_bundle,
)
from phasecast_models.xrd.calibration import Calibration
from phasecast_models.xrd.drift import Drift, take_drift
from phasecast_models.xrd.features import PatternError
from phasecast_models.xrd.inference import BLOCK, ask, in_blocks, network_logits
from phasecast_models.xrd.network import MEMBERS, NetworkSizes, PatternNetwork
from phasecast_models.xrd.spatial import SpatialPass, logits_of, take_spatial
from phasecast_models.xrd.transmission import METAL_CLASSES, UNKNOWN_SHARE, metal_share, seen_metal, settled

__all__ = [
    "BLOCK",
    "Bundle",
    "BundleError",
    "load_bundle",
    "network_logits",
    "reference_lines",
    "shipped_bundles",
    "write_bundle",
]

_PEAKLESS_IRON = "peakless_iron"


class BundleError(ValueError):
    """A bundle that is missing, damaged or made for another version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A loaded model.

    ``sha256`` is that of the weights; ``reference_lines`` gives (tth_deg, intensity with the strongest = 100)
    per crystalline class, so that a page can draw them without a structure library; ``valid`` is what the model was
    made for; ``drift_limits`` is None for bundles that cannot tell drift, ``neighbours`` for those that score no point
    again with its neighbours; ``card`` is the whole card.
    """

    name: str
    version: str
    classes: tuple[str, ...]
    axis: PatternAxis
    sha256: str
    block: int
    convolution_block: int
    calibration: Calibration = field(repr=False)
    reference_lines: Mapping[str, tuple[tuple[float, float], ...]] = field(repr=False)
    card: Mapping[str, object] = field(repr=False)
    network: PatternNetwork = field(repr=False)
    valid: ValidRange
    drift_limits: Drift | None = field(repr=False, default=None)
    neighbours: SpatialPass | None = field(repr=False, default=None)

    def confidences(
        self,
        intensity: ArrayLike,
        tth_deg: ArrayLike,
        sigma: ArrayLike | None = None,
        transmission: ArrayLike | None = None,
        monitor: ArrayLike | None = None,
        context: ArrayLike | None = None,
        *,
        thickness_um: float | tuple[float, float] = (5.0, 20.0),
        members: tuple[str, ...] = MEMBERS,
        threads: int | None = None,
    ) -> NDArray[np.float32]:
        """Return calibrated confidences in [0, 1], shape (n, classes); several may be high at once.

        A row depends on its own pattern alone, bit for bit, whatever else is in the call. Bins that are NaN
        count as not measured: they are bridged by straight lines (held constant at the ends), and a
        phase whose lines all lie there is not seen. Of a pattern without any count (all bins NaN, zero or negative)
        or with an infinite one nothing can be said: its row is NaN. One of fewer than 100 counts, or 30
        effective ones where ``sigma`` is given, gets the confidences of an empty place.

        Class ``peakless_iron`` is metal whose grains send no reflection to the detector. Amorphous rust fluoresces
        without lines as well, so that without a transmission the class must be read as "iron-bearing, no peaks": its
        confidence is the share of metal among what looks alike. A transmission settles it (`transmission.settled`).

        Parameters
        ----------
        intensity
            Shape (bins,) or (n, bins). With ``sigma`` any scale will do, for the model sees the shape of I and,
            for its significance, (I / sigma)^2; without it these are counts per bin.
        tth_deg
            Bin centres, which must be those of ``axis``.
        sigma
            Standard deviation, the shape of ``intensity``.
        transmission
            I / I0 of each pattern, a number or shape (n,); NaN where it was not measured.
        monitor, context
            Accepted for models that use them; this kind does not.
        thickness_um
            Of the section, a range or one declared value; it matters with ``transmission`` alone.
        members
            Which halves of the network are asked; the calibration is that of both together.
        threads
            Two from 4,096 patterns on if None; the result is the same.

        Raises
        ------
        AxisMismatchError
            If the bins are not those the model was trained on.
        PatternError
            If the arrays do not fit each other, or if transmission is given below the Fe K edge.
        """
        self.axis.require(tth_deg)
        answers = ask(self._logits_of(members), intensity, sigma, self.axis, threads=threads)
        confidences = self.calibration.confidences(answers.values)
        confidences[~answers.usable] = np.nan
        if transmission is not None and _PEAKLESS_IRON in self.classes:
            column = self.classes.index(_PEAKLESS_IRON)
            metal = seen_metal(confidences[:, [k for k, name in enumerate(self.classes) if name in METAL_CLASSES]])
            share = self._metal_share(transmission, len(confidences), thickness_um)
            known = share != UNKNOWN_SHARE
            told = settled(confidences[:, column], share, metal)
            confidences[:, column] = np.where(known, told, confidences[:, column])
        return confidences

    def drift(
        self, intensity: ArrayLike, tth_deg: ArrayLike, sigma: ArrayLike | None = None, *, threads: int | None = None
    ) -> NDArray[np.float32]:
        """Return how strange patterns are to the model, shape (n,): 1 is as strange as one simulated one in a thousand.

        NaN where a pattern has too few counts to tell, and for all patterns if the bundle has no ``drift_limits``.
        Arrays and errors are those of `confidences`.
        """
        self.axis.require(tth_deg)
        limits, network = self.drift_limits, self.network

        def distance(features: Tensor) -> Tensor:
            if limits is None:
                return features.new_full((len(features),), float("nan"))
            return limits.distance(network.hidden_layer(features))

        answers = ask(
            lambda inputs: in_blocks(distance, inputs, self.block), intensity, sigma, self.axis, threads=threads
        )
        return np.where(answers.usable & answers.lit, answers.values, np.float32(np.nan))

    def judge(
        self, intensity: ArrayLike, tth_deg: ArrayLike, sigma: ArrayLike | None = None, *, threads: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return `confidences` and `drift` of the same patterns, bit for bit, for little more than the cost of one."""
        if self.drift_limits is None:
            confidences = self.confidences(intensity, tth_deg, sigma, threads=threads)
            return confidences, np.full(len(confidences), np.nan, np.float32)
        self.axis.require(tth_deg)
        perceptron, limits = self.network.perceptron, self.drift_limits
        share = np.float32(self.network.convolutional_share)

        def both(features: Tensor) -> Tensor:
            hidden = self.network.hidden_layer(features)
            return torch.cat([perceptron[-1](hidden), limits.distance(hidden)[:, None]], dim=1)

        def said(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
            half = in_blocks(both, inputs, self.block)
            folded = in_blocks(self.network.convolutional, inputs, self.convolution_block)
            half[:, :-1] = (1 - share) * half[:, :-1] + share * folded
            return half

        answers = ask(said, intensity, sigma, self.axis, threads=threads)
        confidences = self.calibration.confidences(answers.values[:, :-1])
        confidences[~answers.usable] = np.nan
        return confidences, np.where(answers.usable & answers.lit, answers.values[:, -1], np.float32(np.nan))

    def second_pass(self, confidences: NDArray[np.floating]) -> NDArray[np.float32] | None:
        """Return confidences of the points of a map with their neighbours, shape (rows, columns, classes).

        None if the bundle has no second pass. A point depends on its own and its eight neighbours' first confidences
        alone, bit for bit.

        Parameters
        ----------
        confidences
            Of each point alone, before transmission had its say, shape (rows, columns, classes); NaN where nothing
            was measured or nothing can be said, which stays NaN.

        Raises
        ------
        SpatialError
            If the shape is not that of a map.
        """
        if self.neighbours is None:
            return None
        return np.asarray(expit(self.neighbours.apply(logits_of(confidences))), dtype=np.float32)

    def _logits_of(self, members: tuple[str, ...]) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        if not members or not set(members) <= set(MEMBERS):
            raise PatternError(f"members {members!r} of the network - choose among {', '.join(MEMBERS)}")
        network, block, convolution_block = self.network, self.block, self.convolution_block
        halves: list[tuple[Callable[[Tensor], Tensor], int]] = [
            (network.perceptron, block),
            (network.convolutional, convolution_block),
        ]
        share = np.float32(network.convolutional_share)
        asked = [half for name, half in zip(MEMBERS, halves, strict=True) if name in members]

        def logits(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
            each = [in_blocks(function, inputs, rows) for function, rows in asked]
            return each[0] if len(each) == 1 else (1 - share) * each[0] + share * each[1]

        return logits

    def _metal_share(
        self, transmission: ArrayLike, count: int, thickness_um: float | tuple[float, float]
    ) -> NDArray[np.float64]:
        values = np.asarray(transmission, dtype=np.float64)
        if values.shape not in ((), (count,)):
            raise PatternError(
                f"transmission has shape {values.shape}, expected one value for each of {count} patterns"
            )
        try:
            share = metal_share(values, thickness_um=thickness_um, energy_kev=self.axis.energy_kev)
        except ValueError as error:
            raise PatternError(str(error)) from error
        return np.broadcast_to(share, (count,))


def shipped_bundles() -> tuple[str, ...]:
    """Return the names of the bundles that come with the package."""
    folder = resources.files(__package__).joinpath("bundles")
    return tuple(sorted(item.name for item in folder.iterdir() if item.joinpath(CARD_FILE).is_file()))


def load_bundle(name_or_path: str | Path) -> Bundle:
    """Load a bundle by the name of a shipped one or by its folder, and check its hash.

    Raises
    ------
    BundleError
        If it is missing, damaged, or of another schema.
    """
    folder = _folder(name_or_path)
    try:
        card = tomllib.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
        weights = (folder / WEIGHTS_FILE).read_bytes()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BundleError(f"{folder}: not a readable bundle ({error})") from error
    if card.get("schema_version") != SCHEMA_VERSION:
        raise BundleError(
            f"{folder / CARD_FILE}: schema_version is {card.get('schema_version')!r}, this version reads "
            f"{SCHEMA_VERSION} - train it again or install the phasecast it was made with"
        )
    found = hashlib.sha256(weights).hexdigest()
    if found != card.get("sha256"):
        raise BundleError(
            f"{folder / WEIGHTS_FILE}: sha256 is {found[:16]}..., the card says {str(card.get('sha256'))[:16]}... - "
            "the weights are damaged or belong to another card; restore the folder"
        )
    try:
        return _from_card(card, weights)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"{folder / CARD_FILE}: does not describe its weights ({reason})") from error


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
    convolution_block = int(inference.get("convolution_block", block))
    scale, bias = (np.array(calibration[key], dtype=np.float64) for key in ("scale", "bias"))
    if min(block, convolution_block) < 1 or scale.shape != (len(classes),) or bias.shape != scale.shape:
        raise ValueError("block must be positive, and scale and bias one number per class")
    axis = PatternAxis(**axis_table)
    sizes, valid = card.get("network", {}), card.get("valid")
    if not isinstance(sizes, dict) or not isinstance(valid, dict | None):
        raise TypeError("network and valid must be tables")
    keywords = {key: tuple(value) if isinstance(value, list) else value for key, value in sizes.items()}
    network = PatternNetwork(axis, len(classes), **cast(NetworkSizes, keywords))
    tensors = load_tensors(weights)
    drift_limits, neighbours = take_drift(tensors), take_spatial(tensors)
    network.load_state_dict(tensors)
    network.eval()
    return Bundle(
        name=str(card["name"]),
        version=str(card["version"]),
        classes=tuple(str(item) for item in classes),
        axis=axis,
        sha256=str(card["sha256"]),
        block=block,
        convolution_block=convolution_block,
        calibration=Calibration(scale=scale, bias=bias),
        reference_lines=MappingProxyType(
            {key: tuple((float(tth), float(height)) for tth, height in rows) for key, rows in lines.items()}
        ),
        card=MappingProxyType(dict(card)),
        network=network,
        valid=valid_range(valid, axis),
        drift_limits=drift_limits,
        neighbours=neighbours,
    )
