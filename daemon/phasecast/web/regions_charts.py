"""The chart of the regions tab: class fractions against distance from the surface of the steel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Label, Legend, Span
from bokeh.plotting import figure

from phasecast.core.result import PhaseClass
from phasecast.core.words import Words
from phasecast.web.regions_measure import DistanceProfile
from phasecast.web.theme import Theme


class DistanceChart:
    """Area fraction of each class against the distance from the surface of the steel.

    Parameters
    ----------
    words, theme
        Of the session.
    """

    def __init__(self, words: Words, theme: Theme) -> None:
        self._words = words
        plot = self.plot = figure(
            name="distance-profile", css_classes=["pc-distance"], height=290, sizing_mode="stretch_width",
            tools="xwheel_zoom,xpan,reset,save", active_scroll="xwheel_zoom", toolbar_location="right",
            x_axis_label=words("regions.distance_axis"), y_axis_label=words("regions.fraction_axis"), y_range=(-3, 114),
        )  # fmt: skip
        plot.toolbar.logo = None
        theme.dress(plot)
        self._lines = ColumnDataSource(name="distance-source", data={"xs": [], "ys": [], "colour": [], "name": []})
        self._dots = ColumnDataSource(data={"x": [], "y": [], "colour": [], "name": [], "points": []})
        plot.multi_line("xs", "ys", source=self._lines, line_color="colour", line_width=2, legend_field="name")
        dots = plot.scatter("x", "y", source=self._dots, size=5, fill_color="colour", line_color=theme.panel)
        point = words("common.points")
        plot.add_tools(
            HoverTool(
                renderers=[dots],
                tooltips=[("", "@name @y{0.0} %"), ("µm", "@x{0.0}"), (point, "@points")],
            )
        )
        plot.add_layout(Span(location=0, dimension="height", line_color=theme.ink, line_dash="dashed"))
        for key, align, offset in (("regions.inward", "right", -6), ("regions.outward", "left", 6)):
            plot.add_layout(
                Label(
                    x=0, y=112, text=words(key), text_align=align, text_baseline="top", x_offset=offset,
                    text_color=theme.faint, text_font_size="11px",
                )
            )  # fmt: skip
        plot.add_layout(plot.legend[0], "above")
        _dress_legend(plot.legend, theme)
        plot.legend.ncols, plot.legend.location = 5, "left"

    def show(self, profile: DistanceProfile | None, classes: Sequence[PhaseClass]) -> None:
        """Show a profile, or none; classes that are nowhere are left out."""
        if profile is None:
            self._lines.data = {"xs": [], "ys": [], "colour": [], "name": []}
            self._dots.data = {"x": [], "y": [], "colour": [], "name": [], "points": []}
            return
        held = [k for k in range(len(classes)) if profile.shares[:, k].any()]
        names = [self._words.name_of(classes[k].name_en, classes[k].name_ja) for k in held]
        bins = profile.distance_um.size
        self._lines.data = {
            "xs": [profile.distance_um] * len(held),
            "ys": [100 * profile.shares[:, k] for k in held],
            "colour": [classes[k].colour for k in held],
            "name": names,
        }
        self._dots.data = {
            "x": np.tile(profile.distance_um, len(held)),
            "y": np.concatenate([100 * profile.shares[:, k] for k in held]) if held else [],
            "colour": [classes[k].colour for k in held for _ in range(bins)],
            "name": [name for name in names for _ in range(bins)],
            "points": np.tile(profile.points, len(held)),
        }


def _dress_legend(legend: Any, theme: Theme) -> None:
    for one in legend if isinstance(legend, list) else [legend]:
        assert isinstance(one, Legend)
        one.label_text_font_size = "11px"
        one.background_fill_color, one.background_fill_alpha = theme.panel, 0.6
        one.label_text_color = theme.ink
        one.border_line_color = None
        one.padding = one.spacing = 2
