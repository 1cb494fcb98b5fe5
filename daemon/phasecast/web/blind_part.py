"""The blind check: patterns of points drawn by chance, judged one after the other with the prediction hidden."""

import html
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import panel as pn

from phasecast.core.errors import PhasecastError
from phasecast.core.ledger import PointState
from phasecast.core.model_requests import BlindAnswer, BlindDraw
from phasecast.records.blind import BlindBook, BlindCheck
from phasecast.web.asking import Asking
from phasecast.web.blind_words import scores_html
from phasecast.web.chosen import show_points
from phasecast.web.hub import Hub
from phasecast.web.later import Later
from phasecast.web.live_scan import LiveScan
from phasecast.web.model_tools import Drawn
from phasecast.web.pattern_plot import PatternPlot
from phasecast.web.session import Session
from phasecast.web.soon import soon
from phasecast.web.theme import PARTS, WIDGETS

COUNTS = (30, 45, 60)
_WRAP = ":host .bk-btn-group { flex-wrap: wrap; }"


class BlindPart:
    """Draws, shows and takes the answers of one person.

    Parameters
    ----------
    hub
        Draws points and takes answers.
    session
        Words, and who looks.
    """

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._words, self._view = hub, session.words, session.view
        self._scan: LiveScan | None = None
        self._labelled: frozenset[int] = frozenset()
        self._check: BlindCheck | None = None
        self._pattern_of: tuple[Any, ...] = ()
        self._drawing: Later[Drawn] = Later()
        self._drawn_for: tuple[str, str, str] = ("", "", "")
        words = session.words
        self._count = pn.widgets.Select(
            name=words("model.blind_count"), options=list(COUNTS), value=COUNTS[1], stylesheets=[WIDGETS],
            css_classes=["pc-blind-count"], width=120,
        )  # fmt: skip
        self._start = pn.widgets.Button(
            label=words("model.blind_start"),
            color="primary",
            variant="outline",
            css_classes=["pc-blind-start"],
            width=210,
            margin=(24, 10, 5, 10),
        )
        self._start.on_click(lambda _: self._draw())
        self._classes = pn.widgets.CheckButtonGroup(
            options=[], css_classes=["pc-blind-classes"], button_type="primary", button_style="outline",
            sizing_mode="stretch_width", stylesheets=[_WRAP],
        )  # fmt: skip
        self._next = pn.widgets.Button(
            label=words("model.blind_next"), color="primary", css_classes=["pc-blind-next"], width=210
        )
        self._next.on_click(lambda _: self._answer())
        self._cannot_tell = pn.widgets.Button(
            label=words("model.blind_cannot_tell"), color="primary", variant="outline",
            css_classes=["pc-blind-cannot-tell"], width=230,
        )  # fmt: skip
        self._cannot_tell.on_click(lambda _: self._answer(cannot_tell=True))
        self._plot = PatternPlot(words, session.theme, name="blind")
        self._classes.param.watch(soon(lambda _: self._draw_pattern()), "value")
        self._asking = Asking(hub.mailbox, words, "pc-blind-answer")
        self._progress, self._scores = (
            pn.pane.HTML("", stylesheets=[PARTS], css_classes=[f"pc-blind-{name}"], sizing_mode="stretch_width")
            for name in ("progress", "scores")
        )
        title, hint = (html.escape(words(f"model.blind_{name}")) for name in ("title", "hint"))
        head = f"<h4>{title}</h4><p class='hint'>{hint}</p>"
        self._judging = pn.Column(
            self._progress,
            pn.pane.Bokeh(self._plot.plot, sizing_mode="stretch_width"),
            self._classes,
            pn.Row(self._next, self._cannot_tell),
            visible=False, sizing_mode="stretch_width",
        )  # fmt: skip
        self._beginning = pn.Row(self._count, self._start)
        self.panel: Any = pn.Column(
            pn.pane.HTML(head, stylesheets=[PARTS], sizing_mode="stretch_width"),
            self._beginning,
            self._judging,
            self._asking.line,
            self._scores,
            css_classes=["pc-blind"], sizing_mode="stretch_width",
        )  # fmt: skip

    def show(self, scan: LiveScan, book: BlindBook, labelled: set[int], names: Mapping[str, str]) -> None:
        """Bring it up to date.

        Parameters
        ----------
        scan
            The scan.
        book
            Its blind checks, up to date.
        labelled
            Rows that were labelled knowing what the model says; they are not drawn.
        names
            Id of a class to its name.
        """
        if scan is not self._scan:
            self._scan = scan
            self._classes.param.update(options={names[phase.id]: phase.id for phase in scan.header.classes}, value=[])
        self._labelled = frozenset(labelled)
        self._asking.look()
        self._take_draw()
        who = str(self._view.who).strip()
        result = scan.path.name
        open_checks = [one for one in book.checks if one.who == who and one.result == result and not one.is_complete]
        self._check = open_checks[-1] if who and open_checks else None
        self._judging.visible = self._check is not None
        self._beginning.visible = self._check is None
        self._start.disabled = self._drawing.is_running or not scan.header.classes
        if self._check is not None:
            self._show_check(self._check)
        scored = book.newest_scored
        stamp = scan.model[0]
        sha256 = stamp.sha256 if stamp is not None else ""
        content = scores_html(scored, self._words, names, model_sha256=sha256) if scored is not None else ""
        if content != self._scores.object:
            self._scores.object = content

    # judging

    def _show_check(self, check: BlindCheck) -> None:
        text = self._words("model.blind_progress", number=len(check.answers) + 1, points=check.points.size)
        content = f"<p><b>{html.escape(text)}</b></p>"
        if content != self._progress.object:
            self._progress.object = content
        state = (check.id, check.next_point)
        if state != self._pattern_of:
            self._pattern_of = state
            self._next.disabled = self._cannot_tell.disabled = False
            self._classes.value = []
            self._draw_pattern()

    def _draw_pattern(self) -> None:
        """Show the pattern with lines of the classes that the person has ticked: never those that the model names."""
        row = self._check.next_point if self._check is not None else None
        if self._scan is None or row is None or row >= self._scan.columns.points:
            self._plot.clear()
            return
        shown = show_points(self._scan, np.array([row]), 0.5)
        ticked = tuple(phase for phase in self._scan.header.classes if phase.id in self._classes.value)
        unknown = np.full_like(shown.confidence, np.nan)
        self._plot.show(replace(shown, leading=ticked, unexplained=(), confidence=unknown))

    def _answer(self, *, cannot_tell: bool = False) -> None:
        check = self._check
        row = check.next_point if check is not None else None
        if check is None or row is None:
            return
        try:
            self._asking.ask(
                BlindAnswer(
                    scan_raw_uid=check.raw_uid,
                    check=check.id,
                    point=row,
                    classes=() if cannot_tell else tuple(self._classes.value),
                    who=check.who,
                    cannot_tell=cannot_tell,
                )
            )
            # until the next one is there: a second click must not judge it unseen
            self._next.disabled = self._cannot_tell.disabled = True
        except PhasecastError as error:
            self._asking.refuse(str(error))

    # drawing

    def _draw(self) -> None:
        who, scan = str(self._view.who).strip(), self._scan
        if not who:
            self._asking.refuse(self._words("page.name_first"))
            return
        if scan is None or self._drawing.is_running:
            return
        columns = scan.columns
        confidences = np.where((columns.state == PointState.DONE)[:, None], columns.confidence, np.nan)
        count, labelled, draw = int(self._count.value), self._labelled, self._hub.tools.models.draw
        seed = secrets.randbits(32)
        self._drawn_for = (scan.header.raw_uid, scan.path.name, who)
        self._drawing.start(lambda: draw(confidences, count, seed, labelled))

    def _take_draw(self) -> None:
        done = self._drawing.take()
        if done is None:
            return
        drawn, failure = done
        if drawn is None:
            self._asking.refuse(failure)
            return
        if drawn.rows.size == 0:
            self._asking.refuse(self._words("model.blind_nothing"))
            return
        raw_uid, result, who = self._drawn_for
        try:
            self._asking.ask(
                BlindDraw(
                    scan_raw_uid=raw_uid,
                    result=result,
                    points=tuple(drawn.rows.tolist()),
                    strata=tuple(drawn.strata.tolist()),
                    weights=tuple(drawn.weights.tolist()),
                    who=who,
                )
            )
        except PhasecastError as error:
            self._asking.refuse(str(error))
