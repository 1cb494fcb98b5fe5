"""Regions as people make them: drawn in a real browser, kept by the clerk, seen by others."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.region_requests import Points, Polygon
from phasecast.core.words import words
from phasecast.records.regions import inside_polygon, read_regions
from phasecast.records.surfaces import read_surface
from support.browser import PageServer, Tab, page_server
from support.layered import write_layers

pytestmark = pytest.mark.slow

SHAPE = (20, 24)
TOOLS = {"polygon": "LassoSelectTool", "parts": "FreehandDrawTool", "surface": "PointDrawTool"}
MODES = ("look", "polygon", "brush", "threshold", "parts", "surface")


@dataclass
class Bench:
    """A page over one layered scan."""

    directory: DataDirectory
    server: PageServer
    depth: np.ndarray

    def open(self, tab: Tab, *, who: str = "", **query: str) -> Tab:
        tab.open(self.server.url(scan="layers.nxs", **query))
        tab.page.locator(".bk-tab").get_by_text(words(query.get("lang", "en"))("regions.tab"), exact=True).click()
        tab.wait("phasecastProbe.pixels('regions-map') !== null")
        tab.wait("phasecastProbe.model('distance-source').data.xs.length > 0")
        if who:
            tab.page.locator(".pc-who input").fill(who)
            tab.page.locator(".pc-who input").press("Tab")
        return tab


@pytest.fixture(scope="module")
def bench(browser, tmp_path_factory) -> Iterator[Bench]:
    root: Path = tmp_path_factory.mktemp("regions")
    directory = DataDirectory(root / "data").create()
    depth = write_layers(directory.results / "layers.nxs", SHAPE, steel_rows=6)
    with page_server(directory.root, root) as server:
        yield Bench(directory, server, depth)


def turn_to(tab: Tab, mode: str) -> None:
    tab.page.locator(".pc-region-mode button").nth(MODES.index(mode)).click()
    tab.wait(f"phasecastProbe.model('regions-map').toolbar.active_drag.type === '{TOOLS[mode]}'")


def drag(tab: Tab, *places_um: tuple[float, float]) -> None:
    mouse = tab.page.mouse
    for number, (x_um, y_um) in enumerate(places_um):
        place = tab.page.evaluate(f"phasecastProbe.place('regions-map', {x_um}, {y_um})")
        mouse.move(place["x"], place["y"], steps=6)
        if number == 0:
            mouse.down()
    mouse.up()


def press(tab: Tab, css: str) -> None:
    tab.page.locator(f"{css} button").click()


def test_a_region_drawn_by_one_person_is_measured_and_reaches_others(bench, new_tab):
    tab = bench.open(new_tab())
    turn_to(tab, "polygon")
    drag(tab, (105, 64), (141, 64), (141, 74), (105, 74))
    tab.page.locator(".pc-region-draft b").wait_for()
    tab.page.locator(".pc-region-name input").fill("さび band")
    press(tab, ".pc-region-save")
    tab.page.locator(".pc-region-answer .bad").wait_for()
    assert words("en")("page.name_first") in tab.text(".pc-region-answer")
    tab.page.locator(".pc-who input").fill("Aiko")
    tab.page.locator(".pc-who input").press("Tab")
    tab.page.locator(".pc-region-name input").focus()
    press(tab, ".pc-region-save")
    tab.page.locator(".pc-region-answer .good").wait_for()
    (region,) = read_regions(bench.directory)
    assert (region.name, region.who) == ("さび band", "Aiko")
    assert isinstance(region.definition, Polygon)
    y, x = np.mgrid[50:90:2, 100:148:2].astype(float)
    points = int(inside_polygon(np.array(region.definition.vertices_um), x.ravel(), y.ravel()).sum())
    assert points > 50
    other = bench.open(new_tab(), lang="ja", theme="dark")
    other.page.locator(".pc-region-table td b").first.wait_for()
    table = other.text(".pc-region-table")
    assert f"{points} / {points}" in table
    assert words("ja")("regions.kind_polygon") in table
    assert "100 %" in table  # goethite
    with other.page.expect_download() as download:
        other.page.locator(".pc-region-csv a, .pc-region-csv button").first.click()
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert sum(line.endswith(",1") for line in lines) == points
    press(other, ".pc-region-choose")
    mean = words("ja")("page.mean_of", points=points, averaged=points)
    other.page.locator(".pc-point").get_by_text(mean).wait_for()


def test_parts_are_proposed_and_confirmed_and_the_surface_is_edited(bench, new_tab):
    tab = bench.open(new_tab(), who="Ken")
    assert words("en")("regions.line_proposed") in tab.text(".pc-distance-about")
    turn_to(tab, "parts")
    tab.page.locator(".pc-parts-sums .legend").wait_for()
    press(tab, ".pc-parts-confirm")
    tab.page.locator(".pc-surface-answer .good").wait_for()
    tab.page.locator(".pc-distance-about").get_by_text(words("en")("regions.line_confirmed", who="Ken")).wait_for()
    parts = {region.role: region for region in read_regions(bench.directory) if region.role}
    assert set(parts) == {"steel", "rust", "outside"}
    assert isinstance(parts["steel"].definition, Points)
    assert parts["steel"].definition.rows == tuple(np.flatnonzero(bench.depth < 0).tolist())
    surface = read_surface(bench.directory, "raw-layers")
    assert surface is not None
    assert surface.confirmed
    turn_to(tab, "surface")
    line = tab.data("surface-line")
    x_um, y_um = line["x"][0], line["y"][0]
    drag(tab, (x_um, y_um), (x_um, y_um + 6))
    tab.page.locator(".pc-distance-about").get_by_text(words("en")("regions.line_edited")).wait_for()
    press(tab, ".pc-surface-save")
    tab.page.locator(".pc-distance-about").get_by_text(words("en")("regions.line_confirmed", who="Ken")).wait_for()
    moved = read_surface(bench.directory, "raw-layers")
    assert moved is not None
    assert max(y for _, y in moved.vertices_um) == pytest.approx(y_um + 6, abs=0.5)
