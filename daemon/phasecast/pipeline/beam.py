"""What monitors say of the beam at each point: whether there was any, and how much the sample let through."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

NO_BEAM = "no beam"
"""Reason of points that are rejected because their I0 is below `BEAM_FRACTION` of the usual one."""
BEAM_FRACTION = 0.5
_BRIGHT = 0.9
"""The brightest tenth of the points had beam. A beam dump may take nine points of ten and is still found, and as many
as one point of ten may read far too much without making the others look dark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamRules:
    """What a profile declares about monitors; names are those of scalar columns, empty where there is none.

    Parameters
    ----------
    i0, i1
        Incident flux, and flux behind the sample.
    transmission
        T as the scan states it; then it is never computed.
    offsets
        Scalar to what it reads without beam, in its own unit; 0 where not named.
    least_i0
        I0 without its offset below which there is no beam, whatever the others read; 0 for no such limit.
    empty_ratio
        (I1/I0) of the empty beam, offsets subtracted; None if unknown.
    empty_point
        Point of the scan that was measured in the empty beam, instead of `empty_ratio`.
    empty_i0
        I0 of the empty-beam frame that is subtracted, its offset subtracted; None if none is.
    """

    i0: str = ""
    i1: str = ""
    transmission: str = ""
    offsets: Mapping[str, float] = field(default_factory=dict)
    least_i0: float = 0.0
    empty_ratio: float | None = None
    empty_point: int | None = None
    empty_i0: float | None = None

    @property
    def computes_transmission(self) -> bool:
        """Whether T = (I1/I0) / (I1/I0)empty can be computed."""
        known = self.empty_ratio is not None or self.empty_point is not None
        return bool(self.i0 and self.i1 and not self.transmission and known)

    def above_offset(self, name: str, scalars: Mapping[str, float]) -> float:
        """Return a monitor without what it reads in the dark; NaN where the point has no such scalar."""
        return scalars.get(name, math.nan) - self.offsets.get(name, 0.0) if name else math.nan

    def ratio(self, scalars: Mapping[str, float]) -> float:
        """Return I1/I0 of a point, offsets subtracted; NaN without light on I0 or where one is unknown."""
        i0, i1 = self.above_offset(self.i0, scalars), self.above_offset(self.i1, scalars)
        return i1 / i0 if i0 > 0 else math.nan

    def empty_scale(self, i0: float, transmission: float) -> float:
        """Return what the empty-beam frame is multiplied with before it is subtracted: (I0 / I0empty) T.

        Parameters
        ----------
        i0
            I0 of the point, its offset subtracted.
        transmission
            T of the point.

        Returns
        -------
        float
            NaN where I0 or T are unknown or make no sense.
        """
        if self.empty_i0 is None or not i0 > 0 or not transmission >= 0 or not math.isfinite(i0 * transmission):
            return math.nan
        return i0 / self.empty_i0 * transmission


class BeamJudge:
    """Says which points had beam, from the I0 of all points known so far, in whatever order they came.

    The rule: a point has beam if its I0 is at least half the median I0 of the points that have beam. The search for
    those points begins with the brightest tenth, so the answer depends on the readings alone. A point is judged with
    the first reading; each later one may overturn what was said, and `add` returns whom it concerns.

    The readings lie in one sorted array: a point costs a search in it (log n) and one move of memory, 8 bytes for each
    larger reading.

    Parameters
    ----------
    least
        Reading below which there is no beam, whatever the others are.
    """

    def __init__(self, least: float = 0.0) -> None:
        self._least = least
        self._values = array("d")
        self._indices = array("q")
        self._by_point = array("d")
        self._usual = math.nan
        self._limit = -math.inf

    @property
    def usual(self) -> float:
        """Median I0 of the points that have beam; NaN before the first reading."""
        return self._usual

    def reading(self, index: int) -> float:
        """I0 of a point; NaN if none is known."""
        return self._by_point[index] if index < len(self._by_point) else math.nan

    def is_dark(self, index: int) -> bool:
        """Whether a point had no beam; False where its I0 is unknown."""
        return self.reading(index) < self._limit

    def add(self, index: int, i0: float) -> list[int]:
        """Take the I0 of a point in place of any before, NaN if unknown; return the others whose verdict it changed."""
        before = self._limit
        self._forget(index)
        if math.isfinite(i0):
            while len(self._by_point) <= index:
                self._by_point.append(math.nan)
            self._by_point[index] = i0
            place = bisect_left(self._values, i0)
            self._values.insert(place, i0)
            self._indices.insert(place, index)
        self._settle()
        low, high = sorted((before, self._limit))
        between = self._indices[bisect_left(self._values, low) : bisect_left(self._values, high)]
        return [other for other in between if other != index]

    def _forget(self, index: int) -> None:
        known = self.reading(index)
        if known != known:
            return
        place = bisect_left(self._values, known)
        while self._indices[place] != index:
            place += 1
        del self._values[place], self._indices[place]
        self._by_point[index] = math.nan

    def _settle(self) -> None:
        values = self._values
        if not values:
            self._usual, self._limit = math.nan, -math.inf
            return
        brightest = values[math.ceil(_BRIGHT * len(values)) - 1]
        first = bisect_left(values, BEAM_FRACTION * brightest) if brightest > 0 else 0
        # each step adds points or each takes some away, never both in turn, so it ends
        while True:
            usual = _median_from(values, first)
            again = bisect_left(values, BEAM_FRACTION * usual) if usual > 0 else 0
            if again == first:
                break
            first = again
        self._usual = usual
        # with nothing to compare with, a monitor that is not plugged in rejects nothing
        self._limit = max(BEAM_FRACTION * usual if usual > 0 else -math.inf, self._least or -math.inf)


def _median_from(values: "array[float]", first: int) -> float:
    """Median of a sorted array from one place on."""
    middle = (first + len(values)) // 2
    return values[middle] if (len(values) - first) % 2 else (values[middle - 1] + values[middle]) / 2
