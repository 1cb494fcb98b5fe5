"""Numbers that a frame states of itself in its text header or in a sidecar: the angles of the detector's arm."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phasecast.core.errors import FrameError
from phasecast.sources.frame_name import format_suffix

AGREE_WITHIN = 0.005
"""Two statements of one angle that differ by more, in deg, contradict each other."""
MAX_SIDECAR_BYTES = 64 << 10

ZERO_IS_UNSET = frozenset({"Detector_2theta"})
"""Header keys that camserver always writes, with 0 until somebody sets them: an I07 frame says 0.0000 while its sidecar
has the arm at -9.67 deg."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SETTLE_S = 0.2
_OLD_S = 2.0


class SidecarError(FrameError):
    """A frame's sidecar is missing, unreadable or still being written."""


class ContradictionError(FrameError):
    """A frame that states two different values of one thing."""


@dataclass(slots=True, kw_only=True)
class SidecarSeen:
    """What was last seen of one frame's sidecar.

    Parameters
    ----------
    stamp
        Its size and time of change in ns; (-1, -1) if it was not there.
    changed_s
        Monotonic time at which that stamp was first seen.
    """

    stamp: tuple[int, int] = (-1, -1)
    changed_s: float = 0.0


def sidecar_path(frame_path: Path, template: str) -> Path:
    """Return where the sidecar of a frame lies.

    Parameters
    ----------
    frame_path
        The frame's file.
    template
        ``{name}`` stands for the file's name without ``.gz``, ``{stem}`` for that without the format's suffix.
    """
    name = frame_path.name[:-3] if frame_path.name.lower().endswith(".gz") else frame_path.name
    suffix = format_suffix(name)
    stem = name[: -len(suffix)] if suffix else name
    return frame_path.with_name(template.replace("{name}", name).replace("{stem}", stem))


def read_sidecar(path: Path) -> bytes:
    """Return the bytes of a sidecar.

    Raises
    ------
    SidecarError
        If it is missing, unreadable or too large to be one.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_SIDECAR_BYTES + 1)
    except FileNotFoundError as error:
        raise SidecarError("the sidecar is missing", where=str(path)) from error
    except OSError as error:
        raise SidecarError(f"the sidecar cannot be read ({error.strerror})", where=str(path)) from error
    if len(content) > MAX_SIDECAR_BYTES:
        raise SidecarError(f"the sidecar is larger than {MAX_SIDECAR_BYTES} bytes", where=str(path))
    return content


def settled_sidecar(path: Path, fields: Sequence[str], seen: SidecarSeen, *, now_s: float, wall_s: float) -> bytes:
    """Return the bytes of a sidecar that is no longer being written and states every field.

    Parameters
    ----------
    path
        The sidecar.
    fields
        Keys that it must state.
    seen
        What the last look saw; updated.
    now_s, wall_s
        Monotonic and POSIX time in seconds.

    Raises
    ------
    SidecarError
        If it is not there, not readable, changes still, or lacks a field.
    ContradictionError
        If it states two values of one field.
    """
    try:
        status = os.stat(path)
    except OSError:
        seen.stamp = (-1, -1)
        return read_sidecar(path)  # which says why not; a file that came just now waits for the next look
    stamp = (status.st_size, status.st_mtime_ns)
    if stamp != seen.stamp:
        seen.stamp, seen.changed_s = stamp, now_s
    if now_s - seen.changed_s < _SETTLE_S and wall_s - status.st_mtime < _OLD_S:
        raise SidecarError("the sidecar keeps changing", where=str(path))
    content = read_sidecar(path)
    found = numbers_in(content.decode("utf-8", "replace"), fields, where=str(path))
    absent = [field for field in fields if field not in found]
    if absent:
        raise SidecarError(f"the sidecar states no {', '.join(absent)}", where=str(path))
    return content


def numbers_in(text: str, fields: Sequence[str], *, where: str) -> dict[str, float]:
    """Return the fields that a text states, as ``field = number``, ``field: number`` or ``field number``.

    Statements may follow each other on one line, after ``;`` or ``,``. A number that the text ends with is none: the
    rest of its digits may not be written yet.

    Parameters
    ----------
    text
        Header or sidecar.
    fields
        Keys to look for, case and all.
    where
        Name of the text, for people.

    Raises
    ------
    ContradictionError
        If a field is stated twice with different values.
    """
    found: dict[str, float] = {}
    for field in fields:
        statement = rf"(?:^|[\s;,#]){re.escape(field)}[ \t]*[=:]?[ \t]*['\"]?({_NUMBER})(?=[\s;,'\"])"
        values = [float(match[1]) for match in re.finditer(statement, text)]
        values = [value for value in values if math.isfinite(value)]
        if values and max(values) - min(values) > AGREE_WITHIN:
            raise ContradictionError(f"states {field} {min(values):g} and {max(values):g}", where=where)
        if values:
            found[field] = values[0]
    return found


def stated_numbers(header: str, sidecar: bytes, fields: Sequence[str], *, where: str) -> dict[str, float]:
    """Return what header and sidecar of a frame state together.

    Parameters
    ----------
    header
        The header's text, whole. Zeros that stand for "not set" state nothing, see `ZERO_IS_UNSET`.
    sidecar
        The sidecar's bytes; empty if there is none.
    fields
        Keys to look for.
    where
        Name of the frame, for people.

    Raises
    ------
    ContradictionError
        If one of them states a field twice, or both state it differently.
    """
    in_header = numbers_in(header + "\n", fields, where=f"header of {where}")
    in_header = {field: value for field, value in in_header.items() if value or field not in ZERO_IS_UNSET}
    beside = numbers_in(sidecar.decode("utf-8", "replace"), fields, where=f"sidecar of {where}")
    for field in in_header.keys() & beside.keys():
        if abs(in_header[field] - beside[field]) > AGREE_WITHIN:
            raise ContradictionError(
                f"{field} is {in_header[field]:g} in the header and {beside[field]:g} in the sidecar", where=where
            )
    return {**in_header, **beside}
