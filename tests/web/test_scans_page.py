"""Scans, comparison, exports, sample form and the password, in a real browser before a real page process."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.words import words
from phasecast.sinks.nexus import NexusSink
from support.browser import PageServer, Tab, chromium_or_skip, page_server
from support.documents import raster_scan
from support.results import write_result

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)> 太字 & 'q' \"#?%.nxs"
PASSWORD = "鍵 <key> #1"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two results of one scan that differ in seven points, one with a name to fall over, and a file that is none."""
    directory = DataDirectory(tmp_path_factory.mktemp("scans") / "data").create()
    run = write_result(directory, "first.nxs")
    second = raster_scan()
    confidence = run.confidences(np.arange(20))
    confidence[:7, 0] = 1 - (confidence[:7, 0] >= 0.5)
    second.confidence = confidence
    with NexusSink(directory.results / HOSTILE) as sink:
        for document in second.documents(20):
            sink(*document)
    (directory.results / "foreign.nxs").write_text("a shopping list")
    return directory.results


@pytest.fixture(scope="module")
def server(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    chromium_or_skip()
    folder = tmp_path_factory.mktemp("log")
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    with page_server(results.parent, folder, "--password-file", str(folder / "password")) as server:
        yield server


def enter(tab: Tab, url: str, password: str = PASSWORD) -> None:
    tab.page.goto(url)
    tab.page.fill("input[type=password]", password)
    tab.page.click("button")


def front(tab: Tab, key: str, language: str = "en") -> None:
    """Bring a tab of the page to the front."""
    tab.page.locator(".bk-tab", has_text=words(language)(key)).click()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def test_neither_page_nor_files_without_the_password(server, results, tab):
    (results.parent / "reports" / "first.html").write_text("the report")
    root = server.url().split("?")[0].rstrip("/")
    opener = urllib.request.build_opener(_Stay)
    for path in ("/", "/results/first.nxs", "/reports/first.html", f"/results/{quote(HOSTILE)}"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            opener.open(root + path)
        assert refused.value.code == 302
        assert "login" in refused.value.headers["Location"]
    enter(tab, server.url(), "wrong")
    for language in ("en", "ja"):
        tab.page.get_by_text(words(language)("login.wrong_password")).wait_for()
    tab.page.fill("input[type=password]", PASSWORD)
    tab.page.click("button")
    tab.wait("phasecastProbe.clock() !== null")
    answer = tab.context.request.get(f"{root}/results/first.nxs")
    assert answer.body() == (results / "first.nxs").read_bytes()


def test_result_opens_from_the_list_and_can_be_taken_along_and_compared(server, results, tab):
    enter(tab, server.url(scan="first.nxs"))
    tab.wait("phasecastProbe.clock() !== null")
    front(tab, "scans.tab")
    tab.page.locator(".pc-why", has_text="HDF5").wait_for()
    tab.page.locator(".pc-open", has_text="太字").click()
    tab.page.locator(".pc-export-nexus[download*='太字']").wait_for()
    assert quote("太字") in tab.page.url
    with tab.page.expect_download() as nexus:
        tab.page.locator(".pc-export-nexus").click()
    assert Path(nexus.value.path()).read_bytes() == (results / HOSTILE).read_bytes()
    with tab.page.expect_download() as table:
        tab.page.locator(".pc-export-csv").click()
    assert Path(table.value.path()).read_bytes().startswith(b"\xef\xbb\xbfpoint,")
    front(tab, "compare.tab")
    tab.page.get_by_text("7 of 20 points changed class").wait_for()
    place = tab.page.evaluate("phasecastProbe.place('compare-changes', 100, 50)")
    tab.page.mouse.click(place["x"], place["y"])
    tab.wait("phasecastProbe.model('compare-bars-source').data.name.length === 9")
    assert tab.page.locator("img").count() == 0


def test_sample_form_is_kept_and_seen_by_others(server, new_tab):
    tab = new_tab()
    enter(tab, server.url(scan="first.nxs", lang="ja"))
    tab.wait("phasecastProbe.clock() !== null")
    tab.page.locator(".pc-who input").fill("青木")
    tab.page.locator(".pc-who input").press("Enter")
    front(tab, "sample.tab", "ja")
    field = tab.page.locator(".pc-sample-material input")
    field.fill("低合金鋼 <b>SM490</b>")
    tab.page.locator(".pc-sample-save button").click()
    tab.page.get_by_text(words("ja")("answer.sample_saved")).wait_for()
    other = new_tab()
    enter(other, server.url(scan="first.nxs"))
    other.wait("phasecastProbe.clock() !== null")
    front(other, "sample.tab")
    other.page.get_by_text("低合金鋼 <b>SM490</b>").wait_for()
    assert other.page.locator(".pc-sample-material input").input_value() == "低合金鋼 <b>SM490</b>"
