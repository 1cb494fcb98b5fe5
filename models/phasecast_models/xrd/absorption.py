"""How strongly matter absorbs X-rays: from the anomalous f'' that the powder lines use as well.

mu = 2 r_e lambda sum(n f'') / V is the photoelectric part, by the optical theorem (Als-Nielsen and McMorrow, Elements
of Modern X-ray Physics, 2011, ch. 8); f'' is that of Cromer and Liberman as gemmi computes it. Scattering is left out:
at 10 keV it adds 0.1 % to iron and some 3 % to a resin.
"""

from collections.abc import Mapping

import gemmi
import numpy as np
from numpy.typing import ArrayLike, NDArray

from phasecast_models.xrd.structures import HC_KEV_ANGSTROM, Structure, get_structure, unit_cell_content

FE_K_EDGE_KEV = 7.112
"""Photons above it make iron fluoresce (X-ray Data Booklet, LBNL 2009)."""

FE_K_ALPHA_KEV = 6.4
"""Energy of that fluorescence, which a detector with a higher threshold does not count."""

_ELECTRON_RADIUS_ANGSTROM = 2.8179403e-5
_AVOGADRO_PER_ANGSTROM3 = 0.602214076
# Cured epoxy resin from bisphenol A and epichlorohydrin, of which chlorine stays behind; it absorbs most of all.
_RESIN = {"C": 21.0, "H": 25.0, "Cl": 1.0, "O": 5.0}
_RESIN_G_PER_CM3 = 1.2
_AMORPHOUS_RUST_DENSITY = 3.9 / 4.27
"""Ferrihydrite over goethite, g/cm3 (Cornell and Schwertmann, The Iron Oxides, 2003, table 2-1, rounded)."""


def structure_attenuation_per_um(structure: Structure, energy_kev: float) -> float:
    """Return the linear absorption coefficient of a crystal without pores, per um."""
    volume = gemmi.UnitCell(*structure.cell).volume
    return _attenuation_per_um(unit_cell_content(structure), volume, energy_kev)


def compound_attenuation_per_um(formula: Mapping[str, float], density_g_per_cm3: float, energy_kev: float) -> float:
    """Return the linear absorption coefficient of a compound, per um; ``formula`` is atoms by element."""
    weight = sum(gemmi.Element(element).weight * count for element, count in formula.items())
    volume = weight / (density_g_per_cm3 * _AVOGADRO_PER_ANGSTROM3)
    return _attenuation_per_um(formula, volume, energy_kev)


def iron_attenuation_per_um(energy_kev: float) -> float:
    """Return that of iron metal: 10 um let 0.26 of the light pass at 10 keV."""
    return structure_attenuation_per_um(get_structure("ferrite"), energy_kev)


def amorphous_rust_attenuation_per_um(energy_kev: float) -> float:
    """Return that of rust without crystals, taken for FeOOH of the density of ferrihydrite."""
    return structure_attenuation_per_um(get_structure("goethite"), energy_kev) * _AMORPHOUS_RUST_DENSITY


def resin_attenuation_per_um(energy_kev: float) -> float:
    """Return that of the embedding resin: 10 um let 0.991 of the light pass at 10 keV."""
    return compound_attenuation_per_um(_RESIN, _RESIN_G_PER_CM3, energy_kev)


def slab_transmission(attenuation_per_um: ArrayLike, thickness_um: ArrayLike) -> NDArray[np.float64]:
    """Return the share of light that passes a slab at right angles (Lambert and Beer)."""
    return np.asarray(np.exp(-np.asarray(attenuation_per_um, np.float64) * np.asarray(thickness_um, np.float64)))


def _attenuation_per_um(content: Mapping[str, float], volume_angstrom3: float, energy_kev: float) -> float:
    wavelength = HC_KEV_ANGSTROM / energy_kev
    f_double_prime = 0.0
    for element, count in content.items():
        number = gemmi.Element(element).atomic_number
        f_double_prime += count * gemmi.cromer_liberman(z=number, energy=energy_kev * 1e3)[1]
    return float(2 * _ELECTRON_RADIUS_ANGSTROM * wavelength * f_double_prime / volume_angstrom3 * 1e4)
