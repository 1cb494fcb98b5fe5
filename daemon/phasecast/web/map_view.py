"""The map: one picture of the chosen layer, in sample coordinates, and what is needed to read it."""

from typing import Any

import numpy as np
from bokeh.models import (
    BoxSelectTool,
    ColorBar,
    ColumnDataSource,
    LassoSelectTool,
    LinearColorMapper,
    Range1d,
    ScaleBar,
)
from bokeh.palettes import Cividis256, Viridis256
from bokeh.plotting import figure
from numpy.typing import NDArray

from phasecast.core.words import Words
from phasecast.web.equal_aspect import keep_equal_aspect
from phasecast.web.layers import COMPOSITE, DISAGREEMENT, DRIFT, DRIFT_HIGHEST, LEDGER, TOTAL, UNSURE, LayerKey
from phasecast.web.live_scan import LiveScan, Picture
from phasecast.web.theme import Theme

_MARGIN = 0.03
_WIDTH = 580
"""Pixels of the map in a window of 1440; the browser stretches it."""
_AROUND = 105
_HEIGHTS = (250, 520)
_MARKED = 2000

_CIVIDIS_TITLES = {
    UNSURE: "common.unsure", TOTAL: "page.counts", DRIFT: "page.drift_bar", DISAGREEMENT: "page.disagreement_bar",
}  # fmt: skip


class PictureSource:
    """One picture in a browser, kept equal to the one that all sessions share.

    Parameters
    ----------
    name
        Name of the Bokeh data source.
    """

    def __init__(self, name: str) -> None:
        self.source = ColumnDataSource(
            name=name, data={"image": [np.zeros((1, 1), np.uint32)], "x": [0.0], "y": [0.0], "dw": [1.0], "dh": [1.0]}
        )
        self._key: LayerKey | None = None
        self._scan: LiveScan | None = None
        self._epoch = 0
        self._version = 0
        self._extent: tuple[float, ...] = ()

    def show(self, scan: LiveScan, key: LayerKey) -> bool:
        """Bring the browser up to date; return whether anything changed."""
        if (scan, key, scan.epoch) == (self._scan, self._key, self._epoch) and scan.version == self._version:
            return False
        rows = scan.changes_since(self._version)
        picture = scan.picture(key)
        if (scan, key, scan.epoch) != (self._scan, self._key, self._epoch) or rows is None:
            self._send_whole(scan, picture)
        else:
            patches = [
                (
                    (0, slice(patch.row, patch.row + height), slice(patch.column, patch.column + width)),
                    np.ascontiguousarray(patch.pixels).ravel(),
                )
                for patch in scan.patches(picture, rows)
                for height, width in [patch.pixels.shape]
            ]
            if patches:
                self.source.patch({"image": patches})
            self._place(scan)
        self._scan, self._key, self._epoch, self._version = scan, key, scan.epoch, scan.version
        return True

    def _send_whole(self, scan: LiveScan, picture: Picture) -> None:
        left, low, width, height = self._extent = scan.canvas.extent_um
        # Shared with all sessions: Bokeh patches it in place with the values that it holds already.
        self.source.data = {"image": [picture.pixels], "x": [left], "y": [low], "dw": [width], "dh": [height]}

    def _place(self, scan: LiveScan) -> None:
        extent = scan.canvas.extent_um
        if extent != self._extent:
            left, low, width, height = self._extent = extent
            self.source.patch({"x": [(0, left)], "y": [(0, low)], "dw": [(0, width)], "dh": [(0, height)]})


