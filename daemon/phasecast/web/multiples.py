"""Small multiples: one confidence map a class, all with the ranges of the large map."""

import math
from collections.abc import Callable
from typing import Any

import panel as pn
from bokeh.events import Tap
from bokeh.models import GridBox, ImageRGBA, Plot, Range1d, Title

from phasecast.core.result import PhaseClass
from phasecast.core.words import Words
from phasecast.web.layers import LayerKey
from phasecast.web.live_scan import LiveScan
from phasecast.web.map_view import PictureSource
from phasecast.web.theme import Theme

_COLUMNS = 5
_HEIGHT = 132


class SmallMultiples:
    """The confidence maps of all classes of a scan.

    Parameters
    ----------
    words, theme
        Of the session.
    x_range, y_range
        Those of the large map: zooming one zooms all.
    on_tap
        Called with (class id, x_um, y_um).
    """

    def __init__(
        self, words: Words, theme: Theme, ranges: tuple[Range1d, Range1d], on_tap: Callable[[str, float, float], None]
    ) -> None:
        self._words, self._theme = words, theme
        self._ranges = ranges
        self._on_tap = on_tap
        self._sources: dict[str, PictureSource] = {}
        self._classes: tuple[PhaseClass, ...] = ()
        self.panel = pn.Column(sizing_mode="stretch_width", css_classes=["pc-multiples"])

    def show(self, scan: LiveScan) -> None:
        """Bring all maps up to date."""
        if scan.header.classes != self._classes:
            self._build(scan.header.classes)
        for class_id, source in self._sources.items():
            source.show(scan, LayerKey(class_id))

    def _build(self, classes: tuple[PhaseClass, ...]) -> None:
        self._classes = classes
        self._sources = {phase.id: PictureSource(f"multiple-{phase.id}") for phase in classes}
        columns = min(_COLUMNS, max(math.ceil(len(classes) / 2), 1))
        rows = [classes[first : first + columns] for first in range(0, len(classes), columns)]
        # One pane for all figures: a pane each takes the server longer than the figures themselves.
        cells = [(self._plot(phase), row, k) for row, part in enumerate(rows) for k, phase in enumerate(part)]
        grid = GridBox(children=cells, sizing_mode="stretch_width", cols=["1fr"] * columns)
        self.panel[:] = [pn.pane.Bokeh(grid, sizing_mode="stretch_width")] if cells else []

    def _plot(self, phase: PhaseClass) -> Any:
        # A bare plot: a figure's axes, grids, tickers and tools, none of which show, are most of its cost.
        plot = Plot(
            name=f"multiple-{phase.id}", height=_HEIGHT, sizing_mode="stretch_width", match_aspect=True,
            x_range=self._ranges[0], y_range=self._ranges[1], toolbar_location=None, min_border=1,
            title=Title(
                text=self._words.name_of(phase.name_en, phase.name_ja), text_font_size="11px",
                text_font_style="normal", standoff=2,
            ),
        )  # fmt: skip
        self._theme.dress(plot)
        plot.add_glyph(self._sources[phase.id].source, ImageRGBA(image="image", x="x", y="y", dw="dw", dh="dh"))
        plot.on_event(Tap, lambda event: self._on_tap(phase.id, event.x, event.y))
        return plot
