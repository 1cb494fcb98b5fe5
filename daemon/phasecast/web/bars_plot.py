"""The confidences of all classes as bars, with the threshold and the range that counts as unsure."""

import math
from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, FactorRange, FixedTicker, Range1d, Span
from bokeh.plotting import figure
from numpy.typing import NDArray

from phasecast.core.result import PhaseClass
from phasecast.core.words import Words
from phasecast.web.layers import UNSURE_LIMITS
from phasecast.web.theme import Theme


class BarsPlot:
    """One figure.

    Parameters
    ----------
    words, theme
        Of the session.
    name
        Name of the figure, and of its CSS class after ``pc-``.
    """

    def __init__(self, words: Words, theme: Theme, *, name: str = "bars") -> None:
        self._words = words
        self._names = FactorRange()
        self._source = ColumnDataSource(name=f"{name}-source", data={"name": [], "value": [], "text": [], "colour": []})
        plot = figure(
            name=name, css_classes=[f"pc-{name}"], height=250, sizing_mode="stretch_width", y_range=self._names,
            x_range=Range1d(0, 1.22), tools="", toolbar_location=None, x_axis_label=words("common.confidence"),
        )  # fmt: skip
        theme.dress(plot)
        plot.xaxis.ticker = FixedTicker(ticks=[0, 0.2, 0.5, 0.8, 1])
        plot.ygrid.visible = False
        low, high = UNSURE_LIMITS
        plot.vstrip(x0=[low], x1=[high], fill_color=theme.faint, fill_alpha=0.16, line_color=None)
        plot.hbar("name", right="value", height=0.72, source=self._source, fill_color="colour", line_color=theme.line)
        plot.text(
            "value", "name", "text", source=self._source, x_offset=4, text_baseline="middle", text_font_size="11px",
            text_color=theme.ink,
        )  # fmt: skip
        self._threshold = Span(location=0.5, dimension="height", line_color=theme.accent, line_dash="dashed")
        plot.add_layout(self._threshold)
        self.plot = plot

    def show(self, classes: Sequence[PhaseClass], confidence: NDArray[np.floating], threshold: float) -> None:
        """Draw the confidences, (classes,); NaN as a dash."""
        names = [self._words.name_of(phase.name_en, phase.name_ja) for phase in classes]
        if self._names.factors != names[::-1]:
            self._names.factors = names[::-1]
        self._source.data = {
            "name": names,
            "value": [float(value) for value in np.nan_to_num(confidence)],
            "colour": [phase.colour for phase in classes],
            "text": [f"{value:.2f}" if math.isfinite(value) else "–" for value in confidence],
        }
        self._threshold.location = threshold
