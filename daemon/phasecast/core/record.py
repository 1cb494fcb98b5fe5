"""The raw record: what came over a wire, before anyone has looked inside."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NewType, Protocol

from phasecast.core.scan import Message

Channel = NewType("Channel", str)
"""Name of the wire a record came over, such as ``simplon`` or ``bluesky``: it chooses the decoder."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class CapturePosition:
    """A place in a capture; positions order as records arrived.

    Parameters
    ----------
    segment
        File name of the capture segment; names sort by time.
    offset
        Byte offset of the record in the segment.
    """

    segment: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRecord:
    """One message as it came, with its place in the capture.

    Parameters
    ----------
    position
        Where it is recorded.
    received_s
        POSIX time of receipt.
    channel
        The wire.
    parts
        The message's parts, verbatim.
    """

    position: CapturePosition
    received_s: float
    channel: Channel
    parts: tuple[bytes, ...]


class RecordSink(Protocol):
    """Takes records from receivers, in any thread, and makes them durable."""

    def append(self, channel: Channel, parts: Iterable[bytes], received_s: float) -> CapturePosition:
        """Record one message and return its place."""
        ...


class Receiver(Protocol):
    """Owns one wire: moves what arrives into the capture and interprets nothing."""

    @property
    def channel(self) -> Channel:
        """Name of the wire."""
        ...

    def start(self, capture: RecordSink) -> None:
        """Open the wire and begin to record, in a thread of its own.

        Raises
        ------
        SourceError
            If the wire cannot be opened.
        """
        ...

    def stop(self) -> None:
        """Close the wire; returns when the thread has ended. Idempotent."""
        ...

    def status(self) -> dict[str, object]:
        """What the wire says of itself: state, messages, last receipt, reconnects. JSON-able."""
        ...


class Decoder(Protocol):
    """Turns records of one channel into messages; keeps only the state that the wire itself implies."""

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield zero, one or more messages; what cannot be read becomes a Defect, never an exception."""
        ...
