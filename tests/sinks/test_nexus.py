import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from phasecast.core.errors import ResultFileError
from phasecast.core.frame import FrameReference
from phasecast.core.ledger import PointFlag, PointState
from phasecast.results import open_result, repair
from phasecast.sinks.nexus import NexusSink
from support.documents import CLASS_IDS, MODEL, Scan, make_header, raster_scan
from support.result_writer import PAGE, SHAPE, WriterProcess, scan


def write(path: Path, run: Scan, size: int = 3) -> Path:
    sink = NexusSink(path)
    for document in run.documents(size):
        sink(*document)
    return path


def validation(path: Path) -> tuple[int, int]:
    """Warnings and errors that nxvalidate counts; its exit status is always 0."""
    command = [str(Path(sys.executable).with_name("nxvalidate")), "-a", "NXazint1d", str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    text = output.stdout + output.stderr
    found = re.search(r"Total number of warnings: (\d+).*Total number of errors: (\d+)", text, re.DOTALL)
    assert found, text
    return int(found[1]), int(found[2])


def datasets(path: Path) -> dict[str, object]:
    """Everything in a file, read by plain h5py."""
    content: dict[str, object] = {}

    def walk(group: h5py.Group) -> None:  # visititems shows each hard link once only
        for item in group.values():
            if isinstance(item, h5py.Group):
                walk(item)
            else:
                content[f"{group.name}/{item.name.rpartition('/')[2]}".lstrip("/")] = item[()]

    with h5py.File(path, "r") as file:
        walk(file)
    return content


SCATTERED = Scan(
    make_header(shape=None, expected=None),
    np.array([0.0, 3.0, 5.0, 9.0, 12.0, 30.0]),
    np.array([1.0, -4.0, 2.0, 8.0, 8.0, 0.0]),
)


@pytest.mark.parametrize(
    "run",
    [
        raster_scan(),
        raster_scan((7, 3), fast="y", snaking=False),
        raster_scan(classified=False),
        raster_scan((2, 3), bins=600),
        SCATTERED,
    ],
    ids=["raster", "turned raster", "not classified", "six points", "scattered"],
)
def test_closed_files_are_valid_and_read_by_everyone(tmp_path: Path, run: Scan) -> None:
    path = write(tmp_path / "scan.nxs", run)
    assert validation(path) == (0, 0)
    content = datasets(path)
    assert len(content) > 60
    rows = np.arange(len(run.x_um))
    np.testing.assert_array_equal(content["entry/data/I"], run.intensity(rows))
    np.testing.assert_array_equal(content["entry/ledger/x_um"], run.x_um)
    np.testing.assert_array_equal(content["entry/monitor/data"], 1e6 + rows)
    assert content["entry/start_time"] == b"2023-11-14T22:13:20.000+00:00"
    assert content["entry/end_time"][0] == b"2023-11-14T22:14:20.000+00:00"  # type: ignore[index]


def test_validation_would_notice_a_broken_file(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.nxs", raster_scan())
    with h5py.File(path, "r+") as file:
        del file["entry/instrument/source"]
    assert validation(path)[1] > 0


def test_the_file_says_how_its_numbers_were_made(tmp_path: Path) -> None:
    run = raster_scan()
    with open_result(write(tmp_path / "scan.nxs", run)) as result:
        assert result.header == run.header
        file = result.file
        process = file["entry/classification"]
        assert "calibrated on simulation only" in process["note"][()].decode()
        assert "not an amount" in process["note"][()].decode()
        assert process["model/sha256"][()].decode() == MODEL.sha256
        assert [name.decode() for name in process["classes/id"]] == list(CLASS_IDS)
        assert process["classes/name_ja"][1].decode() == "ゲーサイト"
        lines = process["classes/reference_lines"][...]
        np.testing.assert_allclose(lines[lines[:, 0] == 2], [[2, 14, 100], [2, 22, 40]])
        assert file["entry/sample/name"][()].decode() == "錆 A-3"
        assert file["entry/collection_identifier"][()].decode() == "raw-1"
        wavelength = file["entry/instrument/monochromator/wavelength"][()]
        assert wavelength * 10.0 == pytest.approx(12.398419843)


def test_maps_lie_in_sample_coordinates_with_y_up(tmp_path: Path) -> None:
    run = raster_scan((4, 5), y_sign=-1, x_sign=-1)
    with h5py.File(write(tmp_path / "scan.nxs", run), "r") as file:
        maps = file["entry/classification/maps"]
        assert set(maps) == {*CLASS_IDS, "total_intensity", "ledger_state"}
        rows = np.arange(20)
        for k, name in enumerate(CLASS_IDS):
            group = maps[name]
            assert list(group.attrs["axes"]) == ["y", "x"]
            x, y = group["x"][...], group["y"][...]
            assert np.all(np.diff(x) > 0)
            assert np.all(np.diff(y) > 0)
            picture = group[group.attrs["signal"]][...]
            at_point = picture[np.searchsorted(y, run.y_um), np.searchsorted(x, run.x_um)]
            np.testing.assert_array_equal(at_point, run.confidences(rows)[:, k])


def test_scattered_points_are_drawn_where_they_were(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path / "scan.nxs", SCATTERED), "r") as file:
        group = file["entry/classification/maps/goethite"]
        assert list(group.attrs["axes"]) == ["x", "y"]
        np.testing.assert_array_equal(group["x"], SCATTERED.x_um)
        np.testing.assert_array_equal(group["confidence"], SCATTERED.confidences(np.arange(6))[:, 1])


def test_points_may_come_in_any_order_and_again(tmp_path: Path) -> None:
    run = raster_scan()
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in run.opening():
        sink(*document)
    order = np.random.default_rng(3).permutation(20)
    for rows in np.array_split(order, 4):
        sink(*run.points(rows))
        sink(*run.ledger(rows))
    again = np.array([4, 5, 11])
    sink(*run.points(again, revision=1))
    sink(*run.ledger(again, flags=int(PointFlag.REVISED)))
    sink(*run.points(again, revision=0))  # a late duplicate of the first scoring changes nothing
    sink(*run.ledger(again, flags=int(PointFlag.REVISED)))
    sink(*run.stop(surplus=0))
    with open_result(sink.path) as result:
        expected = run.intensity(np.arange(20))
        expected[again] = run.intensity(again, 1)
        np.testing.assert_array_equal(result.patterns, expected)
        assert result.flag_sums["revised"] == 3
        assert result.counters == {"exit_status": "success", "surplus": 0}


def test_more_points_than_announced_grow_the_file(tmp_path: Path) -> None:
    run = raster_scan((4, 5))
    run = Scan(run.header, np.r_[run.x_um, run.x_um[:7] + 100], np.r_[run.y_um, run.y_um[:7]])
    path = write(tmp_path / "scan.nxs", run, size=4)
    with open_result(path) as result:
        assert result.points == result.points_done == 27
        np.testing.assert_array_equal(result.patterns, run.intensity(np.arange(27)))
        assert result.map_of(result.ledger["x_um"].values).shape == (4, 5)
    assert validation(path) == (0, 0)


def test_states_defects_and_reasons_are_kept(tmp_path: Path) -> None:
    run = raster_scan((2, 5))
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in run.opening():
        sink(*document)
    rows = np.arange(6)
    sink(*run.points(rows))
    sink(*run.defect("corrupt frame", "image 7 ends after 12 bytes; ファイル"))
    sink(*run.ledger(rows, frame_store="file", frame_path="/ramdisk/測定/run_00001.cbf", frame_sha256="cd" * 32))
    sink(*run.ledger(np.array([6]), PointState.REJECTED, reason="corrupt frame"))
    sink(*run.ledger(np.array([7]), PointState.LOST_UPSTREAM, reason="no frame"))
    sink(*run.ledger(np.array([8, 9]), PointState.NOT_MEASURED, x_um=np.nan, y_um=np.nan))
    sink(*run.defect("surplus frame", "frame 99 belongs to no point"))
    sink(*run.stop())
    with open_result(sink.path) as result:
        sums = {state: count for state, count in result.ledger_sums.items() if count}
        assert sums == {"done": 6, "rejected": 1, "lost_upstream": 1, "not_measured": 2}
        assert result.ledger["reason"].values[6] == "corrupt frame"
        assert np.isnan(result.patterns[6:]).all()
        assert result.defects["reason"].values.tolist() == ["corrupt frame", "surplus frame"]
        assert result.defects["detail"].values[0].endswith("ファイル")
        assert result.frame_reference(2) == FrameReference(
            store="file", path="/ramdisk/測定/run_00001.cbf", offset=2000, number=3, sha256="cd" * 32
        )
        states = result.file["entry/classification/maps/ledger_state/ledger_state"][...]
        assert sorted(states.ravel()) == [2] * 6 + [3, 4] + [6] * 2


def test_a_second_process_sees_every_committed_point_while_the_file_grows(tmp_path: Path) -> None:
    path, run = tmp_path / "scan.nxs", scan()
    with WriterProcess(path) as writer, open_result(path) as result:
        assert not result.is_closed
        assert result.points_done == 0
        assert result.header == run.header
        for pages in (1, 4, 20):
            done = int(writer.ask(f"pages {pages}"))
            result.refresh()
            assert result.points_done == done
            rows = np.arange(done)
            np.testing.assert_array_equal(result.patterns[:done], run.intensity(rows))
            np.testing.assert_array_equal(result.confidences[:done], run.confidences(rows))
            assert np.isnan(result.patterns[done:]).all()
            assert result.frame_reference(done - 1).path == "20260101T000000-測定.cap"  # type: ignore[union-attr]
            assert result.last_commit["capture_offset"] == (done - 1) * 1000
        # Rows that are in the file but not committed do not exist.
        writer.ask("torn")
        result.refresh()
        assert result.points_done == done
        assert np.isnan(result.patterns[done : done + PAGE]).all()


def test_a_reader_in_step_with_nothing_sees_only_whole_points(tmp_path: Path) -> None:
    path, run = tmp_path / "scan.nxs", scan()
    total, seen = len(run.x_um), [0]
    with WriterProcess(path) as writer, open_result(path) as result:
        writer.tell("run")
        while seen[-1] < total:
            result.refresh()
            done = np.flatnonzero(result.done)
            np.testing.assert_array_equal(done, np.arange(done.size))
            assert done.size >= seen[-1]
            np.testing.assert_array_equal(result.patterns[seen[-1] : done.size], run.intensity(done[seen[-1] :]))
            np.testing.assert_array_equal(result.confidences[: done.size], run.confidences(done))
            seen.append(done.size)
        assert len(set(seen)) > 3


@pytest.mark.parametrize("room", [0, 3000, 9000, 20_000, 50_000])
def test_a_full_disk_is_a_clear_error_and_costs_no_committed_point(tmp_path: Path, room: int) -> None:
    path, run = tmp_path / "scan.nxs", scan()
    with WriterProcess(path) as writer:
        writer.ask("pages 10")
        writer.tell(f"room {path.stat().st_size + room}")
        writer.tell("run")
        answers = []
        while (answer := writer.answer()) and not answer.startswith("failed"):
            answers.append(int(answer))
        assert "free space" in answer
        writer.kill()
    reported = max(answers, default=30)
    assert reported < len(run.x_um)
    repair(path)
    with open_result(path) as result:
        assert result.points_done >= reported
        rows = np.flatnonzero(result.done)
        np.testing.assert_array_equal(result.patterns[rows], run.intensity(rows))


def test_a_scan_closed_by_its_daemon_is_continued_by_the_next(tmp_path: Path) -> None:
    run = raster_scan((4, 5))
    with NexusSink(tmp_path / "scan.nxs") as sink:
        for document in (*run.opening(), *run.pages(4, last=8)):
            sink(*document)
    sink = NexusSink.resume(sink.path)
    for document in (*run.opening(), *run.pages(4, first=8), run.stop(surplus=1)):
        sink(*document)
    assert validation(sink.path) == (0, 0)
    with open_result(sink.path) as result:
        np.testing.assert_array_equal(result.patterns, run.intensity(np.arange(20)))
        assert result.counters == {"exit_status": "success", "surplus": 1}
        assert result.last_commit["sequence"] == 5
        picture = result.file["entry/classification/maps/total_intensity/total_intensity"][...]
        np.testing.assert_allclose(np.sort(picture.ravel()), run.intensity(np.arange(20)).sum(axis=1), rtol=1e-5)


def test_maps_follow_the_scan_at_their_own_pace(tmp_path: Path) -> None:
    run, seconds = raster_scan((4, 5)), iter(np.arange(0, 100, 0.4))
    path = tmp_path / "scan.nxs"
    sink = NexusSink(path, monotonic=lambda: next(seconds), map_interval_s=1.0)
    for document in run.opening():
        sink(*document)
    shown = []
    assert sink._file is not None
    picture = sink._file["entry/classification/maps/goethite/confidence"]
    for document in run.pages(1, last=8):
        sink(*document)
        shown.append(int(np.isfinite(picture[...]).sum()))
    assert shown[1::2] == [1, 1, 1, 4, 4, 4, 7, 7]
    sink(*run.stop())
    with open_result(path) as result:
        assert np.isfinite(result.file["entry/classification/maps/goethite/confidence"]).sum() == 8


def test_a_result_is_never_overwritten_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.nxs", raster_scan())
    before = path.read_bytes()
    with pytest.raises(ResultFileError, match="the file exists"):
        write(path, raster_scan())
    assert path.read_bytes() == before


def test_closing_without_a_stop_document_leaves_a_finished_file(tmp_path: Path) -> None:
    run = raster_scan()
    with NexusSink(tmp_path / "scan.nxs") as sink:
        for document in (*run.opening(), *run.pages(4, last=8)):
            sink(*document)
    assert validation(sink.path) == (0, 0)
    with open_result(sink.path) as result:
        assert result.is_closed
        assert result.points_done == 8
        assert result.counters["exit_status"] == "unfinished"
    assert [item.name for item in tmp_path.iterdir()] == ["scan.nxs"]


def test_a_page_that_does_not_fit_is_a_clear_error(tmp_path: Path) -> None:
    run = raster_scan()
    with NexusSink(tmp_path / "scan.nxs") as sink:
        for document in run.opening():
            sink(*document)
        name, page = run.points(np.arange(3))
        del page["data"]["sigma"]
        with pytest.raises(ResultFileError, match=r"scan\.nxs.*sigma"):
            sink(name, page)


def test_shape_of_the_process_scan_leaves_room_for_kills() -> None:
    assert np.prod(SHAPE) > 50 * PAGE
