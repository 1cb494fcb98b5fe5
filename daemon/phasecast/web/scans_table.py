"""A table that is brought up to date in place, with links and buttons in its cells."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import param
from panel.custom import JSComponent

Part = dict[str, Any]
"""Something in a cell: ``text`` (set as text, never as markup), ``style`` and ``hook`` (CSS classes), ``href`` with
``target`` or ``file`` (name to save under), ``ask`` (sent back on a click) with ``off``, ``share`` (of a bar)."""

_STYLE = """
:host { color: var(--pc-ink); font-size: 13px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--pc-faint); font-size: 11.5px; padding: 4px 12px 4px 0;
  border-bottom: 1px solid var(--pc-line); white-space: nowrap; }
td { padding: 7px 12px 7px 0; border-bottom: 1px solid var(--pc-line); vertical-align: top; overflow-wrap: anywhere; }
td > * { display: block; }
td:first-child, th:first-child { padding-left: 10px; }
th:last-child { min-width: 245px; }
tr.chosen td { background: color-mix(in srgb, #4488BB 14%, transparent); }
tr.map td { font-weight: 600; border-bottom-style: dotted; }
tr.map td button, tr.map td .faint, tr.map td a.beside { font-weight: 400; }
tr.part td:first-child { padding-left: 30px; }
tr.row > td > *, td > .beside { display: inline-block; margin-right: 10px; }
a { color: inherit; }
small, .faint { color: var(--pc-faint); font-size: 12px; }
.number { text-align: right; }
.live { color: light-dark(#0F7A43, #4CC38A); font-weight: 650; }
.live::before { content: "● "; }
.unfinished { color: light-dark(#B45309, #F0A04B); font-weight: 600; }
.unreadable, .bad { color: light-dark(#C32D14, #FF8A75); font-weight: 600; }
.reason { max-width: 46em; color: var(--pc-ink); }
.bar { height: 5px; width: 92px; background: var(--pc-line); border-radius: 3px; overflow: hidden; margin-top: 5px; }
.bar i { display: block; height: 100%; background: #4488BB; }
button { font: inherit; font-size: 12px; color: inherit; background: var(--pc-paper); border: 1px solid var(--pc-line);
  border-radius: 4px; padding: 2px 9px; cursor: pointer; }
button:hover:enabled { border-color: var(--pc-ink); }
button:disabled { color: var(--pc-faint); cursor: default; }
a.button { display: inline-block; font-size: 12px; background: var(--pc-paper); border: 1px solid var(--pc-line);
  border-radius: 4px; padding: 2px 9px; text-decoration: none; }
a.button:hover { border-color: var(--pc-ink); }
.nowrap { white-space: nowrap; }
"""


class ActionTable(JSComponent):
    """Rows of cells of `Part`; what is clicked comes back through `on_msg`."""

    head = param.List(default=[], doc="Texts above the columns; none for a table without a head.")
    rows = param.List(default=[], doc="One dict a row: key, style, cells.")
    download = param.Dict(default={}, doc="href and file of what the browser shall save now; with a number.")

    _esm = Path(__file__).with_name("scans_table.js").read_text(encoding="utf-8")
    _stylesheets = [_STYLE]

    def say(self, rows: list[dict[str, Any]]) -> None:
        """Show rows; costs nothing where they are shown already."""
        if rows != self.rows:
            self.rows = rows


def printable(text: str) -> str:
    """Return a text that can be sent: names of files may hold bytes that are no letters."""
    return text.encode("utf-8", "replace").decode("utf-8")


def file_link(folder: str, name: str) -> str:
    """Return the address of a served file, whatever its name holds."""
    return f"{folder}/{quote(name, safe='', errors='surrogateescape')}"
