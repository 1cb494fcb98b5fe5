"""Bragg peaks of many simulated phases at once: line positions, widths, grain statistics, profiles.

One *entry* is one phase in one pattern. Everything is drawn from wide ranges on purpose (domain
randomisation): a network that has seen all of it treats the real instrument as one more draw.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.axis import CLASSES, PatternAxis
from phasecast_models.xrd.made_up import made_up_minerals, structure_lines
from phasecast_models.xrd.structures import HC_KEV_ANGSTROM, load_structures

Floats = NDArray[np.float32]

RANDOM_MINERALS = 4000
"""Number of made-up minerals in the library."""

SMEARED_SHARE = 0.4
"""How many foreign phases are poorly crystalline: crystallites of 2 to 20 nm, humps instead of peaks."""

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
        names.append(name)
        classes.append(CLASSES.index(structure.phase_class))
        tables.append(structure_lines(structure, axis))
    for number, lines in enumerate(made_up_minerals(RANDOM_MINERALS, axis, np.random.default_rng(_LIBRARY_SEED))):
        names.append(f"made-up mineral {number}")
        classes.append(CLASSES.index("other"))
        tables.append(lines)
    return LineLibrary(
        names=tuple(names),
        classes=np.array(classes),
        start=np.cumsum([0, *(len(table.tth_deg) for table in tables)]),
        tth_deg=np.concatenate([table.tth_deg for table in tables]),
        intensity=np.concatenate([table.intensity for table in tables]),
        multiplicity=np.concatenate([table.multiplicity for table in tables]),
    )


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
        # erf within 4e-4 by tanh, which is ten times faster.
        x *= np.float32(2 * np.sqrt(np.log(2)))
        cumulative += (1 - weight) * np.tanh(x * (np.float32(1.12838) + np.float32(0.1009) * x * x)) / np.float32(2)
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
    # The instrument has 0.1 deg; coarse slits, thick samples and unresolved K-alpha doublets widen the rest.
    sharp, wide = rng.uniform(0.06, 0.2, patterns), np.exp(rng.uniform(np.log(0.05), np.log(0.6), patterns))
    instrument = np.where(rng.random(patterns) < 0.7, sharp, wide)[pattern][entry]
    wavelength_nm = HC_KEV_ANGSTROM / axis.energy_kev / 10
    by_size = np.degrees(0.9 * wavelength_nm / (size_nm[entry] * np.cos(theta)))
    by_strain = np.degrees(4 * microstrain[entry] * np.tan(theta))
    by_shape = rng.lognormal(0, 0.2, len(line))
    fwhm = np.sqrt(instrument**2 + ((by_size + by_strain) * by_shape) ** 2)
    # Two-line ferrihydrite has no sharp line at all, nor do opal and other poorly ordered matter: without them
    # every broad hump near 28 deg passes for magnetite or goethite.
    smeared = np.array([library.names[index] == "ferrihydrite" for index in phase])
    smeared |= foreign & (rng.random(entries) < SMEARED_SHARE)
    broad = np.exp(rng.uniform(np.log(0.4), np.log(5.0), entries))[entry] * rng.lognormal(0, 0.3, len(line))
    return tth, np.where(smeared[entry], broad, fwhm)


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
