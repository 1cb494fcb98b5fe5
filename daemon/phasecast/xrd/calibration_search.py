"""Where to start: a search over arm angle and distance, so that strong pixels fall on the lines of the standard."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from phasecast.core.errors import CalibrationError
from phasecast.xrd.calibration_rings import PARAMETERS, CalibrationFrame, Parameters, StandardLine

ARM_RANGE_DEG = 1.5
"""The nominal arm angle is believed to this; a wider search could take one line of a standard for its neighbour."""
DISTANCE_RANGE_MM = 6.0
ARM_STEP_DEG = 0.1
DISTANCE_STEP_MM = 2.0
COARSE_WIDTH_DEG = 0.15
FINE_WIDTHS_DEG = (0.08, 0.03)
RIVAL_SHARE = 0.9
"""A second place whose score comes so near the best one's makes the assignment of lines doubtful."""

_STRONG_SIGMAS = 6.0
_MIN_PIXELS = 40
_MAX_PIXELS = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStart:
    """Parameters that put the strong pixels on lines.

    Parameters
    ----------
    parameters
        pyFAI's six numbers, metres and radians.
    arm_shift_deg, distance_shift_mm
        How far they lie from where the search began.
    """

    parameters: Parameters
    arm_shift_deg: float
    distance_shift_mm: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _StrongPixels:
    rows: NDArray[np.float64]
    cols: NDArray[np.float64]
    weights: NDArray[np.float64]


def find_start(frame: CalibrationFrame, nominal: Parameters, *, arm: str) -> FoundStart:
    """Search for the arm angle, and with three lines or more in the window also for distance and the other tilt.

    Each strong pixel scores by how near its 2theta is to a line; the score is compared with what pixels at random would
    have, so a place where lines are dense has no advantage.

    Parameters
    ----------
    frame
        The standard's frame.
    nominal
        Where the detector is believed to be.
    arm
        Name of the rotation that is the arm's: ``rot1`` or ``rot2``.

    Raises
    ------
    CalibrationError
        If no line is in reach of the window, no ring is seen, or two places fit alike.
    """
    window_deg = frame.window_deg(nominal)
    reachable = frame.lines_inside(window_deg, ARM_RANGE_DEG)
    if not reachable:
        nearest = min(frame.lines, key=lambda line: min(abs(line.tth_deg - edge) for edge in window_deg))
        raise CalibrationError(
            f"too few rings: no line of {frame.standard} is in the window of {window_deg[0]:.2f} to "
            f"{window_deg[1]:.2f} deg; the nearest is {nearest.label}",
            remedy="move the detector until its window holds a line, or correct the geometry that is started from",
        )
    pixels = _strong_pixels(frame, reachable)
    lines_deg = np.array([line.tth_deg for line in frame.lines])
    arm_index = PARAMETERS.index(arm)
    may_move_distance = len(frame.lines_inside(window_deg)) >= 3
    distances_mm = _centred(DISTANCE_RANGE_MM, DISTANCE_STEP_MM) if may_move_distance else np.zeros(1)
    shifts_deg = _centred(ARM_RANGE_DEG, ARM_STEP_DEG)

    scores = np.array(
        [
            [
                _score(frame, _moved(nominal, arm_index, shift, away), pixels, lines_deg, COARSE_WIDTH_DEG)
                for away in distances_mm
            ]
            for shift in shifts_deg
        ]
    )
    best, away = (int(place) for place in np.unravel_index(np.argmax(scores), scores.shape))
    _refuse_rivals(scores.max(axis=1), shifts_deg, best)
    start = _moved(nominal, arm_index, shifts_deg[best], distances_mm[away])
    moved = _polished(frame, start, pixels, lines_deg, arm_index, whole=may_move_distance)
    return FoundStart(
        parameters=moved,
        arm_shift_deg=float(np.rad2deg(moved[arm_index] - nominal[arm_index])),
        distance_shift_mm=float(moved[0] - nominal[0]) * 1e3,
    )


def _centred(reach: float, step: float) -> NDArray[np.float64]:
    count = round(reach / step)
    return np.linspace(-count * step, count * step, 2 * count + 1)


def _moved(parameters: Parameters, arm_index: int, shift_deg: float, away_mm: float) -> Parameters:
    moved = parameters.copy()
    moved[arm_index] += np.deg2rad(shift_deg)
    moved[0] += away_mm * 1e-3
    return moved


