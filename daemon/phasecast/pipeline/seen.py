"""Which points and frames came already, in as few bytes as there are gaps in their numbers."""

import bisect

from phasecast.core.frame import FrameId


class RangeSet:
    """Whole numbers, kept as ranges: a scan of any length costs nothing while none is missing.

    Adding in order takes constant time; out of order, the logarithm of the number of gaps and a move of their ends.
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, number: int) -> bool:
        place = bisect.bisect_right(self._starts, number)
        return place > 0 and number < self._stops[place - 1]

    def add(self, number: int) -> bool:
        """Add a number; return whether it is new."""
        if number in self:
            return False
        place = bisect.bisect_right(self._starts, number)
        joins_left = place > 0 and self._stops[place - 1] == number
        joins_right = place < len(self._starts) and self._starts[place] == number + 1
        if joins_left and joins_right:
            self._stops[place - 1] = self._stops.pop(place)
            del self._starts[place]
        elif joins_left:
            self._stops[place - 1] = number + 1
        elif joins_right:
            self._starts[place] = number
        else:
            self._starts.insert(place, number)
            self._stops.insert(place, number + 1)
        self._count += 1
        return True


class SeenFrames:
    """Identities of frames, kept as ranges of numbers where they are ``<series>/<number>`` and by name otherwise."""

    def __init__(self) -> None:
        self._numbers: dict[str, RangeSet] = {}
        self._names: set[FrameId] = set()

    def add(self, frame_id: FrameId, series: str, number: int) -> bool:
        """Add a frame; return whether it is new."""
        if frame_id == f"{series}/{number}":
            return self._numbers.setdefault(series, RangeSet()).add(number)
        if frame_id in self._names:
            return False
        self._names.add(frame_id)
        return True
