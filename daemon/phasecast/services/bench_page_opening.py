"""How long people wait for a large scan, and for another layer of it."""

import time
from typing import TYPE_CHECKING, Any

from phasecast.services.bench_page_watchers import MAP, WINDOW
from phasecast.services.chromium import BrowserJournal, open_chromium, probe_script
from phasecast.services.page_controls import choose_layer, open_from_list, show_scans
from phasecast.services.page_process import PageProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LAYERS = ("ledger", "total", "unsure", "Goethite", "Ferrite", "composite")
_LIMIT_MS = 30_000


def opening_times(page: PageProcess, *, scan: str, other_scan: str, points: int) -> dict[str, Any]:
    """Open a scan by its address and from the list, and switch layers; return times in ms to the last changed pixel.

    Parameters
    ----------
    page
        The process.
    scan, other_scan
        Names of result files: the one to open, and the one that is shown before.
    points
        Points done in the scan.

    Raises
    ------
    PhasecastError
        If there is no Chromium.
    """
    journal = BrowserJournal()
    with open_chromium() as browser:
        tab = _new_tab(browser, journal)
        begin_s = time.time()
        tab.goto(page.url(scan=scan), wait_until="commit")
        by_address = _settled(tab, begin_s, points=points, blank=True)
        tab.context.close()

        tab = _new_tab(browser, journal)
        tab.goto(page.url(scan=other_scan))
        tab.wait_for_function("() => phasecastProbe.clock() !== null && phasecastProbe.pixels('map') !== null")
        _settled(tab, time.time(), limit_ms=2000)
        show_scans(tab)
        tab.locator(".pc-open").get_by_text(scan, exact=True).wait_for()
        begin_s = time.time()
        open_from_list(tab, scan)
        from_list = _settled(tab, begin_s, points=points)
        layers = {}
        for layer in LAYERS:
            begin_s = time.time()
            choose_layer(tab, layer)
            layers[layer] = _settled(tab, begin_s, points=points)
    return {
        "points": points,
        "opened_by_address_ms": by_address,
        "opened_from_list_ms": from_list,
        "layer_ms": layers,
        "errors": journal.lines,
    }


def _new_tab(browser: "Browser", journal: BrowserJournal) -> "Page":
    context = browser.new_context(viewport={"width": WINDOW[0], "height": WINDOW[1]})
    journal.watch(context)
    tab = context.new_page()
    tab.set_default_timeout(_LIMIT_MS)
    tab.add_init_script(probe_script())
    return tab


def _settled(
    tab: "Page", begin_s: float, *, points: int | None = None, limit_ms: int = _LIMIT_MS, blank: bool = False
) -> float | None:
    """Time in ms from `begin_s` (POSIX) to the last change of the map; None if it did not change in time."""
    took: float | None = tab.evaluate(
        "([figure, begin, options]) => phasecastProbe.settled(figure, begin, options)",
        [MAP, begin_s * 1e3, {"points": points, "limit_ms": limit_ms, "blank": blank}],
    )
    return took
