"""A detector's geometry from a frame of a standard: pyFAI's points and refinement, and a verdict on the outcome."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import CalibrationError
from phasecast.xrd.calibration_free_set import FreeSet, choose_free_set
from phasecast.xrd.calibration_rings import (
    PARAMETERS,
    STANDARDS,
    CalibrationFrame,
    Parameters,
    Standard,
    StandardLine,
    calibration_frame,
    parameters_of,
)
from phasecast.xrd.calibration_search import FoundStart, find_start
from phasecast.xrd.calibration_verdict import (
    RingResidual,
    refuse_far,
    refuse_open,
    refuse_poor_fit,
    refuse_strangers,
    ring_residuals,
)
from phasecast.xrd.geometry import DetectorGeometry

ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """A geometry that was measured.

    Parameters
    ----------
    geometry
        The detector as seen from the standard.
    standard
        Which standard.
    start
        Where the search began.
    found
        Where the search ended and the refinement began.
    free_set
        What was refined and why not the rest.
    rings
        Residuals, by rising 2theta.
    unseen
        Lines in the window that are no visible ring.
    rms_deg
        Root mean square over all points.
    points
        Row, col (pixels) and line of each, shape (n, 3).
    frame
        What was calibrated on.
    """

    geometry: DetectorGeometry
    standard: Standard
    start: DetectorGeometry
    found: FoundStart
    free_set: FreeSet
    rings: tuple[RingResidual, ...]
    unseen: tuple[StandardLine, ...]
    rms_deg: float
    points: NDArray[np.float64]
    frame: CalibrationFrame


def standard_named(name: str) -> Standard:
    """Return the standard of that name, whatever its case.

    Raises
    ------
    CalibrationError
        If there is none.
    """
    for standard in STANDARDS:
        if standard.lower() == name.lower():
            return standard
    raise CalibrationError(f"{name!r} is no standard", where="--standard", remedy=f"give one of {', '.join(STANDARDS)}")


def calibrate(
    image: NDArray[np.integer],
    mask: NDArray[np.bool_],
    *,
    start: DetectorGeometry,
    standard: Standard,
    arm_rotation: str | None,
) -> Calibration:
    """Find the geometry in which the rings of a frame are the lines of a standard.

    Wavelength and rot3 stay as they are. The rest is free as far as the rings determine it (`choose_free_set`).

    Parameters
    ----------
    image
        Counts, shape (rows, cols).
    mask
        True where a pixel is not used, same shape.
    start
        Geometry to begin from; the arm may be off by 1.5 deg and, with three lines in the window, the distance by 6 mm.
    standard
        What was measured.
    arm_rotation
        ``rot1`` or ``rot2``, whichever is the arm's angle; None for a detector that faces the beam.

    Raises
    ------
    CalibrationError
        If too few rings are seen, two assignments of lines fit alike, the points scatter by more than 0.02 deg, the
        rings leave 2theta uncertain by more than 0.05 deg somewhere on the detector, the frame has strong rings that
        are none of the standard's, or the detector would have to be further off than the start is believed to be.
    """
    frame = calibration_frame(image, mask, start, standard)
    nominal = parameters_of(start)
    found = find_start(frame, nominal, arm=arm_rotation or "rot1")
    candidates = _candidates(arm_rotation)
    parameters = found.parameters
    points, free_set = np.empty((0, 3)), None
    for _ in range(ROUNDS):
        points = frame.extract(parameters)
        _require_rings(frame, parameters, points)
        free_set = choose_free_set(frame, parameters, points, candidates=candidates)
        parameters = _refine(frame, parameters, points, free_set.free)
        points = frame.clip(parameters, points)
        _require_rings(frame, parameters, points)
        parameters = _refine(frame, parameters, points, free_set.free)
    assert free_set is not None
    rings = ring_residuals(frame, parameters, points)
    rms_deg = float(np.sqrt(np.mean(frame.residuals_deg(parameters, points) ** 2)))
    refuse_poor_fit(rings, rms_deg)
    refuse_strangers(frame, parameters)
    refuse_open(rings, free_set)
    refuse_far(frame, parameters, nominal, rings)
    seen = {ring.line_tth_deg for ring in rings}
    return Calibration(
        geometry=_geometry(start, parameters, standard),
        standard=standard,
        start=start,
        found=found,
        free_set=free_set,
        rings=rings,
        unseen=tuple(line for line in frame.lines_inside(frame.window_deg(parameters)) if line.tth_deg not in seen),
        rms_deg=rms_deg,
        points=points,
        frame=frame,
    )


def seen_from_sample(geometry: DetectorGeometry, sample_offset_mm: float) -> DetectorGeometry:
    """Return the geometry for a sample that does not sit where the standard sat.

    The origin moves along the beam: in the detector's own axes that changes the distance by the cosine of the
    detector's tilt and, on a tilted detector, also the foot of its normal.

    Parameters
    ----------
    geometry
        The detector as seen from the standard.
    sample_offset_mm
        Sample less standard along the beam, positive downstream (towards a detector that faces the beam).
    """
    # pyFAI: laboratory position = R (p1 - poni1, p2 - poni2, dist), the third axis along the beam
    along_axes_mm = sample_offset_mm * np.asarray(geometry.pyfai().rotation_matrix()).T[:, 2]
    return replace(
        geometry,
        distance_mm=geometry.distance_mm - float(along_axes_mm[2]),
        poni1_mm=geometry.poni1_mm + float(along_axes_mm[0]),
        poni2_mm=geometry.poni2_mm + float(along_axes_mm[1]),
    )


def _candidates(arm_rotation: str | None) -> Sequence[str]:
    """Parameters by falling need: on an arm its angle comes first, facing the beam the place of the beam."""
    if arm_rotation is None:
        return ("poni1", "poni2", "dist", "rot1", "rot2")
    other = "rot2" if arm_rotation == "rot1" else "rot1"
    along = "poni2" if arm_rotation == "rot1" else "poni1"
    return (arm_rotation, "dist", other, along)


def _require_rings(frame: CalibrationFrame, parameters: Parameters, points: NDArray[np.float64]) -> None:
    if len(points):
        return
    expected = ", ".join(line.label for line in frame.lines_inside(frame.window_deg(parameters))) or "none"
    raise CalibrationError(
        f"too few rings: none of {frame.standard}'s lines in the window ({expected}) is seen as a ring",
        remedy="expose longer, or check that the standard is in the beam and is the one named",
    )


def _refine(
    frame: CalibrationFrame, parameters: Parameters, points: NDArray[np.float64], free: Sequence[str]
) -> Parameters:
    refinement = frame.refinement(parameters)
    refinement.data = np.array(points)
    fix = [name for name in (*PARAMETERS, "wavelength") if name not in free]
    before = math.inf
    # pyFAI's minimiser stops early where parameters are as different as metres and radians
    for _ in range(20):
        after = float(refinement.refine3(fix=fix))
        if after > before * (1 - 1e-4):
            break
        before = after
    return np.array([float(getattr(refinement, name)) for name in PARAMETERS])


def _geometry(start: DetectorGeometry, parameters: Parameters, standard: Standard) -> DetectorGeometry:
    lengths_mm = parameters[:3] * 1e3
    angles_deg = np.rad2deg(parameters[3:])
    return replace(
        start,
        distance_mm=float(lengths_mm[0]),
        poni1_mm=float(lengths_mm[1]),
        poni2_mm=float(lengths_mm[2]),
        rot1_deg=float(angles_deg[0]),
        rot2_deg=float(angles_deg[1]),
        rot3_deg=float(angles_deg[2]),
        origin=f"calibration with {standard}",
        warnings=(),
    )
