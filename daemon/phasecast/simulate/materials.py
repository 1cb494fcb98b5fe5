"""What the simulated rust is made of: how it scatters, absorbs and fluoresces at 10 keV."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One material of the cross-section, seen by a 10 keV beam.

    Parameters
    ----------
    name
        Id; the first six and resin are also class ids.
    mu_per_um
        Linear absorption coefficient, from the transmission of 10 um (Fe 0.26, Fe3O4 0.52, FeOOH 0.63).
    bragg
        Counts in all rings on the detector per um, goethite = 1; 0 for what has no rings.
    iron
        Iron atoms per volume, ferrite = 1: strength of the fluorescence.
    grains
        Crystallites that light up one whole ring; few make it spotty. 0: coarse grains, single spots.
    fwhm_deg
        Ring width, instrument and size broadening together.
    """

    name: str
    mu_per_um: float
    bragg: float
    iron: float
    grains: float
    fwhm_deg: float


MATERIALS: tuple[Material, ...] = (
    Material(name="magnetite", mu_per_um=0.0654, bragg=1.5, iron=0.49, grains=9000, fwhm_deg=0.22),
    Material(name="goethite", mu_per_um=0.0462, bragg=1.0, iron=0.34, grains=20000, fwhm_deg=0.32),
    Material(name="lepidocrocite", mu_per_um=0.0450, bragg=1.1, iron=0.32, grains=14000, fwhm_deg=0.28),
    Material(name="ferrite", mu_per_um=0.1347, bragg=1.0, iron=1.0, grains=0, fwhm_deg=0.13),
    Material(name="austenite", mu_per_um=0.1340, bragg=1.0, iron=0.98, grains=0, fwhm_deg=0.13),
    Material(name="cementite", mu_per_um=0.1250, bragg=1.0, iron=0.92, grains=150, fwhm_deg=0.20),
    Material(name="resin", mu_per_um=0.0009, bragg=0.0, iron=0.0, grains=0, fwhm_deg=5.0),
    Material(name="hematite", mu_per_um=0.0660, bragg=1.2, iron=0.47, grains=600, fwhm_deg=0.20),
    Material(name="quartz", mu_per_um=0.0050, bragg=0.8, iron=0.0, grains=80, fwhm_deg=0.14),
)
NAMES: tuple[str, ...] = tuple(material.name for material in MATERIALS)
INDEX: dict[str, int] = {name: position for position, name in enumerate(NAMES)}
COARSE_IRON: tuple[int, ...] = (INDEX["ferrite"], INDEX["austenite"])
IRON_METAL: tuple[int, ...] = (INDEX["ferrite"], INDEX["austenite"], INDEX["cementite"])
