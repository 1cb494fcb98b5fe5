"""A pattern with its sigma band, the sticks of the leading classes, and the peaks that none of them explains."""

import numpy as np
from bokeh.models import ColumnDataSource, Range1d
from bokeh.plotting import figure

from phasecast.core.words import Words
from phasecast.web.chosen import Shown
from phasecast.web.theme import Theme

_STICKS = ("x", "y0", "y1", "colour", "name")
_STICK_HEIGHT = 0.45
"""Of the height of the pattern: sticks tell places, not intensities."""


class PatternPlot:
    """One figure.

    Parameters
    ----------
    words, theme
        Of the session.
    name
        Name of the figure, and of its CSS class after ``pc-``.
    height
        In pixels.
    """

    def __init__(self, words: Words, theme: Theme, *, name: str = "pattern", height: int = 260) -> None:
        self._words = words
        self._x, self._y = Range1d(0, 1), Range1d(0, 1)
        plot = figure(
            name=name, css_classes=[f"pc-{name}"], height=height, sizing_mode="stretch_width", x_range=self._x,
            y_range=self._y, tools="xwheel_zoom,xpan,box_zoom,reset,save", active_scroll="xwheel_zoom",
            toolbar_location="right", x_axis_label=words("common.tth_deg"), y_axis_label=words("common.intensity"),
        )  # fmt: skip
        plot.toolbar.logo = None
        theme.dress(plot)
        self._curve = ColumnDataSource(name=f"{name}-source", data={"x": [], "y": [], "low": [], "high": []})
        self._sticks = ColumnDataSource(name=f"{name}-sticks", data={key: [] for key in _STICKS})
        self._peaks = ColumnDataSource(name=f"{name}-unexplained", data={"x": [], "y": []})
        plot.varea("x", "low", "high", source=self._curve, fill_color=theme.faint, fill_alpha=0.45)
        plot.line("x", "y", source=self._curve, line_color=theme.ink, line_width=1.2)
        plot.segment("x", "y0", "x", "y1", source=self._sticks, line_color="colour", line_width=3, legend_field="name")
        peaks = plot.scatter(
            "x", "y", source=self._peaks, marker="inverted_triangle", size=11, fill_color=theme.accent,
            line_color=theme.panel, legend_label=words("page.unexplained"),
        )  # fmt: skip
        self._peaks_item = next(item for item in plot.legend[0].items if peaks in item.renderers)
        plot.legend.update(
            label_text_font_size="11px", background_fill_alpha=0.6, background_fill_color=theme.panel,
            label_text_color=theme.ink, border_line_color=None, padding=2, spacing=2, margin=4,
        )  # fmt: skip
        self.plot = plot

    def clear(self) -> None:
        """Show nothing."""
        self._curve.data = {"x": [], "y": [], "low": [], "high": []}
        self._sticks.data = {key: [] for key in _STICKS}
        self._peaks.data = {"x": [], "y": []}
        self._peaks_item.visible = False

    def show(self, shown: Shown) -> None:
        """Draw a pattern."""
        tth, intensity, sigma = shown.tth_deg, shown.intensity, np.nan_to_num(shown.sigma)
        self._curve.data = {"x": tth, "y": intensity, "low": intensity - sigma, "high": intensity + sigma}
        known = intensity[np.isfinite(intensity)]
        top, low = (float(known.max()), float(min(known.min(), 0.0))) if known.size else (1.0, 0.0)
        height = max(top - low, 1e-9)
        self._frame(float(tth[0]) if tth.size else 0.0, float(tth[-1]) if tth.size else 1.0, low, height)
        rows = [
            (line, low, low + _STICK_HEIGHT * height * min(strength, 100.0) / 100, phase.colour,
             self._words.name_of(phase.name_en, phase.name_ja))
            for phase in shown.leading
            for line, strength in phase.reference_lines
            if tth.size and tth[0] <= line <= tth[-1]
        ]  # fmt: skip
        self._sticks.data = {key: [row[k] for row in rows] for k, key in enumerate(_STICKS)}
        places = [peak.tth_deg for peak in shown.unexplained]
        heights = np.interp(places, tth, np.nan_to_num(intensity)) if places else np.zeros(0)
        self._peaks.data = {"x": places, "y": [float(value) + 0.06 * height for value in heights]}
        self._peaks_item.visible = bool(places)

    def _frame(self, left: float, right: float, low: float, height: float) -> None:
        """Let a pattern fill the figure; the range of 2theta stays as the person zoomed it."""
        if (self._x.reset_start, self._x.reset_end) != (left, right):
            self._x.update(start=left, end=right, reset_start=left, reset_end=right)
        bottom, top = low - 0.04 * height, low + 1.14 * height
        self._y.update(start=bottom, end=top, reset_start=bottom, reset_end=top)