class MapView:
    """The large map of one session.

    Parameters
    ----------
    words
        The session's words.
    theme
        The session's colours.
    """

    def __init__(self, words: Words, theme: Theme) -> None:
        self._words = words
        self.picture = PictureSource("map-source")
        self.clock = ColumnDataSource(
            name="map_clock", data={"sequence": [0], "commit_time_s": [0.0], "points_done": [0]}
        )
        self.x_range, self.y_range = Range1d(0, 1), Range1d(0, 1)
        self.box, self.lasso = BoxSelectTool(), LassoSelectTool(continuous=False)
        plot = figure(
            name="map",
            css_classes=["pc-map"],
            x_range=self.x_range,
            y_range=self.y_range,
            tools=["pan", "wheel_zoom", self.box, self.lasso, "tap", "reset", "save"],
            active_scroll="wheel_zoom",
            x_axis_label=words("common.x_um"),
            y_axis_label=words("common.y_um"),
            sizing_mode="stretch_width",
            height=_HEIGHTS[1],
            toolbar_location="above",
        )
        plot.toolbar.logo = None
        theme.dress(plot)
        plot.grid.visible = False
        plot.image_rgba("image", "x", "y", "dw", "dh", source=self.picture.source, name="map-picture")
        self.cursor = ColumnDataSource(name="map-cursor", data={"x": [], "y": [], "w": [], "h": [], "line": []})
        plot.rect("x", "y", "w", "h", source=self.cursor, fill_alpha=0, line_color=theme.accent, line_width="line")
        self._footprint = ColumnDataSource(data={"x": [], "y": [], "w": [], "h": []})
        plot.ellipse(
            "x", "y", "w", "h", source=self._footprint, fill_color=theme.accent, fill_alpha=0.5, line_color=theme.ink
        )
        self._add_scale_bar(plot, theme)
        self._bars = {
            palette: ColorBar(
                color_mapper=LinearColorMapper(palette=palette, low=0, high=1), width=10, title="", visible=False,
                background_fill_alpha=0, major_label_text_color=theme.ink, title_text_color=theme.ink, padding=4,
            )
            for palette in (Viridis256, Cividis256)
        }  # fmt: skip
        for bar in self._bars.values():
            plot.add_layout(bar, "right")
        # Held by the figure, or no browser would be told of it.
        plot.tags = [self.clock]
        keep_equal_aspect(plot)
        self.plot = plot
        self._framed: tuple[Any, ...] = ()
        self._marked: tuple[Any, ...] = ()

    def show(self, scan: LiveScan, key: LayerKey) -> None:
        """Show a layer of a scan as it is now."""
        changed = self.picture.show(scan, key)
        self._frame(scan)
        self._label_colours(scan, key)
        commit = scan.columns.result.last_commit
        if changed or self.clock.data["sequence"][0] != commit["sequence"]:
            # After the pixels, on the same connection: whoever sees this clock has been sent what it dates.
            self.clock.data = {
                "sequence": [commit["sequence"]],
                "commit_time_s": [commit["time_s"]],
                "points_done": [scan.columns.ledger_sums["done"]],
            }

    def mark(self, scan: LiveScan, points: NDArray[np.int64]) -> None:
        """Frame the chosen points; of very many, evenly chosen ones."""
        columns = scan.columns
        placed = points[np.isfinite(columns.x_um[points]) & np.isfinite(columns.y_um[points])]
        if placed.size > _MARKED:
            placed = placed[np.linspace(0, placed.size - 1, _MARKED).astype(np.int64)]
        width, height = scan.sizes_um(placed)
        state = (scan, placed.tobytes(), *scan.canvas.step_um)
        if state != self._marked:
            self._marked = state
            self.cursor.data = {
                "x": columns.x_um[placed], "y": columns.y_um[placed], "w": width, "h": height,
                "line": [3 if placed.size == 1 else 1] * placed.size,
            }  # fmt: skip

    def _frame(self, scan: LiveScan) -> None:
        """Show the whole scan when it is first seen or its extent changes; keep the person's own zoom otherwise."""
        extent = (scan.path, *(round(value, 3) for value in scan.canvas.extent_um))
        if extent == self._framed:
            return
        left, low, width, height = scan.canvas.extent_um
        margin = max(width, height) * _MARGIN
        limits = (left - margin, left + width + margin, low - margin, low + height + margin)
        if self._framed[:1] != extent[:1] or _is_near(self._framed, extent) is False:
            self.x_range.update(start=limits[0], end=limits[1], reset_start=limits[0], reset_end=limits[1])
            least, most = _HEIGHTS
            shape = height / width if width > 0 else 1.0
            self.plot.height = int(min(max(_WIDTH * shape * (1 + 2 * _MARGIN) + _AROUND, least), most))
            self.y_range.update(start=limits[2], end=limits[3], reset_start=limits[2], reset_end=limits[3])
        self._framed = extent
        beam = scan.header.profile.get("beam")
        if beam:
            size = float(beam["horizontal_um"]), float(beam["vertical_um"])
            self._footprint.data = {
                "x": [left + width - size[0]], "y": [low + size[1]], "w": [size[0]], "h": [size[1]],
            }  # fmt: skip
        else:
            self._footprint.data = {"x": [], "y": [], "w": [], "h": []}

    def _label_colours(self, scan: LiveScan, key: LayerKey) -> None:
        viridis, cividis = self._bars[Viridis256], self._bars[Cividis256]
        cividis.visible = key.name in _CIVIDIS_TITLES
        viridis.visible = key.name not in (COMPOSITE, LEDGER, *_CIVIDIS_TITLES)
        viridis.title = self._words("common.confidence")
        cividis.title = self._words(_CIVIDIS_TITLES.get(key.name, "common.unsure"))
        cividis.color_mapper.high = {TOTAL: scan.total_limit, DRIFT: DRIFT_HIGHEST}.get(key.name, 1.0)

    def _add_scale_bar(self, plot: Any, theme: Theme) -> None:
        plot.add_layout(
            ScaleBar(
                range=self.x_range, unit="µm", location="bottom_left", bar_length=0.12, label="@{value} @{unit}",
                background_fill_color=theme.paper, background_fill_alpha=0.7, bar_line_color=theme.ink,
                label_text_color=theme.ink, border_line_color=None,
            )
        )  # fmt: skip


def _is_near(before: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
    """Whether two frames of one scan differ by less than a tenth: centres settle while a scan grows."""
    sizes = np.array(before[1:]), np.array(now[1:])
    if sizes[0].size != sizes[1].size:
        return False
    return bool(np.all(np.abs(sizes[0] - sizes[1]) <= 0.1 * max(sizes[1][2:].max(), 1e-9)))
