"""What a declared scan changes on its wires: names of the axes, and decoders whose messages are directed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from phasecast.core.record import Decoder, RawRecord
from phasecast.core.scan import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFields:
    """How the stage's axes are called where points are placed, and in which unit.

    Parameters
    ----------
    x, y
        Event fields of the profile.
    x_um, y_um
        Size of their units, um.
    scalars
        Name of a scalar in the log to the event field that the profile knows it by.
    """

    x: str
    y: str
    x_um: float = 1.0
    y_um: float = 1.0
    scalars: Mapping[str, str] = field(default_factory=dict)

    def position(self, x_um: float, y_um: float) -> dict[str, float]:
        """Return the position of an event."""
        return {self.x: x_um / self.x_um, self.y: y_um / self.y_um}


class DirectedDecoder:
    """A decoder whose messages go through the director; one director serves all wires.

    Parameters
    ----------
    decoder
        Decoder of the wire.
    direct
        See `ScanDirector.direct`.
    """

    def __init__(self, decoder: Decoder, direct: Callable[[Message, RawRecord], Iterator[Message]]) -> None:
        self._decoder = decoder
        self._direct = direct

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the messages of one record, as the declared scan has them."""
        for message in self._decoder.decode(record):
            yield from self._direct(message, record)
