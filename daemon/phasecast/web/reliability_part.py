"""How far the confidences of the model in use can be trusted: calibration errors and reliability diagrams."""

import html
from typing import Any

import panel as pn

from phasecast.core.words import Words
from phasecast.records.models import ShelfModel
from phasecast.records.reliability import Reliability, reliabilities
from phasecast.web.reliability_plot import ReliabilityPlot
from phasecast.web.session import Session
from phasecast.web.theme import PARTS

_MOST = 2
"""Grounds that a card can judge a model on at a time."""
_WIDTH = 340
_DOTS = {"before": "○ ", "after": "● ", "stated": ""}


class ReliabilityPart:
    """Diagrams of one model, side by side, each with its calibration error.

    Parameters
    ----------
    session
        Words and look.
    """

    def __init__(self, session: Session) -> None:
        self._words = session.words
        self._shown: tuple[str, float] | None = None
        self._plots = [
            ReliabilityPlot(session.words, session.theme, name=f"reliability-{place}") for place in range(_MOST)
        ]
        self._head, self._note = (_pane(name) for name in ("head", "note"))
        self._facts = [_pane(f"facts-{place}") for place in range(_MOST)]
        self._figures = [pn.pane.Bokeh(plot.plot, sizing_mode="stretch_width") for plot in self._plots]
        columns = [pn.Column(*pair, width=_WIDTH) for pair in zip(self._facts, self._figures, strict=True)]
        self.panel: Any = pn.Column(
            self._head,
            pn.Row(*columns, sizing_mode="stretch_width"),
            self._note,
            css_classes=["pc-reliability"], sizing_mode="stretch_width", visible=False,
        )  # fmt: skip
        self._columns = columns

    def show(self, model: ShelfModel | None) -> None:
        """Show what the card of a model says; nothing where it says nothing of calibration."""
        state = (model.key, model.made_s) if model is not None else None
        if state == self._shown:
            return
        self._shown = state
        found = reliabilities(model.card)[:_MOST] if model is not None else ()
        self.panel.visible = bool(found)
        if model is None or not found:
            return
        words = self._words
        title = words("model.reliability_title", name=f"{model.name} {model.version}")
        self._head.object = f"<h4>{html.escape(title)}</h4>"
        drawn = any(one.has_diagram for one in found)
        note = words("model.reliability_note" if drawn else "model.reliability_only_error")
        self._note.object = f"<p class='hint'>{html.escape(note)}</p>"
        for place, plot in enumerate(self._plots):
            one = found[place] if place < len(found) else None
            self._columns[place].visible = one is not None
            self._figures[place].visible = one is not None and one.has_diagram
            self._facts[place].object = facts_html(one, words) if one is not None else ""
            plot.show(one)


def facts_html(reliability: Reliability, words: Words) -> str:
    """Return what a model was judged on, and its calibration error, before and after where there are both."""
    on = words(
        f"model.reliability_on_{reliability.on}", patterns=f"{reliability.patterns:,}" if reliability.patterns else "–"
    )
    errors = [
        _DOTS[curve.when] + words(f"model.reliability_{curve.when}", ece=reliability.error_text(curve))
        for curve in reliability.curves
    ]
    lines = "".join(f"<div>{html.escape(text)}</div>" for text in errors)
    return f"<div class='hint'>{html.escape(on)}</div>{lines}"


def _pane(name: str) -> Any:
    return pn.pane.HTML("", stylesheets=[PARTS], css_classes=[f"pc-reliability-{name}"], sizing_mode="stretch_width")
