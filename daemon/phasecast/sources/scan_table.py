"""Scan tables of two control systems, SRS (Diamond's GDA) and SPEC: what stands around rows, and motors at rest."""

import re
from dataclasses import dataclass
from typing import Literal

_SPEC_BEGINS = re.compile(r"#F \S|#S \d+ ")
_SPEC_GAP = re.compile(r"\s{2,}|\t")
_SRS_VALUE = re.compile(r"(\w+)=(?:'([^']*)'|(.*))$")
_MAX_CONSTANTS = 10_000

Kind = Literal["row", "header", "scan", "comment", "nothing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLine:
    """What one line of a table is.

    Parameters
    ----------
    kind
        A row; the names of its columns; the beginning of another scan; a comment, which may be names of columns; or
        nothing to be read.
    cells
        Names of a header, values of a row; empty where the line is to be split as in any text.
    """

    kind: Kind
    cells: tuple[str, ...] = ()


class ScanTable:
    """Recognises SRS and SPEC by their first line and tells what each further line is; other text is all rows."""

    def __init__(self) -> None:
        self._form: Literal["text", "srs", "spec", "unknown"] = "unknown"
        self._in_head = False
        self._goes_on = False
        self._motors: dict[str, tuple[str, ...]] = {}
        self.constants: dict[str, str] = {}
        """Values that hold for all rows of the scan: motors at rest, by name."""
        self.scan = ""
        """What the scan is called, for people."""

    def read(self, text: str) -> TableLine:
        """Return what a line is.

        Parameters
        ----------
        text
            The line, without blanks around it and not empty.
        """
        if self._form == "unknown":
            is_spec = _SPEC_BEGINS.match(text) is not None
            self._form = "srs" if text.startswith("&SRS") else "spec" if is_spec else "text"
            self._in_head = self._form == "srs"
        if self._form == "srs":
            return self._read_srs(text)
        if self._form == "spec":
            return self._read_spec(text)
        return TableLine(kind="comment" if text.startswith(("#", "//")) else "row")

    def _read_srs(self, text: str) -> TableLine:
        if text.startswith("&SRS"):
            self._in_head, self.constants = True, {}
            return TableLine(kind="scan")
        if not self._in_head:
            return TableLine(kind="row")
        if text.startswith("&END"):
            self._in_head = False
        elif (match := _SRS_VALUE.match(text)) and len(self.constants) < _MAX_CONSTANTS:
            name, quoted, plain = match.groups()
            self.constants[name] = quoted if quoted is not None else plain
            self.scan = self.constants["command"] if name == "command" else self.scan
        return TableLine(kind="nothing")

    def _read_spec(self, text: str) -> TableLine:
        if text.startswith("#S "):
            self.scan, self.constants = text[3:], {}
            return TableLine(kind="scan")
        if text.startswith("#L "):
            return TableLine(kind="header", cells=tuple(_SPEC_GAP.split(text[3:].strip())))
        key, _, rest = text.partition(" ")
        if key[:2] == "#O" and len(self._motors) < _MAX_CONSTANTS:
            self._motors[key[2:]] = tuple(_SPEC_GAP.split(rest.strip()))
        elif key[:2] == "#P":
            self.constants.update(zip(self._motors.get(key[2:], ()), rest.split(), strict=False))
        goes_on, self._goes_on = self._goes_on, text.endswith("\\")
        # "@A 1 2 3\" begins a spectrum, whose further lines are numbers alone
        if text.startswith(("#", "@")) or goes_on or self._goes_on:
            return TableLine(kind="nothing")
        return TableLine(kind="row", cells=tuple(text.split()))
