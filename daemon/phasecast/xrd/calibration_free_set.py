"""Which parameters a frame of a standard can determine, and what stays uncertain because of the others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.xrd.calibration_rings import PARAMETERS, CalibrationFrame, Parameters
from phasecast.xrd.geometry import ARM_TOLERANCE_DEG, DISTANCE_TOLERANCE_MM

POINT_SIGMA_DEG = 0.02
"""Uncertainty given to each point: the largest scatter that a calibration may have."""
MIN_RINGS_FOR_DISTANCE = 3

_TRUSTED_TO = {
    "dist": DISTANCE_TOLERANCE_MM * 1e-3,
    "poni1": DISTANCE_TOLERANCE_MM * 1e-3,
    "poni2": DISTANCE_TOLERANCE_MM * 1e-3,
    "rot1": float(np.deg2rad(ARM_TOLERANCE_DEG)),
    "rot2": float(np.deg2rad(ARM_TOLERANCE_DEG)),
}
"""How far nominal values may be wrong: metres and radians, the limits beyond which a .poni file is warned about."""
_STEP = {"dist": 1e-5, "poni1": 1e-5, "poni2": 1e-5, "rot1": 1e-5, "rot2": 1e-5}
_GRID = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeSet:
    """What is refined.

    Parameters
    ----------
    free
        Names of the refined parameters, in pyFAI's order.
    fixed
        Name of every other parameter, with the reason.
    window_sigma_deg
        Standard uncertainty of 2theta where it is worst on the detector, if each fixed value is wrong by what
        nominal values may be wrong.
    worst_tth_deg
        Where that is.
    """

    free: tuple[str, ...]
    fixed: tuple[tuple[str, str], ...]
    window_sigma_deg: float
    worst_tth_deg: float


def choose_free_set(
    frame: CalibrationFrame, parameters: Parameters, points: NDArray[np.float64], *, candidates: Sequence[str]
) -> FreeSet:
    """Free the candidates one by one, as long as the points determine all free ones better than the profile does.

    The covariance is that of linear least squares, with 0.02 deg for each point. The distance needs three rings
    besides: with two it would fit whatever lines they are taken for.

    Parameters
    ----------
    frame, parameters, points
        The frame, pyFAI's six numbers (metres, radians), and points as `CalibrationFrame.extract` returns them.
    candidates
        Names by falling need; the first is freed in any case.
    """
    slopes = {name: _slope(frame, parameters, points[:, 0], points[:, 1], name) for name in _TRUSTED_TO}
    rings = len(np.unique(points[:, 2]))
    free: list[str] = [candidates[0]]
    fixed: dict[str, str] = {}
    for name in candidates[1:]:
        if name == "dist" and rings < MIN_RINGS_FOR_DISTANCE:
            fixed[name] = f"{rings} of the {MIN_RINGS_FOR_DISTANCE} rings it needs"
            continue
        trial = [*free, name]
        sigmas = np.sqrt(np.diag(_covariance(slopes, trial)))
        if all(sigma < _TRUSTED_TO[trial_name] for sigma, trial_name in zip(sigmas, trial, strict=True)):
            free = trial
        else:
            fixed[name] = "the rings do not determine it better than the starting value is known"
    for name in _TRUSTED_TO:
        if name not in free and name not in fixed:
            fixed[name] = "the rings cannot tell it from a free one"
    fixed["rot3"] = fixed["wavelength"] = "always"
    sigma_deg, worst_deg = _window_sigma(frame, parameters, slopes, free)
    return FreeSet(
        free=tuple(name for name in PARAMETERS if name in free),
        fixed=tuple((name, fixed[name]) for name in (*PARAMETERS, "wavelength") if name in fixed),
        window_sigma_deg=sigma_deg,
        worst_tth_deg=worst_deg,
    )


def _slope(
    frame: CalibrationFrame, parameters: Parameters, rows: NDArray[np.float64], cols: NDArray[np.float64], name: str
) -> NDArray[np.float64]:
    """Return how 2theta in degrees changes with a parameter in metres or radians."""
    up, down = parameters.copy(), parameters.copy()
    index, step = PARAMETERS.index(name), _STEP[name]
    up[index] += step
    down[index] -= step
    return (frame.tth_deg(up, rows, cols) - frame.tth_deg(down, rows, cols)) / (2 * step)


def _covariance(slopes: dict[str, NDArray[np.float64]], free: Sequence[str]) -> NDArray[np.float64]:
    jacobian = np.column_stack([slopes[name] * _TRUSTED_TO[name] for name in free]) / POINT_SIGMA_DEG
    scale = np.array([_TRUSTED_TO[name] for name in free])
    inverse = np.linalg.pinv(jacobian.T @ jacobian + 1e-9 * np.eye(len(free)))
    return np.asarray(inverse * np.outer(scale, scale), dtype=np.float64)


def _window_sigma(
    frame: CalibrationFrame, parameters: Parameters, slopes: dict[str, NDArray[np.float64]], free: Sequence[str]
) -> tuple[float, float]:
    """Return the largest uncertainty of 2theta on the detector and the 2theta it is at."""
    rows, cols = (
        axis.ravel() for axis in np.meshgrid(*(np.linspace(0, n - 1, _GRID) for n in frame.image.shape), indexing="ij")
    )
    window = {name: _slope(frame, parameters, rows, cols, name) for name in _TRUSTED_TO}
    at_points = np.column_stack([slopes[name] for name in free])
    at_window = np.column_stack([window[name] for name in free])
    answer = np.linalg.pinv(at_points)
    variance = np.einsum("wi,ij,wj->w", at_window, _covariance(slopes, free), at_window)
    for name, trusted_to in _TRUSTED_TO.items():
        if name not in free:
            # the free parameters make good at the points what a wrong fixed value spoils, and carry it elsewhere
            left = window[name] - at_window @ (answer @ slopes[name])
            variance = variance + (left * trusted_to) ** 2
    worst = int(np.argmax(variance))
    tth_deg = frame.tth_deg(parameters, rows[worst : worst + 1], cols[worst : worst + 1])
    return float(np.sqrt(variance[worst])), float(tth_deg[0])
