"""Several results as one map on the command line: picture, report and the list of points to measure again."""

import csv
import json
import subprocess
import sys

import pytest

from phasecast.core.errors import PhasecastError
from phasecast.services.maps import draw_map_of, read_offsets, write_map_report, write_repair_list
from support.map_results import write_scan


@pytest.fixture
def interrupted(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    return [
        write_scan(folder, "a", shape=(6, 5), done=17, exit_status="abort"),
        write_scan(folder, "b", shape=(4, 5), origin=(0, 4), started=600, class_index=3),
    ]


def test_a_map_is_drawn_with_the_ledger_of_all_its_scans(interrupted, tmp_path):
    summary = draw_map_of(interrupted, tmp_path / "out" / "map.png")
    assert summary.complete
    assert summary.name == "A-3"
    assert "ledger: 30 done, 20 superseded" in summary.lines
    picture, table = summary.files
    assert picture.read_bytes()[:4] == b"\x89PNG"
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 50
    assert sum(row["state"] == "superseded" for row in rows) == 20


def test_a_map_is_reported_as_one(interrupted):
    paths = write_map_report(interrupted)
    report = json.loads(paths.json.read_text(encoding="utf-8"))
    assert report["condition"] == "complete"
    assert report["scan"]["points"] == report["scan"]["points_done"] == 30
    assert [scan[0] for scan in report["map"]["scans"]] == ["a.nxs", "b.nxs"]
    page = paths.html.read_text(encoding="utf-8")
    assert "a.nxs" in page
    assert "began" in page
    assert paths.html.name == "b-map.html"


def test_a_single_scan_says_nothing_of_maps(interrupted):
    paths = write_map_report(interrupted[1:])
    assert json.loads(paths.json.read_text(encoding="utf-8"))["map"] is None
    assert paths.html.name == "b.html"


def test_the_command_fails_where_places_are_missing_and_lists_them(tmp_path):
    path = write_scan(tmp_path, "a", bad=(7,), doubtful=(3,))
    command = [sys.executable, "-m", "phasecast.cli"]
    shown = subprocess.run([*command, "map", path], capture_output=True, text=True, check=False)
    assert shown.returncode == 1
    assert "19 done, 1 lost_upstream" in shown.stdout
    listed = subprocess.run([*command, "repair-list", path], capture_output=True, text=True, check=False)
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.startswith("2 points to measure again; 0 more")


def test_the_repair_list_lies_beside_the_newest_result(interrupted):
    found, files = write_repair_list(interrupted)
    assert found.points == ()
    assert [path.name for path in files] == ["b-repair.csv", "b-repair.json", "b-repair.py"]


@pytest.mark.parametrize(
    ("text", "what"), [("b.nxs", "cannot read"), ("b.nxs=1", "cannot read"), ("c.nxs=1,2", "names 0")]
)
def test_offsets_that_say_nothing_are_refused(interrupted, text, what):
    with pytest.raises(PhasecastError, match=what):
        read_offsets([text], interrupted)


def test_an_offset_is_read_for_the_result_that_it_names(interrupted):
    assert read_offsets(["b.nxs=3,-1.5"], interrupted) == {"raw-b": (3.0, -1.5)}
