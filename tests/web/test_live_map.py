"""The page's composite of several scans is the composed map of their results, also while the newest scan grows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import ResultFileError
from phasecast.core.ledger import PointState
from phasecast.records.alarm_book import AlarmBook
from phasecast.records.maps_list import maps_of
from phasecast.records.results_list import list_results
from phasecast.results.composed_map import ComposedMap, open_map
from phasecast.services.page import page_tools
from phasecast.services.page_maps import describe_map, write_repair
from phasecast.web import live_scan
from phasecast.web.exports_folder import ExportsFolder
from phasecast.web.hub import Hub
from phasecast.web.jobs import Jobs
from phasecast.web.layers import COMPOSITE, LEDGER, TOTAL, LayerKey
from phasecast.web.live_map import LiveMap
from phasecast.web.map_facts import MapFactsBook
from support.daemon import wait_until
from support.map_results import PROFILE, write_scan
from support.result_writer import WriterProcess

KEYS = [LayerKey(COMPOSITE, 0.5), *map(LayerKey, (LEDGER, TOTAL, "goethite"))]
SAME = {"profile": PROFILE, "metadata": {"map": "A-3"}, "started_s": 1.7e9 + 600, "raw_uid": "raw-z"}


@pytest.fixture(autouse=True)
def _without_pause(monkeypatch):
    monkeypatch.setattr(live_scan, "_POLL_S", 0.0)


def shown(scan: LiveMap) -> dict[str, np.ndarray]:
    columns = scan.columns
    return {"state": columns.state, "x_um": columns.x_um, "y_um": columns.y_um, "confidence": columns.confidence}


def read(whole: ComposedMap) -> dict[str, np.ndarray]:
    ledger = {name: whole.ledger[name].values for name in ("state", "x_um", "y_um")}
    return {**ledger, "confidence": whole.confidences.values}


def must_be_the_map_of(scan: LiveMap, paths: list[Path]) -> None:
    with open_map(paths) as whole:
        assert isinstance(whole, ComposedMap)
        mine, theirs = shown(scan), read(whole)
        for name, values in theirs.items():
            np.testing.assert_array_equal(mine[name], values, err_msg=name)
        for row in np.flatnonzero(theirs["state"] == PointState.SUPERSEDED)[::37].tolist():
            assert scan.columns.result.reason_of(row) == whole.reason_of(row)
        assert scan.columns.ledger_sums == whole.ledger_sums


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"shape": (20, 15), "done": 190, "bad": (3, 160), "doubtful": (150,)}, {"origin": [-100.0, -30.0]}),
        ({"shape": (20, 15), "step": 2.0}, {"origin": [-99.0, -49.0]}),
        ({"shape": (12, 9), "step": 5.0}, {"origin": [-96.0, -46.0]}),
        ({"shape": (30, 25), "step": 1.0}, {"origin": [-103.0, -47.0]}),
        ({"shape": (20, 15)}, {"origin": [-74.0, -50.0], "scattered": True}),
    ],
    ids=["continued", "half a cell beside", "fine over coarse", "coarse over fine", "scattered beside"],
)
def test_composite_is_the_composed_map_while_a_scan_grows(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    old = write_scan(tmp_path, "a", bins=30, **first)
    new = tmp_path / "z.nxs"
    with WriterProcess(new, **SAME, **second) as writer:
        writer.ask("pages 1")
        scan = LiveMap((old, new), "map/A-3")
        seen = {key: (scan.version, scan.epoch, scan.picture(key).pixels.copy()) for key in KEYS}
        for command in (
            "pages 9",
            "pages 1",
            "reject 40",
            "pages 20",
            "revise 4",
            "pages 1",
            "pages 40",
            "run",
            "stop",
        ):
            writer.tell(command)
            answer = writer.answer()
            while command == "run" and answer != "300":
                assert answer, "the writer ended"
                scan.poll()
                answer = writer.answer()
            if command == "run":
                assert writer.answer() == "300"
            scan.poll()
            if command != "stop":
                must_be_the_map_of(scan, [old, new])
            for key, (version, epoch, browser) in seen.items():
                picture, rows = scan.picture(key), scan.changes_since(version)
                if epoch != scan.epoch or rows is None:
                    browser = picture.pixels.copy()
                else:
                    for patch in scan.patches(picture, rows):
                        height, width = patch.pixels.shape
                        browser[patch.row : patch.row + height, patch.column : patch.column + width] = patch.pixels
                np.testing.assert_array_equal(browser, picture.pixels, err_msg=f"{key} after {command}")
                whole = scan._paint_all(key)
                np.testing.assert_array_equal(picture.pixels, whole.pixels, err_msg=f"{key} after {command}")
                seen[key] = (scan.version, scan.epoch, browser)
        must_be_the_map_of(scan, [old, new])
        assert scan.columns.ledger_sums["pending"] == 0
        scan.close()


def test_hub_opens_a_map_by_its_address_and_takes_in_a_scan_that_joins(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path).create()
    small = {"shape": (2, 3)}
    write_scan(directory.results, "a", **small)
    write_scan(directory.results, "b", **small, origin=(0, 2), started=60)
    hub = Hub(directory, page_tools(directory), AlarmBook(directory))
    (entry,) = hub.maps()
    scan = hub.scan(entry.address)
    assert scan.is_map
    assert scan.columns.ledger_sums["done"] == 9
    source = scan.source_of(7)
    assert (source.result.path.stem, source.point) == ("b", 1)
    write_scan(directory.results, "c", **small, origin=(0, 6), started=90)
    wait_until(lambda: len(hub.scan(entry.address).paths) == 3, "the third scan to be listed")
    assert hub.scan(entry.address).columns.ledger_sums["done"] == 15
    with pytest.raises(ResultFileError, match="no such map"):
        hub.scan("map/nothing")
    for scan in hub._scans.values():
        scan.close()


def test_facts_of_a_map_say_what_each_part_is_displaced_by(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path).create()
    write_scan(directory.results, "a", shape=(4, 5))
    write_scan(directory.results, "b", shape=(2, 5), origin=(0, 4), started=60)
    (entry,) = maps_of(list_results(directory))
    exports = ExportsFolder(directory.reports)
    book = MapFactsBook(Jobs(), exports, describe_map)
    wait_until(lambda: book.of(entry) is not None, "the facts of the map")
    facts = book.of(entry)
    assert facts is not None
    assert (facts.points, facts.superseded) == (30, 10)
    found = facts.of_point("b.nxs", 3)
    assert found is not None
    assert not found.displaced
    assert "b.nxs" in found.text["en"]
    assert "b.nxs" in found.text["ja"]
    assert facts.of_point("a.nxs", 3) is None
    write_repair(tuple(one.path for one in entry.entries), tmp_path / "repair.py")
    assert "MAP = 'A-3'" in (tmp_path / "repair.py").read_text("utf-8")
    exports.close()
