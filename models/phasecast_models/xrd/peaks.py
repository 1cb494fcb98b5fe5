"""Bragg peaks of many simulated phases at once: line positions, widths, grain statistics, profiles.

One *entry* is one phase in one pattern. Everything is drawn from wide ranges on purpose (domain
randomisation): a network that has seen all of it treats the real instrument as one more draw.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.absorption import structure_attenuation_per_um
from phasecast_models.xrd.made_up import made_up_minerals, structure_lines
from phasecast_models.xrd.structures import HC_KEV_ANGSTROM
from phasecast_models.xrd.task import Task, TaskClass

Floats = NDArray[np.float32]

SMEARED_SHARE = 0.4
"""How many foreign phases are poorly crystalline: crystallites of 2 to 20 nm, humps instead of peaks."""

_LIBRARY_SEED = 20220407
_FOREIGN = TaskClass(id="foreign", kind="other", size_nm=45.0)
# Without any sharp line, whatever the size of its crystals is taken to be.
_ALWAYS_SMEARED = "ferrihydrite"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLibrary:
    """Lines of all phases, concatenated; phase k owns ``start[k]:start[k + 1]``.

    ``columns`` (phases,) is the class each counts for, -1 for none; ``foreign`` is true where that is no class of its
    own. The phases that do not exist come last, ``real`` is the number of those that do. ``attenuation_per_um`` is
    how strongly each absorbs, ``strength`` how strongly its strongest line scatters, a class of the task having 1 on
    average (geometric); ``grains``, ``size_nm`` and ``cell_spread`` are as in ``TaskClass``.
    """

    names: tuple[str, ...]
    real: int
    columns: NDArray[np.int64]
    foreign: NDArray[np.bool_]
    smeared: NDArray[np.bool_]
    grains: NDArray[np.float64]
    size_nm: NDArray[np.float64]
    cell_spread: NDArray[np.float64]
    attenuation_per_um: NDArray[np.float64]
    strength: NDArray[np.float64]
    start: NDArray[np.int64]
    tth_deg: NDArray[np.float64]
    intensity: NDArray[np.float64]
    multiplicity: NDArray[np.float64]

    def members(self, column: int) -> NDArray[np.int64]:
        """Return the numbers of the phases that are a class of their own, the one in that column."""
        return np.flatnonzero((self.columns == column) & ~self.foreign)

    @property
    def foreigners(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the phases without a class: those that exist, those that do not."""
        numbers = np.flatnonzero(self.foreign)
        return numbers[numbers < self.real], numbers[numbers >= self.real]


@functools.lru_cache(maxsize=8)
def line_library(task: Task) -> LineLibrary:
    """Return the lines of every structure of a task and of the made-up minerals on its axis."""
    rng = np.random.default_rng(_LIBRARY_SEED)
    names, tables, owners, columns, attenuation = [], [], [], [], []
    for column, structure in task.structures:
        owner = task.classes[column] if column >= 0 else _FOREIGN
        lines = structure_lines(structure, task.axis)
        if owner.kind != "lines" and not len(lines.tth_deg):
            continue
        names.append(structure.id)
        tables.append(lines)
        owners.append(owner if owner.kind == "lines" else _FOREIGN)
        columns.append(column)
        attenuation.append(structure_attenuation_per_um(structure, task.axis.energy_kev))
    real = len(names)
    other = task.column_of("other")
    for number, lines in enumerate(made_up_minerals(task.made_up, task, rng)):
        names.append(f"made-up mineral {number}")
        tables.append(lines)
        owners.append(_FOREIGN)
        columns.append(-1 if other is None else other)
    # From quartz to pyrite.
    light, heavy = np.log(0.003), np.log(0.08)
    made_up = np.exp(rng.uniform(light, heavy, len(names) - real)) * (10 / task.axis.energy_kev) ** 3
    strength = np.array([table.strength for table in tables[:real]])
    of_classes = strength[[owner is not _FOREIGN for owner in owners[:real]]]
    typical = np.exp(np.log(of_classes).mean()) if len(of_classes) else 1.0
    # From gypsum, akaganeite and graphite to amakinite and wustite.
    weak, strong = np.log(0.15), np.log(1.3)
    imagined = np.exp(rng.uniform(weak, strong, len(names) - real))
    return LineLibrary(
        names=tuple(names),
        real=real,
        columns=np.array(columns),
        foreign=np.array([owner is _FOREIGN for owner in owners]),
        smeared=np.array([name == _ALWAYS_SMEARED for name in names]),
        grains=np.array([owner.grains for owner in owners]),
        size_nm=np.array([owner.size_nm for owner in owners]),
        cell_spread=np.array([owner.cell_spread for owner in owners]),
        attenuation_per_um=np.concatenate([attenuation, made_up]),
        strength=np.concatenate([strength / typical, imagined]),
        start=np.cumsum([0, *(len(table.tth_deg) for table in tables)]),
        tth_deg=np.concatenate([table.tth_deg for table in tables]),
        intensity=np.concatenate([table.intensity for table in tables]),
        multiplicity=np.concatenate([table.multiplicity for table in tables]),
    )


