"""Training a model on labels from the page: who asks, how far it is, and why it was refused."""

import html
import logging
import time
from datetime import datetime, timedelta
from typing import Any

import panel as pn

from phasecast.core.errors import PhasecastError
from phasecast.core.model_requests import CancelTraining, Retrain
from phasecast.records.status import read_status
from phasecast.web.asking import Asking
from phasecast.web.hub import Hub
from phasecast.web.live_scan import LiveScan
from phasecast.web.model_shelf import is_daemon_there
from phasecast.web.session import Session
from phasecast.web.theme import PARTS, WIDGETS

logger = logging.getLogger(__name__)

_LOOK_S = 0.5


class ModelTrainingPart:
    """Asks for a training and shows how it fares.

    Parameters
    ----------
    hub
        Mailbox and status.
    session
        Words, and who looks.
    """

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._words, self._view = hub, session.words, session.view
        self._scan: LiveScan | None = None
        self._looked_s = -_LOOK_S
        self._said: dict[str, Any] = {}
        words = session.words
        self._effort = pn.widgets.Select(
            name=words("model.effort"), value="full", stylesheets=[WIDGETS], css_classes=["pc-train-effort"], width=190,
            options={words("model.effort_full"): "full", words("model.effort_quick"): "quick"},
        )  # fmt: skip
        self._whose = pn.widgets.Select(
            name=words("model.labels_of"), value="all", stylesheets=[WIDGETS], css_classes=["pc-train-scans"],
            width=190, options={words("model.labels_all"): "all", words("model.labels_scan"): "scan"},
        )  # fmt: skip
        self._owner, self._trusted, self._note = (
            pn.widgets.TextInput(label=words(f"model.{name}"), css_classes=[f"pc-train-{name}"], width=width)
            for name, width in (("group", 190), ("trusted", 190), ("note", 260))
        )
        self._go = pn.widgets.Button(
            label=words("model.retrain"), color="primary", css_classes=["pc-train-go"], width=150
        )
        self._stop = pn.widgets.Button(label=words("model.cancel"), css_classes=["pc-train-cancel"], width=150)
        self._stop.visible = False
        self._go.on_click(lambda _: self._ask())
        self._stop.on_click(lambda _: self._cancel())
        self._asking = Asking(hub.mailbox, words, "pc-train-answer")
        self._progress = pn.pane.HTML(
            "", stylesheets=[PARTS], css_classes=["pc-train-progress"], sizing_mode="stretch_width"
        )
        title, hint = (html.escape(words(f"model.train_{name}")) for name in ("title", "hint"))
        self.panel: Any = pn.Column(
            pn.pane.HTML(
                f"<h4>{title}</h4><p class='hint'>{hint}</p>", stylesheets=[PARTS], sizing_mode="stretch_width"
            ),
            pn.FlexBox(self._effort, self._whose, self._owner, self._trusted, self._note),
            pn.Row(self._go, self._stop, self._asking.line, sizing_mode="stretch_width"),
            self._progress,
            css_classes=["pc-train"], sizing_mode="stretch_width",
        )  # fmt: skip

    def show(self, scan: LiveScan | None) -> None:
        """Bring progress and answers up to date; what was typed stays."""
        self._scan = scan
        self._asking.look()
        if time.monotonic() - self._looked_s < _LOOK_S:
            return
        self._looked_s = time.monotonic()
        self._said = self._read()
        self._stop.visible = self.is_running
        self._go.disabled = self.is_running
        content = self._progress_html()
        if content != self._progress.object:
            self._progress.object = content

    @property
    def is_running(self) -> bool:
        """Whether the daemon trains right now."""
        models = (self._hub.status() or {}).get("models")
        return is_daemon_there(self._hub) and isinstance(models, dict) and bool(models.get("training"))

    def _read(self) -> dict[str, Any]:
        try:
            return read_status(self._hub.directory.status / "training.json") or {}
        except (OSError, ValueError) as error:
            logger.warning("the status of the training cannot be read: %s", error)
            return {}

    def _progress_html(self) -> str:
        words, said = self._words, self._said
        models = (self._hub.status() or {}).get("models")
        rescoring = models.get("rescoring") if isinstance(models, dict) and is_daemon_there(self._hub) else None
        parts = []
        state = str(said.get("state", ""))
        if state == "running" and not self.is_running:
            state = ""  # nobody is left who could end it
        if state:
            began_s = float(said.get("began_s") or time.time())
            when = datetime.fromtimestamp(began_s).strftime("%Y-%m-%d %H:%M")
            took = str(timedelta(seconds=max(0, round(float(said.get("time_s") or time.time()) - began_s))))
            kind = {"running": "warn", "done": "good", "failed": "bad"}.get(state, "hint")
            line = words(f"model.training_{state}", model=said.get("model", ""), when=when, took=took)
            parts.append(f"<p class='{kind}'>{html.escape(line)}</p>")
            if said.get("detail"):
                parts.append(f"<p class='hint'>{html.escape(str(said['detail']))}</p>")
        if isinstance(rescoring, dict) and rescoring.get("left"):
            text = words("model.rescoring", left=rescoring["left"], of=rescoring.get("of", rescoring["left"]))
            parts.append(f"<p class='warn'>{html.escape(text)}</p>")
        if isinstance(rescoring, dict) and rescoring.get("refusal"):
            parts.append(f"<p class='bad'>{html.escape(str(rescoring['refusal']))}</p>")
        return "".join(parts)

    def _who(self) -> str:
        who = str(self._view.who).strip()
        if not is_daemon_there(self._hub):
            self._asking.refuse(self._words("model.no_daemon"))
            return ""
        if not who:
            self._asking.refuse(self._words("page.name_first"))
        return who

    def _ask(self) -> None:
        who = self._who()
        if not who:
            return
        scans: tuple[str, ...] = ()
        if self._whose.value == "scan":
            if self._scan is None:
                self._asking.refuse(self._words("model.no_scan"))
                return
            scans = (self._scan.header.raw_uid,)
        try:
            self._asking.ask(
                Retrain(
                    scans=scans,
                    trusted=self._trusted.value.strip(),
                    effort=self._effort.value,
                    who=who,
                    owner=self._owner.value.strip(),
                    note=self._note.value.strip(),
                )
            )
        except PhasecastError as error:
            self._asking.refuse(str(error))

    def _cancel(self) -> None:
        who = self._who()
        if who:
            try:
                self._asking.ask(CancelTraining(who=who))
            except PhasecastError as error:
                self._asking.refuse(str(error))
