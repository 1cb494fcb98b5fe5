"""Physics of the hidden domain: what a place of a section scatters, in units of the fluorescence of thick iron.

Written apart from the training simulation, of which it uses the structures and the axis alone. One unit of
intensity is what iron would radiate per pixel if every photon it absorbed came back as fluorescence in the window
(yield 0.35 over the whole sphere: 0.0279 photons per steradian and photon). On that scale 10 um of magnetite
put 4.8 bins of 0.1 deg into their (311), 10 um of resin a halo of 0.004, and 5 mm of air about 0.002:
cross-sections, no fit.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from phasecast_models.xrd.axis import BL16XU_AXIS, CLASSES
from phasecast_models.xrd.structures import HC_KEV_ANGSTROM, load_structures, powder_lines, unit_cell_content

Floats = NDArray[np.float64]

AXIS = BL16XU_AXIS
METALS = ("ferrite", "austenite", "cementite")
OXIDES = ("magnetite", "goethite", "lepidocrocite")

PIXELS_PER_BIN = 316.0
"""487 x 195 pixels over 300 bins."""

# F^2 m / (V^2 sin^2 theta cos theta) of the strongest line at 10-40 deg and 10 keV, over that of magnetite 311.
# fmt: off
_POWER = {
    "magnetite": 1.0, "maghemite": 0.853, "goethite": 0.408, "lepidocrocite": 0.520, "ferrite": 3.722,
    "austenite": 2.739, "cementite": 0.638, "hematite": 0.625, "akaganeite": 0.136, "feroxyhyte": 0.205,
    "ferrihydrite": 0.290, "siderite": 0.503, "wustite": 0.907, "bernalite": 0.189, "amakinite": 1.027,
    "green_rust": 0.194, "vivianite": 0.176, "pyrite": 0.483, "troilite": 0.782, "greigite": 0.504,
    "mackinawite": 0.705, "quartz": 0.516, "calcite": 0.293, "gypsum": 0.121, "halite": 0.346,
    "portlandite": 0.551, "graphite": 0.170,
}
# fmt: on
PHASES = tuple(_POWER)
"""Structure ids, the columns of every array of volume shares; a structure added later does not join them."""

CRYSTALLINE = (*CLASSES[:6], "other")
"""Classes that show lines."""

COLUMN = np.array([CRYSTALLINE.index(load_structures()[name].phase_class) for name in PHASES])
"""Class of every phase, as an index into ``CRYSTALLINE``."""

# fmt: off
# Mass attenuation at 10 keV, cm^2/g (Hubbell and Seltzer, NISTIR 5632).
_ATTENUATION = {
    "H": 0.385, "C": 2.373, "O": 5.952, "Na": 15.57, "Mg": 21.05, "Si": 33.89, "P": 40.35, "S": 50.12,
    "Cl": 57.25, "K": 79.07, "Ca": 93.41, "Fe": 170.6,
}
# fmt: on
_OUTGOING = 0.42  # attenuation of Fe K-alpha (6.4 keV, below the edge) over that of 10 keV, iron and its oxides
_MAGNETITE_BINS_PER_10UM = 4.8
_RESIN_MT_PER_10UM = 0.009
_AMORPHOUS_MT_PER_10UM = 0.40  # FeOOH nH2O, 3.6 g/cm^3
_HALO_PER_10UM = 0.0043
_DIFFUSE_PER_10UM = 0.004
_SIZE_NM: Mapping[str, tuple[float, float]] = {
    "magnetite": (8, 45),
    "maghemite": (6, 30),
    "goethite": (7, 40),
    "lepidocrocite": (7, 40),
    "ferrite": (30, 90),
    "austenite": (30, 90),
    "cementite": (14, 45),
    "ferrihydrite": (1.5, 3.5),
    "feroxyhyte": (3, 12),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What one section and one mounting share; every array has one entry per sample, angles in degrees."""

    thickness_um: Floats
    fluorescence: Floats
    zero_deg: Floats
    distance: Floats
    instrument_deg: Floats
    slope: Floats
    horizontal: NDArray[np.bool_]
    halo_deg: Floats
    halo_fwhm_deg: Floats
    hump: Floats
    halo: Floats
    air: Floats
    air_decay_deg: Floats
    tails: Floats
    strain: Floats
    split: Floats
    dip_bin: NDArray[np.int64]
    dip_depth: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Voxels:
    """What the beam meets at each point.

    ``share`` (n, phases), ``resin`` (n,) and ``amorphous`` (n,) are volume shares, what is missing to one is air;
    ``grains`` (n, phases) is the mean number of grains N_g; ``met`` overrides the luck of grains for some phases:
    structure id to multiplier, (n,) for all its lines.
    """

    sample: NDArray[np.int64]
    share: Floats
    resin: Floats
    amorphous: Floats
    grains: Floats
    met: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scattering:
    """Intensity per bin before counting: ``bragg`` (n, crystalline classes, bins), ``halo`` and ``total`` (n, bins).

    ``norm`` (n, bins) turns intensity into counts of a bin, up to the exposure; ``metal`` (n,) is the share of
    the absorbance that belongs to metal, ``transmission`` (n,) the noise-free one.
    """

    bragg: NDArray[np.float32]
    halo: Floats
    total: Floats
    norm: Floats
    metal: Floats
    transmission: Floats


