"""HDF5 files that grow in a watched folder: every frame once, and a corrupt one is one rejected frame."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from phasecast.core.errors import FrameError, IncompleteFileError
from phasecast.core.frame import Frame, counter_key
from phasecast.core.record import Channel
from phasecast.core.scan import Defect
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.file_decoder import FileDecoder
from phasecast.sources.file_record import encode_file
from phasecast.sources.folder_watch import FolderWatch
from phasecast.sources.frame_store import CaptureFrameStore
from phasecast.sources.hdf5_chunk import decode_chunk
from phasecast.sources.hdf5_frames import Hdf5Frames
from support import hdf5_writer
from support.hdf5_headers import tear_header
from support.simplon_wire import record


class Writer:
    """A process that writes one file as fast as it is told."""

    def __init__(
        self, path: Path, compression: str = "bslz4", depth: int = 1, dataset: str = "entry/data/data"
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, hdf5_writer.__file__, str(path), dataset, compression, str(depth)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._hear("made")

    def say(self, what: str, answer: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        self._hear(answer)

    def _hear(self, answer: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == answer

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def writers() -> Iterator[list[Writer]]:
    started: list[Writer] = []
    yield started
    for writer in started:
        writer.end()


class Looks:
    """Looks of a watch at times that the test chooses, decoded."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.watch = FolderWatch(folder, **options)  # type: ignore[arg-type]
        self.decoder = FileDecoder()
        self.now_s = 0.0

    def __call__(self, after_s: float = 1.1) -> list[Frame | Defect]:
        self.now_s += after_s
        messages: list[Frame | Defect] = []
        for found in self.watch.look(self.now_s):
            messages.extend(self.decoder.decode(record(encode_file(found), channel="files")))
        return messages


def assert_frames(messages: list[Frame | Defect], numbers: list[int]) -> None:
    assert [message.number for message in messages] == numbers
    for message in messages:
        assert isinstance(message, Frame)
        np.testing.assert_array_equal(message.image, hdf5_writer.frame(message.number))


def test_frames_come_one_by_one_while_the_file_grows(tmp_path: Path, writers: list[Writer]) -> None:
    looks = Looks(tmp_path)
    writer = Writer(tmp_path / "run_7.h5")
    writers.append(writer)
    assert looks() == []  # open for writing, and nobody may read it yet
    writer.say("", "swmr")
    assert looks() == []
    writer.say("1", "1")
    (first,) = looks(0.05)
    assert_frames([first], [0])
    assert isinstance(first, Frame)
    assert (first.frame_id, first.series, first.keys) == ("run_7/0", "run_7", (counter_key(0),))
    assert first.reference.store == "capture"
    writer.say("3", "4")
    assert_frames(looks(0.05), [1, 2, 3])
    assert looks(0.05) == []
    writer.say("1", "5")
    writer.say("close", "closed")
    assert_frames(looks(0.05), [4])
    assert looks(100.0) == []
    looks.watch.close()


@pytest.mark.parametrize("compression", hdf5_writer.COMPRESSIONS)
def test_every_usual_compression_and_chunks_of_several_frames_are_read(tmp_path: Path, compression: str) -> None:
    for depth in (1, 3):
        with h5py.File(tmp_path / f"c_{depth}.h5", "w", libver="latest") as file:
            data = file.create_dataset(
                "entry/data/data",
                data=np.stack([hdf5_writer.frame(index) for index in range(5)]),
                chunks=(depth, *hdf5_writer.SHAPE),
                **hdf5_writer.COMPRESSIONS[compression],
            )
            assert data.shape[0] == 5
    messages = Looks(tmp_path)()
    assert_frames(messages[:5], list(range(5)))
    assert_frames(messages[5:], list(range(5)))


def test_a_killed_writer_costs_no_frame_that_it_had_flushed(tmp_path: Path, writers: list[Writer]) -> None:
    looks = Looks(tmp_path)
    writer = Writer(tmp_path / "a.h5")
    writers.append(writer)
    writer.say("", "swmr")
    writer.say("4", "4")
    writer.end()
    assert_frames(looks(), [0, 1, 2, 3])
    assert looks(60.0) == []


