"""The checks before a scan: each looks at one thing and says, in one line, whether it is well and else what to do."""

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from phasecast.core.scan import PointMeasured
from phasecast.profiles import Profile
from phasecast.profiles.schema import HC_KEV_ANGSTROM

State = Literal["green", "red", "not checked"]

ENERGY_TOLERANCE = 2e-3
"""Relative; 0.2 % of the energy moves the line at 40 deg by 0.08 deg."""
THRESHOLD_TOLERANCE = 0.02
THRESHOLD_SHARE = (0.4, 0.8)
"""Of the photon energy. A photon that two pixels share is counted once at a half; far from it twice, or not at all."""
MOST_MASKED_SHARE = 0.2
DISK_RESERVE = 1.1
POINT_OVERHEAD_BYTES = 1500
"""Ledger, indices and HDF5's own, beside the arrays of a point."""

_THRESHOLD = re.compile(r"^#?\s*Threshold_setting\s*[:=]?\s*([\d.]+(?:[eE][-+]?\d+)?)\s*(k?)eV", re.MULTILINE)
_WAVELENGTH = re.compile(r"^#?\s*Wavelength\s*[:=]?\s*([\d.]+(?:[eE][-+]?\d+)?)\s*A\b", re.MULTILINE)
_CALIBRATED = re.compile(r"^#\s*Calibration done (?:at|on)\s+(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one check found.

    Parameters
    ----------
    name
        The thing that was looked at.
    state
        ``green``, ``red`` or ``not checked``.
    what
        What was found.
    remedy
        What to do; empty where nothing is to be done.
    """

    name: str
    state: State
    what: str
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return asdict(self)


def green(name: str, what: str) -> Check:
    """Return the check of something that is well."""
    return Check(name=name, state="green", what=what)


def red(name: str, what: str, remedy: str) -> Check:
    """Return the check of something that must be put right."""
    return Check(name=name, state="red", what=what, remedy=remedy)


def unchecked(name: str, what: str, remedy: str = "") -> Check:
    """Return the check of something that could not be looked at, and need not be well."""
    return Check(name=name, state="not checked", what=what, remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a frame's header, or the detector's stream, says of beam and detector; None where it says nothing."""

    threshold_kev: float | None = None
    energy_kev: float | None = None


def stated_in_header(text: str) -> Stated:
    """Read threshold and wavelength from a header in the convention PILATUS_1.2; a zero says nothing."""
    threshold, wavelength = _THRESHOLD.search(text), _WAVELENGTH.search(text)
    threshold_kev = _positive(threshold[1]) if threshold else None
    if threshold_kev and threshold and not threshold[2]:
        threshold_kev *= 1e-3
    wavelength_angstrom = _positive(wavelength[1]) if wavelength else None
    return Stated(
        threshold_kev=threshold_kev,
        energy_kev=HC_KEV_ANGSTROM / wavelength_angstrom if wavelength_angstrom else None,
    )


def stated_in_settings(settings: Mapping[str, Any]) -> Stated:
    """Read threshold and energy from the header of a SIMPLON series, both in eV there; V2 has a threshold a channel."""
    threshold = settings.get("threshold_energy")
    if isinstance(threshold, Mapping):
        threshold = threshold.get(settings.get("image_channel"))
    threshold_ev = _positive(threshold)
    energy_ev = _positive(settings.get("photon_energy", settings.get("incident_energy")))
    return Stated(
        threshold_kev=threshold_ev / 1e3 if threshold_ev else None, energy_kev=energy_ev / 1e3 if energy_ev else None
    )


def check_energy(profile: Profile, stated: Stated | None) -> Check:
    """Compare the energy that the detector was told with the profile's."""
    name = "energy"
    if stated is None or stated.energy_kev is None:
        return unchecked(name, f"{profile.energy_kev:g} keV in the profile; the frame states none")
    if abs(stated.energy_kev / profile.energy_kev - 1) > ENERGY_TOLERANCE:
        return red(
            name,
            f"{stated.energy_kev:.4g} keV in the frame, {profile.energy_kev:.4g} keV in profile {profile.name}",
            "correct energy_kev in the profile, or tell the detector the energy of the beam",
        )
    return green(name, f"{stated.energy_kev:.4g} keV in frame and profile")


def check_threshold(profile: Profile, stated: Stated | None) -> Check:
    """Compare the detector's threshold with the profile's and with the energy of the beam."""
    name = "threshold"
    in_profile, in_frame = profile.detector.threshold_kev, stated.threshold_kev if stated else None
    if in_profile is not None and in_frame is not None and abs(in_frame / in_profile - 1) > THRESHOLD_TOLERANCE:
        return red(
            name,
            f"{in_frame:.4g} keV in the frame, {in_profile:.4g} keV in profile {profile.name}",
            "set the detector's threshold, or correct detector.threshold_kev in the profile",
        )
    threshold_kev = in_frame if in_frame is not None else in_profile
    if threshold_kev is None:
        return unchecked(name, "neither frame nor profile states one", "write detector.threshold_kev into the profile")
    share = threshold_kev / profile.energy_kev
    said = f"{threshold_kev:.4g} keV, {share:.2f} of the photon energy"
    low, high = THRESHOLD_SHARE
    if not low <= share <= high:
        return red(name, said, f"set the threshold to half the photon energy, {profile.energy_kev / 2:.4g} keV")
    return green(name, said + (" (stated by the profile alone)" if in_frame is None else ""))


def check_pixels(*, masked: int, saturated: int, pixels: int, mask_file: str | None) -> Check:
    """Judge how many pixels of the test frame can be used.

    Parameters
    ----------
    masked
        Pixels that cannot be used, by the mask file or in this frame alone.
    saturated
        Pixels at or above the count limit.
    pixels
        All pixels.
    mask_file
        The profile's; None if it names none.
    """
    name = "mask"
    said = f"{masked} of {pixels} pixels left out ({100 * masked / pixels:.2f} %), " + (
        f"mask {mask_file}" if mask_file else "no mask file"
    )
    if saturated:
        return red(
            name, f"{said}; {saturated} at the count limit", "attenuate the beam, or put hot pixels into the mask file"
        )
    if masked / pixels > MOST_MASKED_SHARE:
        return red(name, said, "look at the frame: a wrong mask, a dead module, or a frame in its beam stop's shadow")
    return green(name, said)


def check_i0(
    profile: Profile,
    points: Sequence[PointMeasured],
    *,
    expects_points: bool,
    joined_late: bool = False,
    listened_s: float,
) -> Check:
    """Tell whether the incident monitor is alive.

    Parameters
    ----------
    profile
        The instrument.
    points
        Points that were measured while the sources were listened to.
    expects_points
        Whether a source gives measured points.
    joined_late
        Whether a scan was running when listening began.
    listened_s
        How long that was.
    """
    name, i0 = "I0", profile.monitors.with_role("i0")
    if i0 is None:
        return unchecked(
            name, "the profile names none: intensities are not normalised", "name monitors.i0_field in the profile"
        )
    monitor = i0.field
    if not points and joined_late:
        return red(name, "a scan was running already, its points cannot be read", "look again when it has ended")
    if not points:
        said = f"no measured point came in {listened_s:.0f} s" if expects_points else "no source gives measured points"
        return red(name, said, "run a count of one point while this command listens (longer with --listen-s)")
    values = [point.scalars[monitor] for point in points if monitor in point.scalars]
    if not values:
        known = ", ".join(sorted(points[-1].scalars)[:8]) or "nothing"
        return red(name, f"points carry no {monitor!r}; they carry {known}", "correct the field of I0 in the profile")
    newest = values[-1]
    if not math.isfinite(newest) or newest - i0.offset <= profile.monitors.least_i0:
        remedy = "open the shutter, look for the beam, check the monitor's gain"
        return red(name, f"{monitor} reads {newest:g}: no beam", remedy)
    return green(name, f"{monitor} reads {newest:.6g}")


def check_geometry_age(path: Path | None, *, limit_h: float, now_s: float | None = None) -> Check:
    """Tell how old the calibration is: by its own stamp, else by the time of its file."""
    name = "geometry"
    if path is None:
        return red(
            name, "nominal values of the profile, no calibration", "calibrate: phasecast calibrate, then poni_file"
        )
    done_s = _stamp_of(path)
    age_h = ((time.time() if now_s is None else now_s) - done_s) / 3600
    when = datetime.fromtimestamp(done_s).strftime("%Y-%m-%d %H:%M")
    said = f"{path.name}, calibrated {when}, {age_h:.0f} h ago" if age_h < 72 else (
        f"{path.name}, calibrated {when}, {age_h / 24:.0f} days ago"
    )  # fmt: skip
    if age_h > limit_h:
        return red(
            name, said, f"calibrate again, or accept it with --max-geometry-age-h (now {limit_h:g}) if nothing moved"
        )
    return green(name, said)


def check_disk(*, bytes_a_point: float, points: int, free_bytes: int, planned: bool) -> Check:
    """Tell whether the disk holds the scan.

    Parameters
    ----------
    bytes_a_point
        What capture and result need for a point.
    points
        Points of the scan.
    free_bytes
        What the disk has.
    planned
        Whether somebody named the points; if not they are an assumption.
    """
    name, needed = "disk", bytes_a_point * points * DISK_RESERVE
    said = (
        f"{points} points{'' if planned else ' (assumed; name them with --points)'} need {needed / 1e9:.2f} GB, "
        f"{free_bytes / 1e9:.1f} GB are free"
    )
    if needed > free_bytes:
        return red(name, said, "make room, choose another --data-dir, or measure fewer points")
    return green(name, said)


def _stamp_of(path: Path) -> float:
    """Return when a .poni file was calibrated, POSIX s: its last stamp, which names no zone, or the file's time."""
    changed_s = path.stat().st_mtime
    stamps = _CALIBRATED.findall(path.read_text(encoding="utf-8", errors="replace"))
    for text in reversed(stamps):
        for read in (lambda text: datetime.strptime(text, "%a %b %d %H:%M:%S %Y"), datetime.fromisoformat):
            try:
                return float(read(text).timestamp())
            except (ValueError, OverflowError):
                continue
    return changed_s


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
