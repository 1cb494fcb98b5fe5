"""Frames of a standard to a dated .poni file, a picture and a table of residuals."""

import hashlib
import os
from collections.abc import Sequence
from datetime import datetime
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyFAI.io.ponifile import PoniFile

from phasecast import __version__
from phasecast.core.errors import CalibrationError, FrameError, GeometryError
from phasecast.profiles import Profile, list_profiles, load_profile
from phasecast.services.calibrate_report import CalibrationReport
from phasecast.sources.frame_file import read_frame_file
from phasecast.sources.header_geometry import StatedGeometry, parse_stated_geometry
from phasecast.xrd.calibration import calibrate, seen_from_sample, standard_named
from phasecast.xrd.calibration_picture import calibration_png
from phasecast.xrd.corrections import corrections_from_profile
from phasecast.xrd.geometry import (
    DISTANCE_TOLERANCE_MM,
    WAVELENGTH_TOLERANCE,
    DetectorGeometry,
    geometry_from_profile,
)

ARM_MOVED_DEG = 0.005
_FACING_DEG = 5.0


def calibrate_files(
    frames: Sequence[Path],
    *,
    profile: str,
    standard: str,
    poni: Path | None = None,
    output: Path | None = None,
    sample_offset_mm: float = 0.0,
    ignore_headers: bool = False,
    now: datetime | None = None,
) -> CalibrationReport:
    """Calibrate on the sum of frames of a standard and write the outcome; a refusal writes nothing.

    Parameters
    ----------
    frames
        Files of one position of the detector.
    profile
        Name of a shipped profile, or a TOML file.
    standard
        LaB6, CeO2 or Si.
    poni
        Geometry to start from; default is the profile's .poni file, else its nominal values.
    output
        The .poni file to write; default is a dated name beside the profile (in the working folder for a shipped one).
    sample_offset_mm
        Sample less standard along the beam, positive downstream.
    ignore_headers
        Whether energy and distance in the frames' headers may contradict the profile.
    now
        Date in the names; default is the clock's.

    Raises
    ------
    PhasecastError
        If profile, geometry or a frame cannot be used, headers contradict, or the calibration is not good enough.
    """
    chosen = standard_named(standard)
    loaded = load_profile(profile)
    start = _start(loaded, poni)
    corrections = corrections_from_profile(loaded, start.shape)
    mask = np.zeros(start.shape, bool) if corrections.mask is None else corrections.mask
    image, mask, stated = _summed(frames, start.shape, mask, loaded.detector.count_limit)
    notes = _compare_headers(stated, loaded, ignore=ignore_headers)
    moment = now or datetime.now()
    target = _free_target(output or _default_target(profile, loaded, chosen, moment))
    try:
        calibration = calibrate(image, mask, start=start, standard=chosen, arm_rotation=_arm_rotation(loaded, start))
    except CalibrationError as error:
        raise CalibrationError(error.what, where=_named(frames), remedy=error.remedy) from error
    report = CalibrationReport(
        calibration=calibration,
        geometry=seen_from_sample(calibration.geometry, sample_offset_mm),
        sample_offset_mm=sample_offset_mm,
        poni=target,
        picture=target.with_suffix(".png"),
        notes=tuple(notes),
    )
    _write(report, frames)
    return report


def _start(profile: Profile, poni: Path | None) -> DetectorGeometry:
    start = geometry_from_profile(profile, poni)
    if abs(start.wavelength_angstrom / profile.wavelength_angstrom - 1) > WAVELENGTH_TOLERANCE:
        raise GeometryError(
            f"wavelength {start.wavelength_angstrom:.5f} A contradicts {profile.wavelength_angstrom:.5f} A of profile "
            f"{profile.name}",
            where=start.origin,
            remedy="correct energy_kev in the profile, or start from another .poni file",
        )
    return start


def _arm_rotation(profile: Profile, start: DetectorGeometry) -> str | None:
    nominal = profile.geometry
    tilted = max(abs(start.rot1_deg), abs(start.rot2_deg)) > _FACING_DEG
    if nominal.beam_centre_px is not None and not tilted:
        return None
    return "rot1" if nominal.fast_axis_in_arm_plane else "rot2"


