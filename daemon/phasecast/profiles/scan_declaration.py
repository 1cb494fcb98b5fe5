"""A scan that no document announces: what a person declares of it, and how its log of positions is read."""

from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from phasecast.profiles.base import ProfilePart

_MAX_POINTS = 10_000_000


def time_zone(text: str) -> tzinfo:
    """Return the zone that a name (``Asia/Tokyo``) or an offset (``+09:00``) stands for.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if text[:1] in ("+", "-"):
        hours, _, minutes = text[1:].partition(":")
        if not (hours.isdigit() and (minutes or "0").isdigit() and int(hours) < 15 and int(minutes or 0) < 60):
            raise ValueError("an offset is written as +09:00")
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(-offset if text[0] == "-" else offset)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone {text!r}; write for example Asia/Tokyo or +09:00") from error


def _known_zone(text: str) -> str:
    try:
        time_zone(text)
    except ValueError as error:
        raise PydanticCustomError("unknown_zone", "{what}", {"what": str(error)}) from error
    return text


Zone = Annotated[str, AfterValidator(_known_zone)]
Column = Annotated[int, Field(ge=1, le=1000)] | Annotated[str, Field(min_length=1)]
_UM: dict[str, float | None] = {"um": 1.0, "mm": 1000.0, "pulse": None}


class LogAxis(ProfilePart):
    """One axis of the stage in the log."""

    column: Column = Field(description="Column, by its name in the header or its number from 1.")
    unit: Literal["pulse", "um", "mm"] = Field(default="um", description="Unit of the column: pulse, um or mm.")
    factor: float | None = Field(
        default=None, gt=0, description="What a value is multiplied with to give um; needed for pulses (um per pulse)."
    )
    sign: Literal[-1, 1] = Field(default=1, description="-1 where the log counts against the axis of the stage.")

    @model_validator(mode="after")
    def _factor_of_pulses(self) -> Self:
        if self.unit == "pulse" and self.factor is None:
            raise PydanticCustomError("pulse_factor", "pulses need factor: um per pulse")
        return self

    @property
    def um_per_unit(self) -> float:
        """What a value of the column is multiplied with to give um on the stage's axis."""
        plain = _UM[self.unit]
        return self.sign * (self.factor if self.factor is not None else plain or 1.0)


