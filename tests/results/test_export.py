"""Exported files are read back as other programs would read them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phasecast.core.ledger import PointFlag, PointState
from phasecast.results import open_result
from phasecast.results.export import write_map_tiff, write_maps, write_pattern_xye, write_points_csv
from phasecast.sinks.nexus import NexusSink
from support.documents import CLASS_IDS, Scan, make_header, raster_scan


@pytest.fixture
def written(tmp_path: Path) -> Path:
    run = raster_scan((4, 5))
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in (*run.opening(), *run.pages(5, last=18)):
        sink(*document)
    sink(*run.ledger(np.array([3]), flags=int(PointFlag.POSITION_DOUBTFUL | PointFlag.SATURATED)))
    sink(*run.ledger(np.array([18]), PointState.REJECTED, reason="wrong shape, 3 x 4", frame_store=""))
    sink(*run.stop())
    return sink.path


def test_maps_are_float32_tiffs_that_stand_upright(tmp_path: Path, written: Path) -> None:
    with open_result(written) as result:
        paths = write_maps(result, tmp_path / "maps")
        expected = result.map_of(result.confidences.values[:, 1])
    assert {path.stem for path in paths} == {f"confidence_{name}" for name in CLASS_IDS} | {
        "total_counts", "ledger_state",
    }  # fmt: skip
    with Image.open(tmp_path / "maps" / "confidence_goethite.tif") as image:
        assert image.mode == "F"
        pixels = np.asarray(image)
        place = json.loads(image.tag_v2[270])
    np.testing.assert_array_equal(pixels, expected.values[::-1])
    assert np.isnan(pixels).sum() == 2
    assert (place["x_first"], place["x_last"]) == (100.0, 108.0)
    assert (place["y_first"], place["y_last"]) == (56.0, 50.0)
    assert not list((tmp_path / "maps").glob("*.part"))


def test_a_map_without_known_positions_is_still_a_tiff(tmp_path: Path) -> None:
    write_map_tiff(tmp_path / "map.tif", [[1.0, np.nan]], [np.nan, np.nan], [np.nan])
    with Image.open(tmp_path / "map.tif") as image:
        assert json.loads(image.tag_v2[270])["x_first"] is None


def test_the_table_of_points_opens_in_excel_and_says_everything(tmp_path: Path, written: Path) -> None:
    with open_result(written) as result:
        write_points_csv(result, tmp_path / "points.csv")
        confidence = result.confidences.values
    assert (tmp_path / "points.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / "points.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:7] == ["point", "x_um", "y_um", "time", "state", "flags", "reason"]
    assert len(rows) == 20
    assert [row["state"] for row in rows] == ["done"] * 18 + ["rejected", "pending"]
    assert rows[3]["flags"] == "position_doubtful|saturated"
    assert rows[18]["reason"] == "wrong shape, 3 x 4"
    assert rows[7]["time"] == "2023-11-14T22:13:20.350+00:00"
    assert (float(rows[7]["x_um"]), float(rows[7]["i0"])) == (104.0, 1000007.0)
    assert float(rows[7]["confidence_goethite"]) == pytest.approx(confidence[7, 1], abs=1e-4)
    assert rows[19]["confidence_goethite"] == rows[19]["x_um"] == rows[19]["time"] == ""


def test_scattered_points_have_a_table_but_no_maps(tmp_path: Path) -> None:
    run = Scan(make_header(shape=None, expected=None), np.array([0, 2, 4.0]), np.array([0, 5, np.nan]))
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in run.documents():
        sink(*document)
    with open_result(sink.path) as result:
        assert write_maps(result, tmp_path / "maps") == []
        write_points_csv(result, tmp_path / "points.csv")
    assert len((tmp_path / "points.csv").read_text(encoding="utf-8-sig").splitlines()) == 4


def test_patterns_are_three_columns_without_unknown_bins(tmp_path: Path) -> None:
    tth = np.linspace(10, 12, 5)
    write_pattern_xye(
        tmp_path / "a.xye", tth, [1, 2, np.nan, 4, 5], [0.1] * 5, about={"sample": "錆\nA-3", "points": 7}
    )
    lines = (tmp_path / "a.xye").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["# sample: 錆 A-3", "# points: 7", "# 2theta_deg intensity sigma"]
    np.testing.assert_allclose(
        np.loadtxt(tmp_path / "a.xye"), [[10, 1, 0.1], [10.5, 2, 0.1], [11.5, 4, 0.1], [12, 5, 0.1]]
    )
