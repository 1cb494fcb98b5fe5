"""The model in use, and those kept beside it, each one click away."""

import html
import re
import time
from datetime import datetime
from typing import Any

import panel as pn

from phasecast.core.errors import PhasecastError
from phasecast.core.model_requests import ActivateModel
from phasecast.core.result import split_neighbours
from phasecast.core.words import Words
from phasecast.records.models import (
    ActiveModel,
    ModelEvent,
    ShelfModel,
    list_models,
    model_before,
    read_active,
    read_history,
)
from phasecast.web.asking import Asking
from phasecast.web.hub import STALE_S, Hub
from phasecast.web.live_scan import LiveScan
from phasecast.web.scans_table import ActionTable, Part, printable
from phasecast.web.session import Session
from phasecast.web.theme import PARTS

_LIST_S = 1.0
_TAUGHT = re.compile(r"simulation and (\d+) labels?(?: of (.+))?, (\d+) samples?")
_EVENTS = 6
_COLUMNS = ("model", "calibrated_on", "owner", "made", "use")


class ModelShelfPart:
    """Which model is in use since when, what lies on the shelf, and what happened to it.

    Parameters
    ----------
    hub
        Data directory, mailbox and the daemon's words.
    session
        Words, and who looks.
    """

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._words, self._view = hub, session.words, session.view
        self._listed_s = -_LIST_S
        self.models: list[ShelfModel] = []
        """Those on the shelf, oldest first."""
        self._shipped: tuple[ShelfModel, ...] = ()
        self._active: ActiveModel | None = None
        self._before = ""
        self._events: list[ModelEvent] = []
        self._problem = ""
        words = session.words
        self._state, self._history = (
            pn.pane.HTML("", stylesheets=[PARTS], css_classes=[f"pc-model-{name}"], sizing_mode="stretch_width")
            for name in ("active", "history")
        )
        self._back = pn.widgets.Button(
            label=words("model.roll_back"), css_classes=["pc-model-back"], width=320, visible=False
        )
        self._back.on_click(lambda _: self._ask(self._before))
        self._table = ActionTable(
            head=[words(f"model.{name}") for name in _COLUMNS],
            css_classes=["pc-model-table"],
            sizing_mode="stretch_width",
        )
        self._table.on_msg(lambda event: self._asked(event.data))
        self._asking = Asking(hub.mailbox, words, "pc-model-answer")
        self.panel: Any = pn.Column(
            pn.Row(self._state, self._back, sizing_mode="stretch_width"),
            self._table,
            self._asking.line,
            self._history,
            sizing_mode="stretch_width",
        )

    def show(self, scan: LiveScan | None) -> None:
        """Bring it up to date; reads the shelf once a second."""
        self._asking.look()
        if time.monotonic() - self._listed_s < _LIST_S:
            return
        self._listed_s = time.monotonic()
        self._read()
        in_use = self.in_use(scan)
        _say(self._state, self._active_html(in_use, scan))
        self._back.visible = bool(self._before) and self._before != in_use
        if self._back.visible:
            self._back.label = self._words("model.roll_back_to", model=printable(self._before))
        self._table.say([self._row(model, in_use) for model in (*reversed(self.models), *self._shipped)])
        _say(self._history, self._history_html())

    def in_use(self, scan: LiveScan | None) -> str:
        """Key of the model in use: what a running daemon says, else what was chosen last, else the scan's own."""
        status = self._hub.status() or {}
        if status.get("state") == "running" and self._hub.status_age_s() <= STALE_S:
            said = status.get("models")
            if isinstance(said, dict) and said.get("in_use"):
                return str(said["in_use"])
        if self._active is not None:
            return self._active.model
        stamp = scan.header.model if scan is not None else None
        return stamp.name if stamp is not None else ""

    def model_in_use(self, scan: LiveScan | None) -> ShelfModel | None:
        """Return the model in use with its card; None if it is neither on the shelf nor came with the program."""
        return self._find(self.in_use(scan))

    def _read(self) -> None:
        directory = self._hub.directory
        self._problem = ""
        self.models = list_models(directory)
        if not self._shipped:
            self._shipped = tuple(self._hub.tools.models.shipped())
        try:
            self._active, self._events, self._before = None, [], ""
            self._active = read_active(directory)
            self._events = read_history(directory)
            self._before = model_before(directory) or self._origin()
        except PhasecastError as error:
            self._problem = str(error)

    def _origin(self) -> str:
        """What was in use before anything was ever chosen: the base of the first model, if that came with us."""
        if self._active is None:
            return ""
        chosen = next((model for model in self.models if model.key == self._active.model), None)
        training = chosen.card.get("training", {}) if chosen is not None else {}
        base = training.get("base", {}) if isinstance(training, dict) else {}
        wanted = base.get("sha256") if isinstance(base, dict) else None
        return next((model.key for model in self._shipped if wanted and model.sha256 == wanted), "")

    # what is shown

    def _active_html(self, in_use: str, scan: LiveScan | None) -> str:
        words = self._words
        if not in_use:
            return f"<h4>{html.escape(words('model.none'))}</h4>"
        known = self._find(in_use)
        stamp = scan.header.model if scan is not None else None
        if known is not None:
            name, on, owner = f"{known.name} {known.version}", known.calibrated_on, known.owner
        elif stamp is not None and stamp.name == in_use:
            name, on, owner = f"{stamp.name} {stamp.version}", stamp.calibrated_on, stamp.owner
        else:
            name, on, owner = in_use, "", ""
        facts = [(words("model.calibrated_on"), calibrated_text(on, words))]
        facts += [(words("model.owner"), owner or words("model.nobody"))]
        if self._active is not None and self._active.model == in_use:
            when = _date(self._active.since_s)
            facts.append((words("model.since"), words("model.since_by", when=when, who=self._active.who)))
        if self._problem:
            facts.append(("", self._problem))
        rows = "".join(f"<tr><td>{html.escape(a)}</td><td>{html.escape(b)}</td></tr>" for a, b in facts)
        title = words("model.in_use_title", name=name)
        return f"<h4 class='pc-in-use'>{html.escape(title)}</h4><table class='facts'>{rows}</table>"

    def _find(self, key: str) -> ShelfModel | None:
        return next((model for model in (*self.models, *self._shipped) if model.key == key), None)

    def _row(self, model: ShelfModel, in_use: str) -> dict[str, Any]:
        words = self._words
        chosen = model.key == in_use
        name: list[Part] = [{"text": printable(f"{model.name} {model.version}".strip() or model.key)}]
        if model in self.models:
            name.append({"text": printable(model.key), "style": "faint"})
        made = _date(model.made_s) if model in self.models else words("model.shipped")
        if chosen:
            use: list[Part] = [{"text": words("model.is_in_use"), "style": "live", "hook": "pc-model-in-use"}]
        elif model.damage:
            use = [{"text": printable(model.damage), "style": "bad"}]
        else:
            use = [{"text": words("model.use_this"), "ask": {"use": model.key}, "hook": "pc-model-use"}]
        on = calibrated_text(model.calibrated_on, words)
        cells = [name, [{"text": printable(on)}], [{"text": printable(model.owner or words("model.nobody"))}],
                 [{"text": made}], use]  # fmt: skip
        return {"key": model.key, "style": "chosen" if chosen else "", "cells": cells}

    def _history_html(self) -> str:
        words = self._words
        if not self._events:
            return ""
        lines = "".join(
            f"<div class='hint'>{_date(event.time_s)} · {html.escape(words(f'model.event_{event.what}'))} "
            f"{html.escape(event.model)} · {html.escape(event.who)}{_detail(event)}</div>"
            for event in self._events[: -_EVENTS - 1 : -1]
        )
        return f"<h4>{html.escape(words('model.history'))}</h4>{lines}"

    # what is asked

    def _asked(self, message: Any) -> None:
        # what comes from a browser may be anything
        key = str(message.get("use", "")) if isinstance(message, dict) else ""
        if any(model.key == key and not model.damage for model in (*self.models, *self._shipped)):
            self._ask(key)

    def _ask(self, key: str) -> None:
        who = str(self._view.who).strip()
        if not is_daemon_there(self._hub):
            self._asking.refuse(self._words("model.no_daemon"))
        elif not who:
            self._asking.refuse(self._words("page.name_first"))
        else:
            try:
                self._asking.ask(ActivateModel(model=key, who=who))
            except PhasecastError as error:
                self._asking.refuse(str(error))


