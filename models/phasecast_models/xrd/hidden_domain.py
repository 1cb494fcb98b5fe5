"""Labelled patterns that no model is ever trained on: another hand at the same physics, with shifted parameters.

The table of a model is made here. Composition, widths, backgrounds and noise are written apart from the training
simulation; see ``hidden_rendering`` for the physics. The domain is frozen: it changes for plain bugs only, for a
test that is made easier until a model passes is no test.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from phasecast_models.xrd.axis import CLASSES
from phasecast_models.xrd.hidden_rendering import (
    CRYSTALLINE,
    METALS,
    OXIDES,
    PHASES,
    PIXELS_PER_BIN,
    Scattering,
    Voxels,
    draw_samples,
    scatter,
)
from phasecast_models.xrd.structures import StructureError, load_structures

Floats = NDArray[np.float64]

SEED_OFFSET = 9_000_000
"""Added to every seed, so that no seed of the training simulation comes again."""

VISIBLE_SIGMA = 4.0
"""The analyst's rule: a class is there when its strongest peak exceeds this many sigma over three bins."""

TRANSMISSION_NOISE = 0.015
"""Relative error of the transmission as measured."""

HELD_OUT = ("hematite", "akaganeite", "halite")
"""Phases that judge the unknown: a model must not have seen the one it is judged by."""

_CHUNK = 1024
_POINTS_PER_SAMPLE = 16
# Places of a section and how often they are met.
_KINDS = {
    "rust": 0.435,
    "metal": 0.19,
    "coarse_metal": 0.12,
    "resin": 0.10,
    "foreign": 0.10,
    "amorphous": 0.025,
    "crack": 0.03,
}
# Median number of grains in the beam; oxides and minerals 25. Iron of one grain per voxel is a place of its own.
_GRAINS = {"ferrite": 2.5, "austenite": 2.5, "cementite": 5.0}
_FOREIGN = tuple(name for name in PHASES if load_structures()[name].phase_class == "other")
# What corrosion leaves is met more often than what sand, mortar and polishing leave.
_OFTEN = {"hematite": 3.0, "akaganeite": 3.0, "ferrihydrite": 2.0, "siderite": 2.0, "quartz": 2.0, "calcite": 2.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenPatterns:
    """Measured patterns as an integrator gives them, and what is true of them; n rows each.

    ``intensity`` and ``sigma`` (n, bins), ``transmission`` (n,) with 1.5 % noise, ``labels`` (n, 9) 0 or 1,
    ``counts`` (n,) expected sum of a pattern, ``significance`` (n, 9) sigma of the strongest peak (of the halo for
    resin, 0 for iron without peaks), ``kind`` (n,) place, ``sample`` (n,) number of the mounting and its
    ``thickness_um`` (n,), ``fluorescing`` (n,) False where the threshold cuts the fluorescence of iron,
    ``amorphous_rust`` (n,) True where nothing but rust without lines is there, ``present`` (n,) whether a foreign
    phase is there: in a held-out set, whether the held-out phase is, visibly.
    """

    intensity: NDArray[np.float32]
    sigma: NDArray[np.float32]
    transmission: Floats
    labels: NDArray[np.float32]
    counts: Floats
    significance: NDArray[np.float32]
    kind: NDArray[np.str_]
    sample: NDArray[np.int64]
    thickness_um: Floats
    fluorescing: NDArray[np.bool_]
    amorphous_rust: NDArray[np.bool_]
    present: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.counts)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "HiddenPatterns":
        """Return some of the patterns."""
        return HiddenPatterns(**{item.name: getattr(self, item.name)[chosen] for item in fields(self)})


def hidden_patterns(count: int, *, seed: int, total_counts: tuple[float, float] = (1e3, 1e7)) -> HiddenPatterns:
    """Return patterns of the hidden domain; the same arguments give the same bits.

    Parameters
    ----------
    count
        How many.
    seed
        Seed of every draw; ``SEED_OFFSET`` is added.
    total_counts
        Lowest and highest expected sum of a pattern, log-uniform between them.
    """
    rng = np.random.default_rng(SEED_OFFSET + seed)
    return _joined([_chunk(min(_CHUNK, count - low), rng, total_counts) for low in range(0, count, _CHUNK)])


def hidden_held_out(
    phase: str, count: int, *, seed: int, total_counts: tuple[float, float] = (1e3, 1e7)
) -> HiddenPatterns:
    """Return patterns of which the first half hold one phase, visibly, and the others nothing foreign at all.

    Four in ten of the first half hold oxides beside it; the second half is the hidden domain without foreign phases.

    Raises
    ------
    StructureError
        If the phase is not a foreign one.
    """
    phase = {"NaCl": "halite"}.get(phase, phase)
    if phase not in _FOREIGN:
        raise StructureError(f"{phase!r} cannot be held out - choose one of: {', '.join(_FOREIGN)}")
    rng = np.random.default_rng([SEED_OFFSET + seed, _FOREIGN.index(phase)])
    half = count // 2
    found: list[HiddenPatterns] = []
    for wanted, only in ((half, phase), (count - half, "")):
        have = 0
        while have < wanted:
            chunk = _chunk(_CHUNK, rng, total_counts, only=only)
            good = chunk.present & (chunk.labels[:, CLASSES.index("other")] > 0) if only else ~chunk.present
            found.append(chunk.rows(np.flatnonzero(good)[: wanted - have]))
            have += len(found[-1])
    return _joined(found)


