"""The page as people meet it: the real process, a real browser, a real scan; one data directory for all of it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from phasecast.core.words import catalogue
from phasecast.results import open_result
from phasecast.services.page_controls import choose_layer, show_scans
from support.browser import WINDOW, PageServer, Tab, chromium_or_skip, page_server
from support.daemon import Setup, beamline, wait_until
from support.result_gallery import odd_results, write_broken_results, write_odd_results

pytestmark = pytest.mark.slow

ROWS, COLUMNS = 12, 20
POINTS = ROWS * COLUMNS


@dataclass
class Night:
    """A data directory with one scan that a page watched while it ran, and whatever else lies about."""

    setup: Setup
    server: PageServer
    scan: str
    history: list[dict[str, Any]]
    odd: dict[str, Path]
    broken: dict[str, Path]

    def url(self, **query: str) -> str:
        return self.server.url(**{"scan": self.scan, **query})


@pytest.fixture(scope="session")
def night(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """The page is open before the scan begins; daemon and page stay."""
    chromium_or_skip()
    folder = tmp_path_factory.mktemp("night")
    with contextlib.ExitStack() as stack:
        setup = stack.enter_context(beamline(folder, shape=f"{ROWS}x{COLUMNS}", rate=50))
        daemon = setup.start_daemon(reports=True)
        server = stack.enter_context(page_server(setup.data_dir, folder))
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        stack.callback(context.close)
        tab = Tab(context)
        tab.page.goto(server.url())
        tab.wait("phasecastProbe.pixels('map') !== null")
        tab.page.evaluate("phasecastProbe.watch('map')")
        setup.begin()
        wait_until(lambda: setup.results, "the result file", process=daemon)
        tab.wait(f"phasecastProbe.shown.some(entry => entry.points_done === {POINTS})", timeout_ms=180_000)
        history = tab.page.evaluate("phasecastProbe.shown")
        (result,) = setup.results
        wait_until(result.with_suffix(".json").exists, "the end of the scan", process=daemon)
        assert tab.journal.lines == []
        context.close()
        yield Night(
            setup=setup,
            server=server,
            scan=result.name,
            history=history,
            odd=write_odd_results(setup.data_dir / "results"),
            broken=write_broken_results(setup.data_dir / "results", result),
        )


def test_map_fills_while_a_scan_runs(night):
    done = [entry["points_done"] for entry in night.history]
    assert done == sorted(done)
    on_the_way = {count for count in done if 0 < count < POINTS}
    assert len(on_the_way) >= 5
    assert done[-1] == POINTS
    # a picture with more points has other pixels than the one before, unless it came while that was being looked at
    for before, after in zip(night.history, night.history[1:], strict=False):
        if after["points_done"] > before["points_done"] and after["known_ms"] > before["shown_ms"]:
            assert after["repainted"], (before, after)
    assert sum(entry["repainted"] for entry in night.history) >= 5


def test_threshold_moves_the_composite(night, tab):
    tab.open(night.url())
    at_half = tab.settle()
    handle = tab.page.locator(".pc-threshold .noUi-handle").first
    handle.focus()
    # as fast as keys repeat: no step may be lost
    for _ in range(6):
        handle.press("ArrowRight")
    tab.page.locator(".pc-threshold .bk-slider-value").get_by_text("0.80").wait_for()
    tab.wait(f"phasecastProbe.pixels('map') !== {at_half}")
    for _ in range(6):
        handle.press("ArrowLeft")
    tab.page.locator(".pc-threshold .bk-slider-value").get_by_text("0.50").wait_for()
    tab.wait(f"phasecastProbe.pixels('map') === {at_half}")


def place_of(night: Night, point: int) -> tuple[float, float]:
    with open_result(night.setup.data_dir / "results" / night.scan) as result:
        ledger = result.ledger
        return float(ledger["x_um"][point]), float(ledger["y_um"][point])


def test_click_shows_pattern_and_frame(night, tab):
    tab.open(night.url())
    tab.settle()
    figures = ("pattern", "frame", "bars")
    assert [tab.pixels(figure) for figure in figures] == [None] * 3, "nothing is drawn before a point is chosen"
    tab.click_map(*place_of(night, 130))
    for figure in figures:
        tab.wait(f"phasecastProbe.pixels('{figure}') !== null")
        tab.settle(figure)
    words = tab.text(".pc-point")
    assert "130" in words
    x_um, y_um = place_of(night, 130)
    assert f"{x_um:.1f}" in words
    assert f"{y_um:.1f}" in words
    first = {figure: tab.pixels(figure) for figure in figures}
    tab.click_map(*place_of(night, 10))
    for figure, pixels in first.items():
        assert tab.wait_repaint(pixels, figure) != pixels


def test_every_small_map_has_room_for_its_title(night, tab):
    tab.open(night.url())
    tab.wait("phasecastProbe.pixels('multiple-goethite') !== null")
    room = "(name => { const map = phasecastProbe.model(name); return map.outer_height - map.inner_height })"
    assert tab.page.evaluate(f"{room}('multiple-goethite')") > 10


def test_a_micrometre_is_as_long_upwards_as_sideways(night, tab):
    tab.open(night.url())
    tab.wait("phasecastProbe.pixels('multiple-goethite') !== null")
    for window in (WINDOW, {"width": 1700, "height": 700}, {"width": 1180, "height": 1000}):
        tab.page.set_viewport_size(window)
        for figure in ("map", "multiple-goethite"):
            tab.settle(figure)
            here, there = (tab.page.evaluate(f"phasecastProbe.place('{figure}', {um}, {um})") for um in (0, 10))
            assert there["x"] - here["x"] == pytest.approx(here["y"] - there["y"], rel=0.01), (figure, window)
            assert there["x"] - here["x"] > 10


def test_label_survives_a_reload_and_reaches_others(night, new_tab):
    tab, other = (new_tab().open(night.url(point="77")) for _ in range(2))
    tab.page.locator(".pc-who input").fill("森 博")
    tab.page.locator(".pc-who input").press("Enter")
    tab.page.locator(".pc-label-classes").get_by_text("Goethite", exact=True).click()
    tab.page.locator(".pc-label-note input").fill("broad line at 21°")
    tab.page.locator(".pc-label-note input").press("Enter")
    tab.page.locator(".pc-label-save button").click()
    for seen_by in (tab, other):
        seen_by.page.locator(".pc-label-list").get_by_text("point 77").first.wait_for()
    tab.page.reload()
    listed = tab.page.locator(".pc-label-list")
    listed.get_by_text("point 77").first.wait_for()
    words = tab.text(".pc-label-list")
    for said in ("Goethite", "森 博", "broad line at 21°"):
        assert said in words
    (journal,) = (night.setup.data_dir / "labels").glob("*.jsonl")
    assert "森 博" in journal.read_text(encoding="utf-8")
    tab.page.locator(".pc-who input").fill("森 博")
    tab.page.locator(".pc-who input").press("Enter")
    tab.page.locator(".pc-label-undo button").click()
    listed.get_by_text("point 77").first.wait_for(state="detached")


def test_link_leads_to_a_point_and_a_layer(night, tab):
    tab.open(night.url())
    composite = tab.settle()
    choose_layer(tab.page, "total")
    total = tab.wait_repaint(composite)
    tab.open(night.url(layer="total", point="57"))
    assert tab.settle() != composite
    tab.wait("phasecastProbe.pixels('frame') !== null")
    assert "57" in tab.text(".pc-point")
    assert total != composite


def test_japanese_renders(night, tab):
    tab.open(night.url(lang="ja"))
    tab.settle()
    words = tab.text()
    for key in ("common.threshold", "common.confidence_note", "page.layer", "scans.tab"):
        assert catalogue()[key]["ja"] in words
    kanji = sorted({letter for letter in words if "\u3040" <= letter <= "\u9fff"})
    assert len(kanji) > 30
    assert tab.page.evaluate(NOT_DRAWN, kanji) == []
    # a letter that no font has must be found out
    assert tab.page.evaluate(NOT_DRAWN, ["\ue0f3"]) == ["\ue0f3"]


NOT_DRAWN = """letters => {
  const draw = letter => {
    const canvas = new OffscreenCanvas(40, 40), context = canvas.getContext('2d');
    context.font = `28px ${getComputedStyle(document.body).fontFamily}`;
    context.fillText(letter, 4, 30);
    return Array.from(context.getImageData(0, 0, 40, 40).data).join();
  };
  const box = draw('\\u{e0f4}'), nothing = draw(' ');
  return letters.filter(letter => [box, nothing].includes(draw(letter)));
}"""


def test_two_people_see_the_same(night, new_tab):
    tabs = [new_tab().open(night.url()) for _ in range(2)]
    pictures = [tab.settle() for tab in tabs]
    assert pictures[0] == pictures[1]
    assert tabs[0].clock == tabs[1].clock
    # each has a view of its own
    choose_layer(tabs[0].page, "ledger")
    tabs[0].wait_repaint(pictures[0])
    assert tabs[1].settle() == pictures[1]


def test_files_that_cannot_be_opened_are_listed_with_the_reason(night, tab):
    tab.open(night.url())
    show_scans(tab.page)
    for kind, path in night.broken.items():
        row = tab.page.locator(".pc-scans tr").filter(has_text=path.name)
        reason = row.locator(".pc-why").inner_text()
        assert REASONS[kind] in reason
        assert row.locator(".pc-open").count() == 0


REASONS = {
    "foreign": "not readable as HDF5",
    "strange": "no phasecast result",
    "half": "cut short",
    "locked": "open for writing",
    "missing": "No such file",
    "hollow": "empty",
}


@pytest.mark.parametrize("kind", ["foreign", "half", "missing"])
def test_link_to_a_file_that_cannot_be_opened_says_why(night, tab, kind):
    tab.page.goto(night.url(scan=night.broken[kind].name))
    tab.page.get_by_text(night.broken[kind].name).first.wait_for()


@pytest.mark.parametrize("kind", list(odd_results()))
def test_odd_results_render(night, tab, kind):
    tab.open(night.url(scan=night.odd[kind].name, point="0"))
    tab.settle()
    assert tab.clock["points_done"] == (0 if kind == "empty" else len(odd_results()[kind].x_um))
    for layer in ("total", "ledger"):
        choose_layer(tab.page, layer)
    tab.settle()
    assert tab.pixels() is not None


def test_missing_frame_says_where_it_was_looked_for(night, tab):
    tab.open(night.url(scan=night.odd["one_row"].name, point="3"))
    tab.page.locator(".pc-frame-note").get_by_text("20260101T000000-測定.cap").first.wait_for()
    assert "Traceback" not in tab.text()


def test_killed_page_comes_back_on_the_same_scan(night, browser):
    context = browser.new_context(viewport=WINDOW)
    tab = Tab(context).open(night.url(scan=night.odd["one_row"].name))
    picture = tab.settle()
    night.server.kill()
    night.server.start()
    # the tab was not touched: it finds the new process by itself
    tab.page.wait_for_event("load")
    tab.wait("phasecastProbe.clock()?.points_done === 12 && phasecastProbe.pixels('map') !== null")
    assert not [line for line in tab.journal.lines if line.startswith("exception")]
    tab.journal.errors.clear()
    choose_layer(tab.page, "total")
    tab.wait_repaint(picture)
    assert f"scan={night.odd['one_row'].name}" in tab.page.url
    assert tab.journal.lines == []
    context.close()