def draw_samples(count: int, rng: np.random.Generator) -> Samples:
    """Draw mountings; the ranges are shifted against those of the training simulation."""
    # In one sample of seven the threshold stands above 6.4 keV and lets a few percent of the fluorescence through.
    cut = rng.random(count) < 0.15
    return Samples(
        thickness_um=rng.uniform(5, 20, count),
        fluorescence=np.where(cut, rng.uniform(0.002, 0.03, count), rng.uniform(0.4, 1.0, count)),
        zero_deg=rng.uniform(-0.1, 0.1, count),
        distance=rng.normal(0, 0.0015, count),
        instrument_deg=rng.uniform(0.08, 0.22, count),
        slope=rng.uniform(-0.35, 0.35, count),
        horizontal=rng.random(count) < 0.5,
        halo_deg=rng.uniform(14.2, 16.8, count),
        halo_fwhm_deg=rng.uniform(4.0, 8.0, count),
        hump=rng.uniform(0.1, 0.5, count),
        halo=_HALO_PER_10UM * rng.lognormal(0, 0.3, count),
        # From 5 mm to 2 cm of air between the end of the collimator and the beam stop.
        air=np.exp(rng.uniform(np.log(0.002), np.log(0.008), count)),
        air_decay_deg=rng.uniform(3.0, 18.0, count),
        # The focus has tails of a few 10^-4 to 10^-3, which reach iron from anywhere near it.
        tails=np.exp(rng.uniform(np.log(0.0003), np.log(0.003), count)),
        strain=rng.uniform(0.001, 0.0035, count),
        split=rng.uniform(0.08, 0.2, count),
        dip_bin=np.where(rng.random(count) < 0.12, rng.integers(10, AXIS.bins - 20, count), AXIS.bins),
        dip_depth=rng.uniform(0.02, 0.1, count),
    )


def absorbance_per_10um() -> Floats:
    """Attenuation coefficient times 10 um of every phase at 10 keV, shape (phases,)."""
    return _tables()[0]


