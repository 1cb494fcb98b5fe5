"""What the header of a PILATUS frame says besides the pixels (convention PILATUS_1.2 and its predecessor)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite

from phasecast.core.errors import SourceError

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_UNIT_UM = {"um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
_EXPOSURE = re.compile(rf"^#?\s*Exposure_time\s*[=:]?\s*({_NUMBER})\s*s\b", re.MULTILINE)
_TIMESTAMP = re.compile(
    r"^#?\s*(\d{4}[-/](?:\d{2}|[A-Z][a-z]{2})[-/]\d{2}[T ]\d{2}:\d{2}:\d{2}\.\d{1,9})\s*$", re.MULTILINE
)
_PLAIN_KEY = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHeader:
    """Parameters a header can give.

    Parameters
    ----------
    exposure_s
        Exposure time in seconds; None if not stated.
    hardware_s
        Stated time of the exposure as POSIX time, read as this machine's local time since headers name no zone.
        None if not stated to a fraction of a second.
    position_um
        Axis name to position in um.
    """

    exposure_s: float | None = None
    hardware_s: float | None = None
    position_um: Mapping[str, float] = field(default_factory=dict)


def compile_position_fields(
    position_fields: Mapping[str, str], um_per_number: Mapping[str, float] | None = None
) -> dict[str, re.Pattern[str]]:
    """Return one pattern per axis.

    Parameters
    ----------
    position_fields
        Axis name to either a header key, whose value is followed by its unit (``Map_horizontal`` reads
        ``# Map_horizontal -0.3280 mm``), or a regular expression with the named groups ``value`` and ``unit``.
    um_per_number
        Axes whose value stands without a unit, and what it is multiplied with to give um (`parse_header` does).

    Raises
    ------
    SourceError
        If an expression is malformed.
    """
    patterns = {}
    for axis, text in position_fields.items():
        has_unit = axis not in (um_per_number or {})
        if _PLAIN_KEY.fullmatch(text):
            unit = r"(?P<unit>[a-zµμ]+)\b" if has_unit else r"(?=[\s;,'\"])"
            text = rf"(?:^#?|[;,])\s*{text}\s*[=:]?\s*(?P<value>{_NUMBER})\s*{unit}"
        try:
            pattern = re.compile(text, re.MULTILINE)
        except re.error as error:
            raise SourceError(f"{text!r} is no regular expression ({error})", where=f"position {axis}") from error
        needed = {"value", "unit"} if has_unit else {"value"}
        if not needed <= pattern.groupindex.keys():
            raise SourceError(
                f"{text!r} lacks the groups {' and '.join(sorted(needed, reverse=True))}",
                where=f"position {axis}",
                remedy="name a header key such as Map_horizontal, or add (?P<value>...) and (?P<unit>...)",
            )
        patterns[axis] = pattern
    return patterns


def parse_header(
    text: str,
    positions: Mapping[str, re.Pattern[str]],
    um_per_number: Mapping[str, float] | None = None,
    *,
    positions_in: str | None = None,
) -> FrameHeader:
    """Read a header; what is not there or malformed is left out.

    Parameters
    ----------
    text
        The header.
    positions, um_per_number
        See `compile_position_fields`.
    positions_in
        Text that states the positions instead: a sidecar. None: the header does.
    """
    um_per_number = um_per_number or {}
    exposure = _EXPOSURE.search(text)
    timestamp = _TIMESTAMP.search(text)
    position_um = {}
    for axis, pattern in positions.items():
        match = pattern.search(text if positions_in is None else positions_in)
        if match is None:
            continue
        factor = um_per_number.get(axis)
        if factor is None:
            factor = _UNIT_UM.get(match["unit"])
        if factor is None:
            continue
        try:
            value_um = float(match["value"]) * factor
        except ValueError:
            continue
        if isfinite(value_um):
            position_um[axis] = value_um
    return FrameHeader(
        exposure_s=float(exposure[1]) if exposure else None,
        hardware_s=_posix_s(timestamp[1]) if timestamp else None,
        position_um=position_um,
    )


def _posix_s(text: str) -> float | None:
    text = text.replace("/", "-").replace(" ", "T")
    whole, _, fraction = text.partition(".")
    for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%b-%dT%H:%M:%S"):
        try:
            return datetime.strptime(whole, form).timestamp() + float(f"0.{fraction}")
        except (ValueError, OverflowError, OSError):
            continue
    return None
