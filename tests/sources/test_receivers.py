"""Receivers on real sockets: what is sent is in the capture, whatever it is."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from phasecast.core.errors import CaptureError, SourceError
from phasecast.core.frame import Frame
from phasecast.core.record import CapturePosition, Channel, RawRecord
from phasecast.core.scan import Defect, SeriesEnd
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.documents import DocumentReceiver
from phasecast.sources.simplon import CHANNEL, SimplonDecoder
from phasecast.sources.simplon_receiver import SimplonReceiver
from phasecast.sources.zmq_receiver import ZmqReceiver
from support import hostile_wire
from support.daemon import wait_until
from support.simplon_wire import end_parts, header_parts, image_parts


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield context
    context.destroy(linger=0)


def bound(context: zmq.Context[zmq.Socket[bytes]], kind: int) -> tuple[zmq.Socket[bytes], str]:
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    return socket, f"tcp://127.0.0.1:{port}"


def await_records(writer: CaptureWriter, reader: CaptureReader, count: int) -> list[RawRecord]:
    records: list[RawRecord] = []
    while len(records) < count:
        assert writer.wait(20.0, reader.position), f"only {len(records)} of {count} records came"
        records.extend(reader.read_available())
    return records


def test_a_series_arrives_whole_and_in_order(tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    push, address = bound(context, zmq.PUSH)
    receiver = SimplonReceiver(address, channel=CHANNEL)
    with CaptureWriter(tmp_path) as writer, CaptureReader(tmp_path) as reader:
        receiver.start(writer)
        images = [np.full((195, 487), n, "u4") for n in range(20)]
        messages = [header_parts(1), *[image_parts(1, n, image) for n, image in enumerate(images)], end_parts(1)]
        for message in messages:
            push.send_multipart(message)
        records = await_records(writer, reader, len(messages))
        status = receiver.status()
        receiver.stop()
        receiver.stop()
    push.close()
    assert [list(record.parts) for record in records] == messages
    decoder = SimplonDecoder()
    decoded = [message for record in records for message in decoder.decode(record)]
    frames = [message for message in decoded if isinstance(message, Frame)]
    for frame, image in zip(frames, images, strict=True):
        np.testing.assert_array_equal(frame.image, image)
    assert isinstance(decoded[-1], SeriesEnd)
    assert status["messages"] == len(messages)
    assert status["state"] == "connected"
    assert receiver.status()["state"] == "stopped"


def test_hostile_messages_are_recorded_verbatim_and_the_next_frame_is_unharmed(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    hostile = [*hostile_wire.simplon_frames().values(), *hostile_wire.simplon_messages().values()]
    messages = [message for parts in hostile for message in (parts, image_parts(9, 1, hostile_wire.IMAGE))]
    push, address = bound(context, zmq.PUSH)
    receiver = SimplonReceiver(address, channel=CHANNEL)
    with CaptureWriter(tmp_path) as writer, CaptureReader(tmp_path) as reader:
        receiver.start(writer)
        for message in messages:
            push.send_multipart(message)
        records = await_records(writer, reader, len(messages))
        receiver.stop()
    push.close()
    decoder = SimplonDecoder()
    outcomes = [[type(message) for message in decoder.decode(record)] for record in records]
    assert outcomes == [[Defect], [Frame]] * len(hostile)


def test_a_message_of_ten_thousand_parts_is_recorded_with_eleven(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    push, address = bound(context, zmq.PUSH)
    receiver = SimplonReceiver(address, channel=CHANNEL)
    with CaptureWriter(tmp_path) as writer, CaptureReader(tmp_path) as reader:
        receiver.start(writer)
        push.send_multipart([b"x"] * 10_000)
        push.send_multipart(end_parts(4))
        flood, end = await_records(writer, reader, 2)
        receiver.stop()
    push.close()
    assert len(flood.parts) == 11
    assert list(end.parts) == end_parts(4)


def test_a_message_above_the_cap_costs_the_connection_and_nothing_that_follows(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    push, address = bound(context, zmq.PUSH)
    receiver = ZmqReceiver(CHANNEL, address, kind=zmq.PULL, high_water_mark=10, max_message_bytes=1000)
    with CaptureWriter(tmp_path) as writer, CaptureReader(tmp_path) as reader:
        receiver.start(writer)
        push.send_multipart(end_parts(1))
        await_records(writer, reader, 1)
        push.send(bytes(1001))
        wait_until(lambda: receiver.status()["disconnects"], "the disconnect")
        wait_until(lambda: receiver.status()["connected"], "the reconnect")
        push.send_multipart(end_parts(2))
        (after,) = await_records(writer, reader, 1)
        status = receiver.status()
        receiver.stop()
    push.close()
    assert list(after.parts) == end_parts(2)
    assert [status[name] for name in ("messages", "reconnects", "disconnects", "cut_off")] == [2, 1, 1, 1]


def test_the_wire_may_come_later_and_come_back(tmp_path: Path) -> None:
    server: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    _, address = bound(server, zmq.PUSH)
    server.destroy(linger=0)
    receiver = SimplonReceiver(address, channel=CHANNEL)
    with CaptureWriter(tmp_path) as writer, CaptureReader(tmp_path) as reader:
        receiver.start(writer)
        for series in (1, 2):
            server = zmq.Context()
            push = server.socket(zmq.PUSH)
            push.bind(address)
            push.send_multipart(end_parts(series))
            (record,) = await_records(writer, reader, 1)
            assert list(record.parts) == end_parts(series)
            server.destroy(linger=0)
        status = receiver.status()
        receiver.stop()
    assert status["reconnects"] == 1


def test_documents_of_another_prefix_stay_outside(tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    publisher, address = bound(context, zmq.XPUB)
    receiver = DocumentReceiver(address, prefix="bl1")
    with CaptureWriter(tmp_path) as writer, CaptureReader(tmp_path) as reader:
        receiver.start(writer)
        assert publisher.recv() == b"\x01bl1 "
        for message in (b"bl10 start {}", b"bl1 start {}", b" start {}", b"bl1 stop {}"):
            publisher.send(message)
        records = await_records(writer, reader, 2)
        receiver.stop()
    publisher.close()
    assert [record.parts for record in records] == [(b"bl1 start {}",), (b"bl1 stop {}",)]


class FullDisk:
    """A capture on a disk that is full until someone makes room."""

    def __init__(self) -> None:
        self.room = threading.Event()
        self.refused = threading.Event()
        self.kept: list[bytes] = []
        self.complete = threading.Event()

    def append(self, channel: Channel, parts: object, received_s: float) -> CapturePosition:
        if not self.room.is_set():
            self.refused.set()
            raise CaptureError("disk full")
        assert isinstance(parts, list)
        self.kept.append(parts[0])
        if len(self.kept) == 3:
            self.complete.set()
        return CapturePosition(segment="a", offset=len(self.kept))


def test_what_was_received_waits_until_the_disk_has_room(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    push, address = bound(context, zmq.PUSH)
    disk = FullDisk()
    receiver = SimplonReceiver(address, channel=CHANNEL)
    receiver.start(disk)
    for message in (b"one", b"two", b"three"):
        push.send(message)
    assert disk.refused.wait(20.0)
    disk.room.set()
    assert disk.complete.wait(20.0)
    status = receiver.status()
    receiver.stop()
    push.close()
    assert disk.kept == [b"one", b"two", b"three"]
    assert status["lost"] == 0
    failures = status["capture_failures"]
    assert isinstance(failures, int)
    assert failures >= 1


def test_an_address_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path) as writer, pytest.raises(SourceError, match="simplon://dcu:9999"):
        SimplonReceiver("tcp://nowhere", channel=CHANNEL).start(writer)
