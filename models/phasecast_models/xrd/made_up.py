"""Minerals that do not exist: they teach the class ``other`` what it has never been shown.

Crystals with atoms at random places, real structures stretched to another cell (a spinel that is not
magnetite), random lattices, bare line sets, decoys and lone features. Many are stretched so that one strong line
falls on a strong line of a class; decoys hold some lines of a class but not all that must be there, and lone
features are one to three peaks, sharp or ragged, with nothing else: a few coinciding lines must not be taken for a
phase whose other lines are missing.
"""

import dataclasses
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.axis import BL16XU_AXIS, PatternAxis
from phasecast_models.xrd.structures import HC_KEV_ANGSTROM, Atom, Structure, powder_lines
from phasecast_models.xrd.task import Task, longest_q_per_angstrom

Floats = NDArray[np.float64]

MARGIN_DEG = 0.8
"""How far beyond the axis lines are kept, for strain and zero error may bring them in."""

_FEWEST, _MOST = 4, 45
_IMPOSTOR_SHARE = 0.5
_MAX_STRETCH = 0.25
# What minerals, fillers and polishing powders are made of; oxygen three times, for most are oxides.
# fmt: off
_ELEMENTS = (
    "O", "O", "O", "C", "B", "F", "Na", "Mg", "Al", "Si", "P", "S",
    "Cl", "K", "Ca", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn",
    "Sr", "Zr", "Ba", "La", "Ce", "W", "Pb",
)
# fmt: on
# Lines this strong count when a structure is said to have one or several.
_TELLING = 0.1
_KEEP_OFF_DEG = 0.75
_MOST_TRIES = 200
_COORDINATES = (0.0, 0.0, 0.5, 0.25, 0.125, 0.75, 1 / 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSet:
    """Lines of one phase, strongest = 1, in any order; ``strength`` as in `PowderLines`, 0 of what does not exist."""

    tth_deg: Floats
    intensity: Floats
    multiplicity: Floats
    strength: float = 0.0


def structure_lines(structure: Structure, axis: PatternAxis, *, reach_deg: float = MARGIN_DEG) -> LineSet:
    """Return the lines of a structure on an axis and a little beyond, half a percent and above."""
    low = max(axis.tth_min_deg - reach_deg, 2.0)
    lines = powder_lines(structure, axis.energy_kev, low, min(axis.tth_max_deg + reach_deg, 178.0))
    keep = lines.intensity > 0.5
    return LineSet(
        tth_deg=lines.tth_deg[keep],
        intensity=lines.intensity[keep] / 100,
        multiplicity=lines.multiplicity[keep].astype(np.float64),
        strength=lines.strength,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What made-up minerals are drawn against.

    ``strong`` are the strong lines of each class, ``crowded`` all lines of the classes that have several, with
    ``aimed`` as how often each is aimed at; ``lone_deg`` are the places where a lone peak is a class.
    """

    axis: PatternAxis
    most: int
    stretchable: tuple[Structure, ...]
    known: tuple[LineSet, ...]
    strong: tuple[LineSet, ...]
    crowded: tuple[LineSet, ...]
    aimed: Floats
    lone_deg: Floats


def made_up_minerals(count: int, task: Task, rng: np.random.Generator) -> list[LineSet]:
    """Return ``count`` line sets that belong to no class.

    Parameters
    ----------
    count
        How many.
    task
        Axis to fill, and the classes that they must not be.
    rng
        Source of every draw.
    """
    scene = _scene(task)
    movable = (_random_crystal, _random_crystal, _random_lattice, _random_lines)
    # A stretched class structure brought back to a line of its own class would be that class again.
    fixed = (_stretched_structure, *[_decoy] * 2, *[_lone_features] * 4)
    makers = movable + fixed
    out: list[LineSet] = []
    tries = 0
    while len(out) < count:
        # On some axes one kind of mineral hardly ever fits: after many tries the next takes its turn.
        make = makers[(len(out) + tries // _MOST_TRIES) % len(makers)]
        tries += 1
        lines = make(scene, rng)
        if make in movable and scene.strong and rng.random() < _IMPOSTOR_SHARE:
            lines = _as_impostor(lines, scene.strong, scene.axis, rng)
        lines = _inside(lines, scene.axis)
        if (1 if make is _lone_features else _FEWEST) <= len(lines.tth_deg) <= scene.most:
            out.append(lines)
            tries = 0
    return out


def _scene(task: Task) -> _Scene:
    axis = task.axis
    known = [structure_lines(item.structures[0], axis, reach_deg=0) for item in task.classes if item.kind == "lines"]
    several = [lines for lines in known if (lines.intensity > _TELLING).sum() > 1]
    lone = [lines.tth_deg[lines.intensity > _TELLING] for lines in known if (lines.intensity > _TELLING).sum() == 1]
    # A class with one line far stronger than the rest, such as magnetite, is what single features are taken for.
    aimed = np.array([1 / lines.intensity.sum() for lines in several])
    every = [structure for _, structure in task.structures]
    return _Scene(
        axis=axis,
        most=max(_MOST, round(_MOST * (longest_q_per_angstrom(axis) / longest_q_per_angstrom(BL16XU_AXIS)) ** 3)),
        # Iron alone has one line in the window; stretched, it says nothing.
        stretchable=tuple(
            item for item in every if (structure_lines(item, axis, reach_deg=0).intensity > _TELLING).sum() > 1
        ),
        known=tuple(known),
        # The other lines of a class rarely deceive: they are weak, so an impostor of them looks like nothing.
        strong=tuple(
            LineSet(
                tth_deg=lines.tth_deg[lines.intensity > 0.4],
                intensity=lines.intensity[lines.intensity > 0.4],
                multiplicity=np.ones(0),
            )
            for lines in known
        ),
        crowded=tuple(several),
        aimed=aimed / max(aimed.sum(), 1e-300),
        lone_deg=np.concatenate([np.empty(0), *lone]),
    )


def _random_crystal(scene: _Scene, rng: np.random.Generator) -> LineSet:
    """Atoms at random, often special, places of a random space group: intensities as real crystals have them."""
    while True:
        group = gemmi.find_spacegroup_by_number(int(rng.integers(3, 231)))
        edges = np.exp(rng.uniform(np.log(2.8), np.log(11.0), 3))
        angles = [90.0, 90.0, 90.0]
        system = group.crystal_system_str()
        if system in ("cubic", "tetragonal", "trigonal", "hexagonal"):
            edges[1] = edges[0]
        if system == "cubic":
            edges[2] = edges[0]
        if system in ("trigonal", "hexagonal"):
            angles[2] = 120.0
        if system == "monoclinic":
            angles[1] = float(rng.uniform(91, 122))
        volume = float(np.prod(edges))
        if not 20 < volume < 40 * len(list(group.operations().sym_ops)) + 250 or volume > 900:
            continue
        atoms = tuple(_random_atom(number, rng) for number in range(int(rng.integers(1, 5))))
        structure = Structure(
            id="made-up",
            name="",
            formula="",
            phase_class="other",
            space_group=group.xhm(),
            cell=(float(edges[0]), float(edges[1]), float(edges[2]), angles[0], angles[1], angles[2]),
            atoms=atoms,
            amcsd=0,
            citation="",
        )
        lines = structure_lines(structure, scene.axis, reach_deg=4)
        if _FEWEST <= len(lines.tth_deg) <= 2 * scene.most:
            return lines


def _random_atom(number: int, rng: np.random.Generator) -> Atom:
    free = rng.random(3) < 0.35
    x, y, z = np.where(free, rng.random(3), rng.choice(_COORDINATES, 3))
    element = str(rng.choice(_ELEMENTS))
    return Atom(label=f"X{number}", element=element, x=x, y=y, z=z, occupancy=1.0, u_iso_a2=0.008)


def _stretched_structure(scene: _Scene, rng: np.random.Generator) -> LineSet:
    """A real structure with another cell, too far off for strain: MgAl2O4 is magnetite smaller by 3.7 %."""
    if not scene.stretchable:
        return _random_lines(scene, rng)
    original = scene.stretchable[int(rng.integers(len(scene.stretchable)))]
    overall = rng.choice([-1, 1]) * np.exp(rng.uniform(np.log(0.025), np.log(0.15)))
    a, b, c, alpha, beta, gamma = original.cell
    each = 1 + overall + rng.normal(0, 0.007, 3)
    if a == b:
        each[1] = each[0]
    if b == c:
        each[2] = each[1]
    cell = (a * each[0], b * each[1], c * each[2], alpha, beta, gamma)
    lines = structure_lines(dataclasses.replace(original, cell=cell), scene.axis, reach_deg=4)
    # Other elements in the same places change what is strong.
    strength = lines.intensity * rng.lognormal(0, 0.6, len(lines.intensity))
    return dataclasses.replace(lines, intensity=strength)


def _random_lattice(scene: _Scene, rng: np.random.Generator) -> LineSet:
    """Lines of a random cubic, tetragonal or orthorhombic cell, about half of them extinct."""
    axis = scene.axis
    edges = rng.uniform(2.8, 10.0, 3)
    edges = edges[[[0, 0, 0], [0, 0, 2], [0, 1, 2]][int(rng.integers(3))]]
    index = np.stack(np.meshgrid(*[np.arange(7)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[1:]
    sine = np.sqrt(((index / edges) ** 2).sum(axis=1)) * HC_KEV_ANGSTROM / axis.energy_kev / 2
    index, sine = index[sine < 1], sine[sine < 1]
    tth = 2 * np.degrees(np.arcsin(sine))
    keep = (tth > axis.tth_min_deg) & (tth < axis.tth_max_deg) & (rng.random(len(tth)) < 0.5)
    kept = rng.permutation(np.flatnonzero(keep))[:30]
    multiplicity = 2.0 ** (index[kept] > 0).sum(axis=1)
    return LineSet(tth_deg=tth[kept], intensity=rng.exponential(1.0, len(kept)), multiplicity=multiplicity)


def _random_lines(scene: _Scene, rng: np.random.Generator) -> LineSet:
    axis = scene.axis
    count = int(rng.integers(3, 16))
    tth = rng.uniform(axis.tth_min_deg + 0.5, axis.tth_max_deg - 0.5, count)
    multiplicity = rng.choice([2.0, 4.0, 6.0, 8.0, 12.0], count)
    return LineSet(tth_deg=tth, intensity=rng.exponential(1.0, count), multiplicity=multiplicity)


def _decoy(scene: _Scene, rng: np.random.Generator) -> LineSet:
    """Lines that belong to no class beside some of a class, of which one strong line or more is missing."""
    foreign = _random_lines(scene, rng)
    if not scene.known:
        return foreign
    lines = scene.known[int(rng.integers(len(scene.known)))]
    strong = np.flatnonzero(lines.intensity > 0.2)
    # The lone line of bcc or fcc iron is kept: beside many foreign lines it tells little.
    chosen = rng.permutation(strong)[: int(rng.integers(1, max(2, len(strong) // 2 + 1)))]
    return LineSet(
        tth_deg=np.concatenate([lines.tth_deg[chosen] + rng.normal(0, 0.08, len(chosen)), foreign.tth_deg]),
        intensity=np.concatenate([rng.uniform(0.2, 2.0, len(chosen)), foreign.intensity]),
        multiplicity=np.concatenate([lines.multiplicity[chosen], foreign.multiplicity]),
    )


def _lone_features(scene: _Scene, rng: np.random.Generator) -> LineSet:
    """One to three peaks or clusters of peaks, as opal, glass with a little crystal, or a bad subtraction leaves.

    None lies where the only line of a class is, such as that of bcc or fcc iron, for there a lone peak is the class.
    """
    axis = scene.axis
    if not scene.crowded:
        return _random_lines(scene, rng)
    tth: list[float] = []
    while not tth:
        table = scene.crowded[int(rng.choice(len(scene.crowded), p=scene.aimed))]
        for _ in range(int(rng.choice([1, 2, 3], p=[0.4, 0.35, 0.25]))):
            aimed = rng.choice(table.tth_deg[table.intensity > 0.25]) + rng.normal(0, 0.2)
            centre = aimed if rng.random() < 0.7 else rng.uniform(axis.tth_min_deg + 0.5, axis.tth_max_deg - 0.5)
            if np.abs(scene.lone_deg - centre).min(initial=np.inf) > _KEEP_OFF_DEG:
                parts = 1 if rng.random() < 0.6 else int(rng.integers(2, 6))
                tth.extend(centre + (rng.normal(0, 0.5, parts) if parts > 1 else np.zeros(1)))
    strength = rng.uniform(0.2, 1.0, len(tth))
    return LineSet(tth_deg=np.array(tth), intensity=strength, multiplicity=np.full(len(tth), 12.0))


def _as_impostor(lines: LineSet, targets: tuple[LineSet, ...], axis: PatternAxis, rng: np.random.Generator) -> LineSet:
    """Stretch the lattice so that one of its stronger lines falls on one of a class."""
    target = targets[int(rng.integers(len(targets)))]
    aim = float(rng.choice(target.tth_deg)) + rng.normal(0, 0.08)
    inside = (lines.tth_deg > axis.tth_min_deg) & (lines.tth_deg < axis.tth_max_deg)
    strong = np.flatnonzero(inside & (lines.intensity > 0.1 * lines.intensity.max(initial=0)))
    if not len(strong):
        return lines
    moved = float(lines.tth_deg[rng.choice(strong)])
    ratio = np.sin(np.radians(aim / 2)) / np.sin(np.radians(moved / 2))
    if not 1 - _MAX_STRETCH < ratio < 1 + _MAX_STRETCH:
        return lines
    sine = np.sin(np.radians(lines.tth_deg / 2)) * ratio
    keep = sine < 0.9
    return LineSet(
        tth_deg=2 * np.degrees(np.arcsin(sine[keep])),
        intensity=lines.intensity[keep],
        multiplicity=lines.multiplicity[keep],
    )


def _inside(lines: LineSet, axis: PatternAxis) -> LineSet:
    """Drop what lies off the axis and what is too weak to matter; scale the strongest left to 1."""
    near = (lines.tth_deg > axis.tth_min_deg - MARGIN_DEG) & (lines.tth_deg < axis.tth_max_deg + MARGIN_DEG)
    on = (lines.tth_deg > axis.tth_min_deg + 0.3) & (lines.tth_deg < axis.tth_max_deg - 0.3)
    peak = lines.intensity[on].max(initial=0)
    keep = near & (lines.intensity > 0.005 * peak)
    if peak <= 0:
        keep[:] = False
    return LineSet(
        tth_deg=lines.tth_deg[keep],
        intensity=np.minimum(lines.intensity[keep] / max(peak, 1e-300), 3.0),
        multiplicity=lines.multiplicity[keep],
    )
