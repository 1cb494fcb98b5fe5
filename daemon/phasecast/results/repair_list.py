"""Points to measure again: missing or doubtful ones, in the motors' own units, as a table and as a bluesky plan."""

import csv
import io
import json
import keyword
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import ResultFileError
from phasecast.core.ledger import PointFlag, PointState
from phasecast.profiles.orientation import StageFrame
from phasecast.results.composed_map import ComposedMap
from phasecast.results.map_identity import map_name_of, stage_frame_of
from phasecast.results.reader import Result

_UNITS = {1000.0: "mm", 1.0: "um", 0.001: "nm", 1e6: "m"}
FORMAT = "phasecast-repair-list-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Motor:
    """A motor of the stage: its name, the event field of its readback, and its unit."""

    name: str
    field: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairPoint:
    """One point to measure again.

    Parameters
    ----------
    file, row
        Result and row that lack it.
    state, reason
        Its state, or the flag for which it is doubtful; and why.
    x_um, y_um
        Its place on the sample.
    readings
        What each motor must read there, in the order of the motors and in their units.
    """

    file: str
    row: int
    state: str
    reason: str
    x_um: float
    y_um: float
    readings: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairList:
    """Points to measure again, and the motors that go there.

    Parameters
    ----------
    map_name
        Name of the map; the plan states it, so that its scan belongs to the map.
    motors
        The motors, that of the sample's y first.
    points
        The points, row by row, every second row backwards.
    without_place
        Missing points that nothing says the place of.
    """

    map_name: str
    motors: tuple[Motor, Motor]
    points: tuple[RepairPoint, ...]
    without_place: int

    def as_csv(self) -> str:
        """Return the table: file, point, state, reason, sample place, and a column for each motor with its unit."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        heads = [f"{motor.name} ({motor.unit})" for motor in self.motors]
        writer.writerow(["file", "point", "state", "reason", "x_um", "y_um", *heads])
        for point in self.points:
            readings = [_plain(reading) for reading in point.readings]
            place = [_plain(point.x_um), _plain(point.y_um)]
            writer.writerow([point.file, point.row, point.state, point.reason, *place, *readings])
        return text.getvalue()

    def as_json(self) -> str:
        """Return the plan as data: name, motors with fields and units, and the positions of each motor."""
        content: dict[str, Any] = {
            "format": FORMAT,
            "plan": "list_scan",
            "map": self.map_name,
            "motors": [{"name": motor.name, "field": motor.field, "unit": motor.unit} for motor in self.motors],
            "positions": {motor.name: self._positions(k) for k, motor in enumerate(self.motors)},
        }
        return json.dumps(content, ensure_ascii=False, indent=1) + "\n"

    def as_plan(self) -> str:
        """Return a Python file with `repair_plan`, a bluesky ``list_scan`` over the points."""
        names = [_identifier(motor.name, k) for k, motor in enumerate(self.motors)]
        units = ", ".join(f"{name} in {motor.unit}" for name, motor in zip(names, self.motors, strict=True))
        lists = "\n".join(f"{name.upper()} = {self._positions(k)}" for k, name in enumerate(names))
        arguments = ", ".join(f"{name}, {name.upper()}" for name in names)
        return (
            f'"""{len(self.points)} points to measure again ({units}). Made by phasecast repair-list."""\n\n'
            "from bluesky.plans import list_scan\n\n"
            f"MAP = {self.map_name!r}\n{lists}\n\n\n"
            f"def repair_plan(detectors, {', '.join(names)}, md=None):\n"
            '    """Measure them; the scan says that it belongs to the map."""\n'
            f'    yield from list_scan(detectors, {arguments}, md={{"map": MAP, **(md or {{}})}})\n'
        )

    def _positions(self, motor: int) -> list[float]:
        return [float(_plain(point.readings[motor])) for point in self.points]


def repair_list(result: Result) -> RepairList:
    """Return the points of a result, or of several as one, that are missing or whose position is doubtful.

    The readings are those of the stage as it was in the newest scan.

    Raises
    ------
    ResultFileError
        If the result does not say which motors move the sample.
    """
    composed = result if isinstance(result, ComposedMap) else ComposedMap([result])
    newest = composed.parts[-1]
    frame = stage_frame_of(newest.result.header)
    if frame is None:
        raise ResultFileError(
            "nothing says which motors move the sample",
            where=str(result.path),
            remedy="its profile needs [positions]; set it and replay the scan",
        )
    ledger = composed.ledger
    flags, reasons, state = ledger["flags"].values, ledger["reason"].values, ledger["state"].values
    doubtful = composed.done & ((flags & int(PointFlag.POSITION_DOUBTFUL)) > 0)
    wanted = composed.missing | doubtful
    placed = wanted & np.isfinite(composed.places_um).all(axis=1)
    motors = _motors(newest.result, frame)
    points = []
    for row in _path(composed.places_um, np.flatnonzero(placed), newest.step_um[1]).tolist():
        part = composed.parts[int(composed.part_of[row])]
        x, y = composed.places_um[row].tolist()
        reading = frame.to_stage(x - newest.offset_um[0], y - newest.offset_um[1])
        points.append(
            RepairPoint(
                file=part.result.path.name,
                row=row - part.first,
                state="position_doubtful" if doubtful[row] else PointState(int(state[row])).label,
                reason=str(reasons[row]),
                x_um=x,
                y_um=y,
                readings=tuple(reading[motor.field] for motor in motors),
            )
        )
    return RepairList(
        map_name=composed.name or map_name_of(newest.result.header),
        motors=motors,
        points=tuple(points),
        without_place=int(np.count_nonzero(wanted & ~placed)),
    )


def _motors(result: Result, frame: StageFrame) -> tuple[Motor, Motor]:
    names = {axis.field: axis.name for axis in result.header.axes}

    def motor(field: str, um_per_unit: float) -> Motor:
        unit = _UNITS.get(abs(um_per_unit), f"{abs(um_per_unit):g} um")
        return Motor(name=names.get(field, field), field=field, unit=unit)

    return motor(frame.y_field, frame.y_um_per_unit), motor(frame.x_field, frame.x_um_per_unit)


def _path(places_um: NDArray[np.float64], rows: NDArray[np.int64], height_um: float) -> NDArray[np.int64]:
    """Order the points so that the stage moves little: row by row, every second one backwards."""
    if not rows.size:
        return rows
    line = np.rint((places_um[rows, 1] - places_um[rows, 1].min()) / height_um).astype(np.int64)
    _, line = np.unique(line, return_inverse=True)
    along = np.where(line % 2 == 0, places_um[rows, 0], -places_um[rows, 0])
    return np.asarray(rows[np.lexsort((along, line))])


def _plain(value: float) -> str:
    """Nine digits: nanometres on a stage of a metre."""
    return f"{value:.9g}"


def _identifier(name: str, number: int) -> str:
    cleaned = "".join(letter if letter.isalnum() or letter == "_" else "_" for letter in name)
    return cleaned if cleaned.isidentifier() and not keyword.iskeyword(cleaned) else f"motor_{number}"