def _summed(
    paths: Sequence[Path], shape: tuple[int, int], mask: NDArray[np.bool_], count_limit: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_], dict[Path, StatedGeometry]]:
    total = np.zeros(shape, dtype=np.int64)
    stated = {}
    for path in paths:
        try:
            encoded = path.read_bytes()
        except OSError as error:
            raise FrameError(f"cannot be read ({error.strerror})", where=str(path), remedy="check the path") from error
        content = read_frame_file(path.name, encoded, raw_shape=shape)
        if content.image.shape != shape:
            raise FrameError(
                f"has {content.image.shape} pixels, the profile's detector has {shape}",
                where=str(path),
                remedy="use a frame of this detector, or correct detector.model",
            )
        mask = mask | (content.image < 0) | (content.image >= count_limit)
        total += content.image
        stated[path] = parse_stated_geometry(content.header)
    return total, mask, stated


def _compare_headers(stated: dict[Path, StatedGeometry], profile: Profile, *, ignore: bool) -> list[str]:
    """Return notes on contradictions that are ignored; the arm's angle among frames never is."""
    (first, reference), *others = stated.items()
    for path, header in others:
        if header.arm_tth_deg is None or reference.arm_tth_deg is None:
            continue
        if abs(header.arm_tth_deg - reference.arm_tth_deg) > ARM_MOVED_DEG:
            raise FrameError(
                f"the arm is at {header.arm_tth_deg:g} deg, and at {reference.arm_tth_deg:g} deg in {first}",
                where=str(path),
                remedy="calibrate the frames of one arm angle at a time",
            )
    notes = []
    for path, header in stated.items():
        for what, found, expected, field, unit, tolerance in (
            (
                "energy",
                header.energy_kev,
                profile.energy_kev,
                "energy_kev",
                "keV",
                WAVELENGTH_TOLERANCE * profile.energy_kev,
            ),
            (
                "distance",
                header.distance_mm,
                profile.geometry.distance_mm,
                "geometry.distance_mm",
                "mm",
                DISTANCE_TOLERANCE_MM,
            ),
        ):
            if found is None or abs(found - expected) <= tolerance:
                continue
            line = f"the header's {what} {found:.6g} {unit} contradicts {expected:.6g} {unit} of profile {profile.name}"
            if not ignore:
                raise FrameError(
                    line,
                    where=str(path),
                    remedy=f"correct {field} in the profile, or give --ignore-headers if the header is out of date",
                )
            notes.append(f"ignored: {path.name}: {line}")
    return notes


def _default_target(name: str, profile: Profile, standard: str, moment: datetime) -> Path:
    shipped = name in list_profiles()
    folder = Path.cwd() if shipped else Path(name).expanduser().resolve().parent
    return folder / f"{profile.name}_{standard}_{moment:%Y%m%d-%H%M%S}.poni"


def _free_target(target: Path) -> Path:
    """Refuse before the work is done what could not be written after it."""
    target = target.expanduser()
    if target.suffix != ".poni":
        raise CalibrationError("is no name of a .poni file", where=str(target), remedy="end --output with .poni")
    for path in (target, target.with_suffix(".png")):
        if path.exists():
            raise CalibrationError("exists already", where=str(path), remedy="give another name with --output")
    if not os.access(target.parent, os.W_OK):
        raise CalibrationError(
            "cannot be written to", where=str(target.parent), remedy="give another place with --output"
        )
    return target


def _named(frames: Sequence[Path]) -> str:
    return str(frames[0]) if len(frames) == 1 else f"{frames[0]} and {len(frames) - 1} more"


def _text(poni: PoniFile) -> bytes:
    text = StringIO()
    poni.write(text)
    return text.getvalue().encode()


def _write(report: CalibrationReport, frames: Sequence[Path]) -> None:
    poni = PoniFile(data=report.geometry.pyfai())
    calibration = report.calibration
    poni.extra = {
        "Calibrant": calibration.standard,
        "Image": ", ".join(f"{path.name} sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in frames),
        "Sample_offset": f"{report.sample_offset_mm:g} mm along the beam from the standard, already in these values",
        "Refined": f"{', '.join(calibration.free_set.free)} with phasecast {__version__}, "
        f"from {calibration.start.origin}",
        "Residual": f"{calibration.rms_deg:.5f} deg rms over {len(calibration.points)} points on "
        f"{', '.join(ring.hkl for ring in calibration.rings)}",
    }
    for path, content in ((report.picture, calibration_png(calibration)), (report.poni, _text(poni))):
        partial = path.with_name(f".{path.name}.part")
        partial.write_bytes(content)
        partial.rename(path)
