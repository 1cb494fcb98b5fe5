"""Confidences of one point in two results, as pairs of bars."""

import math

import numpy as np
from bokeh.models import ColumnDataSource, FactorRange, FixedTicker, Span
from bokeh.plotting import figure
from bokeh.transform import dodge

from phasecast.core.words import Words
from phasecast.web.compare_changes import Changes
from phasecast.web.layers import UNSURE_LIMITS
from phasecast.web.theme import Theme

_COLUMNS = ("name", "a", "b", "text_a", "text_b", "colour")


class PairOfBars:
    """Bars of the classes that both results know; A above B.

    Parameters
    ----------
    words, theme
        Of the session.
    """

    def __init__(self, words: Words, theme: Theme) -> None:
        self._words = words
        self.source = ColumnDataSource(name="compare-bars-source", data={name: [] for name in _COLUMNS})
        plot = figure(
            name="compare-bars", css_classes=["pc-compare-bars"], height=330, sizing_mode="stretch_width",
            y_range=FactorRange(), x_range=(0, 1.12), tools="", toolbar_location=None,
            x_axis_label=words("common.confidence"),
        )  # fmt: skip
        theme.dress(plot)
        plot.xaxis.ticker = FixedTicker(ticks=[0, 0.2, 0.5, 0.8, 1])
        plot.ygrid.visible = False
        low, high = UNSURE_LIMITS
        plot.vstrip(x0=[low], x1=[high], fill_color=theme.faint, fill_alpha=0.16, line_color=None)
        for which, offset, alpha in (("a", 0.2, 1.0), ("b", -0.2, 0.45)):
            place = dodge("name", offset, range=plot.y_range)
            plot.hbar(
                place, right=which, height=0.36, source=self.source, fill_color="colour", fill_alpha=alpha,
                line_color=theme.ink, line_width=0.6,
            )  # fmt: skip
            plot.text(
                which, place, f"text_{which}", source=self.source, x_offset=4, text_baseline="middle",
                text_font_size="11px", text_color=theme.ink,
            )  # fmt: skip
        self._threshold = Span(location=0.5, dimension="height", line_color=theme.accent, line_dash="dashed")
        plot.add_layout(self._threshold)
        self.plot = plot

    def show(self, changes: Changes, point: int) -> None:
        """Show a point of both results."""
        names = [self._words.name_of(phase.name_en, phase.name_ja) for phase in changes.classes]
        values = []
        for scan in (changes.a, changes.b):
            order = [phase.id for phase in scan.header.classes]
            columns = [order.index(phase.id) for phase in changes.classes]
            values.append(scan.columns.confidence[point][columns].astype(np.float64))
        if list(self.plot.y_range.factors) != names[::-1]:
            self.plot.y_range.factors = names[::-1]
        self._threshold.location = changes.threshold
        texts = [
            [f"{label} {value:.2f}" if math.isfinite(value) else f"{label} –" for value in part]
            for label, part in zip(("A", "B"), values, strict=True)
        ]
        a, b = (np.nan_to_num(part) for part in values)
        colours = [phase.colour for phase in changes.classes]
        self.source.data = dict(zip(_COLUMNS, (names, list(a), list(b), *texts, colours), strict=True))

    def clear(self) -> None:
        """Show nothing."""
        if self.source.data["name"]:
            self.source.data = {name: [] for name in _COLUMNS}
