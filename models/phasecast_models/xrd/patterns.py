"""Simulated patterns with labels: what the classifier is trained, calibrated and tested on.

Each pattern is drawn from one of six kinds of place in a rust cross-section and rendered as counts per
bin between 10^3 and 10^7 in all. The label follows the analyst: a phase counts as present only where its
strongest peak stands out of the noise, for nobody can learn to see what is not there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from phasecast_models.xrd.axis import BL16XU_AXIS, CLASSES, PatternAxis
from phasecast_models.xrd.backgrounds import BackgroundMix, efficiency, slab_absorption, smooth_backgrounds
from phasecast_models.xrd.flaws import forget_bins, hot_bins, ripple, understatement
from phasecast_models.xrd.peaks import RANDOM_MINERALS, entry_profiles, line_library

Floats = NDArray[np.float32]

VISIBLE_SIGMA = 4.0
"""A peak counts as seen above this many sigma, summed over three bins."""

SYSTEMATIC_SHARE = 0.003
"""Flat-field and background error that no counting time removes, as a share of the counts."""

TEXTURE_SHARE = 0.1
"""How well the height of the other phases' peaks can be foretold, given texture and few grains."""

# Places, and how often they are drawn.
_KINDS = {"rust": 0.35, "metal": 0.19, "resin": 0.09, "bare_iron": 0.07, "foreign": 0.26, "empty": 0.04}
_OXIDES = ("magnetite", "goethite", "lepidocrocite")
_METALS = ("ferrite", "austenite", "cementite")
_SLOTS = (*_OXIDES, *_METALS, "other", "other")
# Minerals without a class that rust often holds are drawn more often than the rest.
_FOREIGN_IN_RUST = {"ferrihydrite": 4.0, "hematite": 3.0, "akaganeite": 3.0, "siderite": 2.0, "wustite": 2.0}
_CHUNK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPatterns:
    """Expected patterns and their labels; ``draw`` adds the noise.

    ``mean`` is expected counts per bin (n, bins), NaN where the detector does not reach; ``gain`` (n, bins) is
    counts per unit of intensity; ``blur`` (n,) is the share each bin hands to either neighbour in pixel splitting,
    and ``ripple`` (n, bins) what splitting and understated errors do to sigma on top; ``hot`` is the extra counts
    of hot pixels (n, bins); ``pixels`` (n,) is the number of pixels per bin where the integrator gives each a
    variance of one at least, else 0; ``labels`` is 0 or 1, (n, classes).
    """

    axis: PatternAxis
    mean: Floats
    gain: Floats
    blur: Floats
    ripple: Floats
    hot: Floats
    pixels: Floats
    labels: Floats

    def __len__(self) -> int:
        return len(self.mean)

    def draw(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return one noisy measurement as (intensity, sigma), each (n, bins), as an integrator would."""
        missing = np.isnan(self.mean)
        counts = rng.poisson(np.where(missing, 0, self.mean) + self.hot).astype(np.float32)
        side = self.blur[:, None]
        centre = 1 - 2 * side
        intensity = _blurred(counts, centre, side)
        # max(x, 1) instead of x: one more for every pixel without a count.
        pixels = np.maximum(self.pixels, 1)[:, None]
        dark = np.where(self.pixels[:, None] > 0, pixels * np.exp(-np.where(missing, 0, self.mean) / pixels), 0)
        variance = _blurred(counts + dark.astype(np.float32), centre**2, side**2)
        intensity[missing] = np.nan
        return intensity / self.gain, np.sqrt(variance) * self.ripple / self.gain


def simulate_patterns(
    count: int, *, seed: int, axis: PatternAxis = BL16XU_AXIS, total_counts: tuple[float, float] = (1e3, 1e7)
) -> SimulatedPatterns:
    """Simulate labelled patterns; the same arguments always give the same bits.

    Parameters
    ----------
    count
        How many.
    seed
        Seed of every draw.
    axis
        Bins to fill.
    total_counts
        Lowest and highest expected sum of a pattern (log-uniform between them).
    """
    chunks = list(_chunks(count, np.random.default_rng(seed), axis, total_counts))
    return SimulatedPatterns(
        axis=axis,
        mean=np.concatenate([chunk.mean for chunk in chunks]),
        gain=np.concatenate([chunk.gain for chunk in chunks]),
        blur=np.concatenate([chunk.blur for chunk in chunks]),
        ripple=np.concatenate([chunk.ripple for chunk in chunks]),
        hot=np.concatenate([chunk.hot for chunk in chunks]),
        pixels=np.concatenate([chunk.pixels for chunk in chunks]),
        labels=np.concatenate([chunk.labels for chunk in chunks]),
    )


def visible_sigma(peaks: Floats, all_peaks: Floats, total: Floats) -> Floats:
    """Return how far the strongest peak of each row stands out, in sigma over three bins, shape (n,).

    ``peaks`` is the part of ``all_peaks`` that belongs to one phase, ``all_peaks`` that part of ``total`` which is
    Bragg peaks; all are counts per bin (n, bins), NaN where not measured. Sigma holds the counting noise, the
    systematic share of the total and the texture share of the other phases' peaks.
    """
    measured = ~np.isnan(total)
    signal = _three_bins(np.where(measured, peaks, 0))
    others = _three_bins(np.where(measured, all_peaks, 0)) - signal
    everything = _three_bins(np.where(measured, total, 0))
    variance = everything + (SYSTEMATIC_SHARE * everything) ** 2 + (TEXTURE_SHARE * others) ** 2 + 1
    return np.asarray((signal / np.sqrt(variance)).max(axis=1), dtype=np.float32)


def _chunks(
    count: int, rng: np.random.Generator, axis: PatternAxis, total_counts: tuple[float, float]
) -> Iterator[SimulatedPatterns]:
    for low in range(0, count, _CHUNK):
        yield _simulate_chunk(min(_CHUNK, count - low), rng, axis, total_counts)


def _simulate_chunk(
    n: int, rng: np.random.Generator, axis: PatternAxis, total_counts: tuple[float, float]
) -> SimulatedPatterns:
    kind = rng.choice(list(_KINDS), n, p=list(_KINDS.values()))
    phase, weight = _compositions(kind, rng, axis)
    pattern, slot = np.nonzero(phase >= 0)
    profiles = entry_profiles(phase[pattern, slot], pattern, n, axis, rng)
    metal = np.isin(kind, ["metal", "bare_iron"])
    absorbance = np.where(metal, rng.uniform(0.4, 2.2, n), rng.uniform(0.0, 1.0, n))
    passed = slab_absorption(axis.tth_deg, absorbance) * np.exp(absorbance)[:, None]
    profiles *= (passed[pattern] * weight[pattern, slot][:, None]).astype(np.float32)
    halo, flat, rest = smooth_backgrounds(_mixes(kind, rng), axis, rng)
    halo *= passed.astype(np.float32)
    smooth = flat + rest

    detector = efficiency(n, axis, rng)
    peaks = np.zeros((n, axis.bins), np.float32)
    np.add.at(peaks, pattern, profiles)
    # The brightest peak stands between a fiftieth and forty times the background.
    contrast = np.exp(rng.uniform(np.log(0.02), np.log(40), n)).astype(np.float32)
    ground = (halo + smooth).mean(axis=1)
    has_peaks = peaks.max(axis=1) > 1e-6
    gain = np.where(has_peaks, contrast * ground / np.maximum(peaks.max(axis=1), 1e-6), 0).astype(np.float32)
    total = (peaks * gain[:, None] + halo + smooth) * detector
    exposure = np.exp(rng.uniform(np.log(total_counts[0]), np.log(total_counts[1]), n)).astype(np.float32)
    # A closed shutter or a beam that is gone: anything from full exposure down to no count at all.
    darkened = np.where(rng.random(n) < 0.1, 0, exposure * np.exp(rng.uniform(np.log(1e-4), 0, n)))
    exposure = np.where(kind == "empty", darkened, exposure)
    unit = (exposure / total.sum(axis=1))[:, None].astype(np.float32)
    hot = hot_bins(n, axis, rng) * (total * unit).mean(axis=1, keepdims=True)
    mean = (total * unit).astype(np.float32)
    forget_bins(mean, rng)
    scale = (gain[:, None] * unit * detector).astype(np.float32)
    seen = visible_sigma(profiles * scale[pattern], (peaks * scale)[pattern], mean[pattern]) > VISIBLE_SIGMA
    dark = {part: array * unit * detector for part, array in (("halo", halo), ("flat", flat))}
    return SimulatedPatterns(
        axis=axis,
        mean=mean,
        # Two thirds are corrected for the detector, as the integrator does; the rest are plain counts.
        gain=np.where(rng.random((n, 1)) < 0.67, detector, np.float32(1)),
        blur=np.where(rng.random(n) < 0.5, 0, rng.uniform(0, 0.25, n)).astype(np.float32),
        ripple=ripple(n, axis, rng) / understatement(n, rng),
        hot=hot.astype(np.float32),
        # A bin of 0.1 deg holds 300 pixels of a PILATUS 100K at 153 mm.
        pixels=np.where(rng.random(n) < 0.4, 300 * rng.lognormal(0, 0.3, n), 0).astype(np.float32),
        labels=_labels(pattern, slot, seen, dark, mean),
    )


def _compositions(
    kind: NDArray[np.str_], rng: np.random.Generator, axis: PatternAxis
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Phase number (or -1) and weight of every slot, each (n, slots)."""
    n = len(kind)
    library = line_library(axis)
    present = np.zeros((n, len(_SLOTS)), bool)
    rust, metal, foreign = kind == "rust", kind == "metal", kind == "foreign"
    oxides = rng.choice([1, 2, 3], n, p=[0.5, 0.35, 0.15])
    rank = rng.random((n, 3)).argsort(axis=1).argsort(axis=1)
    present[:, :3] = (rank < oxides[:, None]) & rust[:, None]
    present[:, :3] |= (rank < 1) & ((foreign & (rng.random(n) < 0.25)) | (metal & (rng.random(n) < 0.15)))[:, None]
    beside = rng.random((n, 3)) * np.where(foreign, 3.0, 1.0)[:, None]
    present[:, 3:6] = (beside < [0.12, 0.08, 0.08]) & (rust | foreign)[:, None]
    some = rng.random((n, 3)) < [0.65, 0.35, 0.35]
    some[np.arange(n), rng.choice(3, n, p=[0.5, 0.25, 0.25])] = True
    present[:, 3:6] |= some & metal[:, None]
    present[:, 6] = foreign | ((rng.random(n) < 0.12) & (rust | metal))
    present[:, 7] = foreign & (rng.random(n) < 0.25)
    phase = np.full((n, len(_SLOTS)), -1)
    for slot, class_id in enumerate(_SLOTS):
        members = library.members(class_id)
        if class_id == "other":
            known, made_up = members[:-RANDOM_MINERALS], members[-RANDOM_MINERALS:]
            often = np.array([_FOREIGN_IN_RUST.get(library.names[index], 1.0) for index in known])
            familiar = rng.choice(known, n, p=often / often.sum())
            pick = np.where(rng.random(n) < 0.4, familiar, rng.choice(made_up, n))
        else:
            pick = rng.choice(members, n)
        phase[:, slot] = np.where(present[:, slot], pick, -1)
    weight = np.exp(rng.uniform(np.log(0.06), 0, (n, len(_SLOTS))))
    return phase, weight


def _mixes(kind: NDArray[np.str_], rng: np.random.Generator) -> BackgroundMix:
    n = len(kind)
    resin, iron, empty = kind == "resin", kind == "bare_iron", kind == "empty"
    halo = np.where(rng.random(n) < 0.6, rng.uniform(0, 1, n) ** 2, 0)
    halo = np.where(kind == "metal", halo * 0.3, halo)
    halo = np.where(resin, rng.uniform(0.3, 3.0, n), halo)
    halo = np.where(iron, np.where(rng.random(n) < 0.5, rng.uniform(0, 0.12, n), 0), halo)
    fluorescence = rng.uniform(0.1, 1.0, n)
    fluorescence = np.where(resin, rng.uniform(0.0, 1.0, n) ** 3, fluorescence)
    fluorescence = np.where(iron, 1.0, fluorescence)
    air = np.where(rng.random(n) < 0.7, rng.uniform(0, 1, n) ** 3, 0)
    air = np.where(iron, air * 0.5, air)
    free_form = np.where(rng.random(n) < 0.4, rng.uniform(0, 1.5, n), 0)
    free_form = np.where(resin | iron, 0, free_form)
    amorphous = np.where(rng.random(n) < np.where(kind == "foreign", 0.45, 0.15), np.exp(rng.uniform(-1.6, 2.5, n)), 0)
    return BackgroundMix(
        halo=np.where(empty, 0, halo),
        fluorescence=np.where(empty, 0.02, fluorescence),
        air=np.where(empty, 1.0, air),
        free_form=np.where(empty, 0, free_form),
        amorphous=np.where(resin | iron | empty, 0, amorphous),
    )


def _labels(
    pattern: NDArray[np.int64],
    slot: NDArray[np.int64],
    seen: NDArray[np.bool_],
    dark: dict[str, Floats],
    mean: Floats,
) -> Floats:
    """Crystalline classes as seen; where none is, resin if its halo rules, peak-less iron if fluorescence does.

    Without a peak nothing tells iron from rust too thin to diffract: both fluoresce, and the map shows both
    as iron without peaks, which is what an analyst would write.
    """
    n = len(mean)
    labels = np.zeros((n, len(CLASSES)), np.float32)
    column = np.array([CLASSES.index(class_id) for class_id in _SLOTS])
    labels[pattern[seen], column[slot[seen]]] = 1
    crystalline = labels.any(axis=1)
    measured = ~np.isnan(mean)
    total = np.where(measured, mean, 0)
    halo = np.where(measured, dark["halo"], 0)
    flat = np.where(measured, dark["flat"], 0).sum(axis=1)
    # The halo is judged over its own width, 31 bins around its top, where it must beat the noise.
    ground = uniform_filter1d(total, 31, axis=1, mode="constant") * 31
    rise = uniform_filter1d(halo, 31, axis=1, mode="constant") * 31
    stands_out = (rise / np.sqrt(ground + (SYSTEMATIC_SHARE * ground) ** 2 + 1)).max(axis=1) > 8
    halo_rules = halo.sum(axis=1) > 0.25 * flat
    labels[:, CLASSES.index("resin")] = ~crystalline & stands_out & halo_rules
    enough = (total.sum(axis=1) > 300) & (flat > 0.6 * total.sum(axis=1))
    labels[:, CLASSES.index("peakless_iron")] = ~crystalline & ~(stands_out & halo_rules) & enough
    return labels


def _three_bins(values: Floats) -> Floats:
    out = values.copy()
    out[:, 1:] += values[:, :-1]
    out[:, :-1] += values[:, 1:]
    return out


def _blurred(values: Floats, centre: Floats, side: Floats) -> Floats:
    out = values * centre
    out[:, 1:] += values[:, :-1] * side
    out[:, :-1] += values[:, 1:] * side
    out[:, 0] += values[:, 0] * side[:, 0]
    out[:, -1] += values[:, -1] * side[:, 0]
    return out.astype(np.float32)