def scatter(voxels: Voxels, samples: Samples, rng: np.random.Generator) -> Scattering:
    """Return what each voxel scatters; ``rng`` draws texture, grains, strain and sizes."""
    n, tth = len(voxels.sample), AXIS.tth_deg
    at = voxels.sample
    depth = samples.thickness_um[at] / 10
    per_phase, iron_part = _tables()
    phase_mt = voxels.share * per_phase * depth[:, None]
    iron_mt = phase_mt @ iron_part + voxels.amorphous * _AMORPHOUS_MT_PER_10UM * depth
    mt = phase_mt.sum(axis=1) + (voxels.amorphous * _AMORPHOUS_MT_PER_10UM + voxels.resin * _RESIN_MT_PER_10UM) * depth
    slanted = 1 / np.cos(np.radians(tth))[None, :]
    x = mt[:, None] * (slanted - 1)
    slab = np.exp(-mt)[:, None] * np.where(x > 1e-9, -np.expm1(-x) / np.maximum(x, 1e-9), 1.0)

    # Made at any depth on the way in, absorbed less on the way out: integral of e^-mz e^-m'(t-z)/cos over z.
    out = _OUTGOING * mt[:, None] * slanted
    gap = out - mt[:, None]
    made = np.where(np.abs(gap) > 1e-6, (np.exp(-mt)[:, None] - np.exp(-out)) / np.where(gap == 0, 1, gap), slab)
    fluorescence = (iron_mt[:, None] * made + samples.tails[at, None]) * samples.fluorescence[at, None]
    # The correction for polarised scattering lifts what is not polarised.
    fluorescence = fluorescence / np.where(samples.horizontal[at, None], np.cos(np.radians(tth))[None, :] ** 2, 1.0)

    second = samples.hump[at, None] * _lorentz(tth, samples.halo_deg[at] * 1.85, samples.halo_fwhm_deg[at] * 1.6)
    first = _gauss(tth, samples.halo_deg[at], samples.halo_fwhm_deg[at])
    halo = (first + second) * (samples.halo[at] * depth * voxels.resin)[:, None] * slab
    air = samples.air[at, None] * np.exp(-mt)[:, None] / (1 + ((tth - 8) / samples.air_decay_deg[at, None]) ** 2)
    rising = (np.sin(np.radians(tth / 2)) / np.sin(np.radians(17))) ** 2
    solid = voxels.share.sum(axis=1) + voxels.amorphous
    diffuse = _DIFFUSE_PER_10UM * (solid * depth)[:, None] * rising * slab
    # Rust without order keeps the two humps of ferrihydrite, of which the window holds d = 2.55 A; feebly.
    hump = _lorentz(tth, rng.uniform(27.3, 29.3, n), rng.uniform(5, 10, n)) * rng.uniform(0.0, 0.08, n)[:, None]
    amorphous = hump * (voxels.amorphous * depth)[:, None] * slab

    bragg = _bragg(voxels, samples, rng) * slab.astype(np.float32)[:, None, :]
    unit = (tth - 25) / 15
    seen = 1 + samples.slope[at, None] * unit
    index = np.arange(AXIS.bins)
    dip = (index >= samples.dip_bin[at, None]) & (index < samples.dip_bin[at, None] + 4)
    seen = seen * np.where(dip, 1 - samples.dip_depth[at, None], 1.0)
    total = (bragg.sum(axis=1) + halo + fluorescence + air + diffuse + amorphous) * seen
    # Solid angle of a flat detector square to 25 deg, polarisation of a horizontal arm plane, short rows at the ends.
    norm = np.cos(np.radians(tth - 25)) ** 3 * np.minimum(1, np.minimum(tth - 9.75, 40.25 - tth) / 0.7)
    polarised = np.where(samples.horizontal[at, None], np.cos(np.radians(tth)) ** 2, 1.0)
    metal = phase_mt[:, [PHASES.index(name) for name in METALS]].sum(axis=1)
    return Scattering(
        bragg=bragg * seen.astype(np.float32)[:, None, :],
        halo=halo * seen,
        total=total,
        norm=norm[None, :] * polarised,
        metal=metal / np.maximum(mt, 1e-12),
        transmission=np.exp(-mt),
    )


def _bragg(voxels: Voxels, samples: Samples, rng: np.random.Generator) -> NDArray[np.float32]:
    out = np.zeros((len(voxels.sample), len(CRYSTALLINE), AXIS.bins), np.float32)
    for column, name in enumerate(PHASES):
        rows = np.flatnonzero(voxels.share[:, column] > 0)
        if not len(rows):
            continue
        at = voxels.sample[rows]
        angle, height, multiplicity = _lines(name)
        lines = (len(rows), len(angle))
        strain = rng.normal(0, 1, len(rows)) * samples.strain[at]
        if name == "austenite":  # 3.573 to 3.603 A with carbon, nickel and chromium
            strain = rng.uniform(-0.005, 0.0034, len(rows))
        jitter = rng.normal(0, 0.4, lines) * samples.strain[at, None]
        theta = np.arcsin(np.sin(np.radians(angle / 2)) * (1 - strain[:, None] - jitter))
        tth = 2 * np.degrees(theta)
        tth += (
            np.degrees(samples.distance[at, None] * np.sin(2 * np.radians(tth - 25)) / 2) + samples.zero_deg[at, None]
        )
        low, high = _SIZE_NM.get(name, (15, 120))
        size_nm = np.exp(rng.uniform(np.log(low), np.log(high), len(rows)))[:, None]
        microstrain = np.abs(rng.normal(0, 0.0015, len(rows)))[:, None]
        by_size = np.degrees(0.9 * HC_KEV_ANGSTROM / AXIS.energy_kev / 10 / (size_nm * np.cos(theta)))
        fwhm, eta = _thompson_cox_hastings(
            np.hypot(samples.instrument_deg[at, None], np.degrees(4 * microstrain * np.tan(theta))), by_size
        )
        expected = voxels.grains[rows, column, None] * multiplicity / 8 * ring_share(angle) / 0.1
        met = rng.poisson(expected) / expected
        if name in voxels.met:
            met = np.broadcast_to(voxels.met[name][rows, None], lines)
        texture = rng.lognormal(0, 1, lines) ** rng.uniform(0.2, 0.7, len(rows))[:, None]
        amount = voxels.share[rows, column] * samples.thickness_um[at] / 10
        area = _MAGNETITE_BINS_PER_10UM * _POWER[name] * height * amount[:, None] * met * texture
        out[rows, COLUMN[column]] += _profiles(tth, fwhm, eta, area)
    return out


