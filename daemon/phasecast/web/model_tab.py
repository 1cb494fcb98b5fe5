"""The tab of the model: which one is in use, and everything by which it gets better and is judged."""

import html
import time
from typing import Any

import panel as pn

from phasecast.core.errors import PhasecastError
from phasecast.records.blind import BlindBook, blind_path
from phasecast.records.conflicts import ClaimBook
from phasecast.records.labels import label_path
from phasecast.web.blind_part import BlindPart
from phasecast.web.hub import Hub
from phasecast.web.live_scan import LiveScan
from phasecast.web.model_card import card_html, newest_trained
from phasecast.web.model_queue import ModelQueuePart
from phasecast.web.model_shelf import ModelShelfPart
from phasecast.web.model_training import ModelTrainingPart
from phasecast.web.reliability_part import ReliabilityPart
from phasecast.web.session import Session
from phasecast.web.theme import PARTS

_READ_S = 0.4


class ModelTab:
    """Model in use, training and what came of it, points to label, and the blind check, for one session.

    Parameters
    ----------
    hub
        What all sessions share.
    session
        Words, view, and who looks.
    """

    title_key = "model.tab"

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._words = hub, session.words
        self._scan: LiveScan | None = None
        self._read_s = -_READ_S
        self._shelf = ModelShelfPart(hub, session)
        self._training = ModelTrainingPart(hub, session)
        self._reliability = ReliabilityPart(session)
        self._queue = ModelQueuePart(hub, session)
        self._blind = BlindPart(hub, session)
        self._card, self._note = (
            pn.pane.HTML("", stylesheets=[PARTS], css_classes=[f"pc-model-{name}"], sizing_mode="stretch_width")
            for name in ("card", "note")
        )
        parts = (self._shelf.panel, self._training.panel, self._card, self._reliability.panel)
        left = pn.Column(*parts, sizing_mode="stretch_width", min_width=560)
        self._of_scan = pn.Column(self._blind.panel, self._queue.panel, sizing_mode="stretch_width", visible=False)
        right = pn.Column(self._note, self._of_scan, sizing_mode="stretch_width", min_width=480)
        self.panel: Any = pn.Row(left, right, css_classes=["pc-model"], sizing_mode="stretch_width")

    def show(self, scan: LiveScan | None) -> None:
        """Bring all parts up to date."""
        self._shelf.show(scan)
        self._training.show(scan)
        self._reliability.show(self._shelf.model_in_use(scan))
        names = self._class_names(scan)
        newest = newest_trained(self._shelf.models)
        _say(self._card, card_html(*newest, self._words, names) if newest is not None else "")
        if scan is None or scan.is_map or not scan.header.classes:
            self._of_scan.visible = False
            key = "map.one_scan" if scan is not None and scan.is_map else "model.no_scan_here"
            _say(self._note, f"<p class='hint'>{html.escape(self._words(key))}</p>")
            return
        problem = self._read(scan)
        _say(self._note, f"<p class='bad'>{html.escape(problem)}</p>" if problem else "")
        self._blind.show(scan, self._checks, self._claims.rows, names)
        self._queue.show(scan, self._claims, self._checks.rows, names)
        self._of_scan.visible = True

    def _read(self, scan: LiveScan) -> str:
        """Read what people said of the scan; return why that failed, empty if it did not."""
        if scan is not self._scan:
            self._scan, self._read_s = scan, -_READ_S
            self._claims = ClaimBook(label_path(self._hub.directory, scan.header.raw_uid))
            self._checks = BlindBook(blind_path(self._hub.directory, scan.header.raw_uid))
        if time.monotonic() - self._read_s < _READ_S:
            return ""
        self._read_s = time.monotonic()
        try:
            self._claims.refresh()
            self._checks.refresh()
        except PhasecastError as error:
            return str(error)
        return ""

    def _class_names(self, scan: LiveScan | None) -> dict[str, str]:
        classes = scan.header.classes if scan is not None else ()
        return {phase.id: self._words.name_of(phase.name_en, phase.name_ja) for phase in classes}


def _say(pane: Any, content: str) -> None:
    if pane.object != content:
        pane.object = content
