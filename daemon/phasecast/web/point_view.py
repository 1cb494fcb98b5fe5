"""One point explained: pattern, what the classes make of it, and the raw frame it came from."""

import html
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import panel as pn
from bokeh.models import ColorBar as BokehColorBar
from bokeh.models import (
    ColumnDataSource,
    FactorRange,
    FixedTicker,
    LogColorMapper,
    LogTicker,
    Span,
)
from bokeh.palettes import Cividis256
from bokeh.plotting import figure
from bokeh.plotting.contour import contour_data
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast.core.ledger import PointState
from phasecast.core.result import PhaseClass
from phasecast.core.words import Words
from phasecast.web.chosen import Shown, flags_of, show_points
from phasecast.web.hub import Hub
from phasecast.web.layers import UNSURE_LIMITS
from phasecast.web.live_scan import LiveScan
from phasecast.web.theme import PARTS, Theme

_CONTOUR_DEG = 5.0


class PointView:
    """Pattern, bars, frame and facts of what a person chose on the map.

    Parameters
    ----------
    hub
        Reads frames.
    words, theme
        Of the session.
    """

    def __init__(self, hub: Hub, words: Words, theme: Theme) -> None:
        self._hub, self._words, self._theme = hub, words, theme
        self._shown: tuple[Any, ...] = ()
        self.facts = pn.pane.HTML("", stylesheets=[PARTS], css_classes=["pc-point"], sizing_mode="stretch_width")
        self.frame_note = pn.pane.HTML(
            "", stylesheets=[PARTS], css_classes=["pc-frame-note"], sizing_mode="stretch_width"
        )
        self._make_pattern()
        self._make_bars()
        self._make_frame()
        self.panel = pn.Column(
            self.facts,
            pn.pane.Bokeh(self.pattern, sizing_mode="stretch_width"),
            pn.Row(
                pn.pane.Bokeh(self.bars, sizing_mode="stretch_width"),
                pn.Column(
                    pn.pane.Bokeh(self.frame, sizing_mode="stretch_width"),
                    self.frame_note,
                    sizing_mode="stretch_width",
                ),
                sizing_mode="stretch_width",
            ),
            sizing_mode="stretch_width",
        )

    def clear(self) -> None:
        """Show that nothing is chosen."""
        self._shown = ()
        self.facts.object = f"<p class='hint'>{html.escape(self._words('page.choose_point'))}</p>"
        self._draw_pattern(None)
        self._draw_bars((), np.zeros(0))
        self._draw_frame(None, None, "")

    def show(self, scan: LiveScan, points: NDArray[np.int64], threshold: float) -> None:
        """Show a point, or the mean of several; does nothing if they are shown already and have not changed."""
        first = int(points[0])
        state = (scan, points.tobytes(), threshold, int(scan.columns.state[first]), int(scan.columns.flags[first]))
        if state == self._shown:
            return
        same_points = state[:2] == self._shown[:2] and state[3:] == self._shown[3:]
        self._shown = state
        shown = show_points(scan, points, threshold)
        self._draw_pattern(shown)
        self._draw_bars(scan.header.classes, shown.confidence)
        self.facts.object = self._facts(scan, shown)
        if points.size > 1:
            self._draw_frame(None, None, self._words("page.frame_of_one"))
        elif not same_points:
            self._show_frame(scan, first)

    # pattern

    def _make_pattern(self) -> None:
        words, theme = self._words, self._theme
        plot = figure(
            name="pattern", css_classes=["pc-pattern"], height=260, sizing_mode="stretch_width", tools="xwheel_zoom,xpan,box_zoom,reset,save",
            active_scroll="xwheel_zoom", toolbar_location="right", x_axis_label=words("common.tth_deg"),
            y_axis_label=words("common.intensity"),
        )  # fmt: skip
        plot.toolbar.logo = None
        theme.dress(plot)
        plot.y_range.only_visible = True
        self._curve = ColumnDataSource(name="pattern-source", data={"x": [], "y": [], "low": [], "high": []})
        self._sticks = ColumnDataSource(
            name="sticks-source", data={"x": [], "y0": [], "y1": [], "colour": [], "name": []}
        )
        self._peaks = ColumnDataSource(name="unexplained-source", data={"x": [], "y": []})
        plot.varea("x", "low", "high", source=self._curve, fill_color=theme.faint, fill_alpha=0.35)
        plot.line("x", "y", source=self._curve, line_color=theme.ink, line_width=1.2)
        plot.segment("x", "y0", "x", "y1", source=self._sticks, line_color="colour", line_width=3, legend_field="name")
        plot.scatter(
            "x", "y", source=self._peaks, marker="inverted_triangle", size=11, fill_color=theme.accent,
            line_color=theme.paper, legend_label=words("page.unexplained"),
        )  # fmt: skip
        plot.legend.label_text_font_size = "11px"
        plot.legend.background_fill_alpha = 0.6
        plot.legend.background_fill_color = theme.panel
        plot.legend.label_text_color = theme.ink
        plot.legend.border_line_color = None
        plot.legend.padding = plot.legend.spacing = 2
        self.pattern = plot

    def _draw_pattern(self, shown: Shown | None) -> None:
        if shown is None:
            self._curve.data = {"x": [], "y": [], "low": [], "high": []}
            self._sticks.data = {"x": [], "y0": [], "y1": [], "colour": [], "name": []}
            self._peaks.data = {"x": [], "y": []}
            return
        intensity, sigma = shown.intensity, np.nan_to_num(shown.sigma)
        self._curve.data = {
            "x": shown.tth_deg, "y": intensity, "low": intensity - sigma, "high": intensity + sigma,
        }  # fmt: skip
        top = float(np.nanmax(intensity)) if np.isfinite(intensity).any() else 1.0
        low = float(np.nanmin(intensity)) if np.isfinite(intensity).any() else 0.0
        rows = [
            (tth, low, low + 0.45 * (top - low) * min(strength, 100.0) / 100, phase.colour, self._name(phase))
            for phase in shown.leading
            for tth, strength in phase.reference_lines
            if shown.tth_deg.size and shown.tth_deg[0] <= tth <= shown.tth_deg[-1]
        ]
        names = ("x", "y0", "y1", "colour", "name")
        self._sticks.data = (
            dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {name: [] for name in names}
        )
        places = [peak.tth_deg for peak in shown.unexplained]
        heights = np.interp(places, shown.tth_deg, np.nan_to_num(intensity)) if places else np.zeros(0)
        self._peaks.data = {"x": places, "y": list(heights + 0.06 * (top - low))}

    # confidences

    def _make_bars(self) -> None:
        words, theme = self._words, self._theme
        self._bar_source = ColumnDataSource(
            name="bars-source", data={"name": [], "value": [], "text": [], "colour": []}
        )
        plot = figure(
            name="bars", css_classes=["pc-bars"], height=250, sizing_mode="stretch_width", y_range=FactorRange(), x_range=(0, 1.12),
            tools="", toolbar_location=None, x_axis_label=words("common.confidence"),
        )  # fmt: skip
        theme.dress(plot)
        plot.xaxis.ticker = FixedTicker(ticks=[0, 0.2, 0.5, 0.8, 1])
        plot.ygrid.visible = False
        low, high = UNSURE_LIMITS
        plot.vstrip(x0=[low], x1=[high], fill_color=theme.faint, fill_alpha=0.16, line_color=None)
        plot.hbar(
            "name", right="value", height=0.72, source=self._bar_source, fill_color="colour", line_color=theme.line
        )
        plot.text(
            "value", "name", "text", source=self._bar_source, x_offset=4, text_baseline="middle",
            text_font_size="11px", text_color=theme.ink,
        )  # fmt: skip
        self._threshold = Span(location=0.5, dimension="height", line_color=theme.accent, line_dash="dashed")
        plot.add_layout(self._threshold)
        self.bars = plot

    def _draw_bars(self, classes: Sequence[PhaseClass], confidence: NDArray[np.floating]) -> None:
        names = [self._name(phase) for phase in classes]
        known = np.nan_to_num(confidence)
        self.bars.y_range.factors = names[::-1]
        self._bar_source.data = {
            "name": names, "value": list(known), "colour": [phase.colour for phase in classes],
            "text": [f"{value:.2f}" if math.isfinite(value) else "–" for value in confidence],
        }  # fmt: skip
        if self._shown:
            self._threshold.location = self._shown[2]

    # frame

    def _make_frame(self) -> None:
        theme = self._theme
        self._frame_source = ColumnDataSource(name="frame-source", data={"image": [], "dw": [], "dh": []})
        plot = figure(
            name="frame", css_classes=["pc-frame"], height=228, sizing_mode="stretch_width", match_aspect=True, tools="pan,wheel_zoom,reset,save",
            toolbar_location=None, active_scroll="wheel_zoom",
        )  # fmt: skip
        theme.dress(plot)
        plot.axis.visible = False
        plot.grid.visible = False
        plot.x_range.range_padding = plot.y_range.range_padding = 0
        plot.y_range.flipped = True
        mapper = LogColorMapper(palette=Cividis256, low=1, high=1000, nan_color=theme.line, low_color="#000000")
        plot.image("image", x=0, y=0, dw="dw", dh="dh", source=self._frame_source, color_mapper=mapper)
        flat = np.zeros((2, 2))
        self._rings = plot.contour(
            np.arange(2.0), np.arange(2.0), flat, levels=[9.0], line_color="#FFFFFF", line_alpha=0.55
        )
        bar = BokehColorBar(
            color_mapper=mapper, ticker=LogTicker(), width=8, padding=3, background_fill_alpha=0,
            major_label_text_color=theme.ink,
        )  # fmt: skip
        plot.add_layout(bar, "right")
        self._mapper = mapper
        self._ring_labels = ColumnDataSource(data={"x": [], "y": [], "text": []})
        plot.text("x", "y", "text", source=self._ring_labels, text_color="#FFFFFF", text_font_size="10px")
        self.frame = plot

    def _show_frame(self, scan: LiveScan, point: int) -> None:
        try:
            reference = scan.columns.result.frame_reference(point)
            if reference is None:
                self._draw_frame(None, None, self._words("page.no_frame"))
                return
            image = self._hub.tools.read_frame(scan.header, reference)
        except PhasecastError as error:
            self._draw_frame(None, None, self._words("page.frame_gone", why=str(error)))
            return
        note = self._words("page.frame_where", path=reference.path, number=reference.number)
        self._draw_frame(image, self._hub.tools.tth_of_pixels(scan.header), note)

    def _draw_frame(self, image: NDArray[Any] | None, tth: NDArray[np.floating] | None, note: str) -> None:
        self.frame_note.object = f"<p class='hint'>{html.escape(note)}</p>"
        empty = image is None
        picture = (
            np.zeros((1, 1), np.float32) if image is None else np.where(image < 0, np.nan, image).astype(np.float32)
        )
        rows, columns = picture.shape
        if not empty:
            self._mapper.high = max(float(np.nanmax(picture, initial=10.0)), 10.0)
        self._frame_source.data = {"image": [] if empty else [picture], "dw": [] if empty else [columns],
                                   "dh": [] if empty else [rows]}  # fmt: skip
        self._draw_rings(None if tth is None or empty or tth.shape != picture.shape else tth)

    def _draw_rings(self, tth: NDArray[np.floating] | None) -> None:
        if tth is None:
            self._rings.visible = False
            self._ring_labels.data = {"x": [], "y": [], "text": []}
            return
        levels = np.arange(
            math.ceil(float(np.min(tth)) / _CONTOUR_DEG) * _CONTOUR_DEG, float(np.max(tth)), _CONTOUR_DEG
        )
        rows, columns = tth.shape
        if levels.size:
            self._rings.set_data(
                contour_data(np.arange(columns) + 0.5, np.arange(rows) + 0.5, tth, levels=levels, want_fill=False)
            )
        self._rings.visible = bool(levels.size)
        middle = tth[rows // 2]
        ascending = middle if middle[-1] > middle[0] else middle[::-1]
        places = np.interp(levels, ascending, np.arange(columns))
        places = places if middle[-1] > middle[0] else columns - 1 - places
        self._ring_labels.data = {
            "x": list(places),
            "y": [rows - 6] * levels.size,
            "text": [f"{v:.0f}°" for v in levels],
        }

    # words

    def _name(self, phase: PhaseClass) -> str:
        return self._words.name_of(phase.name_en, phase.name_ja)

    def _facts(self, scan: LiveScan, shown: Shown) -> str:
        words, columns = self._words, scan.columns
        if shown.points.size > 1:
            line = words("page.mean_of", points=shown.points.size, averaged=shown.averaged)
            return f"<b>{html.escape(line)}</b>"
        point = int(shown.points[0])
        state = PointState(int(columns.state[point]))
        when = columns.time_s[point]
        parts = [
            f"<b>{words('common.point')} {point}</b>",
            f"x {columns.x_um[point]:.1f}, y {columns.y_um[point]:.1f} µm",
            datetime.fromtimestamp(when).strftime("%Y-%m-%d %H:%M:%S") if np.isfinite(when) else "–",
            f"<span class='state {state.label}'>{html.escape(words(f'state.{state.label}'))}</span>",
        ]
        reason = str(columns.result.reason_of(point))
        if reason:
            parts.append(f"<span class='warn'>{html.escape(reason)}</span>")
        parts += [f"<span class='warn'>{html.escape(words(f'flag.{flag}'))}</span>" for flag in flags_of(scan, point)]
        if shown.unexplained:
            peaks = ", ".join(f"{peak.tth_deg:.2f}°" for peak in shown.unexplained[:4])
            parts.append(f"{html.escape(words('page.unexplained'))}: {peaks}")
        return " · ".join(parts)
