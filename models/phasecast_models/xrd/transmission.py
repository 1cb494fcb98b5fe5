"""Metal or rust? What the transmitted light says of a place that shows no peaks.

Amorphous rust fluoresces without lines as metal between two grains does, and without fluorescence steel and resin look
alike: a pattern cannot tell them apart. Of 10 um, metal lets 0.26 of the light at 10 keV pass, FeOOH 0.63, resin 0.99.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phasecast_models.xrd.absorption import (
    FE_K_EDGE_KEV,
    iron_attenuation_per_um,
    resin_attenuation_per_um,
    structure_attenuation_per_um,
)
from phasecast_models.xrd.structures import get_structure

UNKNOWN_SHARE = 0.5
"""What `metal_share` says where nothing was measured: even odds change nothing."""

METAL_CLASSES = ("ferrite", "austenite", "cementite")
"""Ids of the classes that are metal with visible lines: they let as little light pass as iron without lines does."""

_OXIDES = ("goethite", "magnetite")
_POROSITIES = np.linspace(0, 0.5, 11)
_RUST_ODDS = 0.75
"""Of what is not metal. Rust whose lines are lost fluoresces as metal does; resin and air betray themselves."""
_MIXED_ODDS = 0.1
_METAL_PARTS = np.linspace(0.5, 0.9, 5)
"""Metal often fills part of the beam only, and rust the rest."""

_ERROR = 0.02
"""Relative standard error of a transmission, and so the error of its logarithm."""
_DECLARED_WITHIN = 0.05
"""A single thickness is taken to be known within this share, either way."""
_SURE = 1e-6
"""No transmission is more certain than this: there are other things under the sun than those compared here."""
_CELLS = 128
_STEP = 0.01
_WITHIN = (1e-6, 1.5)
"""Transmissions outside are faults of the monitors and count as not measured."""


def metal_share(
    transmission: ArrayLike, *, thickness_um: float | tuple[float, float] = (5.0, 20.0), energy_kev: float = 10.0
) -> NDArray[np.float64]:
    """Return the probability that a place without peaks is iron metal, given how much light passes it.

    Even odds of metal against the rest. Metal is bcc iron, one in ten times with rust in up to half of the beam; the
    rest is rust three times in four, FeOOH or Fe3O4 (both with 0 to 50 % of pores full of resin), else resin or air.
    Every thickness of the range is as likely, transmission has an error of 2 %.

    Parameters
    ----------
    transmission
        I / I0, shape (n,) or a number; what is not finite or no transmission (below 1e-6, above 1.5) is not measured
        and gives 0.5: nothing speaks for metal or against it.
    thickness_um
        Of the section: a range, or one declared value, which is taken to be known within 5 %.
    energy_kev
        Of the photons.

    Raises
    ------
    ValueError
        If no thickness is positive, or below the Fe K edge, where iron does not fluoresce and absorbs like resin.
    """
    if energy_kev <= FE_K_EDGE_KEV:
        raise ValueError(
            f"at {energy_kev:g} keV iron does not fluoresce (Fe K edge {FE_K_EDGE_KEV} keV), so transmission cannot "
            "tell iron from rust - leave transmission out"
        )
    low, high = thickness_um if isinstance(thickness_um, tuple) else (thickness_um, thickness_um)
    if not 0 < low <= high < np.inf:
        raise ValueError(f"thickness_um {thickness_um} must be positive, and a range must rise")
    if low == high:
        low, high = low * (1 - _DECLARED_WITHIN), high * (1 + _DECLARED_WITHIN)
    values = np.asarray(transmission, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        measured = (values >= _WITHIN[0]) & (values <= _WITHIN[1])
    if not measured.any():
        return np.full(values.shape, UNKNOWN_SHARE)
    absorbance, share = _table(float(low), float(high), float(energy_kev))
    looked_up = np.interp(-np.log(np.where(measured, values, 1.0)), absorbance, share)
    return np.asarray(np.where(measured, looked_up, UNKNOWN_SHARE))


def settled(confidence: ArrayLike, share: ArrayLike, seen_metal: ArrayLike) -> NDArray[np.float64]:
    """Return the confidence of iron without lines after the transmission, by Bayes' rule; same shapes.

    Three things can be: metal without visible lines, metal with them, and no metal. The transmission has the same
    likelihood for the first two, the odds of which against the third are ``share``.

    Parameters
    ----------
    confidence
        That there is metal without visible lines, as the pattern says.
    share
        What `metal_share` says of the transmission.
    seen_metal
        Probability that lines of metal are visible, given that there is no metal without (`seen_metal`).
    """
    return _odds_times(confidence, share, seen_metal, 1.0)


def unsettled(confidence: ArrayLike, share: ArrayLike, seen_metal: ArrayLike) -> NDArray[np.float64]:
    """Return what `settled` was given as ``confidence``, from what it returned."""
    return _odds_times(confidence, share, seen_metal, -1.0)


def seen_metal(confidences: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the probability that any of some classes is there, (n,), from their confidences (n, classes)."""
    return np.asarray(1 - np.prod(1 - np.asarray(confidences, dtype=np.float64), axis=1))


