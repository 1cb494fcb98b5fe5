"""The map of the regions tab: the picture of a layer, areas above it, and tools to draw with."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
from bokeh.core.property.descriptors import UnsetValueError
from bokeh.events import DoubleTap, SelectionGeometry, Tap
from bokeh.models import ColumnDataSource, FreehandDrawTool, PanTool, PointDrawTool

from phasecast.core.words import Words
from phasecast.web.layers import LayerKey
from phasecast.web.live_scan import LiveScan
from phasecast.web.map_view import MapView
from phasecast.web.regions_line import Vertex
from phasecast.web.regions_overlay import Area, draw_areas
from phasecast.web.soon import in_one_message
from phasecast.web.theme import Theme

Stroke = list[Vertex]
_LEAST_CORNERS = 3


class Mode(StrEnum):
    """What a drag or a click on the map does."""

    LOOK = "look"
    POLYGON = "polygon"
    BRUSH = "brush"
    THRESHOLD = "threshold"
    PARTS = "parts"
    SURFACE = "surface"


class RegionsMap:
    """A map of its own, with the same picture as the large one.

    Parameters
    ----------
    words, theme
        Of the session.

    Attributes
    ----------
    on_polygon
        Called with the corners of a closed line that was drawn, um.
    on_stroke
        Called with the corners of a stroke of the brush, um.
    on_line
        Called with the corners of the surface line after a person moved, added or removed one, um.
    """

    def __init__(self, words: Words, theme: Theme) -> None:
        self._view = MapView(words, theme)
        self._view.clock.name, self._view.picture.source.name = "regions-clock", "regions-map-source"
        self._view.cursor.name = "regions-cursor"
        plot = self.plot = self._view.plot
        plot.name, plot.css_classes, plot.height = "regions-map", ["pc-regions"], 500
        self.on_polygon: Callable[[list[Vertex]], None] = lambda _: None
        self.on_stroke: Callable[[Stroke], None] = lambda _: None
        self.on_line: Callable[[list[Vertex]], None] = lambda _: None
        self._mode = Mode.LOOK
        self._radius_um = 1.0
        self._setting = False
        self._drawn: tuple[Any, ...] = ()
        self._add_overlay()
        self._add_tools(theme)
        plot.on_event(SelectionGeometry, in_one_message(self._enclosed))
        plot.on_event(Tap, in_one_message(self._tapped))
        plot.on_event(DoubleTap, in_one_message(self._finish_polygon))

    def show(self, scan: LiveScan, key: LayerKey) -> None:
        """Show a layer of a scan as it is now."""
        self._view.show(scan, key)
        self._size_brush()

    def set_mode(self, mode: Mode) -> None:
        """Let drags and clicks do what the mode says."""
        self._mode = mode
        bar = self.plot.toolbar
        drags = {Mode.POLYGON: self._view.lasso, Mode.BRUSH: self._brush, Mode.PARTS: self._brush,
                 Mode.SURFACE: self._points}  # fmt: skip
        bar.active_drag = drags.get(mode, self._pan)
        bar.active_tap = self._points if mode is Mode.SURFACE else None
        self._begin_polygon([])
        editing = mode is Mode.SURFACE
        self._corners.visible = editing
        self._line.glyph.line_dash = "solid" if editing else "dashed"

    def set_radius(self, radius_um: float) -> None:
        """Set the size of the brush."""
        self._radius_um = radius_um
        self._size_brush()

    def show_areas(self, scan: LiveScan, areas: Sequence[Area]) -> None:
        """Show areas above the map; free where they are shown already."""
        extent = scan.canvas.extent_um
        state = (scan.path, extent, *((a.chosen.tobytes(), a.colour, a.filled, a.alpha) for a in areas))
        if state == self._drawn:
            return
        self._drawn = state
        left, low, width, height = extent
        picture = draw_areas(scan.canvas, areas)
        self._overlay.data = {"image": [picture], "x": [left], "y": [low], "dw": [width], "dh": [height]}

    def show_line(self, vertices_um: Sequence[Vertex]) -> None:
        """Show the surface line."""
        data = {"x": [x for x, _ in vertices_um], "y": [y for _, y in vertices_um]}
        if data != {name: list(values) for name, values in self._line_source.data.items()}:
            self._set(self._line_source, data)

    @property
    def chosen_corners(self) -> list[int]:
        """Corners of the line that were clicked."""
        return list(self._line_source.selected.indices)

    def _add_overlay(self) -> None:
        empty = {"image": [np.zeros((1, 1), np.uint32)], "x": [0.0], "y": [0.0], "dw": [0.0], "dh": [0.0]}
        self._overlay = ColumnDataSource(name="regions-overlay", data=empty)
        self.plot.image_rgba("image", "x", "y", "dw", "dh", source=self._overlay)

    def _add_tools(self, theme: Theme) -> None:
        plot = self.plot
        self._stroke = ColumnDataSource(name="regions-stroke", data={"xs": [], "ys": []})
        self._ink = plot.multi_line(
            "xs", "ys", source=self._stroke, line_color=theme.accent, line_alpha=0.45, line_cap="round",
            line_join="round",
        )  # fmt: skip
        self._open = ColumnDataSource(name="regions-corners", data={"x": [], "y": []})
        plot.line("x", "y", source=self._open, line_color=theme.accent, line_width=2, line_dash="dotted")
        plot.scatter("x", "y", source=self._open, size=7, fill_color=theme.paper, line_color=theme.accent)
        self._line_source = ColumnDataSource(name="surface-line", data={"x": [], "y": []})
        plot.line("x", "y", source=self._line_source, line_color=theme.paper, line_width=5, line_alpha=0.8)
        self._line = plot.line("x", "y", source=self._line_source, line_color=theme.accent, line_width=2.5)
        self._corners = plot.scatter(
            "x", "y", source=self._line_source, size=11, fill_color=theme.paper, line_color=theme.accent,
            line_width=2.5, nonselection_fill_alpha=1, nonselection_line_alpha=1, selection_fill_color=theme.accent,
        )  # fmt: skip
        self._brush = FreehandDrawTool(renderers=[self._ink], num_objects=1)
        self._points = PointDrawTool(renderers=[self._corners], add=True, drag=True)
        self._pan = next(tool for tool in plot.toolbar.tools if isinstance(tool, PanTool))
        # hit tests of thousands of pixels are not what a lasso is for here
        self._view.lasso.renderers = self._view.box.renderers = []
        plot.add_tools(self._brush, self._points)
        self._stroke.on_change("data", lambda attr, old, new: in_one_message(self._stroked)())
        self._line_source.on_change("data", lambda attr, old, new: in_one_message(self._line_edited)())
        self.set_mode(Mode.LOOK)

    def _set(self, source: ColumnDataSource, data: dict[str, list[Any]]) -> None:
        self._setting = True
        try:
            source.data = data
        finally:
            self._setting = False

    def _size_brush(self) -> None:
        """Make the ink as wide as the brush."""
        width_um = float(self.plot.x_range.end - self.plot.x_range.start)
        try:
            pixels = float(self.plot.inner_width)
        except UnsetValueError:  # no browser has drawn it yet
            pixels = 0.0
        wide = round(max(2 * self._radius_um * pixels / width_um, 2.0), 1) if width_um > 0 and pixels else 6.0
        if self._ink.glyph.line_width != wide:
            self._ink.glyph.line_width = wide

    def _enclosed(self, event: Any) -> None:
        if not event.final:
            return
        geometry = event.geometry
        if geometry.get("type") == "rect":
            (x0, x1), (y0, y1) = (geometry["x0"], geometry["x1"]), (geometry["y0"], geometry["y1"])
            self.on_polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        elif geometry.get("type") == "poly":
            self.on_polygon(list(zip(geometry["x"], geometry["y"], strict=True)))

    def _tapped(self, event: Any) -> None:
        """A click sets a corner of a polygon; with the brush it is a stroke of one place."""
        if event.x is None:
            return
        if self._mode is Mode.POLYGON:
            self._begin_polygon([*zip(*self._open.data.values(), strict=True), (event.x, event.y)])
        elif self._mode in (Mode.BRUSH, Mode.PARTS):
            self.on_stroke([(event.x, event.y)])

    def _finish_polygon(self, event: Any) -> None:
        """The first click of a double-click has set the last corner already."""
        del event
        corners: list[Vertex] = list(zip(*self._open.data.values(), strict=True))
        self._begin_polygon([])
        if self._mode is Mode.POLYGON and len(corners) >= _LEAST_CORNERS:
            self.on_polygon(corners)

    def _begin_polygon(self, corners: Sequence[Vertex]) -> None:
        self._open.data = {"x": [x for x, _ in corners], "y": [y for _, y in corners]}

    def _stroked(self) -> None:
        if self._setting or not len(self._stroke.data["xs"]):
            return
        xs, ys = self._stroke.data["xs"][-1], self._stroke.data["ys"][-1]
        self._set(self._stroke, {"xs": [], "ys": []})
        self.on_stroke(list(zip(xs, ys, strict=True)))

    def _line_edited(self) -> None:
        if self._setting:
            return
        self.on_line(list(zip(self._line_source.data["x"], self._line_source.data["y"], strict=True)))