def entry_profiles(
    phase: NDArray[np.int64],
    pattern: NDArray[np.int64],
    patterns: int,
    task: Task,
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
    task
        Axis to fill and the phases there are.
    rng
        Source of every draw.
    """
    library, axis = line_library(task), task.axis
    entries = len(phase)
    if not entries:
        return np.zeros((0, axis.bins), np.float32)
    counts = library.start[phase + 1] - library.start[phase]
    entry = np.repeat(np.arange(entries), counts)
    first = np.cumsum(counts) - counts
    line = np.arange(len(entry)) - first[entry] + library.start[phase][entry]
    tth, fwhm = _positions_and_widths(library, phase, pattern, patterns, entry, line, task, rng)
    height = _heights(library, phase, entry, line, task, rng)
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
    task: Task,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    entries = len(phase)
    axis = task.axis
    strain = rng.normal(0, 1, entries) * rng.uniform(0.0005, 0.003, entries)
    spread = library.cell_spread[phase]
    strain = np.where(spread > 0, rng.uniform(-1, 1, entries) * spread, strain)
    jitter = rng.normal(0, 1, len(line)) * np.abs(strain[entry]) / 3
    zero = rng.normal(0, 0.04, patterns)
    scale = rng.normal(0, 1, patterns) * rng.uniform(0.0002, 0.0012, patterns)
    theta = np.radians(library.tth_deg[line] / 2)
    sine = np.minimum(np.sin(theta) * (1 - strain[entry] - jitter), 0.9999)
    middle = (axis.tth_min_deg + axis.tth_max_deg) / 2
    tth = 2 * np.degrees(np.arcsin(sine))
    tth = middle + (tth - middle) * (1 + scale[pattern][entry]) + zero[pattern][entry]
    # Foreign phases range from opal (2 nm) to quartz sand; the rust phases are known better.
    foreign = library.foreign[phase]
    size_nm = library.size_nm[phase] * np.exp(rng.normal(0, 1, entries) * np.where(foreign, 1.1, 0.55))
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
    smeared = library.smeared[phase] | foreign & (rng.random(entries) < SMEARED_SHARE)
    broad = np.exp(rng.uniform(np.log(0.4), np.log(5.0), entries))[entry] * rng.lognormal(0, 0.3, len(line))
    return tth, np.where(smeared[entry], broad, fwhm)


def _heights(
    library: LineLibrary,
    phase: NDArray[np.int64],
    entry: NDArray[np.int64],
    line: NDArray[np.int64],
    task: Task,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Line strengths after texture and after the luck of few grains (Poisson number in the beam)."""
    entries = len(phase)
    grains = library.grains[phase] * rng.lognormal(0, 0.9, entries)
    # A fifth of all phases are fine powders: rust, fillings and every reference measurement.
    grains = np.where(rng.random(entries) < 0.2, grains * rng.lognormal(5, 1.5, entries), grains)
    expected = grains[entry] * library.multiplicity[line] / 8 * task.coverage.fraction(library.tth_deg[line]) / 0.1
    met = rng.poisson(np.minimum(expected, 1e6)) / np.minimum(expected, 1e6)
    texture = rng.lognormal(0, 1, len(line)) ** rng.uniform(0.1, 0.8, entries)[entry]
    return np.asarray(library.intensity[line] * met * texture)