def significances(scattering: Scattering, exposure: Floats) -> NDArray[np.float32]:
    """Return how many sigma over three bins the strongest peak of each class has, shape (n, 9).

    Sigma is that of all counts in these bins. The halo of resin is judged over its own width, 31 bins. Peak-less
    iron has nothing to judge and gets 0.
    """
    gain = exposure[:, None] * scattering.norm
    total = scattering.total * gain
    out = np.zeros((len(total), len(CLASSES)), np.float32)
    noise = np.sqrt(np.maximum(_sums(total, 3), 1e-9))
    for row, name in enumerate(CRYSTALLINE):
        peaks = scattering.bragg[:, row] * gain
        out[:, CLASSES.index(name)] = (_sums(peaks, 3) / noise).max(axis=1)
    wide = _sums(scattering.halo * gain, 31) / np.sqrt(np.maximum(_sums(total, 31), 1e-9))
    out[:, CLASSES.index("resin")] = wide.max(axis=1)
    return out


def labels_of(significance: NDArray[np.float32], metal: Floats, resin: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return what an analyst who also knows the place would say, shape (n, 9).

    Crystalline classes and resin are there when seen; resin only in places of nothing else. Iron has no peaks where
    nothing crystalline is seen and metal absorbs more than everything else together: rust whose lines are lost
    in noise, or that has none, is not iron.
    """
    seen = significance > VISIBLE_SIGMA
    labels = seen.astype(np.float32)
    crystalline = seen[:, [CLASSES.index(name) for name in CRYSTALLINE]].any(axis=1)
    labels[:, CLASSES.index("resin")] *= resin
    labels[:, CLASSES.index("peakless_iron")] = ~crystalline & ~resin & (metal > 0.5)
    return labels


def measure(
    scattering: Scattering, exposure: Floats, split: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Count once and integrate: intensity and sigma, each (n, bins).

    Pixels share their counts between neighbouring bins (``split`` is what a bin hands to either side) and each has a
    variance of one at least, as pyFAI's poisson model and this integrator have it.
    """
    gain = exposure[:, None] * scattering.norm
    mean = scattering.total * gain
    n, bins = mean.shape
    counts = rng.poisson(mean).astype(np.float64)
    pixels = PIXELS_PER_BIN * scattering.norm
    silent = pixels * np.exp(-mean / pixels)
    # A hot pixel that no mask has caught yet.
    hot = np.flatnonzero(rng.random(n) < 0.04)
    counts[hot, rng.integers(0, bins, len(hot))] += np.exp(rng.uniform(-0.7, 2.1, len(hot))) * mean[hot].mean(axis=1)
    side = split[:, None]
    intensity = _shared(counts, 1 - 2 * side, side) / gain
    variance = _shared(counts + silent, (1 - 2 * side) ** 2, side**2)
    # Any scale will do for a reader: the mean intensity of every pattern is its counts per bin.
    scale = counts.mean(axis=1, keepdims=True) / np.maximum(intensity.mean(axis=1, keepdims=True), 1e-30)
    return (intensity * scale).astype(np.float32), (np.sqrt(variance) / gain * scale).astype(np.float32)


def _chunk(n: int, rng: np.random.Generator, total_counts: tuple[float, float], *, only: str = "") -> HiddenPatterns:
    samples = draw_samples(-(-n // _POINTS_PER_SAMPLE), rng)
    kind = np.full(n, "foreign") if only else rng.choice(list(_KINDS), n, p=list(_KINDS.values()))
    voxels = _compose(kind, np.arange(n) // _POINTS_PER_SAMPLE, rng, only)
    scattering = scatter(voxels, samples, rng)
    counts = np.exp(rng.uniform(np.log(total_counts[0]), np.log(total_counts[1]), n))
    exposure = counts / (scattering.total * scattering.norm).sum(axis=1)
    significance = significances(scattering, exposure)
    intensity, sigma = measure(scattering, exposure, samples.split[voxels.sample], rng)
    foreign = [PHASES.index(name) for name in ((only,) if only else _FOREIGN)]
    return HiddenPatterns(
        intensity=intensity,
        sigma=sigma,
        transmission=scattering.transmission * (1 + TRANSMISSION_NOISE * rng.normal(0, 1, n)),
        labels=labels_of(significance, scattering.metal, kind == "resin"),
        counts=counts,
        significance=significance,
        kind=kind,
        sample=voxels.sample,
        thickness_um=samples.thickness_um[voxels.sample],
        fluorescing=samples.fluorescence[voxels.sample] > 0.1,
        amorphous_rust=kind == "amorphous",
        present=np.asarray((voxels.share[:, foreign] > 0).any(axis=1), dtype=np.bool_),
    )


def _compose(kind: NDArray[np.str_], sample: NDArray[np.int64], rng: np.random.Generator, only: str) -> Voxels:
    n = len(kind)
    rust, metal, coarse, foreign = (kind == name for name in ("rust", "metal", "coarse_metal", "foreign"))
    weight = np.zeros((n, len(PHASES)))

    def put(name: str, where: NDArray[np.bool_], lowest: float, highest: float) -> None:
        amount = np.exp(rng.uniform(np.log(lowest), np.log(highest), n))
        weight[:, PHASES.index(name)] += np.where(where, amount, 0)

    oxides = np.where(rust, rng.choice([1, 2, 3], n, p=[0.45, 0.35, 0.2]), 0)
    oxides = np.where(foreign & (rng.random(n) < 0.4), 1, oxides)
    thin = metal & (rng.random(n) < 0.15)
    rank = rng.random((n, 3)).argsort(axis=1).argsort(axis=1)
    spinel_is_maghemite = rng.random(n) < 0.25
    for column, name in enumerate(OXIDES):
        chosen = rank[:, column] < oxides
        film = thin & (rank[:, column] == 0)
        for member, which in (("maghemite", spinel_is_maghemite), ("magnetite", ~spinel_is_maghemite)):
            if name == "magnetite":
                put(member, chosen & which, 0.05, 1)
                put(member, film & which, 0.02, 0.2)
        if name != "magnetite":
            put(name, chosen, 0.05, 1)
            put(name, film, 0.02, 0.2)
    beside, first = rust & (rng.random(n) < 0.2), rng.choice(3, n, p=[0.5, 0.25, 0.25])
    for column, name in enumerate(METALS):
        put(name, beside & (first == column), 0.05, 1)
        more = rng.random(n) < (0.45, 0.2, 0.3)[column]
        put(name, metal & ((first == column) | more), 0.08, 1)
    put("ferrite", coarse & (first != 1), 1, 1)
    put("austenite", coarse & (first == 1), 1, 1)
    often = np.array([_OFTEN.get(name, 1.0) for name in _FOREIGN])
    pick = rng.choice(len(_FOREIGN), (n, 2), p=often / often.sum())
    if only:
        pick[:, 0] = _FOREIGN.index(only)
    second = foreign & (rng.random(n) < (0 if only else 0.2))
    strangers = rust & (rng.random(n) < 0.12)
    for column, name in enumerate(_FOREIGN):
        put(name, (foreign & (pick[:, 0] == column)) | (second & (pick[:, 1] == column)), 0.1, 1)
        put(name, strangers & (pick[:, 0] == column), 0.05, 0.6)

    # Metal is dense; rust has pores, filled with resin or not, and part of it has no order.
    porous = rust | foreign | (kind == "amorphous")
    solid = np.where(porous, rng.uniform(0.5, 1, n), 1.0)
    share = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12) * solid[:, None]
    order = rng.uniform(0.35, 1, n)
    oxide = [PHASES.index(name) for name in (*OXIDES, "maghemite")]
    amorphous = share[:, oxide].sum(axis=1) * (1 - order)
    share[:, oxide] *= order[:, None]
    amorphous = np.where(kind == "amorphous", solid, amorphous)
    resin = np.where(porous & (rng.random(n) < 0.6), 1 - solid, 0.0)
    resin = np.where(kind == "resin", rng.uniform(0.8, 1, n), resin)
    median = np.array([_GRAINS.get(name, 25.0) for name in PHASES])
    grains = median * rng.lognormal(0, 0.9, (n, len(PHASES)))
    # A grain of 10 um or more fills the voxel: one grain, or one that most of the beam misses.
    grains = np.where(coarse[:, None], np.exp(rng.uniform(np.log(0.08), 0, (n, 1))), grains)
    return Voxels(sample=sample, share=share, resin=resin, amorphous=amorphous, grains=grains)


def _sums(values: Floats, width: int) -> Floats:
    return np.asarray(uniform_filter1d(values, width, axis=1, mode="constant") * width)


def _shared(values: Floats, centre: Floats, side: Floats) -> Floats:
    padded = np.pad(values, ((0, 0), (1, 1)), mode="edge")
    return np.asarray(values * centre + (padded[:, :-2] + padded[:, 2:]) * side)


def _joined(parts: list[HiddenPatterns]) -> HiddenPatterns:
    """Put chunks together; the samples of each get numbers of their own."""
    joined = {
        item.name: np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(HiddenPatterns)
    }
    first = np.cumsum([0, *(int(part.sample.max(initial=-1)) + 1 for part in parts)])
    joined["sample"] = np.concatenate([part.sample + start for part, start in zip(parts, first, strict=False)])
    return HiddenPatterns(**joined)
