"""Bluesky documents over Kafka, as bluesky-kafka publishes them: msgpack of (name, document) (extra ``kafka``).

The messages are fetched with confluent-kafka, which bluesky-kafka's own consumer wraps. That wrapper is not used: at
import it patches msgpack for the whole process with msgpack_numpy, which unpickles arrays of objects, and it hands out
decoded values alone, so that nothing could be recorded as it came or acknowledged once it is on disk.
"""

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from phasecast.core.errors import SourceError, WireError
from phasecast.core.record import Channel, Decoder, RawRecord
from phasecast.core.scan import Message
from phasecast.sources.receiver import ThreadedReceiver
from phasecast.sources.simplon_frame import defect_of

CHANNEL = Channel("kafka")
MALFORMED = "malformed document"

_MAX_MESSAGE_BYTES = 16 << 20
_POLL_S = 0.1
_LONGEST_NAME = 32
_EXAMPLE = "kafka://broker:9092/topic"


class KafkaReceiver(ThreadedReceiver):
    """Records the messages of one topic; what is recorded is acknowledged, so that a restart goes on from there.

    Parameters
    ----------
    brokers
        ``host:port``, several with commas between.
    topic
        Its name.
    channel
        Name of the wire in the capture.
    group
        Name of the group of consumers, whose members share the messages: no other daemon may use it. Empty for one that
        names this host and the topic.
    from_start
        Whether a group that is new begins with the oldest message there is, and not with those to come.
    """

    def __init__(
        self, brokers: str, topic: str, *, channel: Channel = CHANNEL, group: str = "", from_start: bool = False
    ) -> None:
        super().__init__(channel)
        self._brokers = brokers
        self._topic = topic
        self._group = group or f"phasecast-{socket.gethostname()}-{topic}"
        self._from_start = from_start
        self._consumer: Any = None
        self._next: dict[int, int] = {}
        self._gaps = 0
        self._connects = 0
        self._disconnects = 0
        self._broker_error = ""

    def status(self) -> dict[str, object]:
        """State and counters, JSON-able; ``lost_upstream`` are offsets that were skipped."""
        stated = super().status()
        return stated | {
            "address": f"{self._brokers}/{self._topic}",
            "group": self._group,
            "connected": self._state == "connected",
            "connects": self._connects,
            "reconnects": max(0, self._connects - 1),
            "disconnects": self._disconnects,
            "lost_upstream": self._gaps,
            "error": stated["error"] or self._broker_error,
        }

    def _open(self) -> None:
        where = f"kafka://{self._brokers}/{self._topic}"
        try:
            from confluent_kafka import Consumer, KafkaException
        except ImportError as error:
            raise SourceError(
                "Kafka needs the library confluent-kafka", where=where, remedy='pip install "phasecast[kafka]"'
            ) from error
        try:
            self._consumer = Consumer(
                {
                    "bootstrap.servers": self._brokers,
                    "group.id": self._group,
                    "auto.offset.reset": "earliest" if self._from_start else "latest",
                    "enable.auto.offset.store": False,
                    "fetch.message.max.bytes": _MAX_MESSAGE_BYTES,
                    "error_cb": self._on_error,
                },
                logger=None,
            )
            self._consumer.subscribe([self._topic], on_assign=self._on_assign, on_lost=self._on_lost)
        except KafkaException as error:
            raise SourceError(
                f"cannot be subscribed ({error})", where=where, remedy="give host, port and topic"
            ) from error

    def _serve(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(_POLL_S)
            if message is None:
                continue
            if message.error() is not None:
                self._broker_error = str(message.error())[:200]
                continue
            self._broker_error = ""
            partition, offset = message.partition(), message.offset()
            self._gaps += max(0, offset - self._next.get(partition, offset))
            self._next[partition] = offset + 1
            before = self._messages
            self._record([message.value() or b""], self._now_s())
            if self._messages > before:
                self._consumer.store_offsets(message=message)

    def _on_assign(self, _consumer: Any, partitions: list[Any]) -> None:
        if partitions:
            self._connects += 1
            self._state, self._broker_error = "connected", ""

    def _on_lost(self, _consumer: Any, _partitions: list[Any]) -> None:
        self._disconnects += 1
        self._state = "disconnected"

    def _on_error(self, error: Any) -> None:
        self._broker_error = str(error)[:200]

    def _close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()


class KafkaDecoder:
    """Turns messages into what the documents in them say.

    Parameters
    ----------
    documents
        Decoder of the documents as they come over 0MQ: ``prefix name document``.
    """

    def __init__(self, documents: Decoder) -> None:
        self._documents = documents

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the messages of one record; what cannot be read becomes a Defect."""
        try:
            name, body = split_document(record)
        except WireError as error:
            yield defect_of(record, MALFORMED, str(error))
            return
        yield from self._documents.decode(replace(record, parts=(b" %b %b" % (name, body),)))


def split_document(record: RawRecord) -> tuple[bytes, bytes]:
    """Return name and document of msgpack's ``[name, document]``, the document as msgpack.

    Raises
    ------
    WireError
        If it is anything else.
    """
    if len(record.parts) != 1:
        raise WireError(f"{len(record.parts)} parts where a message has one")
    message = record.parts[0]
    if message[:1] != b"\x92" or len(message) < 4:
        raise WireError("message is no msgpack of (name, document)")
    kind = message[1]
    if 0xA0 <= kind <= 0xBF:  # text of up to 31 bytes
        begin, length = 2, kind - 0xA0
    elif kind in (0xD9, 0xC4):  # text or bytes with one byte for the length
        begin, length = 3, message[2]
    else:
        raise WireError("message does not begin with the name of a document")
    name, body = message[begin : begin + length], message[begin + length :]
    if len(name) > _LONGEST_NAME or not name.replace(b"_", b"").isalpha():
        raise WireError(f"document name {name[:40].decode('ascii', 'replace')!r} is none")
    if not body or not (0x81 <= body[0] <= 0x8F or body[0] in (0xDE, 0xDF)):
        raise WireError("document is no mapping in msgpack")
    return name, body
