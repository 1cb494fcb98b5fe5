"""An old capture as a source: its records run through a new capture, so that live and replay are one way."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from phasecast.core.errors import PhasecastError
from phasecast.core.record import Channel, Decoder, RawRecord
from phasecast.core.scan import Defect, Message
from phasecast.sources.capture import CaptureReader
from phasecast.sources.receiver import ThreadedReceiver

CHANNEL = Channel("capture")

_RECEIVED = struct.Struct(">d")


class CaptureReceiver(ThreadedReceiver):
    """Records every record of an old capture, with its own channel and time of receipt, and ends.

    Parameters
    ----------
    source
        Captures folder or segment.
    channel
        Name of the wire in the new capture.

    Raises
    ------
    CaptureError
        If there is no capture.
    """

    def __init__(self, source: Path, *, channel: Channel = CHANNEL) -> None:
        super().__init__(channel)
        self._source = source
        self._reader = CaptureReader(source, follow=False)

    def status(self) -> dict[str, object]:
        """State and counters, JSON-able; ``finished`` says whether all has been handed on."""
        return super().status() | {
            "path": str(self._source),
            "finished": self._state == "finished",
            "defects": self._reader.defects,
            "torn_tails": self._reader.torn_tails,
        }

    def _open(self) -> None:
        self._state = "replaying"

    def _serve(self) -> None:
        for record in self._reader:
            head = (record.channel.encode(), _RECEIVED.pack(record.received_s))
            self._record([*head, *record.parts], self._now_s())
            if self._stopping.is_set():
                return
        self._state = "finished"

    def _close(self) -> None:
        self._reader.close()


class CaptureDecoder:
    """Decodes records that came out of an old capture, each by its own channel.

    Times of receipt are the old ones; references point into the new capture.

    Parameters
    ----------
    make_decoder
        Returns a new decoder for a channel; raises PhasecastError where there is none.
    """

    def __init__(self, make_decoder: Callable[[Channel], Decoder]) -> None:
        self._make_decoder = make_decoder
        self._decoders: dict[Channel, Decoder] = {}

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the messages of the record inside; what cannot be read becomes a Defect."""
        try:
            channel, received_s = self._unwrap(record)
            decoder = self._decoders.get(channel) or self._make_decoder(channel)
        except (PhasecastError, ValueError) as error:
            yield Defect(
                reason="malformed record",
                detail=f"replayed record: {error}",
                channel=record.channel,
                received_s=record.received_s,
            )
            return
        self._decoders[channel] = decoder
        inner = RawRecord(position=record.position, received_s=received_s, channel=channel, parts=record.parts[2:])
        yield from decoder.decode(inner)

    @staticmethod
    def _unwrap(record: RawRecord) -> tuple[Channel, float]:
        if len(record.parts) < 2 or len(record.parts[1]) != _RECEIVED.size:
            raise ValueError("channel and time of receipt are missing")
        channel = Channel(record.parts[0].decode())
        if channel.partition(".")[0] == CHANNEL:
            raise ValueError("a replay of a replay is read from its own first capture")
        return channel, _RECEIVED.unpack(record.parts[1])[0]
