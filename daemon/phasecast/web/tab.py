"""What every tab beside the map is to the page, and how it waits until somebody looks."""

from collections.abc import Callable
from typing import Any, Protocol

import panel as pn

from phasecast.web.live_scan import LiveScan


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
    """

    def __init__(self, title_key: str, make: Callable[[], Tab]) -> None:
        self.title_key = title_key
        self._make = make
        self._tab: Tab | None = None
        self.panel = pn.Column(sizing_mode="stretch_width")

    def show(self, scan: LiveScan | None) -> None:
        """Build the tab if need be, and bring it up to date."""
        if self._tab is None:
            self._tab = self._make()
            self.panel.append(self._tab.panel)
        self._tab.show(scan)
