"""What every tab beside the map is to the page, and how it waits until somebody looks."""

import html
import time
from collections.abc import Callable
from typing import Any, Protocol

import panel as pn

from phasecast.web.live_scan import LiveScan
from phasecast.web.theme import PARTS

_BUILDING_S = 0.8
"""Time a browser is given to build a tab before anything on it changes."""


class Tab(Protocol):
    """One tab of one session; made by its class from (hub, session)."""

    title_key: str
    """Entry of the catalogue that names it."""
    panel: Any
    """What it shows."""

    def show(self, scan: LiveScan | None) -> None:
        """Bring it up to date; called at every tick while it is in front, cheap where nothing changed.

        Never raises for what a file holds: it says so on the tab.
        """
        ...


class LazyTab:
    """A tab that is built when it first comes to the front: most sessions never leave the map.

    Parameters
    ----------
    title_key
        Entry of the catalogue that names it.
    make
        Builds the tab.
    not_for_maps
        What it says instead of showing a map of several scans; empty if it can show one.
    """

    def __init__(self, title_key: str, make: Callable[[], Tab], not_for_maps: str = "") -> None:
        self.title_key = title_key
        self._make = make
        self._not_for_maps = not_for_maps
        self._note: Any = None
        self._tab: Tab | None = None
        self._sent_s = 0.0
        self.panel = pn.Column(sizing_mode="stretch_width")

    def show(self, scan: LiveScan | None) -> None:
        """Build the tab if need be, and bring it up to date."""
        refused = scan is not None and scan.is_map and bool(self._not_for_maps)
        if refused and self._note is None:
            text = f"<p class='hint'>{html.escape(self._not_for_maps)}</p>"
            self._note = pn.pane.HTML(text, stylesheets=[PARTS], css_classes=["pc-not-for-maps"])
            self.panel.insert(0, self._note)
        if self._note is not None:
            self._note.visible = refused
        if self._tab is not None:
            self._tab.panel.visible = not refused
        if refused:
            return
        if self._tab is None:
            # Shown before it is sent: a browser that is told of a change while it still builds the widget fails.
            self._tab = self._make()
            self._tab.show(scan)
            self.panel.append(self._tab.panel)
            self._sent_s = time.monotonic()
        elif time.monotonic() - self._sent_s > _BUILDING_S:
            self._tab.show(scan)
