"""Works the controls of the page as a person does, for the benchmark and the screenshots."""

from typing import TYPE_CHECKING

from phasecast.core.words import words

if TYPE_CHECKING:
    from playwright.sync_api import Page


_LAYER_WORDS = {name: f"page.{name}_layer" for name in ("unsure", "ledger", "total")} | {"composite": "page.composite"}


def choose_layer(tab: "Page", layer: str, *, language: str = "en") -> None:
    """Show another layer of the map: ``composite``, ``unsure``, ``ledger``, ``total``, or a class by its name."""
    label = words(language)(_LAYER_WORDS[layer]) if layer in _LAYER_WORDS else layer
    tab.locator(".pc-layer select").select_option(label=label)


def open_tab(tab: "Page", key: str, *, language: str = "en") -> None:
    """Bring another part of the page into view, by the key of its title in the catalogue of words."""
    tab.locator(".bk-tab").get_by_text(words(language)(key), exact=True).click()


def show_scans(tab: "Page", *, language: str = "en") -> None:
    """Bring the list of scans into view."""
    open_tab(tab, "scans.tab", language=language)
    tab.locator(".pc-scans").first.wait_for()


def open_from_list(tab: "Page", scan: str) -> None:
    """Open a scan by a click on its file name in the list of scans, which is in view."""
    tab.locator(".pc-scans .pc-open").get_by_text(scan, exact=True).click()
