"""librdkafka's own mock broker on real ports of this machine, and a publisher of documents."""

from collections.abc import Iterable
from typing import Any

import msgpack
import msgpack_numpy

TOPIC = "bl16xu.bluesky.documents"


class Broker:
    """A broker that lives as long as this object."""

    def __init__(self) -> None:
        from confluent_kafka import Producer

        self.producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused", "log_level": 2})
        (broker,) = self.producer.list_topics(TOPIC, timeout=20).brokers.values()
        self.address = f"{broker.host}:{broker.port}"

    def uri(self, **parameters: str) -> str:
        query = "&".join(f"{name}={value}" for name, value in {"from_start": "1", **parameters}.items())
        return f"kafka://{self.address}/{TOPIC}?{query}"

    def send(self, messages: Iterable[bytes], *, partition: int = 0) -> None:
        """Send messages in order; they have arrived when this returns."""
        for message in messages:
            self.producer.produce(TOPIC, message, partition=partition)
        assert self.producer.flush(20) == 0


def packed(name: str, document: Any) -> bytes:
    """A document as bluesky-kafka's publisher packs it."""
    return bytes(msgpack.packb((name, document), default=msgpack_numpy.encode))
