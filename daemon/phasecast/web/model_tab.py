"""The tab of the model: which one is in use, and everything by which it gets better and is judged."""

from typing import Any

import panel as pn

from phasecast.web.hub import Hub
from phasecast.web.live_scan import LiveScan
from phasecast.web.model_card import card_html, newest_trained
from phasecast.web.model_shelf import ModelShelfPart
from phasecast.web.model_training import ModelTrainingPart
from phasecast.web.session import Session
from phasecast.web.theme import PARTS


class ModelTab:
    """Model in use, training, and what came of it, for one session.

    Parameters
    ----------
    hub
        What all sessions share.
    session
        Words, view, and who looks.
    """

    title_key = "model.tab"

    def __init__(self, hub: Hub, session: Session) -> None:
        self._words = session.words
        self._shelf = ModelShelfPart(hub, session)
        self._training = ModelTrainingPart(hub, session)
        self._card = pn.pane.HTML("", stylesheets=[PARTS], css_classes=["pc-model-card"], sizing_mode="stretch_width")
        left = pn.Column(
            self._shelf.panel, self._training.panel, self._card, sizing_mode="stretch_width", min_width=560
        )
        right = pn.Column(sizing_mode="stretch_width", min_width=480)
        self.panel: Any = pn.Row(left, right, css_classes=["pc-model"], sizing_mode="stretch_width")

    def show(self, scan: LiveScan | None) -> None:
        """Bring all parts up to date."""
        self._shelf.show(scan)
        self._training.show(scan)
        newest = newest_trained(self._shelf.models)
        names = _class_names(scan, self._words.name_of)
        content = card_html(*newest, self._words, names) if newest is not None else ""
        if content != self._card.object:
            self._card.object = content


def _class_names(scan: LiveScan | None, name_of: Any) -> dict[str, str]:
    classes = scan.header.classes if scan is not None else ()
    return {phase.id: name_of(phase.name_en, phase.name_ja) for phase in classes}
