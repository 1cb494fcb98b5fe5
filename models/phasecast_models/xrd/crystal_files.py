"""Crystal structures from CIF files, and what is doubtful about them.

Nothing is put right in silence: a structure that can be read but would give wrong intensities comes with a warning
that names the atom.
"""

from pathlib import Path

import gemmi
import numpy as np

from phasecast_models.xrd.crystal_doubts import (
    OXYGEN_LABELS,
    Symmetry,
    atom_doubts,
    content_doubts,
    overlaps,
    settings_of,
    symmetry_doubts,
)
from phasecast_models.xrd.structures import Atom, Structure, StructureError

DEFAULT_U_ISO_A2 = 0.006
_MOST_ATOMS = 1000


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
        *symmetry_doubts(symmetry, small.cell, atoms),
        *atom_doubts(atoms, _text(block, "_chemical_formula_sum", "_chemical_formula_structural")),
        *content_doubts(atoms, small.cell, symmetry.used, _text(block, "_chemical_formula_sum")),
        *overlaps(atoms, small.cell, symmetry.used),
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
        # Authors' names come in any encoding, which says nothing of the crystal.
        content = text if is_text else Path(text).read_bytes().decode("utf-8", errors="replace")
        document = gemmi.cif.read_string(content)
    except (RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StructureError(f"{where}: not a readable CIF ({reason})") from error
    blocks = [block for block in document if block.find_values("_atom_site_fract_x")]
    if len(blocks) != 1:
        found = "holds no atoms" if not blocks else f"holds {len(blocks)} structures"
        raise StructureError(f"{where}: {found}, give a file with one structure")
    return blocks[0], where


def _atom(site: gemmi.SmallStructure.Site, where: str) -> Atom:
    element = "O" if site.label.lower().startswith(OXYGEN_LABELS) else str(site.element.name)
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


def _symmetry(small: gemmi.SmallStructure, where: str) -> Symmetry:
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
        settings = [by_name] if by_name and ":" in name else settings_of(by_name)
        stated.append((f"symbol {name!r}", tuple(settings)))
    if small.spacegroup_number:
        number = int(small.spacegroup_number)
        stated.append((f"number {number}", tuple(g for g in gemmi.spacegroup_table() if g.number == number)))
    for used, source in ((by_operations, "operations"), (by_hall, "Hall symbol"), (by_name, "symbol")):
        if used is not None:
            return Symmetry(used=used, source=source, stated=tuple(stated))
    raise StructureError(f"{where}: needs symmetry operations, a Hall symbol or a known space group symbol")


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