def _strong_pixels(frame: CalibrationFrame, reachable: tuple[StandardLine, ...]) -> _StrongPixels:
    significance = (frame.image - frame.background) / np.sqrt(np.maximum(frame.background, 1.0))
    significance[frame.mask] = 0
    strong = np.flatnonzero(significance.ravel() > _STRONG_SIGMAS)
    if len(strong) < _MIN_PIXELS:
        named = ", ".join(line.label for line in reachable[:4])
        raise CalibrationError(
            f"too few rings: {len(strong)} pixels rise above their surroundings, where rings of {frame.standard} "
            f"({named}) are expected",
            remedy="expose longer, or check that the standard is in the beam and is the one named",
        )
    order = np.argsort(significance.ravel()[strong], kind="stable")[::-1]
    strong = strong[order[:_MAX_PIXELS]]
    rows, cols = np.unravel_index(strong, frame.image.shape)
    return _StrongPixels(
        rows=rows.astype(np.float64),
        cols=cols.astype(np.float64),
        # the logarithm keeps one bright ring from outvoting the others
        weights=np.log1p(significance.ravel()[strong]),
    )


def _score(
    frame: CalibrationFrame,
    parameters: Parameters,
    pixels: _StrongPixels,
    lines_deg: NDArray[np.float64],
    width_deg: float,
) -> float:
    tth_deg = frame.tth_deg(parameters, pixels.rows, pixels.cols)
    after = np.clip(np.searchsorted(lines_deg, tth_deg), 1, len(lines_deg) - 1)
    off_deg = np.minimum(np.abs(tth_deg - lines_deg[after - 1]), np.abs(lines_deg[after] - tth_deg))
    hit = float(np.average(np.exp(-0.5 * (off_deg / width_deg) ** 2), weights=pixels.weights))
    low, high = float(tth_deg.min()), float(tth_deg.max())
    inside = np.count_nonzero((lines_deg >= low) & (lines_deg <= high))
    chance = min(inside * width_deg * np.sqrt(2 * np.pi) / max(high - low, width_deg), 0.9)
    return float((hit - chance) / (1 - chance))


def _refuse_rivals(profile: NDArray[np.float64], shifts_deg: NDArray[np.float64], best: int) -> None:
    """Refuse if a peak of the score elsewhere, with a valley between, is nearly as high."""
    for step in (-1, 1):
        side = profile[best::step]
        valley = np.minimum.accumulate(side)
        rivals = np.flatnonzero((side > RIVAL_SHARE * profile[best]) & (valley < 0.5 * profile[best]))
        if len(rivals):
            other = best + step * int(rivals[np.argmax(side[rivals])])
            raise CalibrationError(
                f"two places fit the lines alike: the arm off by {shifts_deg[best]:+.2f} deg and by "
                f"{shifts_deg[other]:+.2f} deg",
                remedy="start from a better geometry with --poni, or measure where more rings are in the window",
            )


def _polished(
    frame: CalibrationFrame,
    start: Parameters,
    pixels: _StrongPixels,
    lines_deg: NDArray[np.float64],
    arm_index: int,
    *,
    whole: bool,
) -> Parameters:
    """Climb to the top of the score, which grows narrower each time."""
    other_index = PARAMETERS.index("rot2" if PARAMETERS[arm_index] == "rot1" else "rot1")
    indices = [arm_index, 0, other_index] if whole else [arm_index]
    units = np.array([np.deg2rad(0.05), 5e-4, np.deg2rad(0.05)])[: len(indices)]
    moved = start
    for width_deg in FINE_WIDTHS_DEG:
        begin = moved

        def loss(step: NDArray[np.float64], begin: Parameters = begin, width_deg: float = width_deg) -> float:
            trial = begin.copy()
            trial[indices] += step * units
            return -_score(frame, trial, pixels, lines_deg, width_deg)

        simplex = np.vstack([np.zeros(len(indices)), np.eye(len(indices))])
        found = minimize(
            loss,
            np.zeros(len(indices)),
            method="Nelder-Mead",
            options={"initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-5, "maxfev": 300},
        )
        moved = begin.copy()
        moved[indices] += found.x * units
    return moved
