"""Regions: draw, paint or select a part of the sample, name it, and see what is in it."""

import html
from typing import Any

import numpy as np
import panel as pn
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast.core.region_requests import SaveRegion
from phasecast.web.asking import Asking
from phasecast.web.hub import Hub
from phasecast.web.layers import COMPOSITE, TOTAL, LayerKey
from phasecast.web.legend import legend_html
from phasecast.web.live_scan import LiveScan
from phasecast.web.regions_draft import Draft
from phasecast.web.regions_limits import LimitControls
from phasecast.web.regions_line import Vertex
from phasecast.web.regions_map import Mode, RegionsMap, Stroke
from phasecast.web.regions_measure import Ground, ground_of, near_stroke, parts_of
from phasecast.web.regions_overlay import Area
from phasecast.web.regions_pace import Pace
from phasecast.web.regions_parts import PartsPanel
from phasecast.web.regions_saved import SavedRegions
from phasecast.web.session import Session
from phasecast.web.soon import soon
from phasecast.web.theme import PARTS

_ROLES = ("", "steel", "rust", "outside")
_BRUSH_CELLS = 2.5


class RegionsTab:
    """The tab of one session.

    Parameters
    ----------
    hub
        What all sessions share.
    session
        View, words and colours of this one.
    """

    title_key = "regions.tab"

    def __init__(self, hub: Hub, session: Session) -> None:
        self._session, self._words = session, session.words
        self._scan: LiveScan | None = None
        self._ground: Ground | None = None
        self._pace = Pace()
        self._parted: tuple[Any, ...] = ()
        self._parts_known: NDArray[np.str_] = np.zeros(0, dtype="U7")
        self._draft = Draft()
        self._map = RegionsMap(self._words, session.theme)
        self._saved = SavedRegions(hub, session)
        self._parts = PartsPanel(hub, session, self._redraw)
        self._asking = Asking(hub.mailbox, self._words, "pc-region-answer")
        self._make_controls()
        self._map.on_polygon, self._map.on_stroke, self._map.on_line = self._enclose, self._stroke, self._edit_line
        self._parts.chosen_corners = lambda: self._map.chosen_corners
        self._saved.watch(self._redraw)
        self._no_scan = pn.pane.HTML(
            f"<p class='hint'>{html.escape(self._words('page.no_scan'))}</p>", stylesheets=[PARTS]
        )
        self._content = self._layout()
        self.panel = pn.Column(self._no_scan, self._content, sizing_mode="stretch_width")

    def show(self, scan: LiveScan | None) -> None:
        """Bring the tab up to date; what costs much on a growing scan only every few seconds."""
        self._no_scan.visible, self._content.visible = scan is None, scan is not None
        if scan is None:
            self._scan = self._ground = None
            return
        if scan is not self._scan:
            self._begin(scan)
        if self._asking.look() and self._asking.last is not None:
            self._forget()
        ground = self._ground
        if ground is None or (ground.version != scan.version and self._pace.is_due):
            with self._pace.work():
                ground = self._ground = ground_of(scan)
                self._show_numbers(scan, ground)
        else:
            self._show_numbers(scan, ground)
        self._redraw()

    def _show_numbers(self, scan: LiveScan, ground: Ground) -> None:
        self._saved.show(scan, ground)
        regions = self._saved.with_role
        if self._parted != (ground, regions):
            self._parted, self._parts_known = (ground, regions), parts_of(ground, regions)
        self._parts.show(ground, self._parts_known)

    # layout

    def _layout(self) -> Any:
        left = pn.Column(
            pn.Row(self._mode, self._threshold, sizing_mode="stretch_width"),
            self._hint,
            pn.Column(
                self._brush_controls,
                self._limits.panel,
                self._parts.parts_controls,
                self._parts.surface_controls,
                self._parts.answers,
                sizing_mode="stretch_width",
                styles={"min-height": "62px"},  # else the map would jump when somebody turns to another way of drawing
            ),
            pn.pane.Bokeh(self._map.plot, sizing_mode="stretch_width"),
            self._legend,
            self._parts.sums,
            sizing_mode="stretch_width",
            min_width=560,
        )
        save = pn.Column(
            self._about,
            pn.Row(self._name, self._role, self._save, self._clear, sizing_mode="stretch_width"),
            self._asking.line,
            css_classes=["pc-region-save-card"],
            sizing_mode="stretch_width",
        )
        right = pn.Column(
            save, self._saved.panel, self._parts.panel, sizing_mode="stretch_width", min_width=480
        )  # fmt: skip
        return pn.Column(
            pn.Row(left, right, sizing_mode="stretch_width"), self._saved.table, sizing_mode="stretch_width"
        )

    def _make_controls(self) -> None:
        words = self._words
        self._mode = pn.widgets.RadioButtonGroup(
            options={words(f"regions.mode_{mode}"): mode.value for mode in Mode}, value=Mode.LOOK.value,
            button_type="primary", button_style="outline", css_classes=["pc-region-mode"], margin=(16, 5, 5, 5),
        )  # fmt: skip
        self._mode.param.watch(soon(lambda _: self._turn()), "value")
        self._threshold = pn.widgets.FloatSlider(
            name=words("common.threshold"), start=0.05, end=0.95, step=0.05, value=self._session.view.threshold,
            css_classes=["pc-region-threshold"], width=190,
        )  # fmt: skip
        self._threshold.param.watch(
            lambda event: self._session.view.param.update(threshold=event.new), "value_throttled"
        )
        self._session.view.param.watch(lambda event: self._threshold.param.update(value=event.new), "threshold")
        self._hint, self._legend = self._html("pc-region-hint"), self._html("pc-region-legend")
        self._radius = pn.widgets.FloatSlider(
            name=words("regions.radius"), start=0.5, end=50, step=0.5, value=5, width=230,
            css_classes=["pc-region-radius"],
        )  # fmt: skip
        self._radius.param.watch(soon(lambda event: self._map.set_radius(event.new)), "value")
        self._erase = pn.widgets.RadioButtonGroup(
            options={words(f"regions.{key}"): key for key in ("add", "erase")}, value="add", button_type="primary",
            button_style="outline",
            width=140, margin=(14, 5), css_classes=["pc-region-erase"],
        )  # fmt: skip
        self._brush_controls = pn.Row(self._radius, self._erase, visible=False)
        self._limits = LimitControls(words, self._limit)
        self._about = self._html("pc-region-draft")
        self._name = pn.widgets.TextInput(
            name=words("regions.name"), css_classes=["pc-region-name"], width=210, max_length=128
        )  # fmt: skip
        self._role = pn.widgets.Select(
            name=words("regions.role"), css_classes=["pc-region-role"], width=120,
            options={words(f"common.{role}") if role else words("regions.no_role"): role for role in _ROLES},
        )  # fmt: skip
        self._save = pn.widgets.Button(
            name=words("regions.save"), button_type="primary", css_classes=["pc-region-save"], width=90,
            margin=(22, 5, 5, 5),
        )  # fmt: skip
        self._clear = pn.widgets.Button(
            name=words("regions.discard"),
            css_classes=["pc-region-clear"],
            width=90,
            button_style="outline",
            margin=(22, 5, 5, 5),
        )
        self._save.on_click(soon(lambda _: self._ask_to_save()))
        self._clear.on_click(soon(lambda _: self._forget()))

    def _html(self, css_class: str) -> Any:
        return pn.pane.HTML("", stylesheets=[PARTS], css_classes=[css_class], sizing_mode="stretch_width")

    # what happens

    def _begin(self, scan: LiveScan) -> None:
        """Turn to another scan: a half-drawn region stays where it speaks of places, and goes where of points."""
        self._scan, self._ground, self._pace = scan, None, Pace()
        self._parts.reset()
        self._draft.clear()
        self._limits.offer(scan)
        step = max(scan.canvas.step_um)
        self._radius.param.update(
            start=round(step / 2, 3), end=round(20 * step, 3), step=round(step / 4, 3),
            value=round(_BRUSH_CELLS * step, 3),
        )  # fmt: skip
        self._turn()

    def _turn(self) -> None:
        mode = Mode(self._mode.value)
        self._map.set_mode(mode)
        self._map.set_radius(self._radius.value)
        self._brush_controls.visible = mode in (Mode.BRUSH, Mode.PARTS)
        self._erase.visible = mode is Mode.BRUSH
        self._limits.panel.visible = mode is Mode.THRESHOLD
        self._parts.parts_controls.visible = mode is Mode.PARTS
        self._parts.surface_controls.visible = mode is Mode.SURFACE
        self._parts.sums.visible = mode is Mode.PARTS
        self._parts.answers.visible = mode in (Mode.PARTS, Mode.SURFACE)
        self._hint.object = f"<p class='hint'>{html.escape(self._words(f'regions.hint_{mode}'))}</p>"
        if mode is Mode.PARTS:
            self._parts.begin()
        if mode is Mode.THRESHOLD:
            self._limit()
        self._redraw()

    def _redraw(self) -> None:
        scan, ground = self._scan, self._ground
        if scan is None or ground is None:
            return
        key = self._key(scan)
        self._map.show(scan, key)
        legend = legend_html(scan, key, self._words)
        if legend != self._legend.object:
            self._legend.object = legend
        draft = self._draft.mask(ground)
        proposal = self._parts.areas() if self._mode.value in (Mode.PARTS, Mode.SURFACE) else []
        areas = [*self._saved.areas(ground), *proposal]
        areas = [area for area in areas if area.chosen.size == ground.done.size]
        if draft.any():
            areas.append(Area(chosen=draft, colour=self._session.theme.accent, filled=True))
        self._map.show_areas(scan, areas)
        self._map.show_line(self._parts.line.vertices_um)
        self._say_draft(ground, int(np.count_nonzero(draft)))

    def _say_draft(self, ground: Ground, points: int) -> None:
        if self._draft.definition is None:
            text = f"<p class='hint'>{html.escape(self._words('regions.draw_first'))}</p>"
        else:
            area = f"{points * ground.area_um2:,.0f}" if np.isfinite(ground.area_um2) else "–"
            text = f"<b>{html.escape(self._words('regions.drawn', points=points, area=area))}</b>"
        if text != self._about.object:
            self._about.object = text
        self._save.disabled = self._clear.disabled = self._draft.definition is None

    def _key(self, scan: LiveScan) -> LayerKey:
        """The layer on which limits are set, else all classes."""
        if self._mode.value == Mode.THRESHOLD:
            return self._limits.key()
        if not scan.header.classes:
            return LayerKey(TOTAL)
        return LayerKey(COMPOSITE, round(self._session.view.threshold, 2))

    def _enclose(self, vertices_um: list[Vertex]) -> None:
        if self._draft.enclose(vertices_um):
            self._redraw()

    def _stroke(self, stroke_um: Stroke) -> None:
        if self._ground is None:
            return
        near = near_stroke(self._ground, stroke_um, self._radius.value)
        if self._mode.value == Mode.PARTS:
            self._parts.stroke(near)
        else:
            self._draft.paint(self._ground, near, erase=self._erase.value == "erase")
        self._redraw()

    def _limit(self) -> None:
        if self._mode.value == Mode.THRESHOLD and self._limits.layer:
            self._draft.limit(self._limits.layer, *self._limits.limits)
            self._redraw()

    def _edit_line(self, vertices_um: list[Vertex]) -> None:
        self._parts.edit_line(vertices_um)
        self._redraw()

    def _forget(self) -> None:
        self._draft.clear()
        self._redraw()

    def _ask_to_save(self) -> None:
        who, ground, definition = self._session.view.who.strip(), self._ground, self._draft.definition
        if not who:
            self._asking.refuse(self._words("page.name_first"))
        elif not self._name.value_input.strip():
            self._asking.refuse(self._words("regions.name_it"))
        elif ground is not None and definition is not None:
            try:
                request: SaveRegion | PhasecastError = SaveRegion(
                    name=self._name.value_input.strip(), definition=definition, role=self._role.value,
                    scan_raw_uid=ground.raw_uid, who=who,
                )  # fmt: skip
            except PhasecastError as error:
                request = error
            self._asking.ask(request)
