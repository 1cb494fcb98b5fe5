"""Bluesky documents over Kafka, as bluesky-kafka publishes them: msgpack of (name, document) (extra ``kafka``).

The messages are fetched with confluent-kafka, which bluesky-kafka's own consumer wraps. That wrapper is not used: at
import it patches msgpack for the whole process with msgpack_numpy, which unpickles arrays of objects, and it hands out
decoded values alone, so that nothing could be recorded as it came or acknowledged once it is on disk.
"""

import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from phasecast.core.errors import SourceError, WireError
from phasecast.core.record import Channel, Decoder, RawRecord
from phasecast.core.scan import Message
from phasecast.sources.receiver import ThreadedReceiver
from phasecast.sources.simplon_frame import defect_of

logger = logging.getLogger(__name__)

CHANNEL = Channel("kafka")
MALFORMED = "malformed document"

_MAX_MESSAGE_BYTES = 16 << 20
_POLL_S = 0.1
_ASK_S = 1.0
_LONGEST_NAME = 32
_EXAMPLE = "kafka://broker:9092/topic"


class KafkaReceiver(ThreadedReceiver):
    """Records the messages of one topic; what is recorded is acknowledged, so that a restart goes on from there.

    All partitions that the topic has at the start are read here: nothing is shared with other members of the group.

    Parameters
    ----------
    brokers
        ``host:port``, several with commas between.
    topic
        Its name.
    channel
        Name of the wire in the capture.
    group
        Name under which the broker keeps what was acknowledged; two daemons need two. Empty for one that names this
        host and the topic.
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
                    "log_level": 2,
                    "logger": logger,
                }
            )
        except KafkaException as error:
            raise SourceError(
                f"cannot be used ({error})", where=where, remedy=f"write for example {_EXAMPLE}"
            ) from error

    def _serve(self) -> None:
        asked_s = -_ASK_S
        while not self._stopping.is_set():
            if self._state != "connected" and time.monotonic() - asked_s >= _ASK_S:
                self._ask()
                asked_s = time.monotonic()
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

    def _ask(self) -> None:
        """Ask the broker for the topic; begin to read it where that has not been done."""
        from confluent_kafka import OFFSET_STORED, KafkaException, TopicPartition

        try:
            topic = self._consumer.list_topics(self._topic, timeout=_ASK_S).topics[self._topic]
        except KafkaException as error:
            self._broker_error = str(error.args[0])[:200]
            return
        if not topic.partitions:
            self._broker_error = f"no topic {self._topic} ({topic.error})"[:200]
            return
        if not self._connects:
            self._consumer.assign([TopicPartition(self._topic, number, OFFSET_STORED) for number in topic.partitions])
        self._connects += 1
        self._state, self._broker_error = "connected", ""

    def _on_error(self, error: Any) -> None:
        from confluent_kafka import KafkaError

        self._broker_error = str(error)[:200]
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self._state == "connected":
            self._disconnects += 1
            self._state = "disconnected"

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
