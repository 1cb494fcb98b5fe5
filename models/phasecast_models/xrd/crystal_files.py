"""Crystal structures from CIF files, and what is doubtful about them.

Nothing is put right in silence: a structure that can be read but would give wrong intensities comes with a warning
that names the atom.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.structures import Atom, Structure, StructureError

DEFAULT_U_ISO_A2 = 0.006
CLOSEST_ANGSTROM = 0.6
"""Two atoms nearer than this cannot both be there; the shortest bond, H-H in hydrogen, measures 0.74 A."""

_SAME_ATOM_ANGSTROM = 0.4
"""Images of one atom nearer than this are one atom on a special position (gemmi's own limit)."""
_MOST_ATOMS = 1000
# Water and hydroxyl, as mineral databases label them.
_OXYGEN_LABELS = ("wat", "ow", "oh", "o-h")
_FORMULA_PART = re.compile(r"([A-Z][a-z]?)\s*([0-9.]*)")

Positions = NDArray[np.float64]


def structure_from_cif(
    source: str | Path, *, class_id: str = "other", structure_id: str = ""
) -> tuple[Structure, tuple[str, ...]]:
    """Read one crystal structure.

    Parameters
    ----------
    source
        A file, or the text of one (anything with a line break).
    class_id
        Class the structure counts for.
    structure_id
        Id it gets; by default the name of the file or of the data block.

    Returns
    -------
    structure, warnings
        The warnings are lines of English, each with the file and, where one is to blame, the atom.

    Raises
    ------
    StructureError
        If the text is no CIF, holds no or several structures, no usable cell or symmetry, or an atom without a known
        element or without coordinates.
    """
    block, where = _block(source)
    small = gemmi.make_small_structure_from_block(block)
    if not small.sites:
        raise StructureError(f"{where}: needs at least one atom with coordinates")
    if len(small.sites) > _MOST_ATOMS:
        raise StructureError(f"{where}: {len(small.sites)} atoms, at most {_MOST_ATOMS} can be used")
    if not small.cell.is_crystal() or not 0 < small.cell.volume < 1e6:
        raise StructureError(f"{where}: needs a cell, _cell_length_a to _cell_angle_gamma")
    atoms = tuple(_atom(site, where) for site in small.sites)
    symmetry = _symmetry(small, where)
    doubts = [
        *_symmetry_doubts(symmetry, small.cell, atoms),
        *_atom_doubts(atoms, _text(block, "_chemical_formula_sum", "_chemical_formula_structural")),
        *_overlaps(atoms, small.cell, symmetry.used),
    ]
    a, b, c, alpha, beta, gamma = (round(value, 6) for value in small.cell.parameters)
    amcsd = _text(block, "_database_code_amcsd")
    structure = Structure(
        id=structure_id or (block.name if "\n" in str(source) else Path(source).stem) or "crystal",
        name=_text(block, "_chemical_name_mineral", "_chemical_name_common", "_chemical_name_systematic"),
        formula=_text(block, "_chemical_formula_sum"),
        phase_class=class_id,
        space_group=symmetry.used.xhm(),
        cell=(a, b, c, alpha, beta, gamma),
        atoms=atoms,
        amcsd=int(amcsd) if amcsd.isdigit() else 0,
        citation=_citation(block),
    )
    return structure, tuple(f"{where}: {doubt}" for doubt in doubts)


def _block(source: str | Path) -> tuple[gemmi.cif.Block, str]:
    text = str(source)
    is_text = "\n" in text
    where = "CIF text" if is_text else text
    try:
        document = gemmi.cif.read_string(text) if is_text else gemmi.cif.read(text)
    except (RuntimeError, ValueError, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StructureError(f"{where}: not a readable CIF ({reason})") from error
    blocks = [block for block in document if block.find_values("_atom_site_fract_x")]
    if len(blocks) != 1:
        found = "holds no atoms" if not blocks else f"holds {len(blocks)} structures"
        raise StructureError(f"{where}: {found}, give a file with one structure")
    return blocks[0], where


def _atom(site: gemmi.SmallStructure.Site, where: str) -> Atom:
    element = "O" if site.label.lower().startswith(_OXYGEN_LABELS) else str(site.element.name)
    if element == "X":
        raise StructureError(
            f"{where}: atom {site.label!r} is of no known element - give _atom_site_type_symbol or rename it"
        )
    place = (site.fract.x, site.fract.y, site.fract.z)
    if not np.isfinite(place).all():
        raise StructureError(f"{where}: atom {site.label!r} has no coordinates")
    return Atom(
        label=str(site.label),
        element=element,
        x=round(site.fract.x, 6),
        y=round(site.fract.y, 6),
        z=round(site.fract.z, 6),
        occupancy=round(site.occ, 6),
        u_iso_a2=round(site.u_iso, 6) if site.u_iso > 0 else DEFAULT_U_ISO_A2,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Symmetry:
    """The group that is used, and what else the file states: (what, group) pairs, with None where it is unknown."""

    used: gemmi.SpaceGroup
    source: str
    stated: tuple[tuple[str, tuple[gemmi.SpaceGroup, ...]], ...]


def _symmetry(small: gemmi.SmallStructure, where: str) -> _Symmetry:
    by_operations = by_hall = None
    stated: list[tuple[str, tuple[gemmi.SpaceGroup, ...]]] = []
    try:
        if small.symops:
            by_operations = gemmi.find_spacegroup_by_ops(gemmi.GroupOps([gemmi.Op(text) for text in small.symops]))
        if small.spacegroup_hall:
            by_hall = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(small.spacegroup_hall))
            stated.append((f"Hall symbol {small.spacegroup_hall!r}", (by_hall,) if by_hall else ()))
    except (RuntimeError, ValueError) as error:
        raise StructureError(f"{where}: its symmetry cannot be read ({' '.join(str(error).split())})") from error
    if small.symops and by_operations is None:
        raise StructureError(
            f"{where}: the {len(small.symops)} symmetry operations are no setting of a space group in the tables - "
            "are some missing? Convert the structure to a standard setting"
        )
    name = small.spacegroup_hm.strip().lstrip("*").strip()
    by_name = gemmi.find_spacegroup_by_name(name, small.cell.alpha, small.cell.gamma, "2") if name else None
    if name:
        settings = [by_name] if by_name and ":" in name else _settings(by_name)
        stated.append((f"symbol {name!r}", tuple(settings)))
    if small.spacegroup_number:
        number = int(small.spacegroup_number)
        stated.append((f"number {number}", tuple(g for g in gemmi.spacegroup_table() if g.number == number)))
    for used, source in ((by_operations, "operations"), (by_hall, "Hall symbol"), (by_name, "symbol")):
        if used is not None:
            return _Symmetry(used=used, source=source, stated=tuple(stated))
    raise StructureError(f"{where}: needs symmetry operations, a Hall symbol or a known space group symbol")


def _settings(group: gemmi.SpaceGroup | None) -> list[gemmi.SpaceGroup]:
    """Return every setting with the same symbol: both origins, both axes."""
    if group is None:
        return []
    return [item for item in gemmi.spacegroup_table() if item.number == group.number and item.hm == group.hm]


def _symmetry_doubts(symmetry: _Symmetry, cell: gemmi.UnitCell, atoms: tuple[Atom, ...]) -> list[str]:
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
    if symmetry.source == "symbol":
        rivals = [group for group in _settings(used) if group.ext in ("1", "2") and group.xhm() != used.xhm()]
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


def _atom_doubts(atoms: tuple[Atom, ...], formula: str) -> list[str]:
    doubts = []
    for atom in atoms:
        if atom.occupancy <= 0 or atom.occupancy > 1.001:
            doubts.append(f"atom {atom.label} has the occupancy {atom.occupancy:g}, which is not between 0 and 1")
        elif atom.occupancy < 0.999:
            doubts.append(f"atom {atom.label} is there in part only, occupancy {atom.occupancy:g}")
    listed = {part[0] for part in _FORMULA_PART.findall(formula)}
    present = {"H" if atom.element == "D" else atom.element for atom in atoms}
    if "H" in listed and "H" not in present:
        held = [atom.label for atom in atoms if atom.label.lower().startswith(_OXYGEN_LABELS)]
        at = f", probably at {', '.join(held)}" if held else ""
        doubts.append(f"atom H is in the formula {formula!r} but has no site{at}; it is left out")
    for atom in atoms if listed else ():
        element = "H" if atom.element == "D" else atom.element
        if element not in listed:
            doubts.append(f"atom {atom.label} was read as {element}, which the formula {formula!r} does not hold")
    return doubts


def _overlaps(atoms: tuple[Atom, ...], cell: gemmi.UnitCell, group: gemmi.SpaceGroup) -> list[str]:
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


def _text(block: gemmi.cif.Block, *tags: str) -> str:
    for tag in tags:
        value = block.find_value(tag)
        text = gemmi.cif.as_string(value).strip() if value else ""
        if text:
            return text
    return ""


def _citation(block: gemmi.cif.Block) -> str:
    authors = [gemmi.cif.as_string(value) for value in block.find_values("_publ_author_name")]
    if not authors:
        return ""
    names = ", ".join(authors[:3]) + (" et al." if len(authors) > 3 else "")
    volume, year = _text(block, "_journal_volume"), _text(block, "_journal_year")
    first, last = _text(block, "_journal_page_first"), _text(block, "_journal_page_last")
    return f"{names} ({year}) {_text(block, '_journal_name_full')} {volume}, {first}-{last}".replace('"', "'")
