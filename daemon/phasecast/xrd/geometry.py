"""Where the detector is: from a .poni file, or else from the nominal values of a profile."""

import hashlib
import json
import logging
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from pyFAI.detectors import detector_factory
from pyFAI.integrator.azimuthal import AzimuthalIntegrator
from pyFAI.io.ponifile import PoniFile

from phasecast.core.errors import GeometryError
from phasecast.profiles import Profile

logger = logging.getLogger(__name__)

DISTANCE_TOLERANCE_MM = 2.0
ARM_TOLERANCE_DEG = 1.0
WAVELENGTH_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorGeometry:
    """A detector in space, in the convention of pyFAI's .poni files.

    Parameters
    ----------
    detector, orientation, shape
        Name that pyFAI knows, EXIF orientation of its images, and their (rows, cols).
    distance_mm, poni1_mm, poni2_mm
        Sample to the foot of the detector's normal, and that foot along the slow and fast axis.
    rot1_deg, rot2_deg, rot3_deg
        Rotations of the detector about the vertical axis, the horizontal axis and the beam.
    wavelength_angstrom
        Wavelength of the beam.
    origin
        What the values come from, for people.
    warnings
        Lines on contradictions between a .poni file and the profile.
    """

    detector: str
    orientation: int
    shape: tuple[int, int]
    distance_mm: float
    poni1_mm: float
    poni2_mm: float
    rot1_deg: float
    rot2_deg: float
    rot3_deg: float
    wavelength_angstrom: float
    origin: str
    warnings: tuple[str, ...] = ()

    @property
    def geometry_id(self) -> str:
        """Hash of the values alone; two files that say the same have the same id."""
        values = {key: value for key, value in asdict(self).items() if key not in ("origin", "warnings")}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def pyfai(self) -> AzimuthalIntegrator:
        """Return a fresh pyFAI integrator for this geometry."""
        detector = detector_factory(self.detector, config={"orientation": self.orientation})
        return AzimuthalIntegrator(
            dist=self.distance_mm * 1e-3,
            poni1=self.poni1_mm * 1e-3,
            poni2=self.poni2_mm * 1e-3,
            rot1=math.radians(self.rot1_deg),
            rot2=math.radians(self.rot2_deg),
            rot3=math.radians(self.rot3_deg),
            detector=detector,
            wavelength=self.wavelength_angstrom * 1e-10,
        )

    @property
    def centre_tth_deg(self) -> float:
        """2theta at the centre of the detector."""
        rows, cols = self.shape
        tth_rad = self.pyfai().tth(np.array([(rows - 1) / 2]), np.array([(cols - 1) / 2]))
        return float(np.rad2deg(tth_rad[0]))


def geometry_from_profile(profile: Profile, poni: str | Path | None = None) -> DetectorGeometry:
    """Return the geometry that holds for a profile.

    A .poni file given here wins over the one the profile names, which wins over the nominal values.
    A .poni file that differs from the nominal values by more than 2 mm, 1 degree or 0.1 % of the wavelength
    is used, and the difference is logged and kept in ``warnings``.

    Raises
    ------
    GeometryError
        If the file is missing or unreadable, is for another detector, or nothing states the arm's angle.
    """
    file = poni if poni is not None else profile.geometry.poni_file
    if file is None:
        return _nominal(profile)
    geometry = _from_poni(profile, Path(file).expanduser())
    for warning in geometry.warnings:
        logger.warning("%s", warning)
    return geometry


