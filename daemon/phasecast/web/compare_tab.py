"""Two results side by side, with the points that changed class."""

import html
from typing import Any

import numpy as np
import panel as pn
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, Range1d
from bokeh.plotting import figure

from phasecast.core.errors import PhasecastError
from phasecast.records.results_list import ResultEntry
from phasecast.web.compare_bars import PairOfBars
from phasecast.web.compare_changes import Changes, Rows
from phasecast.web.compare_picture import ChangePicture
from phasecast.web.compare_words import ComparisonWords
from phasecast.web.equal_aspect import keep_equal_aspect
from phasecast.web.hub import Hub
from phasecast.web.layers import COMPOSITE, TOTAL, LayerKey
from phasecast.web.live_scan import LiveScan
from phasecast.web.map_view import PictureSource
from phasecast.web.scans_table import printable
from phasecast.web.session import Session
from phasecast.web.soon import in_one_message, soon
from phasecast.web.theme import PARTS

_HEIGHT = 330
_MARGIN = 0.03


class CompareTab:
    """Compares the scan in view (A) with another result (B).

    Parameters
    ----------
    hub
        Lists and opens results.
    session
        Whose view, words and colours.
    """

    title_key = "compare.tab"

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._words, self._view, self._theme = hub, session.words, session.view, session.theme
        self._say = ComparisonWords(session.words)
        self._changes: Changes | None = None
        self._framed: tuple[Any, ...] = ()
        self._shown: tuple[Any, ...] = ()
        self._said: tuple[Any, ...] = ()
        self._make_controls()
        self._make_maps()
        self._bars = PairOfBars(session.words, session.theme)
        self._summary, self._note, self._table, self._facts = (
            pn.pane.HTML("", stylesheets=[PARTS], css_classes=[f"pc-compare-{name}"], sizing_mode="stretch_width")
            for name in ("summary", "note", "table", "facts")
        )
        maps = (pn.pane.Bokeh(plot, sizing_mode="stretch_width") for plot in self.plots)
        bars = pn.pane.Bokeh(self._bars.plot, sizing_mode="stretch_width")
        beside = pn.Column(self._facts, bars, sizing_mode="stretch_width")
        self._both = pn.Column(
            pn.Row(*maps, sizing_mode="stretch_width"),
            self._summary,
            pn.Row(self._table, beside, sizing_mode="stretch_width"),
            visible=False,
            sizing_mode="stretch_width",
        )
        self.panel: Any = pn.Column(
            pn.Row(self._other, self._class, self._threshold, sizing_mode="stretch_width"),
            self._note,
            self._both,
            css_classes=["pc-compare"],
            sizing_mode="stretch_width",
        )

    def show(self, scan: LiveScan | None) -> None:
        """Bring the comparison up to date."""
        if self._threshold.value != self._view.threshold:
            self._threshold.value = self._view.threshold
        if scan is None:
            self._nothing(self._words("compare.nothing"))
            return
        same, similar = candidates(self._hub.results(), scan)
        name = self._offer(same, similar)
        if not name:
            self._nothing(self._say.offer(bool(same), bool(similar)))
            return
        try:
            other = self._hub.scan(name)
        except PhasecastError as error:
            self._nothing(str(error))
            return
        fresh = self._follow(scan, other)
        changes = self._changes
        assert changes is not None
        self._draw_maps(changes, fresh)
        self._both.visible = True
        is_same = any(entry.path.name == name for entry in same)
        said = (changes, self._chosen(changes), scan.version, other.version, is_same)
        if said != self._said:
            self._said = said
            _set(self._note, self._say.note(changes, same_scan=is_same))
            _set(self._summary, self._say.summary(changes, self._chosen(changes)))
            _set(self._table, self._say.table(changes))
        self._show_point(changes)

    # controls

    def _make_controls(self) -> None:
        words, view = self._words, self._view
        self._other = pn.widgets.Select(
            label=words("compare.other"), options={words("compare.choose"): ""}, value="",
            css_classes=["pc-compare-other"], width=520,
        )  # fmt: skip
        self._other.param.watch(soon(self._choose), "value")
        self._class = pn.widgets.Select(
            label=words("compare.show_class"), options={words("compare.any_class"): ""}, value="",
            css_classes=["pc-compare-class"], width=230,
        )  # fmt: skip
        self._class.param.watch(soon(lambda _: self.show(self._hub_scan())), "value")
        self._threshold = pn.widgets.FloatSlider(
            label=words("common.threshold"), start=0.05, end=0.95, step=0.05, value=view.threshold,
            css_classes=["pc-compare-threshold"], width=260,
        )  # fmt: skip
        self._threshold.param.watch(lambda event: view.param.update(threshold=round(event.new, 2)), "value")

    def _hub_scan(self) -> LiveScan | None:
        return self._changes.a if self._changes is not None else None

    def _choose(self, event: Any) -> None:
        self._view.other = event.new or ""
        if self._changes is not None:
            self.show(self._changes.a)

    def _offer(self, same: list[ResultEntry], similar: list[ResultEntry]) -> str:
        """Offer what can be compared; return what is chosen: what the person chose, or a result of the same scan."""
        words = self._words
        options = {words("compare.choose"): ""}
        for key, entries in (("compare.same_scan", same), ("compare.not_same_scan", similar)):
            for entry in entries:
                model = f" · {entry.model}" if entry.model else ""
                options[printable(words(key, name=f"{entry.path.stem}{model}"))] = entry.path.name
        wanted = str(self._view.other)
        if wanted not in options.values() or not wanted:
            wanted = same[0].path.name if same else ""
        if options != self._other.options:
            with_value = {"options": options, "value": wanted}
            self._other.param.update(**with_value)
        elif self._other.value != wanted:
            self._other.value = wanted
        return wanted

    def _chosen(self, changes: Changes) -> str:
        chosen = str(self._class.value or "")
        return chosen if chosen in [phase.id for phase in changes.classes] else ""

    # maps

    def _make_maps(self) -> None:
        words, theme = self._words, self._theme
        self._ranges = Range1d(0, 1), Range1d(0, 1)
        self._cursor = ColumnDataSource(name="compare-cursor", data={"x": [], "y": [], "w": [], "h": []})
        self._sources = PictureSource("compare-a-source"), PictureSource("compare-b-source")
        self._picture = ChangePicture("compare-changes-source")
        titles = (words("compare.result_a"), words("compare.result_b"), words("compare.changes"))
        self.plots = [
            self._plot(name, title, source)
            for name, title, source in zip(
                ("compare-a", "compare-b", "compare-changes"), titles,
                (*(part.source for part in self._sources), self._picture.source), strict=True,
            )
        ]  # fmt: skip
        # They share their ranges and are of one size, so that what fits one fits all.
        keep_equal_aspect(self.plots[0])
        for plot in self.plots:
            for colour, line in ((theme.paper, 4), (theme.accent, 2)):
                plot.rect("x", "y", "w", "h", source=self._cursor, fill_alpha=0, line_color=colour, line_width=line)

    def _plot(self, name: str, title: str, source: ColumnDataSource) -> Any:
        plot = figure(
            name=name, title=title, height=_HEIGHT, sizing_mode="stretch_width", min_border_left=62,
            x_range=self._ranges[0], y_range=self._ranges[1], tools="pan,wheel_zoom,reset,save",
            active_scroll="wheel_zoom", toolbar_location="above", x_axis_label=self._words("common.x_um"),
            y_axis_label=self._words("common.y_um") if name == "compare-a" else None,
        )  # fmt: skip
        plot.toolbar.logo = None
        self._theme.dress(plot)
        plot.grid.visible = False
        plot.title.text_font_size = "12px"
        plot.title.text_font_style = "normal"
        plot.image_rgba("image", "x", "y", "dw", "dh", source=source)
        plot.on_event(Tap, in_one_message(self._tap))
        return plot

    def _follow(self, scan: LiveScan, other: LiveScan) -> Rows | None:
        """Compare two results at the view's threshold; return the rows that are new, None for all."""
        threshold = round(self._view.threshold, 2)
        known = self._changes
        if known is not None and (known.a, known.b, known.threshold) == (scan, other, threshold):
            return known.update()
        self._changes = changes = Changes(scan, other, threshold)
        words = self._words
        options = {words("compare.any_class"): ""}
        options |= {words.name_of(phase.name_en, phase.name_ja): phase.id for phase in changes.classes}
        if options != self._class.options:
            self._class.param.update(options=options, value=self._chosen(changes))
        for plot, label, result in zip(self.plots, ("a", "b"), (scan, other), strict=False):
            plot.title.text = f"{words(f'compare.result_{label}')}: {printable(result.path.stem)}"
        return None

    def _draw_maps(self, changes: Changes, fresh: Rows | None) -> None:
        chosen = self._chosen(changes)
        for source, scan in zip(self._sources, (changes.a, changes.b), strict=True):
            source.show(scan, _layer(scan, chosen, changes.threshold))
        if changes.classes:
            self._picture.show(changes, chosen, fresh)
        else:
            self._picture.clear()
        self._frame(changes.a)

    def _frame(self, scan: LiveScan) -> None:
        left, low, width, height = scan.canvas.extent_um
        extent = np.array([left, low, width, height])
        known = self._framed
        if known and known[0] == scan.path and np.all(np.abs(known[1] - extent) <= 0.1 * max(width, height)):
            return
        self._framed = (scan.path, extent)
        margin = max(width, height) * _MARGIN
        for range_1d, start, end in zip(self._ranges, (left, low), (left + width, low + height), strict=True):
            limits = start - margin, end + margin
            range_1d.update(start=limits[0], end=limits[1], reset_start=limits[0], reset_end=limits[1])

    def _nothing(self, text: str) -> None:
        """Say why there is no comparison."""
        self._changes = None
        self._shown = self._said = ()
        self._both.visible = False
        _set(self._note, f"<p class='warn'>{html.escape(text)}</p>")
        self._bars.clear()
        self._picture.clear()

    # point

    def _tap(self, event: Any) -> None:
        if self._changes is None or event.x is None:
            return
        point = self._changes.a.nearest(event.x, event.y)
        if point is not None:
            self._view.choose(np.array([point]))

    def _show_point(self, changes: Changes) -> None:
        point = self._view.point
        if point is None or point >= changes.points:
            self._bars.clear()
            self._cursor.data = {"x": [], "y": [], "w": [], "h": []}
            self._shown = ()
            _set(self._facts, f"<p class='hint'>{html.escape(self._words('compare.click'))}</p>")
            return
        states = tuple(int(scan.columns.state[point]) for scan in (changes.a, changes.b))
        shown = (changes, point, states, self._framed)
        if shown == self._shown:
            return
        self._shown = shown
        columns, (width, height) = changes.a.columns, changes.a.canvas.step_um
        x, y = float(columns.x_um[point]), float(columns.y_um[point])
        placed = bool(np.isfinite(x + y))
        self._cursor.data = {
            "x": [x] * placed, "y": [y] * placed, "w": [width] * placed, "h": [height] * placed,
        }  # fmt: skip
        self._bars.show(changes, point)
        _set(self._facts, self._say.point(changes, point))


def candidates(entries: list[ResultEntry], scan: LiveScan) -> tuple[list[ResultEntry], list[ResultEntry]]:
    """Return the other results of the same scan, and results of other scans with points in the same arrangement."""
    header = scan.header
    others = [entry for entry in entries if entry.is_readable and entry.path.name != scan.path.name]
    same = [entry for entry in others if header.raw_uid and entry.raw_uid == header.raw_uid]
    shape = tuple(header.shape) if header.shape else None
    similar = [
        entry
        for entry in others
        if entry not in same
        and (tuple(entry.shape) if entry.shape else None) == shape
        and (shape is not None or entry.points == scan.columns.points)
    ]
    return same, similar


def _layer(scan: LiveScan, class_id: str, threshold: float) -> LayerKey:
    if class_id:
        return LayerKey(class_id)
    return LayerKey(COMPOSITE, threshold) if scan.header.classes else LayerKey(TOTAL)


def _set(pane: Any, text: str) -> None:
    if pane.object != text:
        pane.object = text
