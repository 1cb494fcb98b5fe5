"""A watched folder: every complete file once, no incomplete one, nothing written there."""

import hashlib
import os
import time
from pathlib import Path

import cbor2
import numpy as np
import pytest

from phasecast.core.errors import SourceError
from phasecast.core.frame import Frame, counter_key, file_key
from phasecast.core.scan import Defect
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.directory import DirectoryReceiver
from phasecast.sources.file_decoder import FileDecoder
from phasecast.sources.file_journal import go_on_behind
from phasecast.sources.file_record import FoundFile, decode_file
from phasecast.sources.folder_watch import FolderWatch
from support import hostile_wire
from support.frame_files import cbf_bytes, small_image
from support.simplon_wire import record


class Clock:
    """Looks at a folder at times that the test chooses."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.watch = FolderWatch(folder, **options)  # type: ignore[arg-type]
        self.now_s = 0.0

    def look(self, after_s: float = 1.1) -> list[FoundFile]:
        self.now_s += after_s
        return list(self.watch.look(self.now_s))

    def names(self, after_s: float = 1.1) -> list[str]:
        return [found.name for found in self.look(after_s)]


def write(folder: Path, *numbers: int, seed: int = 0) -> None:
    for number in numbers:
        (folder / f"scan_{number:05d}.cbf").write_bytes(cbf_bytes(small_image(seed + number, (20, 30))))


def test_every_file_is_found_once(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    write(tmp_path, 0, 1, 2)
    assert clock.names() == ["scan_00000.cbf", "scan_00001.cbf", "scan_00002.cbf"]
    write(tmp_path, 3)
    assert clock.names() == ["scan_00003.cbf"]
    assert clock.names() == []


def test_the_next_number_is_found_without_listing_the_folder(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    write(tmp_path, 0)
    assert len(clock.names()) == 1
    write(tmp_path, 1, 2, 4)
    assert clock.names(0.05) == ["scan_00001.cbf", "scan_00002.cbf"]
    assert clock.names(1.1) == ["scan_00004.cbf"]


def test_files_may_come_in_any_order(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    found: list[str] = []
    for number in (5, 3, 4, 0, 2, 1):
        write(tmp_path, number)
        found += clock.names()
    assert sorted(found) == [f"scan_{number:05d}.cbf" for number in range(6)]


def test_a_file_counts_when_its_last_byte_is_there(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    whole = cbf_bytes(small_image())
    path = tmp_path / "scan_00000.cbf"
    binary = whole.index(b"\x0c\x1a\x04\xd5")
    with path.open("wb") as stream:
        done = 0
        # The second cut lies inside the binary section's header, where fabio never returns.
        for cut in (10, binary - 40, binary + 4, len(whole) // 2):
            stream.write(whole[done:cut])
            stream.flush()
            done = cut
            assert clock.names() == []
            assert clock.watch.pending == 1
        stream.write(whole[done:])
    (found,) = clock.look()
    assert found.problem == ""
    assert found.sha256 == hashlib.sha256(whole).hexdigest()
    assert (found.size, clock.watch.pending) == (len(whole), 0)


def test_a_file_that_stays_incomplete_is_given_up_and_taken_should_it_complete(tmp_path: Path) -> None:
    clock = Clock(tmp_path, timeout_s=5.0)
    whole = cbf_bytes(small_image())
    path = tmp_path / "scan_00000.cbf"
    path.write_bytes(whole[:5000])
    assert clock.look(1.1) == []
    assert clock.look(3.0) == []
    (given_up,) = clock.look(3.0)
    assert "bytes of pixels are there" in given_up.problem
    assert not given_up.corrupt
    assert clock.look(10.0) == []
    path.write_bytes(whole)
    (found,) = clock.look(1.1)
    assert (found.name, found.problem) == ("scan_00000.cbf", "")


def test_a_file_that_cannot_become_a_frame_is_given_up_at_once(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    path = tmp_path / "scan_00000.tif"
    path.write_bytes(b"GIF89a" * 100)
    os.utime(path, (time.time() - 60,) * 2)
    (given_up,) = clock.look()
    assert given_up.corrupt
    assert given_up.problem == "not a TIFF"


def test_a_tiff_must_keep_still_before_it_counts(tmp_path: Path, measured_data: Path) -> None:
    packed = next((measured_data / "pilatus100k_scan_tiff").glob("*.tif.gz")).read_bytes()
    clock = Clock(tmp_path)
    (tmp_path / "a_1.tif.gz").write_bytes(packed)
    assert clock.names(1.1) == []
    assert clock.names(0.1) == []
    assert clock.names(0.2) == ["a_1.tif.gz"]


def test_run_folders_are_watched_one_level_deep(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    (tmp_path / "run1" / "deeper").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    write(tmp_path / "run1", 0)
    write(tmp_path / "run1" / "deeper", 1)
    write(tmp_path / ".hidden", 2)
    assert clock.names() == ["run1/scan_00000.cbf"]
    write(tmp_path / "run1", 1)
    assert clock.names(0.05) == ["run1/scan_00001.cbf"]


def test_what_is_no_frame_is_left_alone(tmp_path: Path) -> None:
    clock = Clock(tmp_path, patterns=("*.cbf",))
    write(tmp_path, 0)
    for name in ("alignment.tif", ".scan_00001.cbf", "scan_00001.cbf.tmp", "scan_00000.txt", "b_1.edf", "c_1.raw"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder_00001.cbf").mkdir()
    os.mkfifo(tmp_path / "pipe_00001.cbf")
    assert clock.names() == ["scan_00000.cbf"]
    assert clock.watch.pending == 0


def test_old_files_count_only_where_they_are_wanted(tmp_path: Path) -> None:
    write(tmp_path, 0, 1)
    os.utime(tmp_path / "scan_00000.cbf", (1e9, 1e9))
    assert Clock(tmp_path, existing=False).names() == ["scan_00001.cbf"]
    assert Clock(tmp_path, existing=True).names() == ["scan_00000.cbf", "scan_00001.cbf"]


def test_a_file_that_is_renamed_into_place_is_found(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    write(tmp_path, 0)
    assert len(clock.names()) == 1
    (tmp_path / "later.tmp").write_bytes(cbf_bytes(small_image(3)))
    assert clock.names() == []
    (tmp_path / "later.tmp").rename(tmp_path / "other_00007.cbf")
    assert clock.names() == ["other_00007.cbf"]


def test_looking_costs_the_same_however_many_files_lie_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = cbf_bytes(small_image(0, (2, 3)))
    (tmp_path / "scan_00000.cbf").write_bytes(content)
    for number in range(1, 3000):
        os.link(tmp_path / "scan_00000.cbf", tmp_path / f"scan_{number:05d}.cbf")
    clock = Clock(tmp_path)
    assert len(clock.names()) == 3000
    calls = 0
    real_stat = os.stat

    def counted(*arguments: object, **keywords: object) -> os.stat_result:
        nonlocal calls
        calls += 1
        return real_stat(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", counted)
    for number in range(3000, 3020):
        os.link(tmp_path / "scan_00000.cbf", tmp_path / f"scan_{number:05d}.cbf")
        assert clock.names(0.05) == [f"scan_{number:05d}.cbf"]
    assert calls < 20 * 10


def note(path: Path, **changes: object) -> list[bytes]:
    content = path.read_bytes() if path.exists() else b""
    return [
        cbor2.dumps(
            {
                "path": str(path),
                "name": path.name,
                "size": len(content),
                "mtime_s": 0.0,
                "sha256": hashlib.sha256(content).hexdigest(),
                "problem": "",
                "corrupt": False,
            }
            | changes
        )
    ]


def test_a_recorded_file_becomes_a_frame(tmp_path: Path) -> None:
    image = small_image()
    path = tmp_path / "scan_00017.cbf"
    path.write_bytes(cbf_bytes(image, "2026-01-01T10:00:00.250", "Exposure_time 0.097 s", "Map_x 1.5 mm"))
    (frame,) = FileDecoder(position_fields={"x": "Map_x"}).decode(record(note(path, name="run1/scan_00017.cbf")))
    assert isinstance(frame, Frame)
    np.testing.assert_array_equal(frame.image, image)
    assert (frame.frame_id, frame.series, frame.number) == ("run1/scan_00017.cbf", "run1/scan", 17)
    assert frame.keys == (file_key("scan_00017.cbf"), counter_key(17))
    assert frame.exposure_s == 0.097
    assert frame.hardware_s is not None
    assert time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(frame.hardware_s)) == "2026-01-01T10:00:00"
    assert frame.hardware_s % 1 == pytest.approx(0.25)
    assert frame.position_um == {"x": 1500.0}
    assert (frame.reference.store, frame.reference.path) == ("file", str(path))


def test_a_file_that_changed_or_vanished_since_is_a_defect(tmp_path: Path) -> None:
    write(tmp_path, 0)
    path = tmp_path / "scan_00000.cbf"
    recorded = note(path)
    write(tmp_path, 0, seed=9)
    (changed,) = FileDecoder().decode(record(recorded))
    path.unlink()
    (gone,) = FileDecoder().decode(record(recorded))
    for message, what in ((changed, "has changed"), (gone, "is gone")):
        assert isinstance(message, Defect)
        assert message.reason == "changed file"
        assert what in message.detail
        assert str(path) in message.detail
        assert (message.frame_id, message.number) == ("scan_00000.cbf", 0)


def test_a_file_that_moved_is_found_below_a_root(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new" / "run1").mkdir(parents=True)
    write(tmp_path / "old", 0)
    recorded = note(tmp_path / "old" / "scan_00000.cbf", name="run1/scan_00000.cbf")
    (tmp_path / "old" / "scan_00000.cbf").rename(tmp_path / "new" / "run1" / "scan_00000.cbf")
    (frame,) = FileDecoder(file_roots=[tmp_path / "new"]).decode(record(recorded))
    assert isinstance(frame, Frame)
    assert frame.reference.path == str(tmp_path / "new" / "run1" / "scan_00000.cbf")


def test_an_incomplete_file_is_a_defect_that_names_its_frame(tmp_path: Path) -> None:
    path = tmp_path / "scan_00004.cbf"
    (defect,) = FileDecoder().decode(record(note(path, problem="10 of 20 bytes of pixels are there")))
    assert isinstance(defect, Defect)
    assert defect.reason == "incomplete file"
    assert defect.number == 4
    assert file_key("scan_00004.cbf") in defect.frame_keys
    assert "10 of 20 bytes" in defect.detail


@pytest.mark.parametrize("name", hostile_wire.file_records())
def test_hostile_records_become_defects(name: str) -> None:
    (defect,) = FileDecoder().decode(record(hostile_wire.file_records()[name], channel="files"))
    assert isinstance(defect, Defect)


def stream(folder: Path, captures: Path, count: int, decoder: FileDecoder, receiver: DirectoryReceiver) -> list[object]:
    messages: list[object] = []
    with CaptureWriter(captures) as writer, CaptureReader(captures) as reader:
        receiver.start(writer)
        while len(messages) < count:
            assert writer.wait(20.0, reader.position), f"only {len(messages)} of {count} files came"
            for raw in reader.read_available():
                messages.extend(decoder.decode(raw))
        receiver.stop()
    return messages


def test_the_measured_map_streams_to_its_header_positions(tmp_path: Path, measured_data: Path) -> None:
    sources = sorted((measured_data / "pilatus100k_map").glob("*.cbf"))
    folder = tmp_path / "run"
    folder.mkdir()
    contents = {path.name: path.read_bytes() for path in sources}
    half, *others = [contents[path.name] for path in sources]
    (folder / sources[0].name).write_bytes(half[: len(half) // 2])
    decoder = FileDecoder(position_fields={"x": "Map_horizontal", "y": "Map_vertical"})
    receiver = DirectoryReceiver(folder)
    messages: list[object] = []
    with CaptureWriter(tmp_path / "captures") as writer, CaptureReader(tmp_path / "captures") as reader:
        receiver.start(writer)
        for path, content in reversed(list(zip(sources[1:], others, strict=True))):
            (folder / path.name).write_bytes(content)
        while len(messages) < len(others):
            assert writer.wait(20.0, reader.position)
            for raw in reader.read_available():
                messages.extend(decoder.decode(raw))
        (folder / sources[0].name).write_bytes(half)
        while len(messages) < len(sources):
            assert writer.wait(20.0, reader.position)
            for raw in reader.read_available():
                messages.extend(decoder.decode(raw))
        receiver.stop()
    frames = {message.number: message for message in messages if isinstance(message, Frame)}
    assert sorted(frames) == [1, 2, 3, 6, 7, 8]
    assert isinstance(messages[-1], Frame)
    assert messages[-1].number == 1
    for number, frame in frames.items():
        row, column = divmod(number - 1, 5)
        assert frame.position_um == {
            "x": pytest.approx(-328.0 + 2.0 * column),
            "y": pytest.approx(-560.0 + 2.0 * row),
        }
        assert frame.exposure_s == 29.999
    assert sorted(path.name for path in folder.iterdir()) == sorted(contents)


def test_the_measured_tiff_scan_streams_as_one_series(tmp_path: Path, measured_data: Path) -> None:
    folder = measured_data / "pilatus100k_scan_tiff"
    messages = stream(folder, tmp_path, 8, FileDecoder(), DirectoryReceiver(folder))
    frames = [message for message in messages if isinstance(message, Frame)]
    assert [frame.number for frame in frames] == list(range(5886011, 5886019))
    assert {frame.series for frame in frames} == {"p100kImage_380408"}
    assert all(frame.image.shape == (195, 487) for frame in frames)
    assert file_key("p100kImage_380408_5886011.tif") in frames[0].keys


def test_a_missing_folder_is_an_error_unless_it_may_come_later(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path / "captures") as writer:
        with pytest.raises(SourceError, match=r"does not exist.*wait=1"):
            DirectoryReceiver(tmp_path / "run").start(writer)
        with CaptureReader(tmp_path / "captures") as reader:
            receiver = DirectoryReceiver(tmp_path / "run", wait=True)
            receiver.start(writer)
            (tmp_path / "run").mkdir()
            write(tmp_path / "run", 0)
            assert writer.wait(20.0, reader.position)
            receiver.stop()


def test_a_second_receiver_goes_on_behind_what_the_capture_holds(tmp_path: Path) -> None:
    folder, captures = tmp_path / "run", tmp_path / "captures"
    folder.mkdir()
    write(folder, *range(6))
    (folder / "scan_00009.cbf").write_bytes(b"###CBF: cut")
    with CaptureWriter(captures) as writer:
        start = writer.end
        stream_into(writer, folder, count=6)
    write(folder, 2, seed=50)  # was recorded, and is another one now
    write(folder, 6, 9)
    receiver = DirectoryReceiver(folder)
    with CaptureWriter(captures) as writer:
        go_on_behind([receiver], captures, start)
        stream_into(writer, folder, count=3, receiver=receiver)
        assert receiver.status()["recorded_before"] == 5
    with CaptureReader(captures, follow=False) as reader:
        names = [decode_file(raw).name for raw in reader]
    assert sorted(names) == [f"scan_{number:05d}.cbf" for number in (0, 1, 2, 2, 3, 4, 5, 6, 9)]


def stream_into(writer: CaptureWriter, folder: Path, *, count: int, receiver: DirectoryReceiver | None = None) -> None:
    """Let a receiver record so many files."""
    receiver = receiver or DirectoryReceiver(folder)
    with CaptureReader(writer.folder, writer.end) as reader:
        receiver.start(writer)
        came = 0
        while came < count:
            assert writer.wait(20.0, reader.position), f"only {came} of {count} files came"
            came += sum(1 for _ in reader.read_available())
        receiver.stop()