def known_detector(profile: Profile) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return (rows, cols) of a profile's detector, and the pixel size along both in mm.

    Raises
    ------
    GeometryError
        If pyFAI knows no detector of that name.
    """
    name = profile.detector.model
    try:
        detector = detector_factory(name)
    except RuntimeError as error:
        raise GeometryError(
            f"pyFAI knows no detector {name!r}",
            where=f"profile {profile.name}: detector.model",
            remedy="use a name from pyFAI's list of detectors, such as Pilatus100k",
        ) from error
    rows, cols = detector.shape
    return (int(rows), int(cols)), (float(detector.pixel1) * 1e3, float(detector.pixel2) * 1e3)


def _nominal(profile: Profile) -> DetectorGeometry:
    nominal = profile.geometry
    shape, (pixel1_mm, pixel2_mm) = known_detector(profile)
    rot1_deg = rot2_deg = 0.0
    if nominal.arm_tth_deg is not None:
        poni1_mm, poni2_mm = shape[0] * pixel1_mm / 2, shape[1] * pixel2_mm / 2
        if nominal.fast_axis_in_arm_plane:
            rot1_deg = nominal.arm_tth_deg
        else:
            rot2_deg = nominal.arm_tth_deg
    elif nominal.beam_centre_px is not None:
        poni1_mm, poni2_mm = nominal.beam_centre_px[1] * pixel1_mm, nominal.beam_centre_px[0] * pixel2_mm
    else:
        raise GeometryError(
            "no .poni file, and neither arm_tth_deg nor beam_centre_px is stated",
            where=f"profile {profile.name}: geometry",
            remedy="give the calibration of this measurement: --poni FILE, or poni_file in the profile",
        )
    return DetectorGeometry(
        detector=profile.detector.model,
        orientation=nominal.orientation,
        shape=shape,
        distance_mm=nominal.distance_mm,
        poni1_mm=poni1_mm,
        poni2_mm=poni2_mm,
        rot1_deg=rot1_deg,
        rot2_deg=rot2_deg,
        rot3_deg=0.0,
        wavelength_angstrom=profile.wavelength_angstrom,
        origin=f"nominal values of profile {profile.name}",
    )


def _from_poni(profile: Profile, path: Path) -> DetectorGeometry:
    shape, _ = known_detector(profile)
    if not path.is_file():
        raise GeometryError(
            "the .poni file does not exist",
            where=str(path),
            remedy="correct the path, or remove poni_file to use the profile's nominal values",
        )
    try:
        poni = PoniFile(str(path))
        rotations_deg = [math.degrees(float(angle)) for angle in (poni.rot1, poni.rot2, poni.rot3)]
        distance_mm, poni1_mm, poni2_mm = (float(value) * 1e3 for value in (poni.dist, poni.poni1, poni.poni2))
        found_shape = tuple(int(length) for length in poni.detector.shape)
        orientation = int(poni.detector.orientation)
    except Exception as error:
        # pyFAI raises whatever its parser stumbles over; each means the same to the reader.
        raise GeometryError(
            f"not a .poni file that pyFAI can read ({type(error).__name__}: {error})",
            where=str(path),
            remedy="calibrate again with pyFAI and save the .poni file",
        ) from error
    if found_shape != shape:
        raise GeometryError(
            f"is for a detector of {found_shape} pixels, the profile's {profile.detector.model} has {shape}",
            where=str(path),
            remedy="use the .poni file of this detector, or correct detector.model",
        )
    wavelength = float(poni.wavelength) * 1e10 if poni.wavelength else profile.wavelength_angstrom
    measured = DetectorGeometry(
        detector=profile.detector.model,
        orientation=orientation or profile.geometry.orientation,
        shape=shape,
        distance_mm=distance_mm,
        poni1_mm=poni1_mm,
        poni2_mm=poni2_mm,
        rot1_deg=rotations_deg[0],
        rot2_deg=rotations_deg[1],
        rot3_deg=rotations_deg[2],
        wavelength_angstrom=wavelength,
        origin=str(path),
    )
    return replace(measured, warnings=contradictions(profile, measured))


def contradictions(profile: Profile, measured: DetectorGeometry) -> tuple[str, ...]:
    """Return one line for each value of a calibration that differs from the profile's nominal one."""
    lines = []

    def differ(what: str, found: str, stated: str) -> None:
        lines.append(
            f"{measured.origin}: {what} {found} differs from the nominal {stated} of profile {profile.name}; "
            "the .poni file is used"
        )

    nominal = profile.geometry
    if abs(measured.distance_mm - nominal.distance_mm) > DISTANCE_TOLERANCE_MM:
        differ("distance", f"{measured.distance_mm:.2f} mm", f"{nominal.distance_mm:.2f} mm")
    if nominal.arm_tth_deg is not None or nominal.beam_centre_px is not None:
        stated_deg = _nominal(profile).centre_tth_deg
        found_deg = measured.centre_tth_deg
        if abs(found_deg - stated_deg) > ARM_TOLERANCE_DEG:
            differ("2theta of the detector's centre", f"{found_deg:.2f} deg", f"{stated_deg:.2f} deg")
    stated_angstrom = profile.wavelength_angstrom
    if abs(measured.wavelength_angstrom / stated_angstrom - 1) > WAVELENGTH_TOLERANCE:
        differ("wavelength", f"{measured.wavelength_angstrom:.5f} A", f"{stated_angstrom:.5f} A")
    return tuple(lines)
