from pathlib import Path

import numpy as np
import pytest
import silx.io
from silx.io import nxdata

from phasecast.core.errors import ResultFileError
from phasecast.core.frame import FrameReference
from phasecast.core.ledger import PointState
from phasecast.results import FrameStores, open_result
from phasecast.results.layout import believed_states
from phasecast.sinks.nexus import NexusSink
from support.documents import CLASS_IDS, Scan, make_header, raster_scan


@pytest.fixture
def written(tmp_path: Path) -> Path:
    run = raster_scan((4, 5), x_sign=-1)
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in (*run.opening(), *run.pages(5, last=15)):
        sink(*document)
    sink(*run.points(np.array([15])))
    sink(*run.ledger(np.array([15]), PointState.REJECTED, reason="wrong shape", frame_store=""))
    sink(*run.stop())
    return sink.path


def test_arrays_carry_their_axes(written: Path) -> None:
    with open_result(written) as result:
        assert result.patterns.dims == ("point", "tth_deg")
        assert result.confidences.dims == ("point", "class_id")
        assert result.confidences.class_id.values.tolist() == list(CLASS_IDS)
        assert result.patterns.sel(tth_deg=10.0, point=3).item() == 3.0
        assert result.confidences.sel(class_id="goethite", point=2).item() == pytest.approx(0.5)
        np.testing.assert_allclose(result.sigma[:15] ** 2, result.patterns[:15], rtol=1e-5)
        np.testing.assert_array_equal(result.column("norm")[:15], 3.0)
        np.testing.assert_array_equal(result.ledger["i0"][:16], 1e6 + np.arange(16))


@pytest.mark.parametrize(
    "selection",
    [
        np.s_[3], np.s_[-1], np.s_[2:9:3], np.s_[::-1], np.s_[5:5], np.s_[[1, 17, 4]], np.s_[4, 7], np.s_[..., 2],
        np.s_[1:3, 4:6], np.s_[-3:],
    ],
    ids=str,
)  # fmt: skip
def test_any_selection_reads_what_the_whole_holds(written: Path, selection: tuple[object, ...]) -> None:
    with open_result(written) as result:
        whole = result.patterns.values
        np.testing.assert_array_equal(result.patterns[selection].values, whole[selection])  # type: ignore[index]


def test_only_done_points_show_values(written: Path) -> None:
    with open_result(written) as result:
        np.testing.assert_array_equal(result.done, np.arange(20) < 15)
        assert np.isnan(result.patterns[15:]).all()
        assert np.isnan(result.confidences[15:]).all()
        assert sum(result.ledger_sums.values()) == result.points == 20
        assert result.ledger["reason"].values[15] == "wrong shape"
        assert np.isnan(result.positions["x_um"][16:]).all()


def test_any_value_becomes_a_map(written: Path) -> None:
    with open_result(written) as result:
        picture = result.map_of(result.ledger["x_um"].values)
        assert picture.dims == ("y_um", "x_um")
        np.testing.assert_array_equal(picture[0], picture.x_um)
        assert np.isnan(picture[3]).all()
        states = result.map_of(result.ledger["state"].values, select=np.ones(20, bool))
        assert sorted(states.values.ravel()) == [0] * 4 + [2] * 15 + [3]


def test_frames_are_found_again(written: Path) -> None:
    with open_result(written) as result:
        reference = result.frame_reference(4)
        assert result.frame_reference(15) is None
        assert result.frame_reference(17) is None
        assert result.frames["store"].values.tolist() == ["capture"] * 15 + [""] * 5
        with pytest.raises(IndexError, match="point 20 of 20"):
            result.frame_reference(20)
    assert reference is not None

    class Captures:
        def read(self, reference: FrameReference) -> np.ndarray:
            return np.full((2, 2), reference.offset)

    np.testing.assert_array_equal(FrameStores({"capture": Captures()}).read(reference), np.full((2, 2), 4000))
    with pytest.raises(ResultFileError, match="no reader for frames kept in a 'capture'"):
        FrameStores({}).read(reference)


def test_unknown_columns_and_maps_of_scattered_points_are_clear_errors(tmp_path: Path, written: Path) -> None:
    with open_result(written) as result, pytest.raises(ResultFileError, match=r"'intensty'.*confidence, intensity"):
        result.column("intensty")
    run = Scan(make_header(shape=None, expected=None), np.arange(3.0), np.arange(3.0))
    sink = NexusSink(tmp_path / "scattered.nxs")
    for document in run.documents():
        sink(*document)
    with open_result(sink.path) as result, pytest.raises(ResultFileError, match="not a raster"):
        result.map_of(np.zeros(3))
    with pytest.raises(ResultFileError, match="no such file"):
        open_result(tmp_path / "missing.nxs")


def test_silx_finds_maps_and_scatters_to_draw(tmp_path: Path, written: Path) -> None:
    run = Scan(make_header(shape=None, expected=None), np.arange(7.0), np.arange(7.0) ** 2)
    sink = NexusSink(tmp_path / "scattered.nxs")
    for document in run.documents():
        sink(*document)
    with silx.io.open(str(written)) as file:
        picture = nxdata.NXdata(file["entry/classification/maps/goethite"])
        assert picture.is_valid
        assert picture.axes_names == ["y (um)", "x (um)"]
        assert nxdata.NXdata(file["entry/data"]).is_valid
        assert nxdata.get_default(file).signal.shape == (20, 20)
    with silx.io.open(str(sink.path)) as file:
        scatter = nxdata.NXdata(file["entry/classification/maps/goethite"])
        assert scatter.is_valid
        assert len(scatter.axes) == 2


@pytest.mark.parametrize(
    ("state", "changed_in", "done_in", "believed"),
    [
        (PointState.DONE, 3, 3, PointState.DONE),
        (PointState.DONE, 0, 0, PointState.PENDING),
        (PointState.DONE, 6, 6, PointState.PENDING),
        (PointState.DONE, 4, 6, PointState.RECEIVED),
        (PointState.DONE, 4, 0, PointState.RECEIVED),
        (PointState.DONE, 6, 4, PointState.DONE),
        (PointState.REJECTED, 5, 0, PointState.REJECTED),
        (PointState.REJECTED, 6, 0, PointState.PENDING),
        (PointState.SUPERSEDED, 5, 2, PointState.SUPERSEDED),
    ],
)
def test_only_what_the_last_commit_vouches_for_is_believed(
    state: PointState, changed_in: int, done_in: int, believed: PointState
) -> None:
    columns = np.array([state], np.uint8), np.array([changed_in]), np.array([done_in])
    assert believed_states(*columns, last_commit=5)[0] == believed
