"""A reliability diagram: how often what the model says with some confidence is true, on the logit scale."""

from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Range1d
from bokeh.plotting import figure

from phasecast.core.words import Words
from phasecast.records.reliability import (
    HIGHEST,
    LOWEST,
    TICKS,
    Reliability,
    ReliabilityCurve,
    on_logit,
    tick_texts,
)
from phasecast.web.theme import Theme

BEFORE, AFTER = "before", "after"
_ROOM = 0.35


class ReliabilityPlot:
    """One figure, with two states of a model at most: dots, and hollow ones for the state before.

    Parameters
    ----------
    words, theme
        Of the session.
    name
        Name of the figure, and of its CSS class after ``pc-``.
    """

    def __init__(self, words: Words, theme: Theme, *, name: str) -> None:
        ends = on_logit((LOWEST, HIGHEST))
        span = ends[0] - _ROOM, ends[1] + _ROOM
        plot = figure(
            name=name, css_classes=[f"pc-{name}"], height=340, sizing_mode="stretch_width", x_range=Range1d(*span),
            y_range=Range1d(*span), tools="", toolbar_location=None,
            x_axis_label=words("model.reliability_said"), y_axis_label=words("model.reliability_true"),
        )  # fmt: skip
        theme.dress(plot)
        at = on_logit(TICKS)
        for axis in plot.axis:
            axis.ticker = FixedTicker(ticks=at)
            axis.major_label_overrides = dict(zip(at, tick_texts(), strict=True))
        plot.xaxis.major_label_orientation = 0.9
        plot.line(ends, ends, line_color=theme.faint, line_dash="dashed")
        self._sources = {}
        dots = []
        # the state before is a ring around the dot of the state after where nothing changed
        states = ((BEFORE, theme.faint, theme.panel, 12), (AFTER, theme.accent, theme.accent, 8))
        for state, colour, fill, size in states:
            source = ColumnDataSource(name=f"{name}-{state}", data=_columns(None))
            plot.segment("x", "low", "x", "high", source=source, line_color=colour, line_width=1.2, line_alpha=0.7)
            dots.append(
                plot.scatter("x", "y", source=source, size=size, fill_color=fill, line_color=colour, line_width=1.6)
            )
            self._sources[state] = source
        said, true = words("model.reliability_said"), words("model.reliability_true")
        plot.add_tools(HoverTool(renderers=dots, tooltips=[(said, "@said"), (true, "@true")]))
        self.plot = plot

    def show(self, reliability: Reliability | None) -> None:
        """Draw what a card says; nothing if None."""
        curves = {curve.when: curve for curve in reliability.curves} if reliability is not None else {}
        self._sources[BEFORE].data = _columns(curves.get("before"))
        self._sources[AFTER].data = _columns(curves.get("after", curves.get("stated")))


def _columns(curve: ReliabilityCurve | None) -> dict[str, list[float] | list[str]]:
    if curve is None:
        return {name: [] for name in ("x", "y", "low", "high", "said", "true")}
    return {
        "x": on_logit(curve.confidence),
        "y": on_logit(curve.frequency),
        "low": on_logit(curve.low or curve.frequency),
        "high": on_logit(curve.high or curve.frequency),
        "said": [f"{value:.4f}" for value in curve.confidence],
        "true": [f"{value:.4f}" for value in curve.frequency],
    }
