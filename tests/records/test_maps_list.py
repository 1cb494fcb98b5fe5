"""Which results are listed as one map, and under which address."""

import os

import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.words import words
from phasecast.records.maps_list import maps_of
from phasecast.records.results_list import list_results
from phasecast.results.composed_map import open_map
from phasecast.web.scans_tab import grouped, map_row_of
from support.map_results import write_scan


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Scans of four maps, of which two have more than one; one was replayed, and one was classified otherwise."""
    directory = DataDirectory(tmp_path_factory.mktemp("maps")).create()
    folder = directory.results
    small = {"shape": (2, 3)}
    write_scan(folder, "a", **small)
    os.utime(folder / "a.nxs", (1, 1))
    write_scan(folder, "b", **small, started=60, origin=(0, 4))
    write_scan(folder, "a-replayed", **small, raw_uid="raw-a")
    write_scan(folder, "c", **small, started=90, classified=False)
    write_scan(folder, "d", **small, started=120, classified=False)
    write_scan(folder, "alone", **small, metadata={"map": "B"})
    write_scan(folder, "unnamed", **small, metadata={})
    write_scan(folder, "unnamed-too", **small, metadata={})
    for name in ("e", "f"):
        write_scan(folder, name, **small, started=-60, metadata={"map": {"name": "A/3", "frame": "再設置"}})
    (folder / "text.nxs").write_text("a shopping list")
    return directory


def names(entries):
    return [entry.path.stem for entry in entries]


def test_scans_of_one_name_and_frame_that_fit_are_one_map(directory):
    found = {entry.address: entry for entry in maps_of(list_results(directory))}
    assert {address: names(entry.entries) for address, entry in found.items()} == {
        "map/A-3": ["a-replayed", "b"],
        "map/A-3//2": ["c", "d"],
        "map/A%2F3/再設置": ["e", "f"],
    }
    assert names(found["map/A-3"].others) == ["a"]
    for entry in found.values():
        with open_map([one.path for one in entry.entries]) as whole:
            assert whole.points == entry.points == 12


def test_list_shows_the_scans_of_a_map_under_it(directory):
    entries = list_results(directory)
    groups = grouped(entries, maps_of(entries))
    assert sum(len(group) for _, group in groups) == len(entries) == 11
    found, group = next((found, group) for found, group in groups if found and found.address == "map/A-3")
    assert sorted(names(group)) == ["a", "a-replayed", "b"]
    row = map_row_of(found, words("en"), superseded=3, job=None, report=None, chosen=True, address="?scan=x")
    texts = [part.get("text", "") for cell in row["cells"] for part in cell]
    assert {"map A-3 (2 scans)", "2 scans, 12 points", "3 superseded", "closed"} <= set(texts)
    assert row["style"] == "map chosen"
