"""Light and dark: the few colours of the page, and how figures wear them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
PARTS = Path(__file__).with_name("parts.css").read_text(encoding="utf-8")
"""Style sheet of the page's own HTML parts, which live in a shadow tree each."""

WIDGETS = """
.bk-tab { color: var(--pc-faint); }
.bk-tab.bk-active { color: var(--pc-ink); background-color: var(--pc-panel); border-color: var(--pc-line); }
select.bk-input { appearance: auto; background-image: none; color-scheme: var(--pc-scheme); }
"""
"""Style sheet of tabs and choices, whose own colours are made for a light page only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours of one look of the page.

    Parameters
    ----------
    name
        ``light`` or ``dark``.
    paper, panel, ink, faint, line, accent
        Background, background of boxes, text, secondary text, lines, and what is chosen.
    """

    name: str
    paper: str
    panel: str
    ink: str
    faint: str
    line: str
    accent: str

    def dress(self, plot: Any) -> None:
        """Give a Bokeh figure the colours of the page."""
        plot.background_fill_color = self.panel
        plot.border_fill_color = self.panel
        plot.outline_line_color = self.line
        for axis in plot.axis:
            axis.axis_label_text_color = self.ink
            axis.axis_label_text_font_style = "normal"
            axis.major_label_text_color = self.faint
            axis.axis_line_color = axis.major_tick_line_color = self.line
            axis.minor_tick_line_color = None
        plot.grid.grid_line_color = self.line
        plot.grid.grid_line_alpha = 0.5
        plot.title.text_color = self.ink

    def css(self) -> str:
        """The style sheet of the page with these colours."""
        names = ("paper", "panel", "ink", "faint", "line", "accent")
        variables = "".join(f"--pc-{name}: {getattr(self, name)};" for name in names)
        return f":root {{ {variables} --pc-scheme: {self.name}; color-scheme: {self.name}; }}\n{_STYLE}"


LIGHT = Theme(
    name="light", paper="#F3F4F6", panel="#FFFFFF", ink="#1B1F24", faint="#5C6670", line="#C9CED6", accent="#D6006C"
)
DARK = Theme(
    name="dark", paper="#14171C", panel="#1E232A", ink="#E8EBEF", faint="#A3ACB8", line="#3C444F", accent="#FF5CA8"
)


def theme_called(name: str) -> Theme:
    """Return the dark theme for ``dark``, else the light one."""
    return DARK if name == "dark" else LIGHT
