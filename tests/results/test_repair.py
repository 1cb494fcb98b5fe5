from pathlib import Path

import h5py
import numpy as np
import pytest

from phasecast.core.errors import ResultFileError
from phasecast.core.ledger import PointState
from phasecast.results import is_being_written, open_result, repair
from phasecast.sinks.nexus import NexusSink
from support.documents import raster_scan
from support.hdf5_headers import headers_of, tear_header
from support.result_writer import PAGE, WriterProcess, scan


def assert_committed(path: Path, reported: int) -> int:
    """Every point that the killed writer had reported is there; return how many are."""
    run = scan()
    with h5py.File(path, "r") as file:
        state = file["entry/ledger/state"][...]
        patterns = file["entry/data/I"][...]
        confidences = file["entry/classification/confidences/confidence"][...]
    done = np.flatnonzero(state == PointState.DONE)
    assert done.size >= reported
    np.testing.assert_array_equal(done, np.arange(done.size))
    np.testing.assert_array_equal(patterns[done], run.intensity(done))
    np.testing.assert_array_equal(confidences[done], run.confidences(done))
    assert np.isnan(patterns[done.size :]).all()
    return int(done.size)


def test_no_kill_loses_a_committed_point_and_the_run_goes_on(tmp_path: Path) -> None:
    path, run = tmp_path / "scan.nxs", scan()
    rng, done = np.random.default_rng(11), 0
    for _ in range(6):
        with WriterProcess(path, first=done) as writer:
            writer.tell("run")
            answers = [writer.answer() for _ in range(int(rng.integers(1, 8)))]
            answers += writer.kill()
        reported = int([text for text in answers if text][-1])
        with pytest.raises(OSError, match="open"):
            h5py.File(path, "r")
        with open_result(path) as result:
            assert not result.is_closed
            assert result.points_done >= reported
        assert repair(path) == path
        done = assert_committed(path, reported)
        if done == len(run.x_um):
            break
    with WriterProcess(path, first=done) as writer:
        writer.tell("run")
        while int(writer.answer()) < len(run.x_um):
            pass
        writer.answer()
        assert writer.ask("stop") == "stopped"
    with open_result(path) as result:
        assert result.is_closed
        assert result.ledger_sums["done"] == len(run.x_um)
        assert np.isfinite(result.file["entry/classification/maps/ferrite/confidence"]).all()
    assert_committed(path, len(run.x_um))
    assert [item.name for item in tmp_path.iterdir()] == ["scan.nxs"]


def test_no_kill_can_leave_half_a_header(tmp_path: Path) -> None:
    """A write that is killed ends between two pages of memory: no header lies in two."""
    path, done = tmp_path / "scan.nxs", 0
    for _ in range(2):
        with WriterProcess(path, first=done) as writer:
            done = int(writer.ask("pages 3"))
            writer.kill()
        headers = headers_of(path.read_bytes())
        assert len(headers) > 100
        assert [(hex(first), hex(last)) for first, last in headers if first // 4096 != last // 4096] == []
        repair(path)


def test_a_torn_header_is_a_clear_error_and_nobody_waits(tmp_path: Path) -> None:
    path = tmp_path / "scan.nxs"
    with WriterProcess(path) as writer:
        writer.ask("pages 3")
        writer.kill()
    content = tear_header(path, "entry/ledger/commit")
    with pytest.raises(ResultFileError, match="checksum"):
        open_result(path)
    with pytest.raises(ResultFileError, match="replay its capture"):
        repair(path)
    assert path.read_bytes() == content


def test_rows_without_a_commit_are_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "scan.nxs"
    with WriterProcess(path) as writer:
        done = int(writer.ask("pages 5"))
        writer.ask("torn")
        writer.kill()
    with h5py.File(path, "r", swmr=True) as file:
        assert np.count_nonzero(file["entry/ledger/state"][...] == PointState.DONE) == done + PAGE
    repair(path)
    assert assert_committed(path, done) == done
    # A later commit must not bring the half-written rows back.
    run = scan()
    sink = NexusSink.resume(path)
    for document in run.opening():
        sink(*document)
    later = np.arange(100, 110)
    sink(*run.points(later))
    sink(*run.ledger(later))
    sink.close()
    with open_result(path) as result:
        assert result.points_done == done + later.size
        np.testing.assert_array_equal(np.flatnonzero(result.done), np.r_[np.arange(done), later])


def test_a_revision_cut_short_leaves_its_points_done(tmp_path: Path) -> None:
    path, run = tmp_path / "scan.nxs", raster_scan()
    sink = NexusSink(path)
    for document in (*run.opening(), *run.pages(5)):
        sink(*document)
    writer = sink._writer
    assert writer is not None
    writer._commit = lambda *_: writer._file.flush()  # type: ignore[method-assign]
    rows = np.array([2, 3])
    sink(*run.points(rows, revision=1))
    sink(*run.ledger(rows))
    crashed = tmp_path / "crashed.nxs"
    crashed.write_bytes(path.read_bytes())
    sink.close()
    repair(crashed)
    with open_result(crashed) as result:
        assert result.points_done == 20
        np.testing.assert_array_equal(result.patterns[4:], run.intensity(np.arange(4, 20)))


def test_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "scan.nxs"
    with WriterProcess(path) as writer:
        writer.ask("pages 2")
        assert is_being_written(path)
        with pytest.raises(ResultFileError, match="another process is writing"):
            repair(path)
        assert int(writer.ask("pages 1")) == 3 * PAGE
        writer.kill()
    assert not is_being_written(path)


def test_a_closed_file_stays_as_it_is(tmp_path: Path) -> None:
    run = raster_scan()
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in run.documents():
        sink(*document)
    before = sink.path.read_bytes()
    assert repair(sink.path).read_bytes() == before


def test_another_run_cannot_resume_a_file(tmp_path: Path) -> None:
    run = raster_scan()
    with NexusSink(tmp_path / "scan.nxs") as sink:
        for document in run.opening():
            sink(*document)
    other = raster_scan(raw_uid="raw-2")
    with pytest.raises(ResultFileError, match="raw run raw-1, not raw-2"):
        NexusSink.resume(sink.path)(*other.start())


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_what_is_no_result_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.nxs"
    path.write_bytes(content)
    with pytest.raises(ResultFileError, match=r"odd\.nxs"):
        open_result(path)
    with pytest.raises(ResultFileError, match=r"odd\.nxs"):
        repair(path)
    assert path.read_bytes() == content


def test_another_programs_file_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["entry/data"] = 1
    with pytest.raises(ResultFileError, match="no phasecast result"):
        open_result(path)
