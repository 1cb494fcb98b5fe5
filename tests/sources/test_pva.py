"""EPICS PVA: every trap of NTNDArray, on a real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("p4p", reason='EPICS PVA needs pip install "phasecast[pva]"')

from phasecast.core.frame import Frame, counter_key
from phasecast.core.record import RawRecord
from phasecast.core.scan import Defect, Message
from phasecast.pipeline.frame_tally import FrameTally
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.pva import PvaReceiver
from phasecast.sources.pva_record import ArrayNote, PvaDecoder
from phasecast.sources.uri import open_source
from support.daemon import wait_until
from support.nt_array import CODES, PV, ArrayServer, array_update
from support.simplon_wire import record
from support.stream_wires import counts


class Line:
    """A server, a receiver, and what came of it."""

    def __init__(self, folder: Path) -> None:
        self.server = ArrayServer()
        self.writer, self.reader = CaptureWriter(folder), CaptureReader(folder)
        self.receiver = open_source(self.server.uri).receiver
        self.receiver.start(self.writer)
        self.await_records(1)  # of no pixels

    def await_records(self, count: int) -> list[RawRecord]:
        records: list[RawRecord] = []
        while len(records) < count:
            assert self.writer.wait(20.0, self.reader.position), f"only {len(records)} of {count} records came"
            records.extend(self.reader.read_available())
        return records

    def send(self, *updates: Any) -> list[RawRecord]:
        """Post updates one after another, each when the last one has been recorded."""
        records: list[RawRecord] = []
        for update in updates:
            self.server.post(update)
            records += self.await_records(1)
        return records

    def come_back(self, update: Any) -> list[RawRecord]:
        """Let the variable go, and come back with what it holds."""
        self.server.drop()
        wait_until(lambda: self.receiver.status()["state"] == "disconnected", "the disconnect")
        self.server.offer(update)
        return self.await_records(1)

    def close(self) -> None:
        self.receiver.stop()
        self.reader.close()
        self.writer.close()
        self.server.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path)
    yield line
    line.close()


def decode(records: list[RawRecord], **options: Any) -> list[Message]:
    decoder = PvaDecoder(**options)
    return [message for entry in records for message in decoder.decode(entry)]


def numbers(records: list[RawRecord]) -> list[int]:
    messages = decode(records)
    assert all(isinstance(message, Frame) for message in messages)
    return [message.number for message in messages if isinstance(message, Frame)]


def test_every_codec_and_type_gives_the_image_back(line: Line) -> None:
    images, updates = [], []
    for sample in ("i4", "u4", "u2", "i2", "u1"):
        for codec in ("", "lz4", "lz4hdf5", "bslz4"):
            images.append(counts() if sample == "i4" else (np.abs(counts()) % 200).astype(sample))
            updates.append(array_update(images[-1], len(images), codec))
    messages = decode(line.send(*updates), number_fields=["E", "note", "none"])
    for number, (message, image) in enumerate(zip(messages, images, strict=True), 1):
        assert isinstance(message, Frame), message
        np.testing.assert_array_equal(message.image, image)
        assert message.image.dtype == image.dtype
        assert (message.number, message.keys) == (number, (counter_key(number),))
        assert message.scalars == {"E": 12.4}
        assert message.hardware_s == pytest.approx(message.received_s, abs=60)


def test_gaps_are_lost_frames_and_a_number_that_begins_anew_is_no_duplicate(line: Line) -> None:
    records = line.send(*[array_update(counts(), number) for number in (5, 6, 9, 1, 2, 4)])
    tally = FrameTally()
    for message in decode(records):
        tally.take(message)
    assert {name: count for name, count in tally.counts().items() if count} == {"frames": 6, "lost_upstream": 3}
    assert line.receiver.status()["lost_upstream"] == 3


def test_a_server_that_goes_and_comes_back_is_said_and_its_held_frame_counts_once(line: Line) -> None:
    records = line.send(array_update(counts(), 7), array_update(counts(), 8))
    records += line.come_back(array_update(counts(), 8))  # what it held before
    assert line.receiver.status()["state"] == "connected"
    records += line.send(array_update(counts(), 10))
    assert numbers(records) == [7, 8, 10]
    status = line.receiver.status()
    assert (status["reconnects"], status["disconnects"], status["lost_upstream"]) == (1, 1, 1)


def test_what_a_server_held_for_hours_is_no_frame_and_what_it_took_just_now_is(line: Line) -> None:
    old = {"secondsPastEpoch": 1_700_000_000, "nanoseconds": 0}
    records = line.come_back(array_update(counts(), 41, timeStamp=old)) + line.send(array_update(counts(), 42))
    records += line.come_back(array_update(counts(), 1, timeStamp=old)) + line.send(array_update(counts(), 2))
    assert numbers(records) == [42, 2]
    assert numbers(line.come_back(array_update(counts(), 1))) == [1]


INSANE = {
    "jpeg": lambda: array_update(counts(), 3, "jpeg", blob=b"\xff\xd8\xff"),
    "blosc": lambda: array_update(counts(), 3, "blosc", blob=b"\x02\x01\x21\x04"),
    "lz4 cut": lambda: array_update(counts(), 3, "lz4", blob=b"\xf0" * 500),
    "lz4hdf5 lies": lambda: array_update(counts(), 3, "lz4hdf5", blob=b"\x7f" * 500),
    "bslz4 cut": lambda: array_update(counts(), 3, "bslz4", blob=b"\x00\x00\x01\x00" * 50),
    "codec of floats": lambda: array_update(counts().astype("f8"), 3, "lz4", blob=b"\xf0" * 500),
    "floats": lambda: array_update(counts().astype("f8"), 3),
    "type unknown": lambda: array_update(counts(), 3, "lz4", code=77),
    "type a word": lambda: array_update(counts(), 3, "lz4", code="int"),
    "larger than memory": lambda: array_update(counts(), 3, "bslz4", dimension=[{"size": 2**31 - 1}] * 2),
    "of nothing": lambda: array_update(counts(), 3, dimension=[]),
    "in colour": lambda: array_update(counts(), 3, dimension=[{"size": 3}, {"size": 487}, {"size": 195}]),
    "too short": lambda: array_update(counts()[:5], 3, dimension=[{"size": 487}, {"size": 195}]),
    "of strangers": lambda: array_update(counts(), 3, dimension=[{"size": 486}, {"size": 195}]),
}
MALFORMED = {
    "number negative": lambda: array_update(counts(), -3),
    "dimensions negative": lambda: array_update(counts(), 3, dimension=[{"size": -487}, {"size": -195}]),
}


def test_an_update_that_cannot_be_used_is_named_and_costs_only_itself(line: Line) -> None:
    good, *frames = line.send(array_update(counts(), 1), *[make() for make in INSANE.values()])
    for name, entry in zip(INSANE, frames, strict=True):
        first, defect = decode([good, entry])
        assert isinstance(first, Frame)
        assert isinstance(defect, Defect), name
        assert (defect.reason, defect.number) == ("corrupt frame", 3), name
        assert len(defect.detail) < 400
    for name, entry in zip(MALFORMED, line.send(*[make() for make in MALFORMED.values()]), strict=True):
        (defect,) = decode([entry])
        assert isinstance(defect, Defect), name
        assert defect.reason == "malformed message", name
        assert "\n" not in defect.detail
    assert isinstance(decode(line.send(array_update(counts(), 4)))[0], Frame)


def test_a_variable_that_is_no_array_is_said_in_one_line(line: Line) -> None:
    from p4p.nt import NTScalar

    number = NTScalar.buildType("d")
    line.come_back(number({"value": 5.0}))
    (defect,) = decode(line.send(number({"value": 6.0})))
    assert isinstance(defect, Defect)
    assert f"{PV}: no NTNDArray" in defect.detail


def test_records_that_were_never_made_by_a_receiver_end_as_defects() -> None:
    note = ArrayNote(pv="X", unique_id=1, dtype="O", dimension=[2, 2]).to_part()
    for parts in ([b""], [b"{}"] * 3, [b'{"pv":1}'], [b"[" * 100_000], [note, b"1234"], [note]):
        (defect,) = PvaDecoder().decode(record(parts))
        assert isinstance(defect, Defect)
    assert CODES["i4"] == 3


def test_without_the_library_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    from phasecast.core.errors import SourceError

    monkeypatch.setitem(sys.modules, "p4p.client.thread", None)
    with CaptureWriter(tmp_path) as writer, pytest.raises(SourceError, match=r"phasecast\[pva\]"):
        PvaReceiver(PV).start(writer)
