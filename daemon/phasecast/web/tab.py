"""What every tab beside the map is to the page."""

from typing import Any, Protocol

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