@pytest.mark.parametrize("torn", ["entry/data/data", "entry/data"])
def test_nobody_waits_for_a_header_that_a_killed_writer_tore(tmp_path: Path, writers: list[Writer], torn: str) -> None:
    writer = Writer(tmp_path / "a.h5")
    writers.append(writer)
    writer.say("", "swmr")
    writer.say("4", "4")
    writer.end()
    tear_header(tmp_path / "a.h5", torn)
    with pytest.raises(IncompleteFileError, match="checksum"):
        Hdf5Frames(tmp_path / "a.h5", "/entry/data/data", max_bytes=1 << 30)


def chunk_place(path: Path, index: int) -> tuple[int, int]:
    with h5py.File(path) as file:
        stored = file["entry/data/data"].id.get_chunk_info(index)
        return int(stored.byte_offset), int(stored.size)


@pytest.mark.parametrize("compression", ["bslz4", "lz4", "deflate", "bszstd"])
def test_a_corrupt_chunk_is_one_rejected_frame(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        frames = np.stack([hdf5_writer.frame(index) for index in range(3)])
        keywords = hdf5_writer.COMPRESSIONS[compression]
        file.create_dataset("entry/data/data", data=frames, chunks=(1, *hdf5_writer.SHAPE), **keywords)
    place, size = chunk_place(path, 1)
    content = bytearray(path.read_bytes())
    content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
    before, corrupt, after = Looks(tmp_path)()
    assert_frames([before, after], [0, 2])
    assert isinstance(corrupt, Defect)
    assert (corrupt.reason, corrupt.number, corrupt.frame_id) == ("corrupt frame", 1, "a/1")


def test_bytes_changed_anywhere_in_a_chunk_never_end_the_process(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        keywords = hdf5_writer.COMPRESSIONS["bslz4"]
        file.create_dataset(
            "entry/data/data", data=hdf5_writer.frame(0)[None], chunks=(1, *hdf5_writer.SHAPE), **keywords
        )
        _, chunk = file["entry/data/data"].id.read_direct_chunk((0, 0, 0))
    ended = 0
    for place in range(len(chunk)):
        for changed in (chunk[:place], chunk[:place] + bytes([chunk[place] ^ 0x81]) + chunk[place + 1 :]):
            try:
                decode_chunk(changed, shape=hdf5_writer.SHAPE, dtype="<i4", encoding="bslz4", max_bytes=1 << 20)
            except FrameError:
                ended += 1
    assert ended > len(chunk)


def hdf5_file(path: Path, make: object, *, libver: str = "latest") -> Path:
    with h5py.File(path, "w", libver=libver) as file:
        make(file)  # type: ignore[operator]
    return path


def frames_in(dataset: str, **keywords: object):
    frames = np.stack([hdf5_writer.frame(index) for index in range(2)])
    return lambda file: file.create_dataset(dataset, data=frames, **keywords)


HOSTILE = {
    "parts of frames": (frames_in("entry/data/data", chunks=(1, 10, 30)), "parts of frames"),
    "no dataset": (frames_in("elsewhere"), "no dataset"),
    "a group": (frames_in("entry/data/data/inner"), "no dataset"),
    "floats": (lambda file: file.create_dataset("entry/data/data", data=np.zeros((2, 3, 4))), "not integer"),
    "a row": (lambda file: file.create_dataset("entry/data/data", data=np.zeros(3, "i4")), "is not (frames"),
    "link into another file": (
        lambda file: file.__setitem__("entry/data/data", h5py.ExternalLink("/etc/passwd", "/x")),
        "another file",
    ),
    "links in a circle": (lambda file: file.__setitem__("entry", h5py.SoftLink("/entry")), "no dataset"),
    "pixels in another file": (
        lambda file: file.create_dataset("entry/data/data", (1, 2, 2), "i4", external=[("/etc/passwd", 0, 16)]),
        "other files",
    ),
    "a frame above the cap": (
        lambda file: file.create_dataset("entry/data/data", (1, 40_000, 40_000), "i4", chunks=(1, 40_000, 1)),
        "larger than",
    ),
    "more frames than any scan": (
        lambda file: file.create_dataset("entry/data/data", (10**9, 2, 2), "u1", chunks=(1, 2, 2)),
        "announces 1000000000 frames",
    ),
    "an unknown filter": (frames_in("entry/data/data", chunks=(1, 20, 30), fletcher32=True), "filter 3"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_holds_no_frames_is_one_defect_that_names_no_frame(tmp_path: Path, name: str) -> None:
    make, says = HOSTILE[name]
    hdf5_file(tmp_path / "bad_5.h5", make)
    hdf5_file(tmp_path / "good.h5", frames_in("entry/data/data"))
    looks = Looks(tmp_path, timeout_s=5.0)
    messages = looks() + looks(3.0) + looks(3.0) + looks(3.0) + looks(20.0)
    (defect,) = [message for message in messages if isinstance(message, Defect)]
    assert says in defect.detail
    assert (defect.number, defect.frame_id) == (None, None)
    assert_frames([message for message in messages if isinstance(message, Frame)], [0, 1])


def test_what_is_no_hdf5_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = hdf5_file(tmp_path / "whole.tmp", frames_in("entry/data/data")).read_bytes()
    opened: list[object] = []
    monkeypatch.setattr(h5py, "File", lambda *arguments, **_: opened.append(arguments))
    for number, content in enumerate(
        (b"", b"\x89HDF", whole[:40], whole[: len(whole) - 1], b"GIF89a" * 30, b"\0" * 99)
    ):
        (tmp_path / f"bad_{number}.h5").write_bytes(content)
    looks = Looks(tmp_path, timeout_s=5.0)
    messages = looks() + looks(3.0) + looks(3.0) + looks(3.0)
    assert sorted(message.reason for message in messages if isinstance(message, Defect)) == (
        ["corrupt frame"] * 2 + ["incomplete file"] * 4
    )
    assert not opened


def test_announced_frames_without_pixels_are_named_once_and_those_behind_them_come(tmp_path: Path) -> None:
    def make(file: h5py.File) -> None:
        data = file.create_dataset("entry/data/data", (1000, 20, 30), "<i4", chunks=(1, 20, 30))
        data[0], data[5] = hdf5_writer.frame(0), hdf5_writer.frame(5)

    hdf5_file(tmp_path / "a.h5", make)
    looks = Looks(tmp_path, timeout_s=5.0)
    first, gap, last = looks() + looks(1.0) + looks(6.0)
    assert_frames([first, last], [0, 5])
    assert isinstance(gap, Defect)
    assert "frames 1 to 4 have no pixels" in gap.detail
    assert looks(100.0) == []


def test_a_restarted_watch_goes_on_behind_the_frames_that_were_recorded(tmp_path: Path) -> None:
    (tmp_path / "run1").mkdir()
    hdf5_file(tmp_path / "run1" / "a.h5", frames_in("entry/data/data", chunks=(1, *hdf5_writer.SHAPE)))
    looks = Looks(tmp_path)
    looks.watch.go_on_behind({}, {"run1/a.h5": 1})
    assert_frames(looks(), [1])


def test_the_store_reads_a_frame_back_although_the_file_is_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    path = hdf5_file(folder / "a.h5", frames_in("entry/data/data", chunks=(1, *hdf5_writer.SHAPE)))
    found = list(FolderWatch(folder).look())
    with CaptureWriter(tmp_path / "captures") as writer:
        for one in found:
            writer.append(Channel("files"), encode_file(one), 0.0)
    path.write_bytes(b"")
    with CaptureReader(tmp_path / "captures", follow=False) as reader:
        frames = [frame for raw in reader for frame in FileDecoder().decode(raw)]
    assert_frames(frames, [0, 1])
    for frame in frames:
        assert isinstance(frame, Frame)
        read = CaptureFrameStore(tmp_path / "captures").read(frame.reference)
        np.testing.assert_array_equal(read, hdf5_writer.frame(frame.number))
