"""Bluesky documents over Kafka: a RunEngine, the mock broker of librdkafka, and messages that nobody should send."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

pytest.importorskip("confluent_kafka", reason='Kafka needs pip install "phasecast[kafka]"')

from phasecast.core.errors import SourceError
from phasecast.core.record import RawRecord
from phasecast.core.scan import Defect, Message, PointMeasured, ScanStart, ScanStop
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.kafka import KafkaDecoder, KafkaReceiver
from phasecast.sources.uri import make_decoder, open_source
from support.daemon import wait_until
from support.hostile_wire import document_messages
from support.kafka_broker import Broker, packed
from support.simplon_wire import record

START = {"uid": "run", "time": 1.0, "scan_id": 7}


@pytest.fixture(scope="module")
def broker() -> Broker:
    return Broker()


class Line:
    """A receiver and its capture."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.writer, self.reader = CaptureWriter(folder), CaptureReader(folder)
        self.receiver = open_source(uri).receiver
        self.receiver.start(self.writer)

    def await_records(self, count: int) -> list[RawRecord]:
        records: list[RawRecord] = []
        while len(records) < count:
            assert self.writer.wait(30.0, self.reader.position), f"only {len(records)} of {count} records came"
            records.extend(self.reader.read_available())
        return records

    def close(self) -> None:
        self.receiver.stop()
        self.reader.close()
        self.writer.close()


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    lines: list[Line] = []
    yield lines
    for line in lines:
        line.close()


def decode(records: list[RawRecord]) -> list[Message]:
    decoder = make_decoder(records[0].channel)
    return [message for entry in records for message in decoder.decode(entry)]


def plan_documents() -> list[tuple[str, dict[str, Any]]]:
    from bluesky.plans import grid_scan
    from bluesky.run_engine import RunEngine
    from ophyd.sim import det4, motor1, motor2

    documents: list[tuple[str, dict[str, Any]]] = []
    engine = RunEngine({}, call_returns_result=False)
    engine(grid_scan([det4], motor1, -1, 1, 3, motor2, -2, 2, 4, True), lambda name, doc: documents.append((name, doc)))
    return documents


def test_a_run_arrives_whole_and_a_restart_goes_on_where_it_stopped(
    tmp_path: Path, broker: Broker, lines: list[Line]
) -> None:
    documents = plan_documents()
    messages = [packed(name, document) for name, document in documents]
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    first = Line(tmp_path / "a", broker.uri(group="one"))
    lines.append(first)
    broker.send(messages[:6])
    records = first.await_records(6)
    status = first.receiver.status()
    assert (status["connected"], status["lost_upstream"], status["messages"]) == (True, 0, 6)
    first.close()
    broker.send(messages[6:])
    second = Line(tmp_path / "b", broker.uri(group="one"))
    lines.append(second)
    records += second.await_records(len(messages) - 6)
    assert [entry.parts[0] for entry in records] == messages
    start, *points, stop = decode(records)
    assert isinstance(start, ScanStart)
    assert (start.shape, start.snaking) == ((3, 4), (False, True))
    assert [point.index for point in points if isinstance(point, PointMeasured)] == list(range(12))
    assert isinstance(stop, ScanStop)


def test_offsets_that_are_skipped_are_lost_messages(tmp_path: Path, broker: Broker, lines: list[Line]) -> None:
    line = Line(tmp_path, broker.uri(group="two"))
    lines.append(line)
    broker.send([packed("start", START)])
    wait_until(lambda: line.receiver.status()["messages"], "a message")
    receiver = line.receiver
    assert isinstance(receiver, KafkaReceiver)
    before = receiver.status()["lost_upstream"]
    receiver._next[0] -= 3  # as if the broker had thrown three away
    broker.send([packed("start", START)])
    wait_until(lambda: receiver.status()["lost_upstream"] != before, "the gap")


def test_a_broker_that_goes_is_said_in_the_status(tmp_path: Path, lines: list[Line]) -> None:
    broker = Broker()
    line = Line(tmp_path, broker.uri(group="three"))
    lines.append(line)
    wait_until(lambda: line.receiver.status()["connected"], "the connection")
    del broker
    wait_until(lambda: line.receiver.status()["state"] == "disconnected", "the disconnect")
    status = line.receiver.status()
    assert status["disconnects"] == 1
    assert status["error"]


def test_lost_events_are_said() -> None:
    documents = [
        (name, doc) for name, doc in plan_documents() if not (name == "event" and doc["seq_num"] in (3, 4, 12))
    ]
    messages = decode([record([packed(name, doc)], channel="kafka") for name, doc in documents])
    defects = [message.detail for message in messages if isinstance(message, Defect)]
    assert len(defects) == 2
    assert "event 3 to 4" in defects[0]
    assert "the last 1 of 12" in defects[1]


def hostile() -> dict[str, bytes]:
    whole = packed("start", START)
    corpus = {
        "empty": b"",
        "one byte": b"\x92",
        "JSON": b'["start", {}]',
        "a map": bytes(msgpack.packb(START)),
        "three": bytes(msgpack.packb(("start", START, 1))),
        "no name": bytes(msgpack.packb((7, START))),
        "name of 200 bytes": bytes(msgpack.packb(("x" * 200, START))),
        "name with blanks": bytes(msgpack.packb(("start x", START))),
        "name not ASCII": bytes(msgpack.packb(("stärt", START))),
        "unknown name": bytes(msgpack.packb(("ambush", START))),
        "cut": whole[:-5],
        "more behind": whole + b"\x01",
        "document a list": bytes(msgpack.packb(("start", [START]))),
        "document nothing": bytes(msgpack.packb(("start", None))),
    }
    for name, (message, *_) in document_messages().items():
        pieces = message.split(b" ", 2)
        if len(pieces) == 3:
            corpus[f"0MQ: {name}"] = b"\x92" + bytes(msgpack.packb(pieces[1].decode("latin-1"))) + pieces[2]
    return corpus


@pytest.mark.parametrize(("name", "message"), hostile().items(), ids=hostile().keys())
def test_what_nobody_should_send_is_one_defect_and_the_next_is_unharmed(name: str, message: bytes) -> None:
    defect, start = decode([record([part], channel="kafka") for part in (message, packed("start", START))])
    assert isinstance(defect, Defect)
    assert "\n" not in defect.detail
    assert len(defect.detail) < 400
    assert isinstance(start, ScanStart)


def test_a_message_of_two_parts_is_a_defect() -> None:
    (defect,) = KafkaDecoder(make_decoder(record([]).channel)).decode(record([b"", b""]))
    assert isinstance(defect, Defect)


def test_without_the_library_or_with_a_malformed_address_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    for uri in ("kafka://broker/topic", "kafka://broker:9092", "kafka://broker:9092/a b", "kafka:///topic"):
        with pytest.raises(SourceError, match="kafka://broker:9092/topic"):
            open_source(uri)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with CaptureWriter(tmp_path) as writer, pytest.raises(SourceError, match=r"phasecast\[kafka\]"):
        KafkaReceiver("127.0.0.1:1", "t").start(writer)
