"""The page of one session: parts that show one view, and a tick that brings them up to date."""

import html
import logging
import time
from functools import partial
from typing import Any

import numpy as np
import panel as pn
from bokeh.events import SelectionGeometry, Tap

from phasecast.core.errors import PhasecastError
from phasecast.web.alarm_banner import AlarmBanner
from phasecast.web.close_button import CloseButton
from phasecast.web.compare_tab import CompareTab
from phasecast.web.declare_tab import DeclareTab
from phasecast.web.exports import ExportsPanel
from phasecast.web.hub import Hub
from phasecast.web.keys import Keys
from phasecast.web.label_panel import LabelPanel
from phasecast.web.layer_choice import layers_of
from phasecast.web.layers import COMPOSITE, TOTAL, LayerKey
from phasecast.web.legend import legend_html
from phasecast.web.live_scan import LiveScan
from phasecast.web.map_view import MapView
from phasecast.web.map_words import map_html
from phasecast.web.model_tab import ModelTab
from phasecast.web.multiples import SmallMultiples
from phasecast.web.now_view import NowView
from phasecast.web.opinion_note import OpinionNote
from phasecast.web.point_view import PointView
from phasecast.web.regions_tab import RegionsTab
from phasecast.web.sample_tab import SampleTab
from phasecast.web.scans_tab import ScansTab, scan_options
from phasecast.web.session import Session, link
from phasecast.web.soon import in_one_message, soon
from phasecast.web.tab import LazyTab, Tab
from phasecast.web.theme import PARTS, WIDGETS

logger = logging.getLogger(__name__)

TICK_MS = 400
_PATIENCE_S = 5.0
"""After this long a session is served in any case: not everything that looks on is a browser."""


