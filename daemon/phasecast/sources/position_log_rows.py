"""What a row of a position log says: text into position, name of the frame, time and monitors."""

import csv
import io
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import PurePosixPath

from phasecast.core.errors import WireError
from phasecast.profiles import PositionLog, time_zone
from phasecast.sources.scan_table import ScanTable

_DELIMITERS = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " "}
_DATE = re.compile(r"(\d{4})[年/.-](\d{1,2})[月/.-](\d{1,2})日?[T ]*(\d{1,2})[:時](\d{1,2})[:分](\d{1,2})(\.\d+)?秒?$")
_NO_LETTER = re.compile("[\uf8f0-\uf8f3]")
"""What Python's CP932 makes of the bytes that stand for nothing in it."""
_HEADER_ROWS = 100
"""A header that does not come within so many rows does not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One row that was understood.

    Parameters
    ----------
    x_um, y_um
        Position on the stage's axes, um.
    file
        Name of the frame's file without folders, composed (NFC); None without such a column.
    number
        Number of the frame; None without such a column.
    time_s
        POSIX time; None without such a column.
    resolution_s
        Smallest difference of times that the row can state.
    scalars
        Further numbers of the row.
    """

    x_um: float
    y_um: float
    file: str | None = None
    number: int | None = None
    time_s: float | None = None
    resolution_s: float = math.inf
    scalars: Mapping[str, float] = field(default_factory=dict)


class BadRowError(WireError):
    """A row that cannot be read.

    Parameters
    ----------
    is_point
        Whether it surely stands for a point: numbers are in it, but not all that are needed.
    """

    def __init__(self, what: str, *, is_point: bool) -> None:
        super().__init__(what)
        self.is_point = is_point


