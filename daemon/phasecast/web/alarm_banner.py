"""The one banner: the gravest alarm that nobody has seen, what to do about it, and a button for the person who has."""

import html
from collections.abc import Sequence
from datetime import datetime

import panel as pn

from phasecast.core.errors import PhasecastError
from phasecast.core.requests import Acknowledge
from phasecast.records.alarms import Alarm
from phasecast.web.asking import Asking
from phasecast.web.hub import Hub
from phasecast.web.keys import Keys
from phasecast.web.session import Session
from phasecast.web.theme import PARTS


class AlarmBanner:
    """Shows alarms and takes acknowledgements.

    Parameters
    ----------
    hub
        Knows the alarms.
    session
        Words, and who looks.
    keys
        Makes the sound.
    """

    def __init__(self, hub: Hub, session: Session, keys: Keys) -> None:
        self._hub, self._session, self._keys = hub, session, keys
        self._words = session.words
        self._shown: Alarm | None = None
        self._text = pn.pane.HTML("", stylesheets=[PARTS], css_classes=["pc-alarm-text"], sizing_mode="stretch_width")
        self._button = pn.widgets.Button(
            name=self._words("alarm.acknowledge"), button_type="danger", css_classes=["pc-alarm-acknowledge"], width=130
        )
        self._button.on_click(lambda _: self._acknowledge())
        self._asking = Asking(hub.mailbox, self._words, "pc-alarm-answer")
        self.panel = pn.Column(
            pn.Row(self._text, self._button, sizing_mode="stretch_width"),
            self._asking.line,
            css_classes=["pc-alarm"],
            sizing_mode="stretch_width",
            visible=False,
            styles={
                "background": "#FCE8E6",
                "border-left": "6px solid #CC3311",
                "margin": "4px 0",
                "padding": "2px 8px",
            },
        )

    def show(self) -> None:
        """Bring the banner up to date."""
        self._asking.look()
        waiting = self._hub.alarms()
        self._keys.alarms = " ".join(alarm.id for alarm in waiting)
        self.panel.visible = bool(waiting)
        self._shown = waiting[0] if waiting else None
        if waiting:
            text = self._describe(waiting)
            if text != self._text.object:
                self._text.object = text

    def _describe(self, waiting: Sequence[Alarm]) -> str:
        words, alarm = self._words, waiting[0]
        since = words("alarm.since", time=datetime.fromtimestamp(alarm.since_s).strftime("%H:%M:%S"))
        more = f" · {words('page.more_alarms', count=len(waiting) - 1)}" if len(waiting) > 1 else ""
        return (
            f"<div class='alarm'><b>⚠ {html.escape(alarm.what(words))}</b> <small>{html.escape(since + more)}</small>"
            f"<p>{html.escape(alarm.remedy(words))}</p></div>"
        )

    def _acknowledge(self) -> None:
        if self._shown is None:
            return
        if not self._session.view.who.strip():
            self._asking.refuse(self._words("page.name_first"))
            return
        try:
            request: Acknowledge | PhasecastError = Acknowledge(
                alarm_id=self._shown.id, who=self._session.view.who.strip()
            )
        except PhasecastError as error:
            request = error
        self._asking.ask(request)
