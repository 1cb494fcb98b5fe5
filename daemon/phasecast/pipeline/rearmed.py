"""Series whose name comes twice within one scan: a detector that was restarted, or a bridge with one name for all."""

from dataclasses import dataclass, replace

from phasecast.core.frame import FrameId
from phasecast.pipeline.tickets import FrameTicket


@dataclass(slots=True)
class _Named:
    highest: int = -1
    generation: int = 1
    armed_again: bool = False


class RearmedSeries:
    """Gives the frames of a series that is armed a second time under one name a name of their own.

    Whether the numbers begin anew tells the first frame after the second announcement: one whose number was there
    before is not the same frame again but one of a new series, ``name#2``. A repeated announcement changes nothing.
    """

    def __init__(self) -> None:
        self._named: dict[str, _Named] = {}

    def announce(self, series: str) -> None:
        """A series was armed."""
        named = self._named.setdefault(series, _Named())
        named.armed_again = named.highest >= 0

    def ticket(self, ticket: FrameTicket) -> tuple[FrameTicket, bool]:
        """Return the ticket under the name of its own series, and whether that series begins with it."""
        named = self._named.get(ticket.series)
        if named is None:
            return ticket, False
        begins = named.armed_again and ticket.number <= named.highest
        named.armed_again = False
        if begins:
            named.generation += 1
            named.highest = -1
        named.highest = max(named.highest, ticket.number)
        if named.generation == 1:
            return ticket, False
        series = f"{ticket.series}#{named.generation}"
        return replace(ticket, series=series, frame_id=FrameId(f"{series}/{ticket.number}")), begins