class PositionLog(ProfilePart):
    """A text file or scan table (SRS, SPEC), one row a point, that another program writes while the scan runs."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="The file, relative to the TOML file; leave out if a source log:///path names it.",
    )
    encoding: Literal["auto", "utf-8", "cp932"] = Field(
        default="auto", description="auto takes each row as UTF-8 and, where it is none, as CP932 (Shift JIS)."
    )
    delimiter: Literal["auto", "tab", "comma", "semicolon", "space"] = Field(
        default="auto", description="auto takes TAB where a row has one, then comma, semicolon, blanks."
    )
    x: LogAxis = Field(description="The stage's horizontal axis.")
    y: LogAxis = Field(description="The stage's vertical axis.")
    file: Column | None = Field(default=None, description="Column with the name of the frame's file.")
    number: Column | None = Field(default=None, description="Column with the number of the frame.")
    number_offset: int = Field(default=0, description="Added to that number to give the number in the file's name.")
    time: Column | None = Field(default=None, description="Column with the time; needs time_zone.")
    time_format: str = Field(
        default="",
        description="strptime form of the time such as %Y/%m/%d %H:%M:%S.%f, %s for seconds since 1970; "
        "left out: ISO and Japanese forms.",
    )
    time_zone: Zone | None = Field(
        default=None, description="Zone of the log's clock, such as Asia/Tokyo or +09:00; local times state none."
    )
    scalars: dict[str, Column] = Field(
        default_factory=dict, description="Further numbers of a row (monitors): name of the event field to column."
    )
    join: Literal["file", "number", "time", "order"] | None = Field(
        default=None, description="How rows find their frames; left out: the first of these that has a column."
    )
    existing: bool = Field(default=True, description="Whether rows that were there when the daemon started count.")
    patience_s: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="How long the last rows may come after the last frame, or it after them.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.time is not None and self.time_zone is None and self.time_format != "%s":
            raise PydanticCustomError(
                "needs_zone", "a time column needs time_zone, such as Asia/Tokyo: local times state no zone"
            )
        needed = {"file": self.file, "number": self.number, "time": self.time, "order": "-", None: "-"}
        if needed[self.join] is None:
            raise PydanticCustomError(
                "join_column", "join = '{join}' needs the column {join}", {"join": str(self.join)}
            )
        return self

    @property
    def joins_by(self) -> Literal["file", "number", "time", "order"]:
        """How rows find their frames."""
        if self.join is not None:
            return self.join
        if self.file is not None:
            return "file"
        if self.number is not None:
            return "number"
        return "order" if self.time is None else "time"

    @property
    def by_name(self) -> tuple[str, ...]:
        """Names of the columns that only a header can place."""
        columns = (self.x.column, self.y.column, self.file, self.number, self.time, *self.scalars.values())
        return tuple(column for column in columns if isinstance(column, str))


class ScanDeclaration(ProfilePart):
    """A raster as a person declares it: `scan.toml`."""

    name: str = Field(default="", max_length=200, description="Name of the map, for people.")
    nx: int = Field(ge=1, le=100_000, description="Points along the stage's x.")
    ny: int = Field(ge=1, le=100_000, description="Points along the stage's y.")
    step_x_um: float = Field(description="Step along x in um; negative where the scan runs backwards.")
    step_y_um: float = Field(description="Step along y in um; negative where the scan runs downwards.")
    origin_x_um: float = Field(default=0.0, description="Stage x of the first point in um.")
    origin_y_um: float = Field(default=0.0, description="Stage y of the first point in um.")
    fast_axis: Literal["x", "y"] = Field(default="x", description="Axis that moves from point to point.")
    snake: bool = Field(default=False, description="Whether every second row runs backwards.")
    exposure_s: float = Field(gt=0, le=86_400, description="Exposure of a point in s.")
    lead_in_frames_per_row: int = Field(
        default=0, ge=0, le=10_000, description="Frames at the start of each row that belong to no point."
    )
    frames_per_row: int | None = Field(
        default=None, ge=1, description="Frames of a row with those before and after its points; left out: no more."
    )
    series: str = Field(
        default="",
        max_length=200,
        description="Prefix of the frames' names, with or without folder; left out: that of the first that comes.",
    )
    first_number: int | None = Field(
        default=None, ge=0, description="Number of the first frame; left out: the number of the first that comes."
    )
    expected_start: datetime | None = Field(
        default=None,
        description="Expected start; rows of the log that are more than an hour older are of another scan.",
    )
    positions: Literal["computed", "log", "later"] | None = Field(
        default=None,
        description="Where positions come from: this declaration, a log, or later by `phasecast attach-positions`. "
        "Left out: the log if there is one.",
    )
    log: PositionLog | None = Field(default=None, description="The log of positions; the profile's if left out.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.step_x_um or not self.step_y_um:
            raise PydanticCustomError("no_step", "steps must not be 0")
        if self.points > _MAX_POINTS:
            raise PydanticCustomError(
                "too_many", "{points} points; at most {most}", {"points": self.points, "most": _MAX_POINTS}
            )
        needed = self.row_points + self.lead_in_frames_per_row
        if self.frames_per_row is not None and self.frames_per_row < needed:
            raise PydanticCustomError(
                "few_frames",
                "frames_per_row {frames} is less than its {points} points and {lead_in} lead-in frames",
                {"frames": self.frames_per_row, "points": self.row_points, "lead_in": self.lead_in_frames_per_row},
            )
        return self

    @property
    def points(self) -> int:
        """Number of points."""
        return self.nx * self.ny

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and points of a row, slow to fast."""
        return (self.ny, self.nx) if self.fast_axis == "x" else (self.nx, self.ny)

    @property
    def row_points(self) -> int:
        """Points of a row."""
        return self.shape[1]

    @property
    def row_frames(self) -> int:
        """Frames of a row, with those that belong to no point."""
        return self.frames_per_row or self.row_points + self.lead_in_frames_per_row

    @property
    def expected_frames(self) -> int:
        """Frames of the scan."""
        return self.shape[0] * self.row_frames

    @property
    def positions_from(self) -> Literal["computed", "log", "later"]:
        """Where positions come from."""
        return self.positions or ("computed" if self.log is None else "log")

    @property
    def extent_um(self) -> tuple[float, float]:
        """Distance from the first to the last point along x and y, um."""
        return (self.nx - 1) * abs(self.step_x_um), (self.ny - 1) * abs(self.step_y_um)

    @property
    def least_s(self) -> float:
        """Time that all exposures take, s; readout and turns come on top."""
        return self.expected_frames * self.exposure_s

    def is_series(self, series: str) -> bool:
        """Tell whether a series of frames is the declared one; any is where none is declared."""
        return self.series in ("", series, series.rpartition("/")[2])

    def point_of_frame(self, place: int) -> int | None:
        """Return the point of the frame at a place in the scan, from 0; None for frames that belong to no point."""
        row, column = divmod(place, self.row_frames)
        column -= self.lead_in_frames_per_row
        inside = 0 <= column < self.row_points and 0 <= row < self.shape[0]
        return row * self.row_points + column if inside else None

    def position_um(self, index: int) -> tuple[float, float]:
        """Return where the stage stands at a point (x, y), um."""
        row, column = divmod(index, self.row_points)
        if self.snake and row % 2:
            column = self.row_points - 1 - column
        ix, iy = (column, row) if self.fast_axis == "x" else (row, column)
        return self.origin_x_um + ix * self.step_x_um, self.origin_y_um + iy * self.step_y_um

    def is_inside(self, x_um: float, y_um: float) -> bool:
        """Tell whether a position lies in the declared range, within one step."""
        axes = (
            (x_um, self.origin_x_um, self.step_x_um, self.nx),
            (y_um, self.origin_y_um, self.step_y_um, self.ny),
        )
        return all(-1 <= (value - origin) / step <= cells for value, origin, step, cells in axes)

    def with_log(self, log: PositionLog | None, folder: Path) -> "ScanDeclaration":
        """Return the declaration with its own log, else the given one; its path taken relative to a folder."""
        own = self.log or log
        if own is None:
            return self
        path = str((folder / Path(own.path).expanduser()).absolute()) if own.path else None
        return self.model_copy(update={"log": own.model_copy(update={"path": path})})