def _odds_times(confidence: ArrayLike, share: ArrayLike, metal: ArrayLike, power: float) -> NDArray[np.float64]:
    p, s, q = (np.asarray(values, dtype=np.float64) for values in (confidence, share, metal))
    s = np.clip(s, _SURE, 1 - _SURE)
    factor = (s / (q * s + (1 - q) * (1 - s))) ** power
    return np.asarray(p * factor / (p * factor + (1 - p)))


@lru_cache(maxsize=32)
def _table(low_um: float, high_um: float, energy_kev: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return absorbances -ln T and the probability of metal at each."""
    absorbance = np.arange(-np.log(_WITHIN[1]), -np.log(_WITHIN[0]) + _STEP, _STEP)
    iron, resin = iron_attenuation_per_um(energy_kev), resin_attenuation_per_um(energy_kev)
    dense = np.array([structure_attenuation_per_um(get_structure(name), energy_kev) for name in _OXIDES])
    rust = dense + np.multiply.outer(_POROSITIES, resin - dense)
    beside = rust[:: len(rust) // 2]
    mixed = beside + np.multiply.outer(_METAL_PARTS, iron - beside)

    def weighed(*parts: tuple[float, ArrayLike]) -> NDArray[np.float64]:
        each = [np.log(odds) + _log_likelihood(absorbance, np.ravel(per_um), low_um, high_um) for odds, per_um in parts]
        return np.asarray(np.logaddexp.reduce(each, axis=0))

    metal = weighed((1 - _MIXED_ODDS, iron), (_MIXED_ODDS, mixed))
    light = (1 - _RUST_ODDS) / 2
    against = weighed((_RUST_ODDS, rust), (light, resin), (light, 0.0))
    return absorbance, np.exp(-np.logaddexp(0, against - metal))


def _log_likelihood(
    absorbance: NDArray[np.float64], per_um: NDArray[np.float64], low_um: float, high_um: float
) -> NDArray[np.float64]:
    """Return the log likelihood of absorbances, averaged over coefficients and over the thickness."""
    edges_um = np.linspace(low_um, high_um, _CELLS + 1)
    middle, width = (edges_um[1:] + edges_um[:-1]) / 2, np.diff(edges_um)
    coefficients = per_um[:, None]
    expected = (coefficients * middle).ravel()
    # Absorbance is spread evenly over its cell, with the variance of that added to the error's.
    variance = _ERROR**2 + (coefficients * width).ravel() ** 2 / 12
    exponent = -0.5 * ((absorbance[:, None] - expected) ** 2 / variance + np.log(variance))
    return np.asarray(np.logaddexp.reduce(exponent, axis=1) - np.log(expected.size))
