"""Simulated patterns with labels: what the classifier is trained, calibrated and tested on.

Each pattern is drawn from one of several kinds of place in a cross-section and rendered as counts per bin between
10^3 and 10^7 in all. What is there is drawn in ``compositions``, what an analyst would see of it decided in
``label_rule``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.backgrounds import efficiency, slab_absorption, smooth_backgrounds
from phasecast_models.xrd.compositions import Places, background_mix, draw_places, measured_transmission
from phasecast_models.xrd.flaws import forget_bins, hot_bins, ripple, understatement
from phasecast_models.xrd.label_rule import VISIBLE_SIGMA, SmoothParts, analyst_labels, visible_sigma
from phasecast_models.xrd.peaks import entry_profiles, line_library
from phasecast_models.xrd.task import BL16XU_TASK, Task

Floats = NDArray[np.float32]

_CHUNK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPatterns:
    """Expected patterns and their labels; ``draw`` adds the noise.

    ``mean`` is expected counts per bin (n, bins), NaN where the detector does not reach; ``gain`` (n, bins) is
    counts per unit of intensity; ``blur`` (n,) is the share each bin hands to either neighbour in pixel splitting,
    and ``ripple`` (n, bins) what splitting and understated errors do to sigma on top; ``hot`` is the extra counts
    of hot pixels (n, bins); ``pixels`` (n,) is the number of pixels per bin where the integrator gives each a
    variance of one at least, else 0; ``labels`` is 0 or 1, (n, classes), in the order of the task.

    ``transmission`` (n,) is as measured, NaN for the third where it was not; ``thickness_um`` (n,) is the truth behind
    it. ``kind`` (n,) is the kind of place, a key of ``compositions.PLACES``; ``metal`` (n,) tells whether more than
    half of what is solid there is metal, which shape alone cannot tell where no line is seen; ``fluoresces`` (n,)
    whether the detector counts the fluorescence of iron.
    """

    axis: PatternAxis
    mean: Floats
    gain: Floats
    blur: Floats
    ripple: Floats
    hot: Floats
    pixels: Floats
    labels: Floats
    transmission: Floats
    thickness_um: Floats
    kind: NDArray[np.str_]
    metal: NDArray[np.bool_]
    fluoresces: NDArray[np.bool_]

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
    count: int, *, seed: int, task: Task = BL16XU_TASK, total_counts: tuple[float, float] = (1e3, 1e7)
) -> SimulatedPatterns:
    """Simulate labelled patterns; the same arguments always give the same bits.

    Parameters
    ----------
    count
        How many.
    seed
        Seed of every draw.
    task
        Axis to fill, and what there is to be seen.
    total_counts
        Lowest and highest expected sum of a pattern (log-uniform between them).
    """
    chunks = list(_chunks(count, np.random.default_rng(seed), task, total_counts))
    joined = {
        item.name: np.concatenate([getattr(chunk, item.name) for chunk in chunks])
        for item in fields(SimulatedPatterns)
        if item.name != "axis"
    }
    return SimulatedPatterns(axis=task.axis, **joined)


def _chunks(
    count: int, rng: np.random.Generator, task: Task, total_counts: tuple[float, float]
) -> Iterator[SimulatedPatterns]:
    for low in range(0, max(count, 1), _CHUNK):
        yield _simulate_chunk(min(_CHUNK, count - low), rng, task, total_counts)


def _simulate_chunk(
    n: int, rng: np.random.Generator, task: Task, total_counts: tuple[float, float]
) -> SimulatedPatterns:
    axis = task.axis
    places = draw_places(n, task, rng)
    pattern, slot = np.nonzero(places.phase >= 0)
    phase = places.phase[pattern, slot]
    profiles = entry_profiles(phase, pattern, n, task, rng)
    if not task.reflection:
        passed = slab_absorption(axis.tth_deg, places.absorbance) * np.exp(places.absorbance)[:, None]
        profiles *= passed[pattern].astype(np.float32)
    else:
        passed = np.ones((n, axis.bins))
    shown = places.weight[pattern, slot] * line_library(task).strength[phase]
    profiles *= shown[:, None].astype(np.float32)
    smooth = smooth_backgrounds(background_mix(places, rng), axis, rng)
    halo, rust = (part * passed.astype(np.float32) for part in (smooth.halo, smooth.ferrihydrite))
    ground = halo + rust + smooth.fluorescence + smooth.rest

    detector = efficiency(n, axis, rng)
    peaks = np.zeros((n, axis.bins), np.float32)
    np.add.at(peaks, pattern, profiles)
    # The brightest peak stands between a fiftieth and forty times the background.
    contrast = np.exp(rng.uniform(np.log(0.02), np.log(40), n)).astype(np.float32)
    has_peaks = peaks.max(axis=1) > 1e-6
    top = np.maximum(peaks.max(axis=1), 1e-6)
    gain = np.where(has_peaks, contrast * ground.mean(axis=1) / top, 0).astype(np.float32)
    total = (peaks * gain[:, None] + ground) * detector
    unit = (_exposures(places, total_counts, rng) / total.sum(axis=1))[:, None].astype(np.float32)
    hot = hot_bins(n, axis, rng) * (total * unit).mean(axis=1, keepdims=True)
    mean = (total * unit).astype(np.float32)
    forget_bins(mean, rng)
    scale = (gain[:, None] * unit * detector).astype(np.float32)
    seen = visible_sigma(profiles * scale[pattern], (peaks * scale)[pattern], mean[pattern]) > VISIBLE_SIGMA
    counted = unit * detector
    parts = SmoothParts(
        halo=halo * counted,
        fluorescence=smooth.fluorescence * counted * places.fluoresces[:, None],
        ferrihydrite=rust * counted,
    )
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
        labels=analyst_labels(task, pattern, line_library(task).columns[phase], seen, parts, mean, places.metal),
        transmission=measured_transmission(places, task, rng),
        thickness_um=places.thickness_um.astype(np.float32),
        kind=places.kind,
        metal=places.metal,
        fluoresces=places.fluoresces,
    )


def _exposures(places: Places, total_counts: tuple[float, float], rng: np.random.Generator) -> Floats:
    """Expected sum of each pattern, (n,)."""
    n = len(places.kind)
    full = np.exp(rng.uniform(np.log(total_counts[0]), np.log(total_counts[1]), n))
    # A closed shutter or a beam that is gone: anything from full exposure down to no count at all.
    darkened = np.where(rng.random(n) < 0.1, 0, full * np.exp(rng.uniform(np.log(1e-4), 0, n)))
    # Where fluorescence is cut off, steel without a reflection and amorphous rust are nearly as dark as air.
    dim = full * np.exp(rng.uniform(np.log(1e-3), np.log(0.1), n))
    bare = np.isin(places.kind, ["bare_iron", "amorphous_rust"]) & ~places.fluoresces
    return np.where(places.kind == "empty", darkened, np.where(bare, dim, full)).astype(np.float32)


def _blurred(values: Floats, centre: Floats, side: Floats) -> Floats:
    out = values * centre
    out[:, 1:] += values[:, :-1] * side
    out[:, :-1] += values[:, 1:] * side
    out[:, 0] += values[:, 0] * side[:, 0]
    out[:, -1] += values[:, -1] * side[:, 0]
    return out.astype(np.float32)
