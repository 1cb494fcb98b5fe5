"""The picture is read back as pixels: colours where the sample has them, marks where points are missing."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from phasecast.core.ledger import PointFlag, PointState
from phasecast.report.map_png import draw_map
from phasecast.results import open_result
from phasecast.results.composite import MISSING_COLOURS, composite, sub_pixels
from phasecast.results.grid import Placement
from phasecast.sinks.nexus import NexusSink
from support.documents import CLASSES, Scan, make_header, raster_scan

COLOURS = [phase.colour for phase in CLASSES]


def share(picture: np.ndarray, colour: str) -> float:
    """Part of a picture that has a colour."""
    return float(np.mean(np.all(np.abs(picture[..., :3] - to_rgb(colour)) < 0.02, axis=-1)))


def cells(rows: int, columns: int) -> Placement:
    row, column = (part.ravel() for part in np.indices((rows, columns)))
    return Placement(rows=row, columns=column, x_um=np.arange(columns) * 1.0, y_um=np.arange(rows) * 1.0)


def test_every_class_of_a_mixture_has_its_share() -> None:
    present = np.zeros((6, 9), bool)
    present[0, [0]] = present[1, [1, 2]] = present[2, [0, 1, 2]] = present[3, [3, 4, 5, 6]] = True
    picture = composite(cells(1, 6), present, np.full(6, PointState.DONE, np.uint8), COLOURS)
    side = sub_pixels(1, 6)
    for point in range(4):
        tile = picture[:, point * side : (point + 1) * side]
        count = present[point].sum()
        for k in np.flatnonzero(present[point]):
            assert share(tile, COLOURS[k]) == pytest.approx(1 / count, abs=0.06)
    unsure = picture[:, 4 * side :]
    assert max(share(unsure, colour) for colour in COLOURS) < 0.05


def test_the_first_row_of_the_picture_is_the_lowest_y() -> None:
    present = np.zeros((6, 9), bool)
    present[:3, 6], present[3:, 3] = True, True
    picture = composite(cells(2, 3), present, np.full(6, PointState.DONE, np.uint8), COLOURS)
    half = len(picture) // 2
    assert share(picture[:half], COLOURS[6]) == share(picture[half:], COLOURS[3]) == 1


@pytest.mark.parametrize("state", sorted(MISSING_COLOURS))
def test_missing_points_show_no_class_but_their_mark(state: PointState) -> None:
    present = np.ones((4, 9), bool)
    states = np.full(4, PointState.DONE, np.uint8)
    states[1] = state
    side = sub_pixels(2, 2)
    tile = composite(cells(2, 2), present, states, COLOURS)[:side, side:]
    assert share(tile, MISSING_COLOURS[state]) > 0.02
    assert share(tile, "#ffffff") > 0.5


def test_stripes_stay_wide_enough_to_be_told_apart_on_large_maps() -> None:
    present = np.zeros((300 * 300, 9), bool)
    present[:, [0, 1]] = True
    row, column = (part.ravel() for part in np.indices((300, 300)))
    placement = Placement(rows=row, columns=column, x_um=np.arange(300.0), y_um=np.arange(300.0))
    line = composite(placement, present, np.full(90000, PointState.DONE, np.uint8), COLOURS)[0]
    changes = np.count_nonzero(np.any(np.diff(line, axis=0) != 0, axis=1))
    assert 40 < changes < 160
    assert share(line, COLOURS[0]) == pytest.approx(0.5, abs=0.05)


def drawn(folder: Path, run: Scan, *, doubtful: slice = slice(0, 0), last: int | None = None) -> np.ndarray:
    sink = NexusSink(folder / "scan.nxs")
    for document in (*run.opening(), *run.pages(10, last=last)):
        sink(*document)
    rows = np.arange(len(run.x_um))[doubtful]
    if rows.size:
        sink(*run.ledger(rows, flags=int(PointFlag.POSITION_DOUBTFUL)))
    sink(*run.stop())
    with open_result(sink.path) as result:
        draw_map(result, folder / "map.png")
    assert sorted(item.name for item in folder.iterdir()) == ["map.png", "scan.nxs"]
    picture: np.ndarray = matplotlib.image.imread(folder / "map.png")
    return picture


def layered(shape: tuple[int, int], **settings: object) -> Scan:
    """Ferrite below, resin above."""
    run = raster_scan(shape, **settings)  # type: ignore[arg-type]
    upper = run.y_um > run.y_um.mean()
    run.confidence = np.zeros((len(run.x_um), 9))
    run.confidence[upper, 6] = run.confidence[~upper, 3] = 0.97
    return run


@pytest.mark.parametrize("y_sign", [1, -1])
def test_what_lies_above_in_the_sample_lies_above_in_the_picture(tmp_path: Path, y_sign: int) -> None:
    picture = drawn(tmp_path, layered((8, 10), y_sign=y_sign))
    picture = picture[: len(picture) * 7 // 10]  # above the legend
    height = np.arange(len(picture))[:, None]
    where = {
        name: np.average(np.broadcast_to(height, match.shape), weights=match)
        for name, colour in (("resin", COLOURS[6]), ("ferrite", COLOURS[3]))
        if (match := np.all(np.abs(picture[..., :3] - to_rgb(colour)) < 0.02, axis=-1)).any()
    }
    assert where["resin"] < where["ferrite"]


def test_doubtful_positions_are_hatched(tmp_path: Path) -> None:
    (tmp_path / "sure").mkdir()
    (tmp_path / "doubt").mkdir()
    sure = drawn(tmp_path / "sure", layered((8, 10)))
    doubt = drawn(tmp_path / "doubt", layered((8, 10)), doubtful=slice(40, 80))
    assert share(doubt, "#000000") > share(sure, "#000000") + 0.005


@pytest.mark.parametrize(
    "run",
    [
        layered((2, 3)),
        layered((1, 12)),
        layered((12, 1)),
        raster_scan((4, 5), classified=False),
        Scan(make_header(shape=None, expected=None), np.array([0, 2, 4, 4, 0, 2.0]), np.array([0, 0, 0, 2, 4, 4.0])),
        Scan(make_header(shape=None, expected=None), np.full(4, np.nan), np.full(4, np.nan)),
        Scan(make_header(shape=None, expected=None), np.array([3.0]), np.array([4.0])),
        Scan(make_header(shape=(2, 2)), np.full(4, np.nan), np.full(4, np.nan)),
    ],
    ids=["2x3", "row", "column", "unclassified", "six places", "no positions", "one point", "raster unplaced"],
)
def test_small_and_odd_scans_have_a_picture(tmp_path: Path, run: Scan) -> None:
    picture = drawn(tmp_path, run)
    assert min(picture.shape[:2]) > 300
    assert share(picture, "#ffffff") < 0.99


def test_a_scan_that_measured_nothing_has_a_picture(tmp_path: Path) -> None:
    assert min(drawn(tmp_path, raster_scan((4, 5)), last=0).shape[:2]) > 300


def test_a_point_that_no_model_spoke_of_stays_blank() -> None:
    """It must not bear the frame of a point that holds no class."""
    present = np.zeros((4, 3), bool)
    classified = np.array([True, False, True, True])
    side = sub_pixels(2, 2)
    picture = composite(cells(2, 2), present, np.full(4, PointState.DONE, np.uint8), COLOURS, classified=classified)
    assert np.all(picture[:side, side:] == 1.0)
    assert picture[:side, :side].min() < 1.0
