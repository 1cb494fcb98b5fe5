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
_USUAL_CLASSES = 9
"""Of rust on steel; a scan with more has its further maps made when it is opened."""
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
        self._shown: tuple[tuple[PhaseClass, ...], int] = (), 0
        self._sources: list[PictureSource] = []
        self._maps: list[Any] = []
        self._ranges = Range1d(0, 1), Range1d(0, 1)
        # Made before there is a scan to show: adding figures to a page that is open makes Bokeh walk through all its
        # models, and the sessions of a page would all do so while the first points of a scan come in.
        self._grid = GridBox(sizing_mode="stretch_width")
        self._make_maps(_USUAL_CLASSES)
        # They share their ranges and are of one size, so that what fits one fits all.
        keep_equal_aspect(self._maps[0], leader=leader.plot)
        self.panel = pn.Column(
            pn.pane.HTML(self._scale(), stylesheets=[PARTS]),
            # One pane for all figures: a pane each takes the server longer than the figures themselves.
            pn.pane.Bokeh(self._grid, sizing_mode="stretch_width"),
            sizing_mode="stretch_width", css_classes=["pc-multiples"],
        )  # fmt: skip

    def show(self, scan: LiveScan) -> None:
        """Bring all maps up to date."""
        _, _, width, height = scan.canvas.extent_um
        least, most = _HEIGHTS
        pixels = int(min(max(_WIDTH * (height / width if width > 0 else 1.0) + _TITLE, least), most))
        if (scan.header.classes, pixels) != self._shown:
            self._shown = scan.header.classes, pixels
            self._name_maps(*self._shown)
        for phase, source in zip(scan.header.classes, self._sources, strict=False):
            source.show(scan, LayerKey(phase.id))

    def _name_maps(self, classes: tuple[PhaseClass, ...], height: int) -> None:
        self._make_maps(len(classes))
        for own, leading in zip(self._ranges, (self._leader.x_range, self._leader.y_range), strict=True):
            own.update(start=leading.start, end=leading.end)
        for place, plot in enumerate(self._maps):
            plot.visible = place < len(classes)
            if plot.visible:
                phase = classes[place]
                plot.update(name=f"multiple-{phase.id}", height=height)
                plot.title.text = _shortened(self._words.name_of(phase.name_en, phase.name_ja))
                self._sources[place].source.name = f"multiple-{phase.id}"
        self._place_maps(len(classes))
        self.panel.visible = bool(classes)

    def _tap(self, place: int, event: Tap) -> None:
        self._on_tap(self._shown[0][place].id, event.x, event.y)

    def _make_maps(self, count: int) -> None:
        """Make as many maps as there are not yet."""
        for place in range(len(self._maps), count):
            self._sources.append(PictureSource("multiple"))
            self._maps.append(self._plot(place))
        self._place_maps(count)

    def _place_maps(self, count: int) -> None:
        columns = min(_COLUMNS, max(math.ceil(count / 2), 1))
        cells = [(plot, *divmod(place, columns)) for place, plot in enumerate(self._maps)]
        # Only if they move: what takes its place again makes the browser build it again.
        if self._grid.children != cells:
            self._grid.update(children=cells, cols=["1fr"] * columns)

    def _scale(self) -> str:
        stops = ", ".join(Viridis256[round(k * 255 / (_VIRIDIS_STOPS - 1))] for k in range(_VIRIDIS_STOPS))
        label = html.escape(self._words("common.confidence"))
        return f"<div class='scale'>{label} 0 <i style='background:linear-gradient(to right, {stops})'></i> 1</div>"

    def _plot(self, place: int) -> Any:
        # A bare plot: a figure's axes, grids, tickers and tools, none of which show, are most of its cost.
        plot = Plot(
            height=_HEIGHTS[0], sizing_mode="stretch_width",
            x_range=self._ranges[0], y_range=self._ranges[1], toolbar_location=None, min_border=1,
            # The browser keeps the height of the first title: an empty one would leave no room for the next.
            title=Title(text="–", text_font_size="11px", text_font_style="normal", standoff=2),
        )  # fmt: skip
        self._theme.dress(plot)
        plot.add_glyph(self._sources[place].source, ImageRGBA(image="image", x="x", y="y", dw="dw", dh="dh"))
        plot.on_event(Tap, in_one_message(lambda event: self._tap(place, event)))
        return plot


def _shortened(name: str) -> str:
    """Return a name that does not run into the next map; Chinese characters are two cells wide."""
    cells = 0
    for place, character in enumerate(name):
        cells += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if cells > _TITLE_CELLS:
            return f"{name[:place].rstrip()}…"
    return name
