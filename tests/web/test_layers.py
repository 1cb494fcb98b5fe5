"""Pixels say what the ledger and the confidences say, cell by cell."""

import numpy as np
import pytest

from phasecast.core.ledger import PointFlag, PointState
from phasecast.sinks.nexus import NexusSink
from phasecast.web.colours import CLEAR, STATE_COLOURS, VIRIDIS, pixel, scaled
from phasecast.web.layers import COMPOSITE, LEDGER, TOTAL, UNSURE, LayerKey, is_unsure, unsureness
from phasecast.web.live_scan import LiveScan
from support.documents import CLASSES, Scan, make_header, raster, raster_scan

SHAPE = (6, 7)


@pytest.fixture
def confidence():
    values = np.zeros((42, 9))
    values[:, 1] = 1.0  # goethite everywhere
    values[5] = 0.0  # nothing reaches any threshold
    values[9, 2] = 0.6  # a mixture
    values[11] = 0.0
    values[11, 3] = 0.45  # unsure
    return values


@pytest.fixture
def scan(tmp_path, confidence):
    run = Scan(make_header(shape=SHAPE), *raster(SHAPE), confidence=confidence)
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in (*run.opening(), *run.pages(7, last=35)):
        sink(*document)
    sink(*run.ledger(np.array([35]), PointState.REJECTED, reason="wrong shape"))
    sink(*run.ledger(np.array([36]), PointState.LOST_UPSTREAM))
    sink(*run.ledger(np.array([3]), flags=int(PointFlag.POSITION_DOUBTFUL)))
    sink(*run.stop())
    followed = LiveScan(sink.path)
    yield followed
    followed.close()


def cell(scan, key, point):
    """Pixels of one point of a raster with snaking rows."""
    picture = scan.picture(key)
    row, column = divmod(point, SHAPE[1])
    column = SHAPE[1] - 1 - column if row % 2 else column
    side = picture.side
    return picture.pixels[row * side : (row + 1) * side, column * side : (column + 1) * side]


def test_a_mixture_shows_both_colours_and_moves_with_the_threshold(scan):
    goethite, lepidocrocite = pixel(CLASSES[1].colour), pixel(CLASSES[2].colour)
    assert set(cell(scan, LayerKey(COMPOSITE, 0.5), 9).ravel()) == {goethite, lepidocrocite}
    assert set(cell(scan, LayerKey(COMPOSITE, 0.7), 9).ravel()) == {goethite}
    assert set(cell(scan, LayerKey(COMPOSITE, 0.5), 0).ravel()) == {goethite}


def test_a_done_point_without_a_class_is_an_empty_frame_and_a_pending_one_is_clear(scan):
    empty = set(cell(scan, LayerKey(COMPOSITE, 0.5), 5).ravel())
    assert not empty & {pixel(phase.colour) for phase in CLASSES}
    assert CLEAR not in empty
    assert set(cell(scan, LayerKey(COMPOSITE, 0.5), 41).ravel()) == {CLEAR}


def test_a_point_that_no_model_spoke_of_does_not_look_like_one_that_holds_nothing(tmp_path, confidence):
    confidence = confidence.copy()
    confidence[5] = np.nan
    x_um, y_um = raster(SHAPE)
    run = Scan(make_header(shape=SHAPE, expected=len(x_um)), x_um, y_um, confidence=confidence)
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in (*run.opening(), *run.pages(7), run.stop()):
        sink(*document)
    followed = LiveScan(sink.path)
    for name in (COMPOSITE, UNSURE, "goethite"):
        key = LayerKey(name, 0.5 if name == COMPOSITE else 0.0)
        assert set(cell(followed, key, 5).ravel()) == {CLEAR}
        assert CLEAR not in set(cell(followed, key, 6).ravel())
    followed.close()


@pytest.mark.parametrize(("point", "state"), [(0, "DONE"), (35, "REJECTED"), (36, "LOST_UPSTREAM"), (41, "PENDING")])
def test_the_ledger_layer_shows_every_state(scan, point, state):
    assert set(cell(scan, LayerKey(LEDGER), point).ravel()) == {pixel(STATE_COLOURS[PointState[state]])}


def test_lost_and_rejected_points_are_marked_on_every_other_layer(scan):
    for name in (COMPOSITE, UNSURE, TOTAL, "goethite"):
        for point in (35, 36):
            assert set(cell(scan, LayerKey(name, 0.5 if name == COMPOSITE else 0.0), point).ravel()) - {CLEAR}


def test_a_class_layer_is_viridis_from_0_to_1(scan):
    assert cell(scan, LayerKey("goethite"), 0)[0, 0] == VIRIDIS[255]
    assert cell(scan, LayerKey("goethite"), 5)[0, 0] == VIRIDIS[0]
    assert cell(scan, LayerKey("ferrite"), 11)[0, 0] == VIRIDIS[115]  # 0.45 * 255


def test_doubtful_positions_are_hatched_on_a_fine_layer(scan):
    ink = pixel("#000000")
    assert ink in cell(scan, LayerKey(COMPOSITE, 0.5), 3)
    assert ink not in cell(scan, LayerKey(COMPOSITE, 0.5), 2)


def test_unsure_is_strictly_between_the_limits_and_most_at_one_half():
    confidence = np.array([[0.2, 0.8], [0.21, 0.9], [0.5, 0.0], [1.0, 0.35]], np.float32)
    assert is_unsure(confidence).tolist() == [False, True, True, True]
    done = np.ones(4, bool)
    np.testing.assert_allclose(unsureness(confidence, done), [0, 0.01 / 0.3, 1, 0.5], atol=1e-6)
    assert np.isnan(unsureness(confidence, ~done)).all()


def test_scaled_values_keep_to_the_table_and_nan_is_clear():
    shown = scaled(np.array([-1.0, 0.0, 0.5, 1.0, 9.0, np.nan]), VIRIDIS, 0.0, 1.0)
    assert shown.tolist() == [VIRIDIS[0], VIRIDIS[0], VIRIDIS[128], VIRIDIS[255], VIRIDIS[255], CLEAR]


def test_pixels_are_red_green_blue_alpha_in_the_order_of_a_canvas():
    assert np.array([pixel("#010203")]).view(np.uint8).tolist() == [1, 2, 3, 255]
    assert pixel("red'/><script>") == pixel("#B0B0B0")


def test_an_unclassified_scan_has_its_total_and_ledger_layers(tmp_path):
    run = raster_scan(SHAPE, classified=False)
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in run.documents():
        sink(*document)
    scan = LiveScan(sink.path)
    assert set(scan.picture(LayerKey(LEDGER)).pixels.ravel()) == {pixel(STATE_COLOURS[PointState.DONE])}
    assert (scan.picture(LayerKey(TOTAL)).pixels != CLEAR).all()
    assert (scan.picture(LayerKey(UNSURE)).pixels == CLEAR).all()
    scan.close()
