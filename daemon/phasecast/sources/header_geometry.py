"""What the header of a frame says about beam and detector: wavelength, distance, arm angle."""

import re
from dataclasses import dataclass
from math import isfinite

from phasecast.profiles.schema import HC_KEV_ANGSTROM

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_WAVELENGTH = re.compile(rf"^#?\s*Wavelength\s*[=:]?\s*{_NUMBER}\s*(A|Angstrom|nm)\b", re.MULTILINE)
_ENERGY = re.compile(rf"^#?\s*(?:Photon_energy|Beam_energy|Energy)\s*[=:]?\s*{_NUMBER}\s*(eV|keV)\b", re.MULTILINE)
_DISTANCE = re.compile(rf"^#?\s*Detector_distance\s*[=:]?\s*{_NUMBER}\s*(m|mm)\b", re.MULTILINE)
_ARM = re.compile(rf"^#?\s*Detector_2theta\s*[=:]?\s*{_NUMBER}\s*(deg)\b", re.MULTILINE)
_FACTOR = {"A": 1.0, "Angstrom": 1.0, "nm": 10.0, "eV": 1e-3, "keV": 1.0, "m": 1e3, "mm": 1.0, "deg": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedGeometry:
    """Values that a header states; None for what it does not, or states as 0, which detectors write for "not set".

    Parameters
    ----------
    energy_kev
        Photon energy, from a wavelength or an energy.
    distance_mm
        Distance of the detector.
    arm_tth_deg
        Angle of the detector's arm; 0 is an angle like any other.
    """

    energy_kev: float | None = None
    distance_mm: float | None = None
    arm_tth_deg: float | None = None


def parse_stated_geometry(header: str) -> StatedGeometry:
    """Read a header of convention PILATUS_1.2; what is missing or malformed is None."""
    wavelength_angstrom = _positive(_value(_WAVELENGTH, header))
    energy_kev = _positive(_value(_ENERGY, header))
    return StatedGeometry(
        energy_kev=HC_KEV_ANGSTROM / wavelength_angstrom if wavelength_angstrom is not None else energy_kev,
        distance_mm=_positive(_value(_DISTANCE, header)),
        arm_tth_deg=_value(_ARM, header),
    )


def _value(pattern: re.Pattern[str], header: str) -> float | None:
    match = pattern.search(header)
    if match is None:
        return None
    value = float(match[1]) * _FACTOR[match[2]]
    return value if isfinite(value) else None


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None
