"""Small multiples: one confidence map a class, all with the part of the sample that the large map shows."""

import html
import math
import unicodedata
from collections.abc import Callable
from typing import Any

import panel as pn
from bokeh.events import Tap
from bokeh.models import GridBox, ImageRGBA, Plot, Range1d, Title
from bokeh.palettes import Viridis256

from phasecast.core.result import PhaseClass
from phasecast.core.words import Words
from phasecast.web.equal_aspect import keep_equal_aspect
from phasecast.web.layers import LayerKey
from phasecast.web.live_scan import LiveScan
from phasecast.web.map_view import MapView, PictureSource
from phasecast.web.soon import in_one_message
from phasecast.web.theme import PARTS, Theme

_COLUMNS = 5
_WIDTH = 122
"""Pixels of a small map in a window of 1440; the browser stretches it."""
_TITLE = 22
_HEIGHTS = (70, 150)
_TITLE_CELLS = 20
_VIRIDIS_STOPS = 9


class SmallMultiples:
    """The confidence maps of all classes of a scan.

    Parameters
    ----------
    words, theme
        Of the session.
    leader
        The large map: zooming it zooms all.
    on_tap
        Called with (class id, x_um, y_um).
    """

    def __init__(
        self, words: Words, theme: Theme, leader: MapView, on_tap: Callable[[str, float, float], None]
    ) -> None:
        self._words, self._theme = words, theme
        self._leader = leader
        self._on_tap = on_tap
        self._sources: dict[str, PictureSource] = {}
        self._classes: tuple[PhaseClass, ...] = ()
        self.panel = pn.Column(sizing_mode="stretch_width", css_classes=["pc-multiples"])

    def show(self, scan: LiveScan) -> None:
        """Bring all maps up to date."""
        if scan.header.classes != self._classes:
            _, _, width, height = scan.canvas.extent_um
            self._build(scan.header.classes, height / width if width > 0 else 1.0)
        for class_id, source in self._sources.items():
            source.show(scan, LayerKey(class_id))

    def _build(self, classes: tuple[PhaseClass, ...], shape: float) -> None:
        self._classes = classes
        least, most = _HEIGHTS
        self._height = int(min(max(_WIDTH * shape + _TITLE, least), most))
        view = self._leader
        self._ranges = (
            Range1d(view.x_range.start, view.x_range.end), Range1d(view.y_range.start, view.y_range.end)
        )  # fmt: skip
        self._sources = {phase.id: PictureSource(f"multiple-{phase.id}") for phase in classes}
        columns = min(_COLUMNS, max(math.ceil(len(classes) / 2), 1))
        rows = [classes[first : first + columns] for first in range(0, len(classes), columns)]
        # One pane for all figures: a pane each takes the server longer than the figures themselves.
        cells = [(self._plot(phase), row, k) for row, part in enumerate(rows) for k, phase in enumerate(part)]
        grid = GridBox(children=cells, sizing_mode="stretch_width", cols=["1fr"] * columns)
        if not cells:
            self.panel[:] = []
            return
        # They share their ranges and are of one size, so that what fits one fits all.
        keep_equal_aspect(cells[0][0], leader=view.plot)
        self.panel[:] = [
            pn.pane.HTML(self._scale(), stylesheets=[PARTS]),
            pn.pane.Bokeh(grid, sizing_mode="stretch_width"),
        ]

    def _scale(self) -> str:
        stops = ", ".join(Viridis256[round(k * 255 / (_VIRIDIS_STOPS - 1))] for k in range(_VIRIDIS_STOPS))
        label = html.escape(self._words("common.confidence"))
        return f"<div class='scale'>{label} 0 <i style='background:linear-gradient(to right, {stops})'></i> 1</div>"

    def _plot(self, phase: PhaseClass) -> Any:
        # A bare plot: a figure's axes, grids, tickers and tools, none of which show, are most of its cost.
        plot = Plot(
            name=f"multiple-{phase.id}", height=self._height, sizing_mode="stretch_width",
            x_range=self._ranges[0], y_range=self._ranges[1], toolbar_location=None, min_border=1,
            title=Title(
                text=_shortened(self._words.name_of(phase.name_en, phase.name_ja)), text_font_size="11px",
                text_font_style="normal", standoff=2,
            ),
        )  # fmt: skip
        self._theme.dress(plot)
        plot.add_glyph(self._sources[phase.id].source, ImageRGBA(image="image", x="x", y="y", dw="dw", dh="dh"))
        plot.on_event(Tap, in_one_message(lambda event: self._on_tap(phase.id, event.x, event.y)))
        return plot


def _shortened(name: str) -> str:
    """Return a name that does not run into the next map; Chinese characters are two cells wide."""
    cells = 0
    for place, character in enumerate(name):
        cells += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if cells > _TITLE_CELLS:
            return f"{name[:place].rstrip()}…"
    return name
