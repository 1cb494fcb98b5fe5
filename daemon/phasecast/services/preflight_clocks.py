"""Checks before a scan: clocks of other computers against ours, and logs that must grow."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from phasecast.core.frame import Frame
from phasecast.services.preflight_checks import Check, green, red, unchecked

CLOCK_TOLERANCE_S = 2.0
FRESH_AFTER_S = 1.5
"""A watched folder gives at its first look what lies there already; what comes later has just been written."""


def clock_offset_of_frame_s(frame: Frame, began_s: float) -> float | None:
    """Return the detector's clock minus ours at the end of an exposure; None if the frame does not tell.

    Parameters
    ----------
    frame
        A frame that came as a file: only there the stated time is a time of day.
    began_s
        When listening began; a file that lay there before tells nothing.
    """
    if frame.reference.store != "file" or frame.hardware_s is None or frame.received_s < began_s + FRESH_AFTER_S:
        return None
    return frame.hardware_s + (frame.exposure_s or 0.0) - frame.received_s


def check_clocks(offsets_s: Mapping[str, float]) -> Check:
    """Judge clocks of other computers against ours.

    Parameters
    ----------
    offsets_s
        Whose clock to how far it is ahead of ours, in s; what it says takes up to a second to reach us.
    """
    name = "clocks"
    if not offsets_s:
        return unchecked(
            name, "nothing new with a time came", "take a test frame or count a point while this command listens"
        )
    said = ", ".join(f"{whose} {offset_s:+.1f} s" for whose, offset_s in offsets_s.items())
    worst_s = max(offsets_s.values(), key=abs)
    if abs(worst_s) <= CLOCK_TOLERANCE_S:
        return green(name, f"{said} against this computer")
    hours = round(worst_s / 1800) / 2
    if hours and abs(worst_s - 3600 * hours) < 60:
        remedy = f"{hours:+g} h looks like a time zone: set TZ for phasecast, or the zone of that computer"
    else:
        remedy = "set both clocks by NTP; logs are joined to frames by time"
    return red(name, f"{said} against this computer", remedy)


def check_log(
    path: Path, *, size_before: int | None, size_now: int | None, changed_s: float, listened_s: float
) -> Check:
    """Tell whether a log of positions grows.

    Parameters
    ----------
    path
        The log.
    size_before, size_now
        Its bytes when listening began and ended; None if it was not there.
    changed_s
        POSIX time of its last change.
    listened_s
        How long that was.
    """
    name = f"log {path.name}"
    if size_now is None:
        return red(name, f"{path} does not exist", "start the program that writes it, or correct the path")
    grown = size_now - (size_before or 0)
    if grown > 0:
        return green(name, f"{grown} bytes more in {listened_s:.0f} s")
    if grown < 0:
        return red(name, f"it became {-grown} bytes shorter", "let the program that writes it append, not begin anew")
    since = datetime.fromtimestamp(changed_s).strftime("%Y-%m-%d %H:%M:%S")
    return red(
        name,
        f"nothing new in {listened_s:.0f} s; last written {since}",
        "start the program that writes it, or move a motor while this command listens",
    )