class Page:
    """Everything one browser sees.

    Parameters
    ----------
    hub
        What all sessions share.
    session
        View, words and colours of this one.
    """

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._session = hub, session
        self._words, self._view = session.words, session.view
        self._scan: LiveScan | None = None
        self._problem = ""
        self._offered = {COMPOSITE}
        self._faults = 0
        self._opened_s = time.monotonic()
        self.map = MapView(self._words, session.theme)
        self.multiples = SmallMultiples(self._words, session.theme, self.map, self._tap_multiple)
        self.point = PointView(hub, self._words, session.theme)
        self.now = NowView(hub, self._words)
        self.labels = LabelPanel(hub, session)
        self.close = CloseButton(hub, session)
        kinds: tuple[Any, ...] = (ScansTab, CompareTab, RegionsTab, SampleTab, DeclareTab, ModelTab)
        one_scan = self._words("map.one_scan")
        self._others: tuple[Tab, ...] = tuple(
            LazyTab(kind.title_key, partial(kind, hub, session), "" if kind in (ScansTab, ModelTab) else one_scan)
            for kind in kinds
        )
        self.keys = Keys(lost_text=self._words("page.lost"))
        self.banner = AlarmBanner(hub, session, self.keys)
        self.exports = ExportsPanel(hub, session)
        self.opinion = OpinionNote(hub, self._words)
        self._make_controls()
        self.map.plot.on_event(Tap, in_one_message(self._tap))
        self.map.plot.on_event(SelectionGeometry, in_one_message(self._select))
        self.keys.on_msg(lambda event: self._key(event.data))
        self._view.param.watch(soon(lambda *_: self.refresh()), ["scan", "layer", "threshold", "points"])

    # layout

    def build(self) -> Any:
        """Return the whole page."""
        words = self._words
        left = pn.Column(
            pn.Row(self._layer, self._threshold, sizing_mode="stretch_width"),
            pn.pane.Bokeh(self.map.plot, sizing_mode="stretch_width"),
            self.opinion.panel,
            self._legend,
            self.multiples.panel,
            self._note,
            self.exports.panel,
            sizing_mode="stretch_width",
            min_width=560,
        )
        right = pn.Column(self.point.panel, self.labels.panel, sizing_mode="stretch_width", min_width=480)
        self._tabs = pn.Tabs(
            (words("page.tab_map"), pn.Row(left, right, sizing_mode="stretch_width")),
            *((words(tab.title_key), tab.panel) for tab in self._others),
            # Nothing is taken away and built again at a switch; what nobody has looked at is empty (LazyTab).
            dynamic=False,
            stylesheets=[WIDGETS],
            sizing_mode="stretch_width",
        )
        self._tabs.param.watch(soon(lambda _: self.refresh()), "active")
        self._view.param.watch(lambda _: self._tabs.param.update(active=0), "to_map")
        return pn.Column(
            self._header(),
            self.banner.panel,
            pn.Row(self.now.panel, self.close.panel, sizing_mode="stretch_width"),
            self._tabs,
            self.keys,
            sizing_mode="stretch_width",
            margin=10,
        )

    def _header(self) -> Any:
        words = self._words
        other = "en" if words.language == "ja" else "ja"
        look = "light" if self._session.theme.name == "dark" else "dark"
        links = (
            f"<div class='links'>{link('lang', other, 'English' if other == 'en' else '日本語')}"
            f"{link('theme', look, words(f'page.{look}'))}</div>"
        )
        return pn.Row(
            pn.pane.HTML("<h1>phasecast</h1>", stylesheets=[PARTS], width=130),
            self._choice,
            self._who,
            self._mute,
            pn.pane.HTML(links, stylesheets=[PARTS], sizing_mode="stretch_width"),
            sizing_mode="stretch_width",
        )

    def _make_controls(self) -> None:
        words, view = self._words, self._view
        self._choice = pn.widgets.Select(
            name="", options={words("page.newest"): ""}, value="", css_classes=["pc-scan"], stylesheets=[WIDGETS],
            width=420,
        )  # fmt: skip
        self._choice.param.watch(self._choose_scan, "value")
        self._layer = pn.widgets.Select(
            name=words("page.layer"), options={words("page.composite"): COMPOSITE}, value=COMPOSITE,
            css_classes=["pc-layer"], stylesheets=[WIDGETS], width=230,
        )  # fmt: skip
        self._layer.param.watch(lambda event: event.new and view.param.update(layer=event.new), "value")
        self._threshold = pn.widgets.FloatSlider(
            name=words("common.threshold"), start=0.05, end=0.95, step=0.05, value=view.threshold,
            css_classes=["pc-threshold"], width=260,
        )  # fmt: skip
        self._threshold.param.watch(lambda event: view.param.update(threshold=round(event.new, 2)), "value")
        self._legend = pn.pane.HTML("", stylesheets=[PARTS], css_classes=["pc-legend"], sizing_mode="stretch_width")
        note = f"{words('common.confidence_note')} {words('common.unsure_note')}"
        self._note = pn.pane.HTML(
            f"<p class='hint'>{html.escape(note)}</p>", stylesheets=[PARTS], sizing_mode="stretch_width"
        )

        self._who = pn.widgets.TextInput(placeholder=words("page.your_name"), css_classes=["pc-who"], width=150)
        self._mute = pn.widgets.Checkbox(name=words("page.mute"), css_classes=["pc-mute"], width=90)
        self._who.link(view, value="who", bidirectional=True)
        self._who.link(self.keys, value="who", bidirectional=True)
        self._mute.link(self.keys, value="muted")

    # what happens

    def tick(self) -> None:
        """Bring the page up to date once the browser has drawn it."""
        if self._is_built():
            self.keys.beat += 1
            self.update()

    def update(self) -> None:
        """Bring the page up to date; what cannot be read is said, never raised."""
        try:
            self._offer_scans()
            self.banner.show()
        except Exception:
            self._note_fault()
        self.refresh()

    def _is_built(self) -> bool:
        """Whether the browser has drawn the page: changes that come while it builds its widgets make them fail."""
        return self.keys.ready or time.monotonic() - self._opened_s > _PATIENCE_S

    def refresh(self) -> None:
        """Show the view as it is now; a fault of the program is logged and said, and the page goes on."""
        try:
            self._refresh()
        except Exception:
            self._note_fault()

    def _note_fault(self) -> None:
        # One session's fault must not end its ticks, nor fill the log at every one of them.
        if not self._faults:
            logger.exception("a fault in one session of the page")
        self._faults += 1
        self.now.say(self._words("page.fault"))

    def _refresh(self) -> None:
        name = self._view.scan or self._hub.newest()
        try:
            scan = self._hub.scan(name) if name else None
            self._problem = ""
        except PhasecastError as error:
            scan, self._problem = None, str(error)
        changed = scan is not self._scan
        self._scan = scan
        written = scan.written_name if scan is not None else name
        self.now.show(scan, written, self._problem)
        self.close.show(scan, written)
        if abs(self._threshold.value - self._view.threshold) > 1e-6:
            self._threshold.value = self._view.threshold
        if scan is None:
            self.point.clear()
            self.exports.show(None)
            if self._tabs.active:
                self._others[int(self._tabs.active) - 1].show(None)
            return
        if changed:
            self._offer_layers(scan)
        active = int(self._tabs.active)
        if active:
            self._others[active - 1].show(scan)
            return
        key = self._key_of_layer(scan)
        self.opinion.show(scan, key)
        self.map.show(scan, key)
        if not changed:  # the map first: the small maps of all sessions take longest to build
            self.multiples.show(scan)
        self.exports.show(scan)
        legend = legend_html(scan, key, self._words) + map_html(scan, self._hub, self._session)
        if legend != self._legend.object:
            self._legend.object = legend
        self._show_points(scan)

    def _show_points(self, scan: LiveScan) -> None:
        points = self._view.points[self._view.points < scan.columns.points]
        self.map.mark(scan, points)
        self.labels.panel.visible = not scan.is_map
        if not scan.is_map:
            self.labels.show(scan, points)
        if points.size:
            self.point.show(scan, points, self._view.threshold)
        else:
            self.point.clear()

    def _key_of_layer(self, scan: LiveScan) -> LayerKey:
        name = self._view.layer if self._view.layer in self._offered else COMPOSITE
        if name == COMPOSITE and not scan.header.classes:
            name = TOTAL
        return LayerKey(name, round(self._view.threshold, 2) if name == COMPOSITE else 0.0)

    def _offer_scans(self) -> None:
        options = scan_options(self._hub, self._words)
        if options != self._choice.options:
            self._choice.options = options
        if self._choice.value != self._view.scan and self._view.scan in options.values():
            self._choice.value = self._view.scan

    def _offer_layers(self, scan: LiveScan) -> None:
        options = layers_of(scan, self._words)
        self._offered = set(options.values())
        wanted = self._view.layer
        self._layer.param.update(options=options, value=wanted if wanted in options.values() else COMPOSITE)

    def _choose_scan(self, event: Any) -> None:
        if event.new != self._view.scan:
            self._view.param.update(scan=event.new or "", points=np.zeros(0, dtype=np.int64), point=None)

    def _tap(self, event: Any) -> None:
        if self._scan is not None and event.x is not None:
            point = self._scan.nearest(event.x, event.y)
            if point is not None:
                self._view.choose(np.array([point]))

    def _tap_multiple(self, class_id: str, x_um: float, y_um: float) -> None:
        if self._scan is not None:
            point = self._scan.nearest(x_um, y_um)
            self._layer.value = class_id
            if point is not None:
                self._view.choose(np.array([point]))

    def _select(self, event: Any) -> None:
        if self._scan is None or not event.final:
            return
        points = self._scan.inside(event.geometry)
        if points.size:
            self._view.choose(points)

    def _key(self, message: Any) -> None:
        step = {"ArrowLeft": (-1, 0), "ArrowRight": (1, 0), "ArrowDown": (0, -1), "ArrowUp": (0, 1)}.get(str(message))
        if step is None or self._scan is None or self._view.point is None:
            return
        point = self._scan.neighbour(self._view.point, *step)
        if point is not None:
            self._view.choose(np.array([point]))
