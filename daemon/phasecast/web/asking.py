"""Asking for something through the mailbox, and telling the person what came of it."""

import html

import panel as pn

from phasecast.core.errors import PhasecastError
from phasecast.core.requests import Request
from phasecast.core.words import Words
from phasecast.records.mailbox import Mailbox, RequestId
from phasecast.web.theme import PARTS


class Asking:
    """One line that says how the last request of a part of the page fares.

    Parameters
    ----------
    mailbox
        Where requests go.
    words
        Of the session.
    css_class
        Class of the line, for style and tests.
    """

    def __init__(self, mailbox: Mailbox, words: Words, css_class: str) -> None:
        self._mailbox, self._words = mailbox, words
        self._waiting: RequestId | None = None
        self.last: RequestId | None = None
        """The last request that was granted."""
        self.line = pn.pane.HTML("", stylesheets=[PARTS], css_classes=[css_class], sizing_mode="stretch_width")

    def ask(self, make: "Request | PhasecastError") -> None:
        """Send a request, or say why it cannot even be made."""
        if isinstance(make, PhasecastError):
            self._say(str(make), "bad")
            return
        try:
            self._waiting = self._mailbox.submit(make)
        except PhasecastError as error:
            self._say(str(error), "bad")
            return
        self._say(self._words("page.saving"), "hint")

    def refuse(self, text: str) -> None:
        """Say why nothing was asked for."""
        self._say(text, "bad")

    def look(self) -> bool:
        """Look for the answer; return whether one came now."""
        if self._waiting is None:
            return False
        answer = self._mailbox.answer(self._waiting)
        if answer is None:
            return False
        if answer.ok:
            self.last = self._waiting
        self._waiting = None
        text = self._words(answer.key, **answer.values) if answer.key else answer.detail
        self._say(text, "good" if answer.ok else "bad")
        return True

    def _say(self, text: str, kind: str) -> None:
        self.line.object = f"<p class='{kind}'>{html.escape(text)}</p>"
