"""Noise-free images of everything that scatters: rings, spots, halo, fluorescence, air."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.simulate.materials import COARSE_IRON, INDEX, MATERIALS, NAMES, Material
from phasecast.simulate.optics import ENERGY_KEV, PixelMaps, pseudo_voigt
from phasecast_models.xrd.structures import get_structure, powder_lines

FloatArray = NDArray[np.float64]
Image = NDArray[np.float32]

VARIANTS = 6  # independent draws of strain and grains of each phase; neighbours in a grain share one
_ETA = 0.4
_CHI_STEP_DEG = 0.25
_MOSAIC_DEG = 0.6
_STRAIN = 0.0008

# Sums over the detector, goethite rings of 1 um = 1.
_RESIN_HALO = 0.22
_FLUORESCENCE = 0.38
_DIFFUSE = 0.25
_AIR = 0.9
_SPOT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Spots:
    """Spots of one coarse grain: pixel numbers, shape (n,), and what they add per um, same shape."""

    pixels: NDArray[np.intp]
    values: Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Noise-free images, float32 of shape (195 * 487,), per um of material where it applies.

    ``rings`` is keyed by (material index, variant), ``spots`` by (material index, grain).
    """

    rings: dict[tuple[int, int], Image]
    spots: dict[tuple[int, int], Spots]
    halo: Image
    diffuse: Image
    fluorescence: Image
    air: Image


def make_images(maps: PixelMaps, grains: int, seed: int) -> Images:
    """Draw the images of one virtual sample; deterministic by seed."""
    tth = maps.tth_deg
    scatter = maps.solid_angle * maps.polarisation
    rings: dict[tuple[int, int], Image] = {}
    spots: dict[tuple[int, int], Spots] = {}
    for index, material in enumerate(MATERIALS):
        if index in COARSE_IRON:
            for grain in range(grains):
                found = _grain_spots(maps, material, np.random.default_rng([seed, 2, index, grain]))
                if found is not None:
                    spots[index, grain] = found
        elif material.bragg > 0:
            for variant in range(VARIANTS):
                rng = np.random.default_rng([seed, 3, index, variant])
                image = _rings(maps, material, rng) * scatter
                rings[index, variant] = _scaled(image, material.bragg)
    halo = pseudo_voigt(tth - 15.3, 5.0, 0.2) + 0.18 * pseudo_voigt(tth - 28.0, 8.0, 0.0)
    return Images(
        rings=rings,
        spots=spots,
        halo=_scaled((halo + 0.03) * scatter, _RESIN_HALO),
        # Thermal and Compton scattering: a shallow hill; fluorescence is unpolarised and isotropic.
        diffuse=_scaled((0.5 + pseudo_voigt(tth - 28.0, 24.0, 0.0)) * scatter, _DIFFUSE),
        fluorescence=_scaled(maps.solid_angle, _FLUORESCENCE),
        air=_scaled((np.exp(-(tth - 10) / 5.0) + 0.05) * scatter, _AIR),
    )


def _scaled(image: FloatArray, total: float) -> Image:
    return np.ascontiguousarray((image * (total / image.sum())).ravel(), dtype=np.float32)


def _rings(maps: PixelMaps, material: Material, rng: np.random.Generator) -> FloatArray:
    """Debye rings of one phase with the grain statistics of each ring, shape (195, 487)."""
    image = np.zeros_like(maps.tth_deg)
    lines = powder_lines(get_structure(material.name), ENERGY_KEV, 9.0, 41.5)
    strain = rng.normal(0, _STRAIN)
    fwhm = material.fwhm_deg * rng.lognormal(0, 0.12)
    for angle, intensity, multiplicity in zip(lines.tth_deg, lines.intensity, lines.multiplicity, strict=True):
        if intensity < 0.5:
            continue
        jitter = rng.normal(0, _STRAIN / 3)
        centre = angle - 2 * np.rad2deg((strain + jitter) * np.tan(np.deg2rad(angle / 2)))
        near = np.abs(maps.tth_deg - centre) < 14 * fwhm
        along = _azimuthal_modulation(rng, material.grains * multiplicity / 8)
        profile = pseudo_voigt(maps.tth_deg[near] - centre, fwhm, _ETA)
        chi = maps.chi_deg[near]
        image[near] += intensity * profile * np.interp(chi, *along)
    return image


def _azimuthal_modulation(rng: np.random.Generator, grains_on_ring: float) -> tuple[FloatArray, FloatArray]:
    """Brightness along a ring of which 360 deg hold so many grains: azimuth in deg and factor (mean 1)."""
    azimuth = np.arange(-40.0, 40.0 + _CHI_STEP_DEG, _CHI_STEP_DEG)
    expected = grains_on_ring * _CHI_STEP_DEG / 360
    reach = np.arange(-8, 9) * _CHI_STEP_DEG
    kernel = np.exp(-np.log(2) * (2 * reach / _MOSAIC_DEG) ** 2)
    drawn = rng.poisson(expected, azimuth.size + kernel.size - 1) * (1.0 / expected)
    return azimuth, np.convolve(drawn, kernel / kernel.sum(), mode="valid")


def _grain_spots(maps: PixelMaps, material: Material, rng: np.random.Generator) -> Spots | None:
    """Spots that one coarse iron grain throws onto the detector; None for most orientations."""
    count = rng.poisson(0.65)
    if count == 0:
        return None
    line = powder_lines(get_structure(material.name), ENERGY_KEV, 9.0, 41.5)
    strongest = int(line.intensity.argmax())
    image = np.zeros_like(maps.tth_deg)
    for _ in range(count):
        angle = line.tth_deg[strongest] * (1 + rng.normal(0, 0.0008))
        chi = rng.uniform(-9.0, 9.0)
        size = _SPOT * material.bragg * rng.lognormal(0, 0.7)
        spot = pseudo_voigt(maps.tth_deg - angle, material.fwhm_deg, _ETA)
        spot *= pseudo_voigt(maps.chi_deg - chi, rng.uniform(0.5, 1.5), 0.1)
        image += size * spot / spot.sum()
    flat = (image * maps.polarisation).ravel()
    pixels = np.flatnonzero(flat > 1e-6)
    return Spots(pixels=pixels, values=flat[pixels].astype(np.float32))


def material_of_class(name: str) -> tuple[int, ...]:
    """Indices of the materials whose rings count for a class; empty for resin and peakless_iron."""
    if name == "other":
        return INDEX["hematite"], INDEX["quartz"]
    return (INDEX[name],) if name in NAMES and name != "resin" else ()
