"""Where each pixel of the simulated detector looks, and what reaches it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyFAI.detectors import detector_factory
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

FloatArray = NDArray[np.float64]

ENERGY_KEV = 10.0
WAVELENGTH_ANGSTROM = 12.398419843 / ENERGY_KEV
DISTANCE_M = 0.153
ROT1_DEG = 25.0
POLARISATION_FACTOR = 0.99
SHAPE = (195, 487)
PIXEL_M = 172e-6
COUNT_LIMIT = 2**20 - 1


def azimuthal_integrator() -> AzimuthalIntegrator:
    """BL16XU: Pilatus100k, 10 keV, 153 mm, arm at 25 deg in the horizontal plane, orientation 3."""
    return AzimuthalIntegrator(
        dist=DISTANCE_M,
        poni1=SHAPE[0] / 2 * PIXEL_M,
        poni2=SHAPE[1] / 2 * PIXEL_M,
        rot1=np.deg2rad(ROT1_DEG),
        detector=detector_factory("Pilatus100k", config={"orientation": 3}),
        wavelength=WAVELENGTH_ANGSTROM * 1e-10,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelMaps:
    """Per pixel, all of shape (195, 487): angles in deg and the factors a reduction divides out."""

    tth_deg: FloatArray
    chi_deg: FloatArray
    solid_angle: FloatArray
    polarisation: FloatArray


def pixel_maps() -> PixelMaps:
    """Pixel maps of the nominal geometry, from pyFAI."""
    integrator = azimuthal_integrator()
    return PixelMaps(
        tth_deg=np.asarray(integrator.center_array(SHAPE, unit="2th_deg"), dtype=np.float64),
        chi_deg=np.asarray(integrator.center_array(SHAPE, unit="chi_deg"), dtype=np.float64),
        solid_angle=np.asarray(integrator.solidAngleArray(SHAPE), dtype=np.float64),
        polarisation=np.asarray(integrator.polarization(SHAPE, factor=POLARISATION_FACTOR), dtype=np.float64),
    )


def slab_absorption(tth_deg: FloatArray, mu_t: float) -> FloatArray:
    """Fraction of the diffracted beam that leaves a slab of optical thickness mu_t.

    Transmission geometry, beam normal to the slab, all depths scattering alike:
    exp(-mu_t) (1 - exp(-x)) / x with x = mu_t (1/cos 2theta - 1); same shape as tth_deg.
    """
    x = mu_t * (1 / np.cos(np.deg2rad(tth_deg)) - 1)
    small = x < 1e-6
    safe = np.where(small, 1.0, x)
    return np.asarray(np.exp(-mu_t) * np.where(small, 1 - x / 2, -np.expm1(-safe) / safe))


def pseudo_voigt(delta_deg: FloatArray, fwhm_deg: float, eta: float) -> FloatArray:
    """Profile of height 1 over the distance from the line, same shape; eta is the Lorentzian share."""
    squared = (2 * delta_deg / fwhm_deg) ** 2
    return np.asarray(eta / (1 + squared) + (1 - eta) * np.exp(-np.log(2) * squared))
