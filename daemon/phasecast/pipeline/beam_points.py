"""The monitors of one scan's points: scalars, transmission, and which points had no beam."""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from phasecast.core.ledger import PointFlag
from phasecast.pipeline.beam import BeamJudge, BeamRules
from phasecast.pipeline.points import PointTable

TRANSMISSION = "transmission"
"""Scalar of T, stated by the scan or computed."""

BEAM_FLAGS = PointFlag.NOT_NORMALISED | PointFlag.EMPTY_NOT_SUBTRACTED


class BeamPoints:
    """Takes the scalars of each point and keeps what follows from them.

    Parameters
    ----------
    rules
        What the profile declares.
    points
        Where scalars are written.
    """

    def __init__(self, rules: BeamRules, points: PointTable) -> None:
        self._rules = rules
        self._points = points
        self._judge = BeamJudge(rules.least_i0)
        self._empty_ratio = rules.empty_ratio if rules.empty_ratio is not None else math.nan
        self._touched: list[int] = []

    @property
    def usual_i0(self) -> float:
        """Median I0 of the points that have beam, offset subtracted; NaN if none is known."""
        return self._judge.usual

    @property
    def lacks_empty_beam(self) -> bool:
        """Whether the transmission needs a point of the empty beam that did not come, or came without I0 and I1."""
        return self._rules.computes_transmission and self._empty_ratio != self._empty_ratio

    def take(self, index: int, scalars: Mapping[str, float]) -> list[int]:
        """Take the scalars of a point, by name; return other points that had beam and do not now, or the reverse."""
        rules = self._rules
        self._points.set_scalars(index, scalars)
        if rules.computes_transmission:
            if index == rules.empty_point:
                self._take_empty_beam(rules.ratio(scalars))
            self._points.set_scalars(index, {TRANSMISSION: rules.ratio(scalars) / self._empty_ratio})
        return self._judge.add(index, rules.above_offset(rules.i0, scalars)) if rules.i0 else []

    def take_touched(self) -> list[int]:
        """Return and forget earlier points whose transmission became known."""
        touched, self._touched = self._touched, []
        return touched

    def had_no_beam(self, index: int) -> bool:
        """Whether a point had no beam, after all that is known now."""
        return self._judge.is_dark(index)

    def i0(self, index: int) -> float:
        """I0 of a point, offset subtracted; NaN if unknown."""
        return self._judge.reading(index)

    def empty_scale(self, index: int) -> float:
        """What the empty-beam frame is multiplied with at a point; NaN where it cannot be subtracted."""
        return self._rules.empty_scale(self.i0(index), self._points.scalar(TRANSMISSION, index))

    def flags(self, index: int) -> PointFlag:
        """Which of `BEAM_FLAGS` a point bears."""
        flags = PointFlag.NONE if self.i0(index) > 0 else PointFlag.NOT_NORMALISED
        if self._rules.empty_i0 is not None and self.empty_scale(index) != self.empty_scale(index):
            flags |= PointFlag.EMPTY_NOT_SUBTRACTED
        return flags

    def describe(self, first: int, last: int) -> str:
        """Return one line about a run of points without beam."""
        brightest = max(self.i0(index) for index in range(first, last + 1))
        where = f"points {first} to {last}" if last > first else f"point {first}"
        line = f"{where}: I0 at most {brightest:.4g}"
        usual = self.usual_i0
        return f"{line}, {100 * brightest / usual:.2g} % of the usual {usual:.4g}" if usual > 0 else line

    def _take_empty_beam(self, ratio: float) -> None:
        if not ratio > 0:
            return
        self._empty_ratio = ratio
        rules, table = self._rules, self._points
        i0 = table.scalars(rules.i0) - rules.offsets.get(rules.i0, 0.0)
        i1 = table.scalars(rules.i1) - rules.offsets.get(rules.i1, 0.0)
        for index in np.flatnonzero((i0 > 0) & np.isfinite(i1)).tolist():
            table.set_scalars(index, {TRANSMISSION: float(i1[index] / i0[index]) / ratio})
            self._touched.append(index)


def runs(indices: Iterable[int]) -> list[tuple[int, int]]:
    """Return ascending indices as runs (first, last)."""
    found: list[tuple[int, int]] = []
    for index in indices:
        if found and index == found[-1][1] + 1:
            found[-1] = (found[-1][0], index)
        else:
            found.append((index, index))
    return found
