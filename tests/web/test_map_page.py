"""A map of several scans on the page: listed, opened, asked for a point, exported, and found again by its address."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.ledger import PointState
from phasecast.core.words import words
from phasecast.results.composed_map import open_map
from phasecast.web.colours import STATE_COLOURS, pixel
from support.browser import PageServer, Tab, chromium_or_skip, page_server
from support.map_results import write_scan

pytestmark = pytest.mark.slow

PATIENCE_MS = 120_000
"""What the page has made by processes of low priority comes late on a busy machine."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An aborted scan and its continuation, which measures two rows again, and a scan of another map."""
    directory = DataDirectory(tmp_path_factory.mktemp("map") / "data").create()
    write_scan(directory.results, "a", shape=(6, 5), done=17, exit_status="abort")
    write_scan(directory.results, "b", shape=(5, 5), origin=(0, 2), started=600, class_index=3, bad=(21,))
    write_scan(directory.results, "alone", metadata={"map": "B-1"}, started=-600)
    return directory.results


@pytest.fixture(scope="module")
def server(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    chromium_or_skip()
    with page_server(results.parent, tmp_path_factory.mktemp("log")) as server:
        yield server


def front(tab: Tab, key: str) -> None:
    tab.page.locator(".bk-tab", has_text=words("en")(key)).click()


def test_a_map_is_listed_opened_asked_exported_and_found_again(server: PageServer, results: Path, tab: Tab) -> None:
    tab.open(server.url(scan="alone.nxs"))
    front(tab, "scans.tab")
    row = tab.page.locator("tr.map")
    row.get_by_text("25 superseded").wait_for(timeout=PATIENCE_MS)
    assert "2 scans, 55 points" in row.inner_text()
    assert tab.page.locator("tr.part").count() == 2
    assert tab.page.locator("tr:not(.map):not(.part) .pc-open").count() == 1
    row.locator(".pc-open-map").click()
    tab.page.locator(".pc-map-facts").wait_for()
    assert "scan=map%2FA-3" in tab.page.url
    with open_map([results / "a.nxs", results / "b.nxs"]) as whole:
        ledger = whole.ledger
    assert tab.clock["points_done"] == np.count_nonzero(ledger["state"].values == PointState.DONE) == 29

    # the row that both measured: the point that counts is of the second scan
    tab.settle()
    tab.click_map(2.0, 2.0)
    source = tab.page.locator(".pc-source")
    source.wait_for()
    assert source.inner_text() == "point 1 of b"
    tab.wait("phasecastProbe.model('bars-source').data.name.length === 9")
    facts = tab.text(".pc-map-facts").replace("\n", "")
    assert "a.nxs: 5 of 30 points count" in facts
    assert "b.nxs: 24 of 25 points count" in facts

    tab.page.locator(".pc-layer select").select_option(label=words("en")("page.ledger_layer"))
    tab.wait("phasecastProbe.model('map-source').data.image[0].length > 0")
    superseded = int(pixel(STATE_COLOURS[PointState.SUPERSEDED]))
    tab.wait(f"Array.from(phasecastProbe.model('map-source').data.image[0]).includes({superseded})")
    assert "superseded: 25" in tab.text(".pc-legend")

    with tab.page.expect_download(timeout=PATIENCE_MS) as download:
        tab.page.locator(".pc-export-repair_csv").click()
    lines = list(csv.DictReader(Path(download.value.path()).read_text("utf-8-sig").splitlines()))
    assert [(line["file"], line["point"]) for line in lines] == [("b.nxs", "21")]
    front(tab, "regions.tab")
    tab.page.locator(".pc-not-for-maps").wait_for()
    tab.open(tab.page.url)
    source.wait_for()
    assert source.inner_text() == "point 1 of b"
    assert tab.clock["points_done"] == 29
    source.click()
    tab.wait("phasecastProbe.clock()?.points_done === 24")
    assert "scan=b.nxs" in tab.page.url
