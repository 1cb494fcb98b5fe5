"""Bragg peaks of many simulated phases at once: line positions, widths, grain statistics, profiles.

One *entry* is one phase in one pattern. Everything is drawn from wide ranges on purpose (domain
randomisation): a network that has seen all of it treats the real instrument as one more draw.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from phasecast_models.xrd.axis import CLASSES, PatternAxis
from phasecast_models.xrd.structures import HC_KEV_ANGSTROM, load_structures, powder_lines

Floats = NDArray[np.float32]

RANDOM_MINERALS = 2000
"""Number of made-up line sets that teach the class ``other`` what it has never been shown."""

_MARGIN_DEG = 0.8
_LIBRARY_SEED = 20220407
# Median number of diffracting grains and crystallite size (nm), per class; iron in steel is coarse.
_GRAINS = {"ferrite": 2.0, "austenite": 2.0, "cementite": 6.0}
_SIZE_NM = {"magnetite": 25.0, "goethite": 20.0, "lepidocrocite": 20.0, "cementite": 25.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLibrary:
    """Lines of all phases, concatenated; phase k owns ``start[k]:start[k + 1]``."""

    names: tuple[str, ...]
    classes: NDArray[np.int64]
    start: NDArray[np.int64]
    tth_deg: NDArray[np.float64]
    intensity: NDArray[np.float64]
    multiplicity: NDArray[np.float64]

    def members(self, class_id: str) -> NDArray[np.int64]:
        """Return the phase numbers that count for one class."""
        return np.flatnonzero(self.classes == CLASSES.index(class_id))


@functools.cache
def line_library(axis: PatternAxis) -> LineLibrary:
    """Return the lines of every shipped structure and of the made-up minerals on one axis."""
    names, classes, tables = [], [], []
    for name, structure in load_structures().items():
        lines = powder_lines(structure, axis.energy_kev, axis.tth_min_deg - _MARGIN_DEG, axis.tth_max_deg + _MARGIN_DEG)
        keep = lines.intensity > 0.5
        names.append(name)
        classes.append(CLASSES.index(structure.phase_class))
        tables.append((lines.tth_deg[keep], lines.intensity[keep] / 100, lines.multiplicity[keep]))
    rng = np.random.default_rng(_LIBRARY_SEED)
    for number in range(RANDOM_MINERALS):
        tth, multiplicity = _random_lines(axis, rng) if number % 2 else _random_lattice(axis, rng)
        strength = rng.exponential(1.0, len(tth))
        names.append(f"made-up mineral {number}")
        classes.append(CLASSES.index("other"))
        tables.append((tth, strength / strength.max(), multiplicity))
    return LineLibrary(
        names=tuple(names),
        classes=np.array(classes),
        start=np.cumsum([0, *(len(table[0]) for table in tables)]),
        tth_deg=np.concatenate([table[0] for table in tables]),
        intensity=np.concatenate([table[1] for table in tables]),
        multiplicity=np.concatenate([table[2] for table in tables]).astype(np.float64),
    )


def _random_lines(axis: PatternAxis, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    count = int(rng.integers(3, 16))
    tth = rng.uniform(axis.tth_min_deg + 0.5, axis.tth_max_deg - 0.5, count)
    return np.sort(tth), rng.choice([2, 4, 6, 8, 12], count)


def _random_lattice(axis: PatternAxis, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Lines of a random cubic, tetragonal or orthorhombic cell, about half of them extinct."""
    edges = rng.uniform(2.8, 10.0, 3)
    edges = edges[[[0, 0, 0], [0, 0, 2], [0, 1, 2]][int(rng.integers(3))]]
    index = np.stack(np.meshgrid(*[np.arange(7)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[1:]
    sine = np.sqrt(((index / edges) ** 2).sum(axis=1)) * HC_KEV_ANGSTROM / axis.energy_kev / 2
    index, sine = index[sine < 1], sine[sine < 1]
    tth = 2 * np.degrees(np.arcsin(sine))
    keep = (tth > axis.tth_min_deg + 0.3) & (tth < axis.tth_max_deg - 0.3) & (rng.random(len(tth)) < 0.5)
    tth, multiplicity = tth[keep], 2 ** (index[keep] > 0).sum(axis=1)
    if not len(tth):
        return _random_lines(axis, rng)
    kept = rng.permutation(len(tth))[:20]
    return tth[kept], multiplicity[kept]


def azimuth_fraction(tth_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fraction of a ring that a PILATUS 100K at 153 mm, centred at 25 deg, catches (0.17 at 10, 0.05 at 40)."""
    radius_mm = 153 / np.cos(np.radians(tth_deg - 25)) * np.sin(np.radians(tth_deg))
    return np.asarray(2 * np.arctan(16.77 / radius_mm) / (2 * np.pi))


def entry_profiles(
    phase: NDArray[np.int64],
    pattern: NDArray[np.int64],
    patterns: int,
    axis: PatternAxis,
    rng: np.random.Generator,
) -> Floats:
    """Return one peak pattern per entry, shape (entries, bins); powder-average maximum near 1.

    Parameters
    ----------
    phase
        Phase number in the library, shape (entries,).
    pattern
        Pattern each entry belongs to: entries of one pattern share the instrument (zero, distance, width).
    patterns
        Number of patterns.
    axis
        Bins to fill.
    rng
        Source of every draw.
    """
    library = line_library(axis)
    entries = len(phase)
    if not entries:
        return np.zeros((0, axis.bins), np.float32)
    counts = library.start[phase + 1] - library.start[phase]
    entry = np.repeat(np.arange(entries), counts)
    first = np.cumsum(counts) - counts
    line = np.arange(len(entry)) - first[entry] + library.start[phase][entry]
    tth, fwhm = _positions_and_widths(library, phase, pattern, patterns, entry, line, axis, rng)
    height = _heights(library, phase, entry, line, rng)
    eta = rng.uniform(0.1, 0.9, entries)[entry]
    out = np.empty((entries, axis.bins), np.float32)
    edges = axis.edges_deg.astype(np.float32)
    block = 512
    for low in range(0, entries, block):
        high = min(low + block, entries)
        rows = slice(first[low], first[high - 1] + counts[high - 1])
        x = (edges[None, :] - tth[rows, None].astype(np.float32)) / fwhm[rows, None].astype(np.float32)
        weight = eta[rows, None].astype(np.float32)
        # Cumulative pseudo-Voigt at the bin edges: a bin holds what falls into it, also when it is wider
        # than the peak. Areas are scaled so that a 0.1 deg peak of height 1 fills its bin with about 1.
        cumulative = weight * (np.arctan(2 * x) / np.float32(np.pi))
        cumulative += (1 - weight) * (erf(x * np.float32(2 * np.sqrt(np.log(2)))) / np.float32(2))
        profile = np.diff(cumulative, axis=1) * height[rows, None].astype(np.float32)
        out[low:high] = np.add.reduceat(profile, first[low:high] - first[low], axis=0)
    return out


def _positions_and_widths(
    library: LineLibrary,
    phase: NDArray[np.int64],
    pattern: NDArray[np.int64],
    patterns: int,
    entry: NDArray[np.int64],
    line: NDArray[np.int64],
    axis: PatternAxis,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    entries = len(phase)
    names = [CLASSES[index] for index in library.classes[phase]]
    strain = rng.normal(0, 1, entries) * rng.uniform(0.0005, 0.003, entries)
    # Austenite of real steels spans a = 3.573-3.605 A with carbon, nickel and chromium.
    austenite = np.array([name == "austenite" for name in names])
    strain = np.where(austenite, rng.uniform(-0.005, 0.005, entries), strain)
    jitter = rng.normal(0, 1, len(line)) * np.abs(strain[entry]) / 3
    zero = rng.normal(0, 0.04, patterns)
    scale = rng.normal(0, 1, patterns) * rng.uniform(0.0002, 0.0012, patterns)
    theta = np.radians(library.tth_deg[line] / 2)
    sine = np.sin(theta) * (1 - strain[entry] - jitter)
    middle = (axis.tth_min_deg + axis.tth_max_deg) / 2
    tth = 2 * np.degrees(np.arcsin(sine))
    tth = middle + (tth - middle) * (1 + scale[pattern][entry]) + zero[pattern][entry]
    # Foreign phases range from opal (2 nm) to quartz sand; the rust phases are known better.
    foreign = np.array([name == "other" for name in names])
    size_nm = np.array([_SIZE_NM.get(name, 45.0) for name in names])
    size_nm = size_nm * np.exp(rng.normal(0, 1, entries) * np.where(foreign, 1.1, 0.55))
    microstrain = rng.lognormal(np.log(0.001), 0.7, entries)
    instrument = rng.uniform(0.06, 0.2, patterns)[pattern][entry]
    wavelength_nm = HC_KEV_ANGSTROM / axis.energy_kev / 10
    by_size = np.degrees(0.9 * wavelength_nm / (size_nm[entry] * np.cos(theta)))
    by_strain = np.degrees(4 * microstrain[entry] * np.tan(theta))
    by_shape = rng.lognormal(0, 0.2, len(line))
    fwhm = np.sqrt(instrument**2 + ((by_size + by_strain) * by_shape) ** 2)
    # Two-line ferrihydrite has no sharp line at all, nor do opal and other poorly ordered matter: without them
    # every broad hump near 28 deg passes for magnetite or goethite.
    smeared = np.array([library.names[index] == "ferrihydrite" for index in phase])
    smeared |= foreign & (rng.random(entries) < 0.12)
    broad = np.exp(rng.uniform(np.log(0.5), np.log(4.0), entries))
    return tth, np.where(smeared[entry], broad[entry], fwhm)


def _heights(
    library: LineLibrary,
    phase: NDArray[np.int64],
    entry: NDArray[np.int64],
    line: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Line strengths after texture and after the luck of few grains (Poisson number in the beam)."""
    entries = len(phase)
    median = np.array([_GRAINS.get(CLASSES[index], 30.0) for index in library.classes[phase]])
    grains = median * rng.lognormal(0, 0.7, entries)
    # A third of all phases are fine powders: rust, fillings and every reference measurement.
    grains = np.where(rng.random(entries) < 0.33, grains * rng.lognormal(5, 1.5, entries), grains)
    expected = grains[entry] * library.multiplicity[line] / 8 * azimuth_fraction(library.tth_deg[line]) / 0.1
    met = rng.poisson(np.minimum(expected, 1e6)) / np.minimum(expected, 1e6)
    texture = rng.lognormal(0, 1, len(line)) ** rng.uniform(0.1, 0.8, entries)[entry]
    return np.asarray(library.intensity[line] * met * texture)
