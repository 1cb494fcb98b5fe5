"""Declares over a scan that will never stop by itself; asked for twice, because it cannot be undone."""

import time

import panel as pn

from phasecast.core.errors import PhasecastError
from phasecast.core.requests import CloseScan
from phasecast.web.asking import Asking
from phasecast.web.hub import Hub
from phasecast.web.live_scan import LiveScan
from phasecast.web.session import Session

_ARMED_S = 6.0


class CloseButton:
    """The button of one session; only there while the scan in view runs.

    Parameters
    ----------
    hub
        Mailbox, and whether a daemon writes the scan.
    session
        Words, and who looks.
    """

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._session = hub, session
        self._words = session.words
        self._scan: LiveScan | None = None
        self._armed_s = -_ARMED_S
        self._asking = Asking(hub.mailbox, self._words, "pc-close-answer")
        self._button = pn.widgets.Button(name=self._words("page.close_scan"), css_classes=["pc-close"], width=230)
        self._button.on_click(lambda _: self._clicked())
        self.panel = pn.Column(self._button, self._asking.line, width=250, visible=False)

    def show(self, scan: LiveScan | None, name: str) -> None:
        """Bring the button up to date."""
        self._asking.look()
        self._scan = scan
        self.panel.visible = scan is not None and self._hub.is_live(name)
        armed = time.monotonic() - self._armed_s < _ARMED_S
        self._button.name = self._words("page.close_scan_really" if armed else "page.close_scan")
        self._button.button_type = "danger" if armed else "default"

    def _clicked(self) -> None:
        who = self._session.view.who.strip()
        if self._scan is None:
            return
        if not who:
            self._asking.refuse(self._words("page.name_first"))
            return
        if time.monotonic() - self._armed_s >= _ARMED_S:
            self._armed_s = time.monotonic()
            return
        self._armed_s = -_ARMED_S
        try:
            self._asking.ask(CloseScan(scan_uid=self._scan.header.raw_uid, who=who))
        except PhasecastError as error:
            self._asking.refuse(str(error))
