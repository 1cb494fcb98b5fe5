"""How far the second opinion on a scan is, said above the map while its layer is shown."""

import html
from typing import Any

import panel as pn

from phasecast.core.words import Words
from phasecast.web.hub import Hub
from phasecast.web.layers import DISAGREEMENT, LayerKey
from phasecast.web.live_scan import LiveScan
from phasecast.web.theme import PARTS


class OpinionNote:
    """One line; it also sees to it that the opinion is asked for.

    Parameters
    ----------
    hub
        Knows the opinions.
    words
        Of the session.
    """

    def __init__(self, hub: Hub, words: Words) -> None:
        self._hub, self._words = hub, words
        self.panel: Any = pn.pane.HTML("", stylesheets=[PARTS], css_classes=["pc-opinion"], sizing_mode="stretch_width")

    def show(self, scan: LiveScan, key: LayerKey) -> None:
        """Bring line and layer up to date."""
        content = ""
        if key.name == DISAGREEMENT:
            known, done, failure = self._hub.opinions.look(scan)
            if failure:
                kind, text = "bad", self._words("page.opinion_failed", reason=failure)
            elif known < done:
                kind, text = "warn", self._words("page.opinion_progress", done=known, points=done)
            else:
                kind, text = "hint", self._words("page.opinion_done", points=done)
            content = f"<p class='{kind}'>{html.escape(text)}</p>"
        if content != self.panel.object:
            self.panel.object = content
