"""Which frame belongs to which point.

Frames and positions arrive on different wires in any order. They are joined by, in this order: a name the
event gives its frame (datum, file, counter); time, where the profile declares it; their order, marked as such.
"""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from phasecast.core.frame import FrameId, FrameKey
from phasecast.core.scan import PointMeasured
from phasecast.pipeline.alignment import consensus_offset, point_period_s
from phasecast.pipeline.tickets import FrameTicket

_PAIRS_FOR_OFFSET = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRule:
    """What is declared about frames and points of an instrument.

    Parameters
    ----------
    use_keys
        Whether names of frames in events are trusted.
    align
        How frames without a named point are joined: by ``order`` or by ``time``.
    skip_frames_per_row
        Frames the detector takes before the first point of each row.
    """

    use_keys: bool = True
    align: Literal["order", "time"] = "order"
    skip_frames_per_row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A frame and the point it belongs to.

    Parameters
    ----------
    index
        Index of the point.
    how
        What joined them.
    """

    index: int
    ticket: FrameTicket
    how: Literal["key", "time", "order"]


@dataclass(slots=True)
class _SeriesOrder:
    base: int
    first_number: int
    highest: int


@dataclass(slots=True)
class Joiner:
    """Joins the frames of one scan to its points; the result does not depend on the order of arrival.

    Parameters
    ----------
    rule
        What is declared.
    row_points
        Points in a row; 0 for scans without rows.
    """

    rule: JoinRule
    row_points: int
    _points: dict[int, PointMeasured] = field(default_factory=dict)
    _frames: dict[FrameId, FrameTicket] = field(default_factory=dict)
    _by_key: dict[FrameKey, list[FrameId]] = field(default_factory=dict)
    _waiting_keys: dict[FrameKey, int] = field(default_factory=dict)
    _claims: dict[int, tuple[FrameKey, ...]] = field(default_factory=dict)
    _by_order: dict[int, FrameId] = field(default_factory=dict)
    _series: dict[str, _SeriesOrder] = field(default_factory=dict)
    _lead_in: int = 0
    _lead_in_candidates: list[FrameId] = field(default_factory=list)
    _offset_s: float | None = None
    _period_s: float = float("inf")
    _keyed: bool | None = None

    @property
    def unmatched_frames(self) -> list[FrameTicket]:
        """Frames that belong to no point so far."""
        return list(self._frames.values())

    @property
    def unmatched_points(self) -> list[int]:
        """Indices of points that have no frame so far."""
        return sorted(self._points)

    @property
    def lead_in_frames(self) -> int:
        """Frames left out by the declared rule."""
        return self._lead_in

    @property
    def frames_taken(self) -> int:
        """Frames the detector took, by its own numbers: those lost on the way are counted by their gaps."""
        return sum(order.highest + 1 for order in self._series.values())

    def announce_series(self, series: str) -> None:
        """Declare that a series counts its frames from 0, as armed detectors do."""
        if series not in self._series:
            self._series[series] = _SeriesOrder(self._next_base(), 0, -1)

    def add_point(self, point: PointMeasured) -> list[Match]:
        """Take a point and return the matches it makes."""
        keys = point.frame_keys if self.rule.use_keys else ()
        if keys:
            self._keyed = True
            return self._match_key(point, keys)
        if self._keyed is None:
            self._keyed = False
            self._drop_lead_in()
        self._points[point.index] = point
        if self.rule.align == "time":
            return self._match_by_time(final=False)
        return self._match_order(point.index)

    def add_frame(self, ticket: FrameTicket) -> list[Match]:
        """Take a frame and return the matches it makes."""
        self._frames[ticket.frame_id] = ticket
        order = self._order_of(ticket)
        if self.rule.use_keys:
            for key in ticket.keys:
                index = self._waiting_keys.pop(key, None)
                if index is not None and index in self._points:
                    self._forget_waiting(self._points.pop(index))
                    self._frames.pop(ticket.frame_id)
                    return [Match(index=index, ticket=ticket, how="key")]
            for key in ticket.keys:
                self._by_key.setdefault(key, []).append(ticket.frame_id)
        if self._keyed:
            return []
        if self.rule.align == "time":
            return self._match_by_time(final=False)
        index = self._point_of_order(order)
        if index is None:
            # before the first position nobody knows whether events name their frames; then none is a lead-in frame
            self._lead_in_candidates.append(ticket.frame_id)
            if self._keyed is False:
                self._drop_lead_in()
            return []
        self._by_order.setdefault(index, ticket.frame_id)
        return self._match_order(index)

    def finish(self) -> list[Match]:
        """Return the matches that waited for later frames."""
        return self._match_by_time(final=True) if self.rule.align == "time" and not self._keyed else []

    def _match_key(self, point: PointMeasured, keys: tuple[FrameKey, ...]) -> list[Match]:
        # an event that repeats the name its predecessor gave saw no new frame: the first claim stands
        stale = self._claims.pop(point.index - 1, ())
        self._claims[point.index] = keys
        for key in keys:
            if key in stale:
                continue
            if self._by_key.get(key):
                self._forget_waiting(point)
                return [self._match(point.index, self._take_frame(self._by_key[key][-1]), "key")]
            self._waiting_keys[key] = point.index
        self._points[point.index] = point
        return []

    def _forget_waiting(self, point: PointMeasured) -> None:
        for key in point.frame_keys:
            if self._waiting_keys.get(key) == point.index:
                del self._waiting_keys[key]

    def _match(self, index: int, ticket: FrameTicket, how: Literal["key", "time", "order"]) -> Match:
        self._points.pop(index, None)
        return Match(index=index, ticket=ticket, how=how)

    def _take_frame(self, frame_id: FrameId) -> FrameTicket:
        ticket = self._frames.pop(frame_id)
        for key in ticket.keys:
            waiting = self._by_key.get(key)
            if waiting and frame_id in waiting:
                waiting.remove(frame_id)
                if not waiting:
                    del self._by_key[key]
        return ticket

    def _drop_lead_in(self) -> None:
        for frame_id in self._lead_in_candidates:
            self._take_frame(frame_id)
        self._lead_in += len(self._lead_in_candidates)
        self._lead_in_candidates.clear()

    def _next_base(self) -> int:
        return max((order.base + order.highest + 1 for order in self._series.values()), default=0)

    def _order_of(self, ticket: FrameTicket) -> int:
        order = self._series.get(ticket.series)
        if order is None:
            order = _SeriesOrder(self._next_base(), ticket.number, -1)
            self._series[ticket.series] = order
        place = ticket.number - order.first_number
        order.highest = max(order.highest, place)
        return order.base + place

    def _point_of_order(self, order: int) -> int | None:
        skip = self.rule.skip_frames_per_row
        if not skip or not self.row_points:
            return order
        row, column = divmod(order, self.row_points + skip)
        return None if column < skip else row * self.row_points + column - skip

    def _match_order(self, index: int) -> list[Match]:
        frame_id = self._by_order.get(index)
        if frame_id is None or frame_id not in self._frames or index not in self._points:
            return []
        return [self._match(index, self._take_frame(frame_id), "order")]

    def _match_by_time(self, *, final: bool) -> list[Match]:
        if self._offset_s is None and not self._estimate_offset(final=final):
            return []
        return list(self._nearest(final=final))

    def _estimate_offset(self, *, final: bool) -> bool:
        # a whole row and the turn after it tell shifted times from regular ones, as far as rows are short
        enough = min(self.row_points + 4, _PAIRS_FOR_OFFSET) if self.row_points else 12
        if len(self._points) < (1 if final else enough) or len(self._frames) < (1 if final else enough):
            return False
        frames = np.array(sorted(ticket.time_s for ticket in self._frames.values()))
        points = np.array([self._points[index].time_s for index in sorted(self._points)])
        self._offset_s = consensus_offset(frames, points)
        self._period_s = point_period_s(points)
        return True

    def _nearest(self, *, final: bool) -> Iterator[Match]:
        assert self._offset_s is not None
        tickets = sorted(self._frames.values(), key=lambda ticket: ticket.time_s)
        times = [ticket.time_s - self._offset_s for ticket in tickets]
        half = self._period_s / 2
        taken: set[FrameId] = set()
        for index in sorted(self._points):
            point_time = self._points[index].time_s
            if not final and (not times or times[-1] < point_time + half):
                break
            place = bisect.bisect_left(times, point_time)
            near = [
                (abs(times[i] - point_time), i)
                for i in (place - 1, place)
                if 0 <= i < len(times) and tickets[i].frame_id not in taken
            ]
            if not near or min(near)[0] > half:
                continue
            ticket = tickets[min(near)[1]]
            taken.add(ticket.frame_id)
            # follow the slow drift of two computers' clocks, a hundredth of the difference at a time
            self._offset_s += 0.01 * (ticket.time_s - self._offset_s - point_time)
            yield self._match(index, self._take_frame(ticket.frame_id), "time")
