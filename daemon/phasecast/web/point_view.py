"""One point explained: pattern, what the classes make of it, and the raw frame it came from."""

import html
from datetime import datetime
from typing import Any

import numpy as np
import panel as pn
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast.core.ledger import PointState
from phasecast.core.words import Words
from phasecast.web.bars_plot import BarsPlot
from phasecast.web.chosen import Shown, flags_of, show_points
from phasecast.web.explanation import explanation_html
from phasecast.web.frame_plot import FramePlot
from phasecast.web.hub import Hub
from phasecast.web.live_scan import LiveScan
from phasecast.web.map_words import point_html
from phasecast.web.pattern_plot import PatternPlot
from phasecast.web.theme import PARTS, Theme


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
        self._shown: tuple[Any, ...] | None = None
        self.facts = pn.pane.HTML("", stylesheets=[PARTS], css_classes=["pc-point"], sizing_mode="stretch_width")
        self.frame_note = pn.pane.HTML(
            "", stylesheets=[PARTS], css_classes=["pc-frame-note"], sizing_mode="stretch_width"
        )
        self.pattern, self.bars, self.frame = PatternPlot(words, theme), BarsPlot(words, theme), FramePlot(theme)
        wide = {"sizing_mode": "stretch_width"}
        self._why = pn.pane.HTML("", stylesheets=[PARTS], css_classes=["pc-why"], sizing_mode="stretch_width")
        self._figures = pn.Column(
            pn.pane.Bokeh(self.pattern.plot, **wide),
            pn.Row(
                pn.pane.Bokeh(self.bars.plot, **wide),
                pn.Column(pn.pane.Bokeh(self.frame.plot, **wide), self.frame_note, **wide),
                **wide,
            ),
            self._why,
            visible=False,
            **wide,
        )
        self.panel = pn.Column(self.facts, self._figures, **wide)

    def clear(self) -> None:
        """Show that nothing is chosen."""
        if self._shown == ():
            return
        self._shown = ()
        self.facts.object = f"<p class='hint'>{html.escape(self._words('page.choose_point'))}</p>"
        self._figures.visible = False
        self.pattern.clear()
        self.bars.show((), np.zeros(0), 0.5)
        self._no_frame("")

    def show(self, scan: LiveScan, points: NDArray[np.int64], threshold: float) -> None:
        """Show a point, or the mean of several; does nothing if they are shown already and have not changed."""
        first = int(points[0])
        columns = scan.columns
        state = (scan, scan.epoch, points.tobytes(), int(columns.state[first]), int(columns.flags[first]))
        source = point_html(scan, first, self._hub, self._words, self._theme.name) if points.size == 1 else []
        opinion = self._hub.opinions.of_point(scan, first) if points.size == 1 and not scan.is_map else None
        said = None if opinion is None else tuple(values.tobytes() for values in opinion)
        if (*state, threshold, source, said) == self._shown:
            return
        frame_is_shown = self._shown is not None and self._shown[:-3] == state
        self._shown = (*state, threshold, source, said)
        self._figures.visible = True
        shown = show_points(scan, points, threshold)
        self.pattern.show(shown)
        self.bars.show(scan.header.classes, shown.confidence, threshold)
        self.facts.object = self._facts(scan, shown, source)
        self._why.object = explanation_html(shown, scan.header.classes, opinion, self._words)
        if points.size > 1:
            self._no_frame(self._words("page.frame_of_one"))
        elif not frame_is_shown:
            self._show_frame(scan, first)

    def _show_frame(self, scan: LiveScan, point: int) -> None:
        try:
            source = scan.source_of(point)
            header, reference = source.result.header, source.result.frame_reference(source.point)
            if reference is None:
                self._no_frame(self._words("page.no_frame"))
                return
            image = self._hub.tools.read_frame(header, reference)
        except (PhasecastError, OSError) as error:
            self._no_frame(self._words("page.frame_gone", why=str(error)))
            return
        self.frame.show(image, self._hub.tools.tth_of_pixels(header))
        self._say(self._words("page.frame_where", path=reference.path, number=reference.number))

    def _no_frame(self, why: str) -> None:
        self.frame.clear()
        self._say(why)

    def _say(self, text: str) -> None:
        self.frame_note.object = f"<p class='hint'>{html.escape(text)}</p>"

    def _facts(self, scan: LiveScan, shown: Shown, source: list[str]) -> str:
        words, columns = self._words, scan.columns
        if shown.points.size > 1:
            line = words("page.mean_of", points=shown.points.size, averaged=shown.averaged)
            return f"<b>{html.escape(line)}</b>"
        point = int(shown.points[0])
        state = PointState(int(columns.state[point]))
        when = columns.time_s[point]
        parts = [
            f"<b>{words('common.point')} {point}</b>",
            *source,
            f"x {_number(columns.x_um[point])}, y {_number(columns.y_um[point])} µm",
            datetime.fromtimestamp(when).strftime("%Y-%m-%d %H:%M:%S") if np.isfinite(when) else "–",
            html.escape(words(f"state.{state.label}")),
        ]
        reason = columns.result.reason_of(point)
        remarks = [words.reason(reason)] if reason else []
        remarks += [words(f"flag.{flag}") for flag in flags_of(scan, point)]
        parts += [f"<span class='warn'>{html.escape(remark)}</span>" for remark in remarks]
        if shown.unexplained:
            peaks = ", ".join(f"{peak.tth_deg:.2f}°" for peak in shown.unexplained[:4])
            parts.append(f"{html.escape(words('page.unexplained'))}: {peaks}")
        return " · ".join(parts)


def _number(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "–"
