"""What a run's start document says of the scan: axes, shape, snaking, number of points."""

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from phasecast.core.errors import WireError
from phasecast.core.scan import ScanAxis, ScanStart, ScanUid

_NAME_IN_REPR = re.compile(r"name='([^']*)'")
_USED = {"uid", "scan_id", "time", "plan_name", "shape", "snaking", "num_points"}
_MAX_AXES = 8
_YEAR_2100_S = 4_102_444_800.0
_MAX_POINTS = 5_000_000
"""What is announced is allocated at once, about a hundred bytes a point."""


def read_uid(value: object, name: str) -> str:
    """Return a uid; raises WireError if it is none."""
    if not isinstance(value, str) or not 0 < len(value) <= 256:
        raise WireError(f"{name} is missing or no text")
    return value


def number_of(value: object) -> float | None:
    """Return a real number as float; None for anything else, also for truth values."""
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "iuf":
        return float(value.reshape(-1)[0])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def read_time_s(value: object, received_s: float) -> float:
    """Return a document's POSIX time; that of its receipt where it states none before the year 2100."""
    time_s = number_of(value)
    return time_s if time_s is not None and 0 <= time_s < _YEAR_2100_S else received_s


def point_stream(start: Mapping[str, Any]) -> str:
    """Return the name of the stream whose events are the points of the scan."""
    for _, stream in _dimensions(start):
        return stream
    return "primary"


def states_stream(start: Mapping[str, Any]) -> bool:
    """Whether the start document names the stream whose events are its points."""
    return bool(_dimensions(start))


def read_start(start: Mapping[str, Any], received_s: float) -> ScanStart:
    """Return the scan that a start document describes.

    Axes are the fields of ``hints.dimensions``, slow to fast: the order of ``motors`` differs in spirals, and a field
    can have another name than its motor. Where the order of points in the grid is not certain, the shape is left out
    and the points are scattered.

    Raises
    ------
    WireError
        If there is no uid.
    """
    uid = read_uid(start.get("uid"), "uid of the start document")
    stream = point_stream(start)
    dimensions = [fields for fields, of in _dimensions(start) if of == stream]
    fields = [field for group in dimensions for field in group if field != "time"][:_MAX_AXES]
    motors = [motor for motor in _sequence(start.get("motors")) if isinstance(motor, str)]
    axes = tuple(ScanAxis(name=_axis_name(field, motors), field=field) for field in fields)
    is_grid = all(len(group) == 1 for group in dimensions)
    shape = _shape(start.get("shape"), len(axes)) if is_grid else None
    snaking = _snaking(start, axes) if shape is not None else None
    if snaking is None:
        shape, snaking = None, (False,) * len(axes)
    points = start.get("num_points")
    if isinstance(points, bool) or not isinstance(points, int) or not 0 <= points <= _MAX_POINTS:
        points = prod(shape) if shape else None
    scan_id, time_s = start.get("scan_id"), read_time_s(start.get("time"), received_s)
    return ScanStart(
        uid=ScanUid(uid),
        scan_id=scan_id if isinstance(scan_id, int) and 0 <= scan_id < 2**53 else 0,
        time_s=time_s,
        plan_name=str(start.get("plan_name", ""))[:256],
        axes=axes,
        shape=shape,
        snaking=snaking,
        expected_points=points,
        metadata={key: to_json(value) for key, value in start.items() if key not in _USED or key == "shape"},
    )


def to_json(value: Any) -> Any:
    """Replace arrays and bytes, so that JSON can hold a decoded value."""
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def _sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _dimensions(start: Mapping[str, Any]) -> list[tuple[list[str], str]]:
    """Return (fields, stream) per dimension; a malformed hint counts as none."""
    hints = start.get("hints")
    result = []
    for dimension in _sequence(hints.get("dimensions") if isinstance(hints, dict) else None):
        match dimension:
            case [[*fields], str() as stream] if fields and all(isinstance(field, str) for field in fields):
                result.append((list(fields), stream))
            case _:
                return []
    return result


def _axis_name(field: str, motors: Sequence[str]) -> str:
    """Return the motor that a field belongs to: ophyd names fields after the device."""
    owners = [motor for motor in motors if field == motor or field.startswith(f"{motor}_")]
    return max(owners, key=len, default=field)


def _shape(value: object, axes: int) -> tuple[int, ...] | None:
    shape = value.tolist() if isinstance(value, np.ndarray) else _sequence(value)
    if not axes or len(shape) != axes:
        return None
    if not all(isinstance(n, int) and not isinstance(n, bool) and 0 < n <= _MAX_POINTS for n in shape):
        return None
    return tuple(shape) if prod(shape) <= _MAX_POINTS else None


def _snaking(start: Mapping[str, Any], axes: Sequence[ScanAxis]) -> tuple[bool, ...] | None:
    """Return which axes snake; None where the points do not follow the grid or the plan does not tell."""
    hints = start.get("hints")
    gridding = hints.get("gridding") if isinstance(hints, dict) else None
    if gridding not in (None, "rectilinear"):
        return None
    stated = _sequence(start.get("snaking"))
    if stated:
        if len(stated) != len(axes) or not all(isinstance(item, bool) for item in stated):
            return None
        return tuple(stated)
    # list_grid_scan states it among its arguments alone: a truth value, or the axes as repr strings.
    arguments = start.get("plan_pattern_args")
    snake_axes = arguments.get("snake_axes") if isinstance(arguments, dict) else None
    if isinstance(snake_axes, str):
        # on the wire it is a repr: a truth value, or one text for the whole list of axes
        named = _NAME_IN_REPR.findall(snake_axes)
        texts = {"True": True, "False": False, "None": None, "[]": None}
        snake_axes = [f"name='{name}'" for name in named] if named else texts.get(snake_axes, [snake_axes])
    match snake_axes:
        case None | False | []:
            return (False,) * len(axes)
        case True:
            return (False,) + (True,) * (len(axes) - 1)
        case [*reprs] if all(isinstance(item, str) for item in reprs):
            names = {match[1] for item in reprs if (match := _NAME_IN_REPR.search(item))}
            if names <= {axis.name for axis in axes} and len(names) == len(reprs):
                return tuple(axis.name in names for axis in axes)
    return None
