"""Works the controls of the page as a person does, for the benchmark and the screenshots."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


def choose_layer(tab: "Page", layer: str) -> None:
    """Show another layer of the map: ``composite``, a class, ``unsure``, ``ledger`` or ``total``."""
    tab.locator(".pc-layer select").select_option(layer)


def open_from_list(tab: "Page", scan: str) -> None:
    """Open a scan by a click on its file name in the list of scans."""
    tab.locator(".pc-scans").get_by_text(scan, exact=False).first.click()
