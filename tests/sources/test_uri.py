"""Sources by URI, old captures among them, and frames read back from where they lie."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from phasecast.core.errors import CaptureError, FrameError, PhasecastError, SourceError
from phasecast.core.frame import Frame, FrameReference
from phasecast.core.record import Channel
from phasecast.core.scan import Defect, SeriesEnd, SeriesStart
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.directory import DirectoryReceiver
from phasecast.sources.documents import DocumentDecoder, DocumentReceiver
from phasecast.sources.file_decoder import FileDecoder
from phasecast.sources.frame_store import CaptureFrameStore
from phasecast.sources.simplon import SimplonDecoder
from phasecast.sources.simplon_receiver import SimplonReceiver
from phasecast.sources.uri import SourceOptions, make_decoder, open_source
from support.frame_files import cbf_bytes, small_image
from support.simplon_wire import end_parts, header_parts, image_parts

SIMPLON = Channel("simplon")


@pytest.mark.parametrize(
    ("uri", "receiver", "decoder", "status"),
    [
        ("simplon://dcu:9999", SimplonReceiver, SimplonDecoder, ("address", "tcp://dcu:9999")),
        ("simplon://[::1]:9999", SimplonReceiver, SimplonDecoder, ("address", "tcp://[::1]:9999")),
        ("bluesky://host:5578?prefix=bl16xu", DocumentReceiver, DocumentDecoder, ("address", "tcp://host:5578")),
        ("files:///ramdisk/run1?existing=0&wait=1", DirectoryReceiver, FileDecoder, ("folder", "/ramdisk/run1")),
        ("files:///with%20blank", DirectoryReceiver, FileDecoder, ("folder", "/with blank")),
        ("simplon://dcu:9999?channel=simplon.2", SimplonReceiver, SimplonDecoder, ("channel", "simplon.2")),
    ],
)
def test_a_uri_names_both_halves_of_a_wire(uri: str, receiver: type, decoder: type, status: tuple[str, str]) -> None:
    source = open_source(uri)
    assert isinstance(source.receiver, receiver)
    assert isinstance(source.decoder, decoder)
    assert source.receiver.channel == source.channel
    assert source.receiver.status()[status[0]] == status[1]


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "dcu:9999",
        "http://dcu:9999",
        "simplon2://dcu:31001?channel=1",
        "simplon2://dcu:31001?channel=a%20b",
        "simplon2://dcu:31001?rest=dcu",
        "simplon://dcu",
        "simplon://dcu:many",
        "simplon://dcu:99999",
        "simplon://:9999",
        "simplon://dcu:9999/path",
        "simplon://dcu:9999?colour=red",
        "simplon://dcu:9999?channel=bluesky",
        "bluesky://host:5578?prefix=a%20b",
        "bluesky://host:5578?counter_offset=one",
        "files://",
        "files:///run?poll_s=-1",
        "files:///run?existing=perhaps",
        "simplon://[::1",
    ],
)
def test_a_bad_uri_is_refused_with_an_example(uri: str) -> None:
    with pytest.raises(SourceError, match="write for example"):
        open_source(uri)


def test_a_capture_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no capture here"):
        open_source(f"capture://{tmp_path}/nothing")


def test_a_channel_nobody_knows_is_refused() -> None:
    with pytest.raises(SourceError, match="recorded by a newer phasecast"):
        make_decoder(Channel("tango"))


def record_series(folder: Path) -> list[np.ndarray]:
    images = [np.full((195, 487), number, "u4") for number in range(5)]
    with CaptureWriter(folder) as writer:
        for second, parts in enumerate(
            [header_parts(3), *[image_parts(3, number, image) for number, image in enumerate(images)], end_parts(3)]
        ):
            writer.append(SIMPLON, parts, 1e9 + second)
        writer.append(Channel("tango"), [b"?"], 2e9)
    return images


def test_an_old_capture_runs_through_a_new_one_unchanged(tmp_path: Path) -> None:
    images = record_series(tmp_path / "old")
    source = open_source(f"capture://{tmp_path}/old")
    messages = []
    with CaptureWriter(tmp_path / "new") as writer, CaptureReader(tmp_path / "new") as reader:
        source.receiver.start(writer)
        while len(messages) < 8:
            assert writer.wait(20.0, reader.position)
            messages += [message for record in reader.read_available() for message in source.decoder.decode(record)]
        source.receiver.stop()
    start, *frames, end, unknown = messages
    assert isinstance(start, SeriesStart)
    assert start.received_s == 1e9
    assert isinstance(end, SeriesEnd)
    assert isinstance(unknown, Defect)
    store = CaptureFrameStore(tmp_path / "new")
    for frame, image in zip(frames, images, strict=True):
        assert isinstance(frame, Frame)
        assert frame.received_s == 1e9 + 1 + frame.number
        np.testing.assert_array_equal(store.read(frame.reference), image)


def test_the_store_reads_frames_back_from_captures(tmp_path: Path) -> None:
    images = record_series(tmp_path)
    decoder = SimplonDecoder()
    with CaptureReader(tmp_path, follow=False) as reader:
        frames = [
            message
            for record in reader
            if record.channel == SIMPLON
            for message in decoder.decode(record)
            if isinstance(message, Frame)
        ]
    store = CaptureFrameStore(tmp_path)
    for frame, image in zip(frames, images, strict=True):
        np.testing.assert_array_equal(store.read(frame.reference), image)
    good = frames[0].reference
    for reference, message in (
        (FrameReference(store="capture", path=good.path, offset=0, number=0), "holds no frame"),
        (FrameReference(store="capture", path=good.path, offset=good.offset + 1, number=0), "no intact record"),
        (FrameReference(store="capture", path=good.path, offset=10**9, number=0), "no intact record"),
        (FrameReference(store="capture", path=good.path, offset=good.offset, number=4), "where 4 was expected"),
        (FrameReference(store="capture", path="../../etc/passwd", offset=0, number=0), "segment is gone"),
    ):
        with pytest.raises(PhasecastError, match=message):
            store.read(reference)


def test_the_store_reads_files_back_only_if_they_are_the_same(tmp_path: Path) -> None:
    image = small_image()
    path = tmp_path / "run1" / "scan_00003.cbf"
    path.parent.mkdir()
    path.write_bytes(cbf_bytes(image))
    reference = FrameReference(
        store="file", path=str(path), offset=0, number=3, sha256=hashlib.sha256(path.read_bytes()).hexdigest()
    )
    np.testing.assert_array_equal(CaptureFrameStore(tmp_path).read(reference), image)
    moved = tmp_path / "archive" / "run1"
    moved.parent.mkdir()
    path.parent.rename(moved)
    with pytest.raises(FrameError, match="is gone"):
        CaptureFrameStore(tmp_path).read(reference)
    np.testing.assert_array_equal(CaptureFrameStore(tmp_path, [tmp_path / "archive"]).read(reference), image)
    (moved / path.name).write_bytes(cbf_bytes(image + 1))
    with pytest.raises(FrameError, match="has changed"):
        CaptureFrameStore(tmp_path, [tmp_path / "archive"]).read(reference)


def test_options_reach_the_decoder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no group"):
        make_decoder(Channel("files"), SourceOptions(number_pattern="abc"))
    with pytest.raises(SourceError, match="lacks the groups"):
        make_decoder(Channel("files"), SourceOptions(position_fields={"x": "(a)"}))
