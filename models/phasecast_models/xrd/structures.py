"""Crystal structures as data, and the powder lines that follow from them.

The structures lie in ``structures.toml`` (cell, space group, atoms, source); the lines are kinematic
powder intensities with the anomalous f' of Cromer and Liberman at the photon energy in use.
"""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

import gemmi
import numpy as np
from numpy.typing import NDArray

HC_KEV_ANGSTROM = 12.398419843
"""Planck constant times speed of light (CODATA 2018, exact to the digits shown)."""


class StructureError(ValueError):
    """A crystal structure that is unknown or cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Atom:
    """One site of the asymmetric unit."""

    label: str
    element: str
    x: float
    y: float
    z: float
    occupancy: float
    u_iso_a2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """A crystal structure with its source.

    ``phase_class`` is the class id it counts for (``"other"`` for minerals without a class of their own);
    ``cell`` holds a, b, c in angstrom and alpha, beta, gamma in degrees; ``space_group`` is an extended
    Hermann-Mauguin symbol in the setting of the atoms.
    """

    id: str
    name: str
    formula: str
    phase_class: str
    space_group: str
    cell: tuple[float, float, float, float, float, float]
    atoms: tuple[Atom, ...]
    amcsd: int
    citation: str
    cell_citation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowderLines:
    """Powder lines in ascending angle; all arrays have one entry per line family.

    ``intensity`` is F^2 times multiplicity over sin^2(theta) cos(theta), strongest line in the window = 100:
    what an azimuthal average over whole rings gives after solid angle and polarisation are corrected. ``strength`` is
    that of the strongest line over the square of the cell's volume, electrons^2 per angstrom^6: what equal volumes of
    two phases scatter compares as this does.
    """

    tth_deg: NDArray[np.float64]
    intensity: NDArray[np.float64]
    hkl: NDArray[np.int64]
    multiplicity: NDArray[np.int64]
    d_angstrom: NDArray[np.float64]
    strength: float

    def __len__(self) -> int:
        return len(self.tth_deg)


@functools.cache
def load_structures() -> Mapping[str, Structure]:
    """Return every shipped structure by its id."""
    text = resources.files(__package__).joinpath("structures.toml").read_text(encoding="utf-8")
    return MappingProxyType({key: _from_table(key, table) for key, table in tomllib.loads(text).items()})


def get_structure(structure_id: str) -> Structure:
    """Return one shipped structure.

    Raises
    ------
    StructureError
        If no structure has that id.
    """
    structures = load_structures()
    if structure_id not in structures:
        known = ", ".join(structures)
        raise StructureError(f"no structure {structure_id!r} is shipped - choose one of: {known}")
    return structures[structure_id]


def unit_cell_content(structure: Structure) -> dict[str, float]:
    """Return the number of atoms of each element in one unit cell."""
    small = _small_structure(structure)
    operations = len(small.spacegroup.operations())
    content: dict[str, float] = {}
    for site in small.sites:
        content[site.element.name] = content.get(site.element.name, 0.0) + site.occ * operations
    return content


def powder_lines(
    structure: Structure, energy_kev: float, tth_min_deg: float = 10.0, tth_max_deg: float = 40.0
) -> PowderLines:
    """Return the powder lines of a structure inside a window of scattering angle.

    Lines of the same spacing (333 and 511 of a cubic crystal) are added up and named after the stronger one.
    Formula: Warren, X-Ray Diffraction (1969), ch. 4, without polarisation.
    """
    if not 0 < tth_min_deg < tth_max_deg < 180:
        raise StructureError(f"the window {tth_min_deg:g}-{tth_max_deg:g} deg is not inside 0-180 deg")
    wavelength = HC_KEV_ANGSTROM / energy_kev
    d_min = wavelength / (2 * np.sin(np.radians(tth_max_deg / 2)))
    d_max = wavelength / (2 * np.sin(np.radians(tth_min_deg / 2)))
    small = _small_structure(structure)
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    for element in {site.element.name for site in small.sites}:
        number = gemmi.Element(element).atomic_number
        f_prime, _ = gemmi.cromer_liberman(z=number, energy=energy_kev * 1e3)
        calculator.addends.set(gemmi.Element(element), f_prime)
    group = small.spacegroup
    operations = group.operations()
    families: dict[int, tuple[float, float, int, list[int], float]] = {}
    for miller in gemmi.make_miller_array(small.cell, group, d_min, d_max, unique=True):
        hkl = [int(index) for index in miller]
        if operations.is_systematically_absent(hkl):
            continue
        d = small.cell.calculate_d(hkl)
        f_squared = abs(calculator.calculate_sf_from_small_structure(small, hkl)) ** 2
        equivalent: set[tuple[int, ...]] = {tuple(operation.apply_to_hkl(hkl)) for operation in operations.sym_ops}
        equivalent |= {tuple(-index for index in indices) for indices in equivalent}
        hkl, multiplicity = list(max(equivalent)), len(equivalent)
        sine = wavelength / (2 * d)
        intensity = f_squared * multiplicity / (sine**2 * np.sqrt(1 - sine**2))
        key = round(d * 1e6)
        if key in families:
            d0, total, count, named, strongest = families[key]
            name = hkl if intensity > strongest else named
            families[key] = (d0, total + intensity, count + multiplicity, name, max(strongest, intensity))
        else:
            families[key] = (d, intensity, multiplicity, hkl, intensity)
    rows = [families[key] for key in sorted(families, reverse=True)]
    peak = max((row[1] for row in rows), default=1.0)
    rows = [row for row in rows if row[1] > 1e-6 * peak]
    d_angstrom = np.array([row[0] for row in rows])
    return PowderLines(
        tth_deg=2 * np.degrees(np.arcsin(wavelength / (2 * d_angstrom))) if rows else np.empty(0),
        intensity=np.array([100 * row[1] / peak for row in rows]),
        hkl=np.array([row[3] for row in rows], dtype=np.int64).reshape(-1, 3),
        multiplicity=np.array([row[2] for row in rows], dtype=np.int64),
        d_angstrom=d_angstrom,
        strength=peak / small.cell.volume**2 if rows else 0.0,
    )


def structures_to_toml(structures: Mapping[str, Structure]) -> str:
    """Return the text of ``structures.toml`` for these structures."""
    lines = []
    for key, item in structures.items():
        lines += [f"[{key}]", f'name = "{item.name}"', f'formula = "{item.formula}"']
        lines += [f'phase_class = "{item.phase_class}"', f'space_group = "{item.space_group}"']
        lines += [f"cell = [{', '.join(f'{value}' for value in item.cell)}]", f"amcsd = {item.amcsd}"]
        lines += [f'citation = "{item.citation}"']
        if item.cell_citation:
            lines += [f'cell_citation = "{item.cell_citation}"']
        lines += ["atoms = ["]
        lines += [
            f'    ["{a.label}", "{a.element}", {a.x}, {a.y}, {a.z}, {a.occupancy}, {a.u_iso_a2}],' for a in item.atoms
        ]
        lines += ["]", ""]
    return "\n".join(lines)


def _small_structure(structure: Structure) -> gemmi.SmallStructure:
    small = gemmi.SmallStructure()
    small.cell = gemmi.UnitCell(*structure.cell)
    small.spacegroup = gemmi.find_spacegroup_by_name(structure.space_group)
    if small.spacegroup is None:
        raise StructureError(f"{structure.id}: {structure.space_group!r} is not a space group symbol")
    for atom in structure.atoms:
        site = gemmi.SmallStructure.Site()
        site.label = atom.label
        site.type_symbol = atom.element
        site.element = gemmi.Element(atom.element)
        site.fract = gemmi.Fractional(atom.x % 1, atom.y % 1, atom.z % 1)
        site.occ = atom.occupancy
        site.u_iso = atom.u_iso_a2
        small.add_site(site)
    small.setup_cell_images()
    # Without this call atoms on special positions are counted once per operation: Fe3C 011 comes out as 33
    # instead of 0.3, siderite and hematite are wrong too.
    small.change_occupancies_to_crystallographic()
    return small


def _from_table(key: str, table: Mapping[str, object]) -> Structure:
    rows = table["atoms"]
    cell = table["cell"]
    amcsd = table["amcsd"]
    if not isinstance(rows, list) or not isinstance(cell, list) or not isinstance(amcsd, int):
        raise StructureError(f"structures.toml, {key}: atoms and cell must be lists, amcsd a number")
    a, b, c, alpha, beta, gamma = (float(value) for value in cell)
    return Structure(
        id=key,
        name=str(table["name"]),
        formula=str(table["formula"]),
        phase_class=str(table["phase_class"]),
        space_group=str(table["space_group"]),
        cell=(a, b, c, alpha, beta, gamma),
        atoms=tuple(
            Atom(label=str(n), element=str(e), x=x, y=y, z=z, occupancy=occupancy, u_iso_a2=u_iso)
            for n, e, x, y, z, occupancy, u_iso in rows
        ),
        amcsd=amcsd,
        citation=str(table["citation"]),
        cell_citation=str(table.get("cell_citation", "")),
    )
