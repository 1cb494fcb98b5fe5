"""Steel, rust and outside, and the surface of the steel: proposed by the program, corrected and confirmed by people."""

import html
from collections.abc import Callable
from typing import Any

import numpy as np
import panel as pn
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast.core.region_requests import Points, SaveRegion, SaveSurface
from phasecast.records.surfaces import SurfaceBook, surfaces_path
from phasecast.results.partition import STEEL, UNKNOWN
from phasecast.web.asking import Asking
from phasecast.web.hub import Hub
from phasecast.web.regions_charts import DistanceChart
from phasecast.web.regions_line import Origin, SurfaceLine, Vertex
from phasecast.web.regions_measure import DistanceProfile, Ground, Mask, distance_profile
from phasecast.web.regions_overlay import Area
from phasecast.web.regions_proposal import ROLES, Proposal
from phasecast.web.session import Session
from phasecast.web.soon import soon
from phasecast.web.theme import PARTS as PARTS_CSS


class PartsPanel:
    """Controls of the modes "parts" and "surface", and the chart of fractions against distance.

    Parameters
    ----------
    hub
        Mailbox and data directory.
    session
        Words, colours, and who looks.
    changed
        Called when the map has to show something else.
    """

    def __init__(self, hub: Hub, session: Session, changed: Callable[[], None]) -> None:
        self._session, self._words, self._changed = session, session.words, changed
        words = self._words
        self._book = SurfaceBook(surfaces_path(hub.directory))
        self._ground: Ground | None = None
        self._proposal = Proposal()
        self._parts = np.zeros(0, dtype="U7")
        self._charted: tuple[Any, ...] = ()
        self.line = SurfaceLine()
        self._asked = [Asking(hub.mailbox, words, f"pc-part-{role}") for role in ROLES]
        self._asked_surface = Asking(hub.mailbox, words, "pc-surface-answer")
        self._paint_as = pn.widgets.RadioButtonGroup(
            options={words(f"common.{role}"): role for role in ROLES}, value="steel", button_type="primary",
            button_style="outline", css_classes=["pc-parts-paint"], width=210,
        )  # fmt: skip
        self.sums = pn.pane.HTML(
            "", stylesheets=[PARTS_CSS], css_classes=["pc-parts-sums"], sizing_mode="stretch_width"
        )
        self.parts_controls = pn.Column(
            pn.Row(
                self._button("propose", self._propose, "pc-parts-propose", 120),
                self._paint_as,
                self._button("confirm", self._confirm, "pc-parts-confirm", 96, primary=True),
                self._button("discard", self._discard, "pc-parts-discard", 74),
            ),
            visible=False,
        )
        self.surface_controls = pn.Column(
            pn.Row(
                self._button("propose_line", self._propose_line, "pc-surface-propose", 112),
                self._button("remove_corner", self._remove_corner, "pc-surface-remove", 112),
                self._button("no_surface", self._decline, "pc-surface-none", 124),
                self._button("save_line", self._save_line, "pc-surface-save", 96, primary=True),
                self._button("discard", self._forget_line, "pc-surface-discard", 74),
            ),
            visible=False,
        )
        self.answers = pn.Row(
            *(asking.line for asking in (*self._asked, self._asked_surface)), sizing_mode="stretch_width", visible=False
        )
        self.chart = DistanceChart(words, session.theme)
        self._about = pn.pane.HTML(
            "", stylesheets=[PARTS_CSS], css_classes=["pc-distance-about"], sizing_mode="stretch_width"
        )
        self.panel = pn.Column(
            self._about, pn.pane.Bokeh(self.chart.plot, sizing_mode="stretch_width"), sizing_mode="stretch_width"
        )
        self.chosen_corners: Callable[[], list[int]] = list

    def reset(self) -> None:
        """Begin with another scan."""
        self._ground = None
        self._proposal.drop()
        self._show_sums()
        self._charted = ()
        self.line.forget()

    def show(self, ground: Ground, parts: NDArray[np.str_]) -> None:
        """Bring answers, line and chart up to date.

        Parameters
        ----------
        ground
            The points of the scan.
        parts
            Parts as confirmed or, where nobody did, proposed, (n,).
        """
        granted = [asking.look() and asking.last is not None for asking in self._asked]
        if any(granted):
            self._discard()  # what is saved shows from now on
        if self._asked_surface.look() and self._asked_surface.last is not None:
            self.line.forget()
        self._ground, self._parts = ground, parts
        if self._proposal.follow(ground):
            self._show_sums()
        try:
            self._book.refresh()
        except PhasecastError as error:
            self._asked_surface.refuse(str(error))
        self.line.take(ground, self._parts_now(), self._book.surfaces.get(ground.raw_uid))
        self._show_chart(ground)

    def areas(self) -> list[Area]:
        """The proposal as areas; none while nobody asked for one."""
        return self._proposal.areas()

    def begin(self) -> None:
        """Propose parts when somebody turns to them."""
        if self._proposal.parts is None:
            self._propose()

    def stroke(self, near: Mask) -> None:
        """Correct the proposal with the brush."""
        self._proposal.paint(near, self._paint_as.value)
        self._show_sums()

    def edit_line(self, vertices_um: list[Vertex]) -> None:
        """Take the line as a person left it."""
        self.line.edit(vertices_um)
        if self._ground is not None:
            self._show_chart(self._ground)

    def _parts_now(self) -> NDArray[np.str_]:
        proposed = self._proposal.parts
        return proposed if proposed is not None and proposed.size == self._parts.size else self._parts

    def _propose(self) -> None:
        if self._ground is not None:
            self._proposal.propose(self._ground)
            self._show_sums()
            self._changed()

    def _discard(self) -> None:
        self._proposal.drop()
        self._show_sums()
        self._changed()

    def _show_sums(self) -> None:
        self.sums.object = self._proposal.legend(self._words)

    def _confirm(self) -> None:
        """Save the three parts and the surface that goes with them."""
        ground, who = self._ground, self._who(self._asked[0])
        if ground is None or who is None:
            return
        parts = self._proposal.parts
        if parts is None:
            self._asked[0].refuse(self._words("regions.propose_first"))
            return
        for role, asking in zip(ROLES, self._asked, strict=True):
            rows = np.flatnonzero(parts == role)
            if rows.size:
                definition = Points(scan_raw_uid=ground.raw_uid, rows=tuple(rows.tolist()))
                name = f"{role} {ground.raw_uid[:8]}"
                asking.ask(
                    SaveRegion(name=name, definition=definition, role=role, scan_raw_uid=ground.raw_uid, who=who)
                )
        self._ask_for_surface(ground, who)
        self._changed()

    def _ask_for_surface(self, ground: Ground, who: str) -> None:
        surface = self.line.surface(ground, self._parts_now())
        vertices = surface.vertices_um if surface is not None else self.line.vertices_um
        if len(vertices) < 2 and self.line.origin is not Origin.DECLINED:
            self._asked_surface.refuse(self._words("regions.no_line_to_save"))
            return
        try:
            self._asked_surface.ask(
                SaveSurface(scan_raw_uid=ground.raw_uid, vertices_um=vertices, confirmed=True, who=who)
            )
        except PhasecastError as error:
            self._asked_surface.refuse(str(error))

    def _propose_line(self) -> None:
        if self._ground is not None:
            self.line.propose(self._ground, self._parts_now())
            if self.line.origin is Origin.PROPOSED:
                self.line.origin = Origin.EDITED  # it stays, whatever was saved before, until it is saved or dropped
            self._refresh_line()

    def _remove_corner(self) -> None:
        chosen = self.chosen_corners()
        if not chosen:
            self._asked_surface.refuse(self._words("regions.click_corner"))
        elif len(self.line.vertices_um) <= 2:
            self._asked_surface.refuse(self._words("regions.two_corners"))
        else:
            self.line.remove(chosen[0])
            self._refresh_line()

    def _decline(self) -> None:
        who = self._who(self._asked_surface)
        if self._ground is not None and who is not None:
            self.line.forget()
            self._asked_surface.ask(
                SaveSurface(scan_raw_uid=self._ground.raw_uid, vertices_um=(), confirmed=True, who=who)
            )

    def _save_line(self) -> None:
        who = self._who(self._asked_surface)
        if self._ground is not None and who is not None:
            self._ask_for_surface(self._ground, who)

    def _forget_line(self) -> None:
        self.line.forget()
        if self._ground is not None:
            self.line.take(self._ground, self._parts_now(), self._book.surfaces.get(self._ground.raw_uid))
        self._refresh_line()

    def _refresh_line(self) -> None:
        if self._ground is not None:
            self._show_chart(self._ground)
        self._changed()

    def _show_chart(self, ground: Ground) -> None:
        threshold = round(self._session.view.threshold, 2)
        parts = self._parts_now()
        has_steel = bool(np.any(parts == STEEL))
        state = (ground.raw_uid, ground.version, threshold, self.line.vertices_um, self.line.origin, has_steel)
        if state == self._charted:
            return
        self._charted = state
        surface = self.line.surface(ground, parts)
        profile = distance_profile(ground, surface, threshold) if surface is not None else None
        self.chart.show(profile, ground.classes)
        self.chart.plot.visible = profile is not None
        only = has_steel and not np.any((parts != STEEL) & (parts != UNKNOWN))
        why_not = "only_steel" if only else "no_line" if has_steel else "no_steel"
        self._about.object = self._sentence(ground, threshold, profile, why_not)

    def _sentence(self, ground: Ground, threshold: float, profile: DistanceProfile | None, why_not: str) -> str:
        words, origin = self._words, self.line.origin
        title = f"<b>{html.escape(words('regions.distance_title'))}</b>"
        if profile is not None:
            status = words(f"regions.{origin}", who=self.line.who)
            line = words(
                "regions.distance_note", points=int(profile.points.sum()), bins=profile.points.size,
                width=f"{profile.width_um:.3g}", threshold=f"{threshold:.2f}", status=status,
            )  # fmt: skip
        elif origin is Origin.DECLINED:
            line = words("regions.line_declined", who=self.line.who)
        elif not any(phase.role for phase in ground.classes):
            line = words("regions.no_roles")
        else:
            line = words(f"regions.{why_not}")
        return f"{title}<p class='hint'>{html.escape(line)}</p>"

    def _who(self, asking: Asking) -> str | None:
        who: str = self._session.view.who.strip()
        if not who:
            asking.refuse(self._words("page.name_first"))
            return None
        return who

    def _button(self, key: str, act: Callable[[], None], css_class: str, width: int, *, primary: bool = False) -> Any:
        button = pn.widgets.Button(
            name=self._words(f"regions.{key}"), button_type="primary", width=width, css_classes=[css_class],
            button_style="solid" if primary else "outline",
        )  # fmt: skip
        button.on_click(soon(lambda _: act()))
        return button