def is_daemon_there(hub: Hub) -> bool:
    """Whether a daemon speaks that could train and choose models."""
    return (hub.status() or {}).get("state") == "running" and hub.status_age_s() <= STALE_S


def calibrated_text(calibrated_on: str, words: Words) -> str:
    """Return what people read for what a model was calibrated on; cards speak English."""
    on, with_neighbours = split_neighbours(calibrated_on)
    if with_neighbours:
        return words("common.with_neighbours", calibrated=calibrated_text(on, words))
    if calibrated_on == "simulation only":
        return words("model.simulation_only")
    found = _TAUGHT.fullmatch(calibrated_on)
    if found is None:
        return calibrated_on or "–"
    labels, owner, samples = found.groups()
    return words("model.simulation_and", labels=labels, samples=samples, owner=owner or words("model.nobody_named"))


def _detail(event: ModelEvent) -> str:
    if not event.detail or event.what == "in_use":
        return ""
    kind = "bad" if event.what in ("failed", "refused") else "hint"
    return f" · <span class='{kind}'>{html.escape(event.detail)}</span>"


def _date(time_s: float) -> str:
    return datetime.fromtimestamp(time_s).strftime("%Y-%m-%d %H:%M")


def _say(pane: Any, content: str) -> None:
    if pane.object != content:
        pane.object = content
