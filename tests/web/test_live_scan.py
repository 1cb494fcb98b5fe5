"""A picture that is patched point by point ends as the picture that is painted at once."""

from pathlib import Path

import numpy as np
import pytest

from phasecast.sinks.nexus import NexusSink
from phasecast.web import live_scan
from phasecast.web.layers import COMPOSITE, LEDGER, TOTAL, UNSURE, LayerKey
from phasecast.web.live_scan import LiveScan
from support.documents import Scan, make_header, raster_scan
from support.result_writer import WriterProcess

KEYS = [LayerKey(COMPOSITE, 0.5), LayerKey(COMPOSITE, 0.8), *map(LayerKey, (UNSURE, LEDGER, TOTAL, "goethite"))]


@pytest.fixture(autouse=True)
def _without_pause(monkeypatch):
    monkeypatch.setattr(live_scan, "_POLL_S", 0.0)


@pytest.mark.parametrize("scattered", [False, True], ids=["raster", "scattered"])
def test_patches_of_every_layer_add_up_to_the_whole(tmp_path: Path, scattered: bool) -> None:
    path = tmp_path / "scan.nxs"
    with WriterProcess(path, scattered=scattered) as writer:
        writer.ask("pages 2")
        scan = LiveScan(path)
        seen = {key: (scan.version, scan.epoch, scan.picture(key).pixels.copy()) for key in KEYS}
        patched_pixels = 0
        for command in ("pages 9", "pages 1", "reject 200", "revise 4", "pages 30", "pages 40"):
            writer.ask(command)
            scan.poll()
            for key, (version, epoch, browser) in seen.items():
                picture = scan.picture(key)
                rows = scan.changes_since(version)
                if epoch != scan.epoch or rows is None:
                    browser = picture.pixels.copy()
                else:
                    for patch in scan.patches(picture, rows):
                        height, width = patch.pixels.shape
                        browser[patch.row : patch.row + height, patch.column : patch.column + width] = patch.pixels
                        patched_pixels += patch.pixels.size
                np.testing.assert_array_equal(browser, picture.pixels, err_msg=f"{key} after {command}")
                seen[key] = (scan.version, scan.epoch, browser)
        fresh = LiveScan(path)
        for key in KEYS:
            if scan.total_limit == fresh.total_limit and scan.canvas.shape(1) == fresh.canvas.shape(1):
                np.testing.assert_array_equal(scan.picture(key).pixels, fresh.picture(key).pixels, err_msg=str(key))
        assert scan.columns.ledger_sums == fresh.columns.ledger_sums
        assert patched_pixels > 0
        scan.close()
        fresh.close()


def test_a_single_new_point_sends_a_single_cell(tmp_path: Path) -> None:
    path = tmp_path / "scan.nxs"
    with WriterProcess(path) as writer:
        writer.ask("pages 60")
        scan = LiveScan(path)
        picture = scan.picture(LayerKey("goethite"))
        version = scan.version
        writer.ask("revise 7")
        scan.poll()
        rows = scan.changes_since(version)
        assert rows is not None
        assert rows.tolist() == [7]
        (patch,) = scan.patches(scan.picture(LayerKey("goethite")), rows)
        assert patch.pixels.shape == (picture.side, picture.side)
        scan.close()


def test_what_is_clicked_is_the_nearest_point_and_arrows_walk_the_cells(tmp_path: Path) -> None:
    run = raster_scan((5, 6), x_sign=-1)
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in run.documents():
        sink(*document)
    scan = LiveScan(sink.path)
    for point in (0, 7, 29):
        assert scan.nearest(run.x_um[point] + 0.8, run.y_um[point] - 0.8) == point
    assert scan.nearest(1e6, 0.0) is None
    right = scan.neighbour(8, 1, 0)
    assert right is not None
    assert run.x_um[right] - run.x_um[8] == 2.0
    assert run.y_um[right] == run.y_um[8]
    up = scan.neighbour(8, 0, 1)
    assert up is not None
    assert run.y_um[up] - run.y_um[8] == 2.0
    assert scan.neighbour(0, 0, -1) is None
    scan.close()


def test_a_box_and_a_lasso_hold_the_points_inside(tmp_path: Path) -> None:
    run = raster_scan((5, 6))
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in run.documents():
        sink(*document)
    scan = LiveScan(sink.path)
    box = {"type": "rect", "x0": 103.0, "x1": 99.0, "y0": 49.0, "y1": 53.0}
    inside = scan.inside(box)
    np.testing.assert_array_equal(
        inside, np.flatnonzero((run.x_um >= 99) & (run.x_um <= 103) & (run.y_um >= 49) & (run.y_um <= 53))
    )
    assert inside.size == 4
    lasso = {"type": "poly", "x": [99, 103, 103, 99], "y": [49, 49, 53, 53]}
    np.testing.assert_array_equal(scan.inside(lasso), inside)
    assert scan.inside({"type": "point"}).size == 0
    scan.close()


@pytest.mark.parametrize(
    "places",
    [
        (np.array([3.0]), np.array([4.0])),
        (np.array([np.nan, np.nan]), np.array([np.nan, np.nan])),
        (np.array([1.0, 1.0, 1.0]), np.array([2.0, 2.0, 2.0])),
        (np.array([0.0, 5.0, 1e5]), np.array([0.0, 0.1, 0.2])),
        (np.array([]), np.array([])),
    ],
    ids=["one point", "no positions", "one place", "far apart", "empty"],
)
def test_odd_scatters_can_be_painted(tmp_path: Path, places: tuple[np.ndarray, np.ndarray]) -> None:
    run = Scan(make_header(shape=None, expected=None), *places)
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in run.documents():
        sink(*document)
    scan = LiveScan(sink.path)
    for key in KEYS:
        picture = scan.picture(key).pixels
        assert picture.any() == (key.name == LEDGER or run.x_um.size > 0)
        assert picture.size < 5e6
    assert all(np.isfinite(scan.canvas.extent_um))
    scan.close()
