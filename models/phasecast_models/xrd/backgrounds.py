"""Everything under the Bragg peaks: resin halo, fluorescence, air, absorption, detector efficiency."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.task import HUMP_ENERGY_KEV, angle_at_energy

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundMix:
    """Share of each smooth component per pattern, shape (patterns,); they need not add up to one."""

    halo: NDArray[np.float64]
    fluorescence: NDArray[np.float64]
    air: NDArray[np.float64]
    free_form: NDArray[np.float64]
    amorphous: NDArray[np.float64]
    ferrihydrite: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backgrounds:
    """Smooth components, each of shape (patterns, bins); ``rest`` is air and everything without a name."""

    halo: Floats
    fluorescence: Floats
    ferrihydrite: Floats
    rest: Floats


def slab_absorption(tth_deg: NDArray[np.float64], absorbance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Attenuation of rays scattered anywhere in a flat slab met at right angles, shape (patterns, bins).

    ``absorbance`` is mu times thickness, shape (patterns,). Closed form of the integral over depth:
    e^-mt (1 - e^-x) / x with x = mt (1/cos 2theta - 1). Beyond 85 deg, where rays no longer leave by the other face,
    the value at 85 deg is returned.
    """
    mt = np.asarray(absorbance)[:, None]
    x = mt * (1 / np.cos(np.radians(np.minimum(tth_deg, 85.0)))[None, :] - 1)
    return np.asarray(np.exp(-mt) * np.where(x > 1e-9, -np.expm1(-x) / np.maximum(x, 1e-9), 1.0))


def smooth_backgrounds(mix: BackgroundMix, axis: PatternAxis, rng: np.random.Generator) -> Backgrounds:
    """Return every smooth component. Humps are noted in degrees at 10 keV and lie at the same q on any axis."""
    patterns = len(mix.halo)
    tth = axis.tth_deg
    unit = (tth - tth.mean()) / (tth[-1] - tth.mean())
    wider = HUMP_ENERGY_KEV / axis.energy_kev
    halo = _hump(tth, angle_at_energy(rng.normal(15.3, 0.9, patterns), axis), rng.uniform(3.0, 8.0, patterns) * wider)
    second = _hump(tth, angle_at_energy(rng.normal(28, 1.2, patterns), axis), rng.uniform(6, 11, patterns) * wider)
    halo += rng.uniform(0.0, 0.35, patterns)[:, None] * second
    tail = rng.uniform(0.0, 0.25, patterns)[:, None] * np.exp(-(tth - tth[0]) / 12)
    halo = (halo + tail) * mix.halo[:, None]
    # Two-line ferrihydrite: humps at d = 2.5 and 1.5 A from crystals of 2 nm and less.
    width = rng.uniform(2.5, 6.0, patterns) * wider
    rust = _hump(tth, angle_at_energy(rng.normal(28.7, 0.4, patterns), axis), width)
    rust += rng.uniform(0.5, 1.0, (patterns, 1)) * _hump(tth, angle_at_energy(np.full(patterns, 48.8), axis), width)
    # Isotropic and unpolarised, but the correction for polarised scattering lifts it at high angles, absorption
    # lowers it there, and thermal and Compton scattering ride on it.
    lift = -2 * rng.uniform(0, 1, (patterns, 1)) * np.log(_cosine(tth))
    tilt = rng.normal(-0.1, 0.12, (patterns, 1)) * unit + rng.normal(0, 0.06, (patterns, 1)) * unit**2
    fluorescence = np.exp(np.where(rng.random((patterns, 1)) < 0.7, lift, 0) + tilt) * mix.fluorescence[:, None]
    decay = rng.uniform(1.5, 14.0, patterns)[:, None]
    air = np.exp(-(tth - tth[0]) / decay) * mix.air[:, None]
    powers = np.stack([unit, unit**2 - 1 / 3, unit**3 - 0.6 * unit])
    wander = rng.normal(0, 1, (patterns, 3)) * np.array([0.8, 0.4, 0.3])
    free_form = np.exp(wander @ powers) * mix.free_form[:, None]
    return Backgrounds(
        halo=halo.astype(np.float32),
        fluorescence=fluorescence.astype(np.float32),
        ferrihydrite=(rust * mix.ferrihydrite[:, None]).astype(np.float32),
        rest=(air + free_form + _glass(mix.amorphous, axis, rng)).astype(np.float32),
    )


def _glass(amount: NDArray[np.float64], axis: PatternAxis, rng: np.random.Generator) -> NDArray[np.float64]:
    """Glass, peat, kerogen: one to three humps anywhere, but a first one alone not where resin has its own."""
    patterns, tth = len(amount), axis.tth_deg
    resin = angle_at_energy(15.3, axis)
    wider = HUMP_ENERGY_KEV / axis.energy_kev
    out = np.zeros((patterns, axis.bins))
    for number in range(3):
        centre = rng.uniform(tth[0] + 1, tth[-1] + 2, patterns)
        if number == 0:
            centre = np.where(np.abs(centre - resin) < 2.5 * wider, centre + 6.0 * wider, centre)
        share = np.where(rng.random(patterns) < (1.0, 0.5, 0.3)[number], rng.uniform(0, 1, patterns), 0)
        share = np.ones(patterns) if number == 0 else share
        width = np.exp(rng.uniform(np.log(3.0), np.log(11.0), patterns)) * wider
        out += _hump(tth, centre, width) * (share * amount).reshape(-1, 1)
    return out


def efficiency(patterns: int, axis: PatternAxis, rng: np.random.Generator) -> Floats:
    """Return what the detector makes of a flat pattern: slow variation, fewer pixels at the edges."""
    tth = axis.tth_deg
    unit = (tth - tth.mean()) / (tth[-1] - tth.mean())
    # Counts per bin follow the number of pixels per bin, solid angle and, in a horizontal arm plane,
    # polarisation (cos^2 of 2theta): at 40 deg a BL16XU bin collects a third of what it does at 12 deg.
    polarised = rng.uniform(0, 1, (patterns, 1)) * 2 * np.log(_cosine(tth))
    slope = rng.normal(-0.1, 0.2, (patterns, 1))
    bow = rng.normal(-0.05, 0.1, (patterns, 1))
    wave = rng.normal(0, 0.01, (patterns, 1)) * np.sin(
        2 * np.pi * (unit * rng.uniform(0.5, 2.5, (patterns, 1)) + rng.random((patterns, 1)))
    )
    out = np.exp(polarised + slope * unit + bow * unit**2 + wave)
    for side in (tth - axis.tth_min_deg, axis.tth_max_deg - tth):
        depth = np.where(rng.random((patterns, 1)) < 0.3, rng.uniform(0, 0.8, (patterns, 1)), 0)
        out = out * (1 - depth * np.exp(-side[None, :] / rng.uniform(0.05, 0.8, (patterns, 1))))
    return np.asarray(np.maximum(out, 0.02), dtype=np.float32)


def _cosine(tth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Size of the cosine of the scattering angle, 0.2 at least: near 90 deg only depolarised light is scattered."""
    return np.asarray(np.maximum(np.abs(np.cos(np.radians(tth))), 0.2))


def _hump(tth: NDArray[np.float64], centre: NDArray[np.float64], fwhm: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-4 * np.log(2) * ((tth[None, :] - centre[:, None]) / fwhm[:, None]) ** 2))