class RowReader:
    """Reads the rows of one log, from its first.

    Parameters
    ----------
    rules
        What is declared of the log.
    """

    def __init__(self, rules: PositionLog) -> None:
        self._rules = rules
        self._zone: tzinfo | None = time_zone(rules.time_zone) if rules.time_zone else None
        self._places: dict[str, int | str] | None = None if rules.by_name else {}
        self._table = ScanTable()
        self._is_other_scan = False
        self._known: list[str] = []
        self._before = 0
        self.begun = False
        """Whether the header or a row with a position has come; what stands before it is a title."""

    def read(self, line: bytes) -> LogRow | None:
        """Return what a row says; None for empty rows, comments, titles and the header.

        Raises
        ------
        BadRowError
            If it cannot be read, with the reason.
        """
        text = self._decode(line).strip("\r\n \ufeff\x00\x1a")
        line_of_table = self._table.read(text) if text else None
        if line_of_table is None or line_of_table.kind == "nothing":
            return None
        if line_of_table.kind == "scan":
            self._begin_scan()
            return None
        if line_of_table.kind == "comment":
            self._look_for_header_in(text)
            return None
        cells = list(line_of_table.cells) or self._split(text)
        if line_of_table.kind == "header":
            self._take_header(cells)
            return None
        if self._is_other_scan:
            return None
        if self._places is None:
            self._find_header(cells)
            return None
        try:
            row = self._read_cells(cells)
        except BadRowError:
            numbers = sum(_number(cell) is not None for cell in cells)
            if not self.begun and self._before < _HEADER_ROWS and numbers < 2:
                self._before += 1
                return None
            raise
        self.begun = True
        return row

    def _decode(self, line: bytes) -> str:
        encodings = ("utf-8", "cp932") if self._rules.encoding == "auto" else (self._rules.encoding,)
        for encoding in encodings:
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError:
                continue
            if not _NO_LETTER.search(text):
                return text
        raise BadRowError(f"neither {' nor '.join(encodings)}: {line[:40]!r}", is_point=self.begun)

    def _split(self, text: str) -> list[str]:
        delimiter = _DELIMITERS.get(self._rules.delimiter) or next((sign for sign in "\t,;" if sign in text), " ")
        if delimiter == " ":
            return text.split()
        try:
            return [
                cell.strip() for cell in next(csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True))
            ]
        except (csv.Error, StopIteration) as error:
            raise BadRowError(f"cannot be split ({error})", is_point=self.begun) from error

    def _begin_scan(self) -> None:
        """Look for a header again: a table may hold one scan after another, each with columns of its own."""
        self._places = None if self._rules.by_name else {}
        self._before, self._is_other_scan, self.begun = 0, False, False

    def _take_header(self, cells: list[str]) -> None:
        """Read the line that a table marks as its header; the rows of scans without the columns are left out."""
        if self._places is not None:
            return
        self._places = self._placed([_plain(cell) for cell in cells])
        self._is_other_scan = self._places is None
        if self._is_other_scan:
            absent = ", ".join(name for name in self._rules.by_name if _plain(name) not in map(_plain, cells))
            raise BadRowError(f"scan {self._table.scan!r} has no {absent}: its rows are left out"[:300], is_point=False)

    def _placed(self, names: list[str]) -> dict[str, int | str] | None:
        """Return the place of each column that is wanted, or the value of what does not move; None if one is absent."""
        at_rest = {_plain(name): value for name, value in self._table.constants.items()}
        moves = any(_plain(str(axis.column)) in names for axis in (self._rules.x, self._rules.y))
        places: dict[str, int | str] = {}
        for name in self._rules.by_name:
            plain = _plain(name)
            if plain in names:
                places[name] = names.index(plain)
            elif plain in at_rest and moves:
                places[name] = at_rest[plain]
            else:
                return None
        return places

    def _look_for_header_in(self, comment: str) -> None:
        """Take a comment for the header if it names all columns: ``# x y`` or, with a column ``#``, ``#, x, y``."""
        for text in (comment, comment.lstrip("#/ \t")):
            if self._places is None and text:
                try:
                    self._places = self._placed([_plain(cell) for cell in self._split(text)])
                except BadRowError:
                    continue
                self.begun = self._places is not None

    def _find_header(self, cells: list[str]) -> None:
        names = [_plain(cell) for cell in cells]
        wanted = {name: _plain(name) for name in self._rules.by_name}
        self._places = self._placed(names)
        if self._places is not None:
            self.begun = True
            return
        self._before += 1
        found = [name for name, plain in wanted.items() if plain in names]
        absent = [name for name in wanted if name not in found]
        numbers = sum(_number(cell) is not None for cell in cells)
        if found or numbers > 1 or self._before == _HEADER_ROWS:
            self._known = self._known or names
            raise BadRowError(
                f"no header with {', '.join(absent)} came before it (first row: {', '.join(self._known)})"[:300],
                is_point=False,
            )

    def _cell(self, cells: list[str], column: int | str) -> str:
        place = column - 1 if isinstance(column, int) else (self._places or {})[column]
        if isinstance(place, str):
            return place
        if place >= len(cells):
            has_numbers = any(_number(cell) is not None for cell in cells)
            raise BadRowError(f"{len(cells)} columns, {place + 1} needed", is_point=has_numbers)
        return cells[place]

    def _read_cells(self, cells: list[str]) -> LogRow:
        rules = self._rules
        numbers: dict[str, float] = {}
        for name, axis in (("x", rules.x), ("y", rules.y)):
            cell = self._cell(cells, axis.column)
            value = _number(cell)
            if value is None:
                others = any(_number(other) is not None for other in cells)
                raise BadRowError(f"column {axis.column}: {cell[:40]!r} is no number", is_point=others)
            numbers[name] = value * axis.um_per_unit
        time_s, resolution_s = (None, math.inf)
        if rules.time is not None:
            time_s, resolution_s = self._time(self._cell(cells, rules.time))
        number = None
        if rules.number is not None:
            cell = self._cell(cells, rules.number)
            value = _number(cell)
            if value is None or not value.is_integer():
                raise BadRowError(f"column {rules.number}: {cell[:40]!r} is no number of a frame", is_point=True)
            number = int(value) + rules.number_offset
        return LogRow(
            x_um=numbers["x"],
            y_um=numbers["y"],
            file=base_name(self._cell(cells, rules.file)) if rules.file is not None else None,
            number=number,
            time_s=time_s,
            resolution_s=resolution_s,
            scalars=self._scalars(cells),
        )

    def _scalars(self, cells: list[str]) -> dict[str, float]:
        scalars = {}
        for name, column in self._rules.scalars.items():
            value = _number(self._cell(cells, column))
            if value is not None:
                scalars[name] = value
        return scalars

    def _time(self, text: str) -> tuple[float, float]:
        plain = unicodedata.normalize("NFKC", text).strip()
        form = self._rules.time_format
        try:
            if form == "%s":
                return float(plain), _resolution(plain)
            if form:
                moment, resolution = datetime.strptime(plain, form), 1e-6 if "%f" in form else 1.0
            elif match := _DATE.match(plain):
                moment = datetime(*(int(part) for part in match.groups()[:6]))  # type: ignore[arg-type]
                moment = moment.replace(microsecond=round(float(match[7] or 0) * 1e6) % 1_000_000)
                resolution = _resolution(match[7] or "")
            else:
                moment, resolution = datetime.fromisoformat(plain), 1e-6
            return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).timestamp(), resolution
        except (ValueError, OverflowError, OSError) as error:
            raise BadRowError(f"column {self._rules.time}: {text[:40]!r} is no time", is_point=True) from error


def base_name(path: str) -> str:
    """Return the last part of a path of Windows or Unix, composed (NFC)."""
    return unicodedata.normalize("NFC", PurePosixPath(path.replace("\\", "/").replace("¥", "/")).name)


def row_name(name: str, row: int) -> str:
    """Return how a row is called in messages."""
    return f"{name}, row {row}"


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _number(text: str) -> float | None:
    """Number of a cell, also in full-width digits; None where it is none."""
    plain = unicodedata.normalize("NFKC", text).replace("−", "-")
    try:
        value = float(plain if "_" not in plain else "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _resolution(text: str) -> float:
    return 10.0 ** -min(len(text.partition(".")[2]), 6)
