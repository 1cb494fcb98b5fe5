"""What is doubtful about a crystal: each doubt is one line of English that names the atom."""

import re
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.structures import Atom

OXYGEN_LABELS = ("wat", "ow", "oh", "o-h")
"""Water and hydroxyl, as mineral databases label them, in small letters."""

CLOSEST_ANGSTROM = 0.6
"""Two atoms nearer than this cannot both be there; the shortest bond, H-H in hydrogen, measures 0.74 A."""

_SAME_ATOM_ANGSTROM = 0.4
"""Images of one atom nearer than this are one atom on a special position (gemmi's own limit)."""
_CONTENT_TOLERANCE = 0.1
_FORMULA_PART = re.compile(r"([A-Z][a-z]?)\s*([0-9.]*)")

Positions = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Symmetry:
    """The group that is used and its source, and what else the file states: what, and the groups that it may mean."""

    used: gemmi.SpaceGroup
    source: str
    stated: tuple[tuple[str, tuple[gemmi.SpaceGroup, ...]], ...]


def settings_of(group: gemmi.SpaceGroup | None) -> list[gemmi.SpaceGroup]:
    """Return every setting with the same symbol: both origins, both axes."""
    if group is None:
        return []
    return [item for item in gemmi.spacegroup_table() if item.number == group.number and item.hm == group.hm]


def symmetry_doubts(symmetry: Symmetry, cell: gemmi.UnitCell, atoms: tuple[Atom, ...]) -> list[str]:
    """Return where the file's statements on symmetry, or cell and symmetry, disagree, and whom it concerns."""
    used = symmetry.used
    doubts = []
    for what, groups in symmetry.stated:
        if any(group.xhm() == used.xhm() for group in groups):
            continue
        if not groups:
            doubts.append(f"{what} is of no known space group; the {symmetry.source} say {used.xhm()!r}")
            continue
        effect = _effect(used, groups[0], cell, atoms)
        doubts.append(f"{what} disagrees with the {symmetry.source}, which say {used.xhm()!r} and are used; {effect}")
    if not cell.is_compatible_with_spacegroup(used):
        doubts.append(f"the cell has not the symmetry of {used.xhm()!r}, by which atom {atoms[0].label} is repeated")
    if symmetry.source == "symbol":
        rivals = [group for group in settings_of(used) if group.ext in ("1", "2") and group.xhm() != used.xhm()]
        for rival in rivals:
            effect = _effect(used, rival, cell, atoms)
            doubts.append(f"without operations {used.xhm()!r} was assumed, it might be {rival.xhm()!r}; {effect}")
    return doubts


def _effect(used: gemmi.SpaceGroup, rival: gemmi.SpaceGroup, cell: gemmi.UnitCell, atoms: tuple[Atom, ...]) -> str:
    for atom in atoms:
        here, there = (len(_images(atom, cell, group)) for group in (used, rival))
        if here != there:
            return f"atom {atom.label} stands {here} times in the cell, by the other {there} times"
    return f"every atom, {atoms[0].label} first, stands in the cell equally often by both"


def atom_doubts(atoms: tuple[Atom, ...], formula: str) -> list[str]:
    """Return doubts about occupancies, hydrogen that is left out, and elements that the formula lacks."""
    doubts = []
    for atom in atoms:
        if atom.occupancy <= 0 or atom.occupancy > 1.001:
            doubts.append(f"atom {atom.label} has the occupancy {atom.occupancy:g}, which is not between 0 and 1")
        elif atom.occupancy < 0.999:
            doubts.append(f"atom {atom.label} is there in part only, occupancy {atom.occupancy:g}")
    listed = {part[0] for part in _FORMULA_PART.findall(formula)}
    present = {"H" if atom.element == "D" else atom.element for atom in atoms}
    if "H" in listed and "H" not in present:
        held = [atom.label for atom in atoms if atom.label.lower().startswith(OXYGEN_LABELS)]
        at = f", probably at {', '.join(held)}" if held else ""
        doubts.append(f"atom H is in the formula {formula!r} but has no site{at}; it is left out")
    for atom in atoms if listed else ():
        element = "H" if atom.element == "D" else atom.element
        if element not in listed:
            doubts.append(f"atom {atom.label} was read as {element}, which the formula {formula!r} does not hold")
    return doubts


def content_doubts(atoms: tuple[Atom, ...], cell: gemmi.UnitCell, group: gemmi.SpaceGroup, formula: str) -> list[str]:
    """Compare what the cell holds with the formula: in a wrong setting atoms leave their special positions."""
    if re.search(r"\)\s*[0-9.]", formula):
        return []
    wanted: dict[str, float] = {}
    for element, count in _FORMULA_PART.findall(formula):
        wanted[element] = wanted.get(element, 0.0) + _number(count)
    held: dict[str, float] = {}
    for atom in atoms:
        held[atom.element] = held.get(atom.element, 0.0) + atom.occupancy * len(_images(atom, cell, group))
    common = [element for element in held if wanted.get(element, 0) > 0 and element not in ("H", "D")]
    if len(common) < 2:
        return []
    first = common[0]
    doubts = []
    for element in common[1:]:
        ratio = held[element] / held[first] / (wanted[element] / wanted[first]) if held[first] else np.inf
        if abs(np.log(max(ratio, 1e-9))) > _CONTENT_TOLERANCE:
            names = ", ".join(atom.label for atom in atoms if atom.element in (first, element))
            doubts.append(
                f"the cell holds {held[first]:g} {first} and {held[element]:g} {element}, the formula is {formula!r}; "
                f"is the setting that of the atoms {names}?"
            )
    return doubts


def _number(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 1.0


def overlaps(atoms: tuple[Atom, ...], cell: gemmi.UnitCell, group: gemmi.SpaceGroup) -> list[str]:
    """Return the pairs of atoms that are nearer than 0.6 angstrom and not partners of disorder."""
    images = [_images(atom, cell, group) for atom in atoms]
    doubts = []
    for first, atom in enumerate(atoms):
        for second in range(first, len(atoms)):
            partner = atoms[second]
            # Two half atoms are one that is here or there.
            if atom.occupancy + partner.occupancy <= 1.001:
                continue
            others = images[second][1:] if second == first else images[second]
            if not len(others):
                continue
            nearest = float(_distances(images[first][0], others, cell).min())
            if nearest < CLOSEST_ANGSTROM:
                whose = "an image of its own" if second == first else f"atom {partner.label}"
                doubts.append(f"atom {atom.label} overlaps with {whose}, {nearest:.2f} A away")
    return doubts


def _images(atom: Atom, cell: gemmi.UnitCell, group: gemmi.SpaceGroup) -> Positions:
    """Return where an atom stands in the cell, itself first, in fractions, (images, 3)."""
    start = [atom.x, atom.y, atom.z]
    places = np.array([operation.apply_to_xyz(start) for operation in group.operations()])
    kept: list[Positions] = []
    for place in places:
        if not kept or _distances(place, np.array(kept), cell).min() > _SAME_ATOM_ANGSTROM:
            kept.append(place)
    return np.array(kept)


def _distances(place: Positions, others: Positions, cell: gemmi.UnitCell) -> Positions:
    """Return distances in angstrom to the nearest periodic image of each, right for those below half a cell."""
    step = others - place
    step -= np.round(step)
    return np.asarray(np.linalg.norm(step @ np.array(cell.orth.mat.tolist()).T, axis=1))
