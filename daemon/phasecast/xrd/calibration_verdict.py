"""The verdict on a calibration: residuals per ring, and the reasons for which it is refused."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import CalibrationError
from phasecast.xrd.calibration_free_set import MIN_RINGS_FOR_DISTANCE, FreeSet
from phasecast.xrd.calibration_pattern import strange_peaks_deg
from phasecast.xrd.calibration_rings import CalibrationFrame, Parameters
from phasecast.xrd.calibration_search import ARM_RANGE_DEG
from phasecast.xrd.geometry import ARM_TOLERANCE_DEG

MAX_RMS_DEG = 0.02
MAX_WINDOW_SIGMA_DEG = 0.05
"""More uncertainty than this anywhere on the detector, from what the rings leave open, is too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingResidual:
    """How one ring fits.

    Parameters
    ----------
    hkl, line_tth_deg
        The line of the standard.
    found_tth_deg
        Mean 2theta of the ring's points with the refined geometry.
    rms_deg
        Root mean square of point less line.
    points
        Number of points.
    azimuth_deg
        Azimuth that the points span.
    """

    hkl: str
    line_tth_deg: float
    found_tth_deg: float
    rms_deg: float
    points: int
    azimuth_deg: float

    @property
    def difference_deg(self) -> float:
        """Found less line."""
        return self.found_tth_deg - self.line_tth_deg


def ring_residuals(
    frame: CalibrationFrame, parameters: Parameters, points: NDArray[np.float64]
) -> tuple[RingResidual, ...]:
    """Return how each ring fits, by rising 2theta; points are as `CalibrationFrame.extract` returns them."""
    residuals_deg = frame.residuals_deg(parameters, points)
    azimuth_deg = frame.azimuth_deg(parameters, points)
    rings = []
    for index in np.unique(points[:, 2]).astype(int):
        own, line = points[:, 2] == index, frame.lines[index]
        rings.append(
            RingResidual(
                hkl=line.hkl,
                line_tth_deg=line.tth_deg,
                found_tth_deg=line.tth_deg + float(residuals_deg[own].mean()),
                rms_deg=float(np.sqrt(np.mean(residuals_deg[own] ** 2))),
                points=int(own.sum()),
                azimuth_deg=float(np.ptp(azimuth_deg[own])),
            )
        )
    return tuple(rings)


def refuse_poor_fit(rings: Sequence[RingResidual], rms_deg: float) -> None:
    """Refuse points that lie off their lines.

    Raises
    ------
    CalibrationError
        If the points scatter by more than 0.02 deg rms.
    """
    if rms_deg > MAX_RMS_DEG:
        worst = max(rings, key=lambda ring: ring.rms_deg)
        raise CalibrationError(
            f"the points lie {rms_deg:.4f} deg rms off the lines, more than {MAX_RMS_DEG} deg; worst is "
            f"{worst.hkl} at {worst.line_tth_deg:.2f} deg with {worst.rms_deg:.4f} deg",
            remedy="check standard, energy and detector.orientation of the profile, and start nearer with --poni",
        )


def refuse_open(rings: Sequence[RingResidual], free_set: FreeSet) -> None:
    """Refuse rings that leave too much open.

    Raises
    ------
    CalibrationError
        If 2theta stays uncertain by more than 0.05 deg somewhere on the detector.
    """
    named = ", ".join(f"{ring.hkl} at {ring.line_tth_deg:.2f} deg" for ring in rings)
    if free_set.window_sigma_deg > MAX_WINDOW_SIGMA_DEG:
        raise CalibrationError(
            f"too few rings: {len(rings)} ({named}); with {', '.join(free_set.free)} free they leave 2theta uncertain "
            f"by {free_set.window_sigma_deg:.2f} deg at {free_set.worst_tth_deg:.2f} deg",
            remedy="measure where more rings are in the window, or expose longer",
        )


def refuse_strangers(frame: CalibrationFrame, parameters: Parameters) -> None:
    """Refuse a frame with rings of something else.

    A wrong standard of the same lattice type fits every second ring: what it leaves over gives it away.

    Raises
    ------
    CalibrationError
        If there are strong peaks off every line of the standard.
    """
    strange = strange_peaks_deg(frame, parameters)
    if strange:
        named = ", ".join(f"{value:.2f}" for value in strange[:6])
        raise CalibrationError(
            f"rings at {named} deg are no lines of {frame.standard}",
            remedy="check which standard is in the beam",
        )


def refuse_far(
    frame: CalibrationFrame, parameters: Parameters, nominal: Parameters, rings: Sequence[RingResidual]
) -> None:
    """Refuse a detector that is further from its start than the start may be wrong.

    A single ring is any line that is near enough: the start has to say which.

    Raises
    ------
    CalibrationError
        If 2theta of the detector's centre moved by more than 1.5 deg, or 1 deg with less than three rings.
    """
    row, col = (np.array([(length - 1) / 2]) for length in frame.image.shape)
    moved_deg = float((frame.tth_deg(parameters, row, col) - frame.tth_deg(nominal, row, col))[0])
    few = len(rings) < MIN_RINGS_FOR_DISTANCE
    limit_deg = ARM_TOLERANCE_DEG if few else ARM_RANGE_DEG
    if abs(moved_deg) > limit_deg:
        named = ", ".join(ring.hkl for ring in rings)
        reason = f"; with so few rings ({named}) another line may fit as well" if few else ""
        raise CalibrationError(
            f"the detector's centre would be {moved_deg:+.2f} deg from where it should be, more than {limit_deg:g} deg"
            f"{reason}",
            remedy="correct the arm angle that is started from, and check which standard is in the beam",
        )