def ring_share(tth_deg: Floats) -> Floats:
    """Share of a ring that 33.5 mm of detector 153 mm away, square to 25 deg, catch: 0.17 at 10, 0.05 at 40 deg."""
    radius = 153 * np.sin(np.radians(tth_deg)) / np.cos(np.radians(tth_deg - 25))
    return np.asarray(np.arctan2(16.77, radius) / np.pi)


def _profiles(tth: Floats, fwhm: Floats, eta: Floats, area: Floats) -> NDArray[np.float32]:
    """Sum of the lines of each row as bin averages, (rows, bins): area is in bins times intensity."""
    edges = AXIS.edges_deg.astype(np.float32)
    out = np.zeros((len(tth), AXIS.bins), np.float32)
    for line in range(tth.shape[1]):
        lit = np.flatnonzero(area[:, line] > 0)
        x = (edges - tth[lit, line, None].astype(np.float32)) / fwhm[lit, line, None].astype(np.float32)
        weight = eta[lit, line, None].astype(np.float32)
        below = weight * np.arctan(2 * x) / np.float32(np.pi)
        below += (1 - weight) * erf(x * np.float32(2 * np.sqrt(np.log(2)))) / 2
        out[lit] += np.diff(below, axis=1) * area[lit, line, None].astype(np.float32)
    return out


def _thompson_cox_hastings(gauss: Floats, lorentz: Floats) -> tuple[Floats, Floats]:
    """Width and Lorentzian share of a pseudo-Voigt (Thompson, Cox, Hastings, J. Appl. Cryst. 20, 79, 1987)."""
    g, k = gauss, lorentz
    fifth = g**5 + 2.69269 * g**4 * k + 2.42843 * g**3 * k**2 + 4.47163 * g**2 * k**3 + 0.07842 * g * k**4 + k**5
    fwhm = fifth**0.2
    q = k / fwhm
    return fwhm, 1.36603 * q - 0.47719 * q**2 + 0.11116 * q**3


@functools.cache
def _lines(name: str) -> tuple[Floats, Floats, Floats]:
    lines = powder_lines(load_structures()[name], AXIS.energy_kev, 9.4, 40.6)
    inside = (lines.tth_deg > AXIS.tth_min_deg) & (lines.tth_deg < AXIS.tth_max_deg)
    height = lines.intensity / lines.intensity[inside].max()
    keep = height > 0.005
    return lines.tth_deg[keep], height[keep], lines.multiplicity[keep].astype(np.float64)


@functools.cache
def _tables() -> tuple[Floats, Floats]:
    """Absorbance of 10 um and the share of it that is iron's, of every phase."""
    total, iron = [], []
    for name in PHASES:
        structure = load_structures()[name]
        volume = gemmi.UnitCell(*structure.cell).volume
        parts = {
            element: number * gemmi.Element(element).weight * 1.66054 / volume * _ATTENUATION[element] * 1e-3
            for element, number in unit_cell_content(structure).items()
        }
        total.append(sum(parts.values()))
        iron.append(parts.get("Fe", 0.0) / total[-1])
    return np.array(total), np.array(iron)


def _gauss(tth: Floats, centre: Floats, fwhm: Floats) -> Floats:
    return np.asarray(np.exp(-4 * np.log(2) * ((tth[None, :] - centre[:, None]) / fwhm[:, None]) ** 2))


def _lorentz(tth: Floats, centre: Floats, fwhm: Floats) -> Floats:
    return np.asarray(1 / (1 + 4 * ((tth[None, :] - centre[:, None]) / fwhm[:, None]) ** 2))
