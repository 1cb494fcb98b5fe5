"""The fold: everything that is known of one scan, brought together in whatever order it arrives."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.frame import FrameId
from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.protocols import Reduced, Rejection
from phasecast.core.scan import Defect, PointMeasured, PositionDoubt, ScanStart, ScanStop, SeriesStart
from phasecast.pipeline.crosscheck import Doubt, JoinCheck, PairTimes
from phasecast.pipeline.doubts import Doubts
from phasecast.pipeline.fold_rules import FoldRules, Outcome
from phasecast.pipeline.frame_tally import FrameTally
from phasecast.pipeline.join import Joiner, Match
from phasecast.pipeline.rearmed import RearmedSeries
from phasecast.pipeline.seen import RangeSet, SeenFrames
from phasecast.pipeline.tickets import FrameTicket, ticket_of_defect
from phasecast.pipeline.turn import Turn
from phasecast.pipeline.verdicts import Verdicts


class ScanFold:
    """The state of one scan. Idempotent by frame and point identity, free of order, O(1) a point.

    Parameters
    ----------
    start
        The scan.
    rules
        What the profile declares.
    """

    def __init__(self, start: ScanStart, rules: FoldRules) -> None:
        self.start = start
        self.rules = rules
        row_points = start.shape[-1] if start.shape else 0
        self.counters: Counter[str] = Counter()
        self.tally = FrameTally()
        """What became of its frames on the way."""
        self._rearmed = RearmedSeries()
        self._verdicts = Verdicts(rules, start.expected_points or 0, self.counters)
        self.ledger = self._verdicts.ledger
        self.points = self._verdicts.points
        self.beam = self._verdicts.beam
        self.stop: ScanStop | None = None
        self.frames = 0
        """Frames received, without duplicates."""
        self.first_frame_s: float | None = None
        self.last_frame_s: float | None = None
        self.last_position_s: float | None = None
        """POSIX times of receipt; None before the first."""
        self._joiner = Joiner(rule=rules.join, row_points=row_points)
        check = JoinCheck(
            row_points=row_points,
            expected_points=start.expected_points,
            skip_frames_per_row=rules.join.skip_frames_per_row,
        )
        self._doubts = Doubts(check, self.ledger, self.counters)
        self._outcomes: dict[FrameId, Outcome] = {}
        self._stated: dict[FrameId, Mapping[str, float]] = {}
        self._frames_seen = SeenFrames()
        self._rejected: dict[FrameId, int] = {}
        self._point_indices = RangeSet()
        self._waiting: dict[int, PointMeasured] = {}
        self._came_as_defect: set[FrameId] = set()
        self._defects: list[Defect] = []
        self._newest_s = start.time_s

    @property
    def doubt(self) -> Doubt | None:
        """The first sign that frames and positions do not belong together; None while all agree."""
        return self._doubts.first

    @property
    def measured_points(self) -> int:
        """Positions received so far."""
        return len(self._point_indices)

    @property
    def is_complete(self) -> bool:
        """Whether the scan has stopped and every measured point has its outcome."""
        if self.stop is None or self._joiner.unmatched_points:
            return False
        measured = self.stop.measured_points
        return measured is None or self.measured_points >= measured

    def restore(
        self,
        states: NDArray[np.uint8],
        remarks: Mapping[int, tuple[PointFlag, str]] | None = None,
        revisions: NDArray[np.int64] | None = None,
    ) -> None:
        """Take over what the result file of an earlier daemon says of its points; see `Verdicts.restore`."""
        self._verdicts.restore(states, remarks, revisions)

    def replace(self, indices: Iterable[int]) -> None:
        """Say anew what a model says of points that have their result."""
        self._verdicts.replace(indices)

    def add_series(self, series: SeriesStart) -> None:
        """Take the announcement of a detector series."""
        self._rearmed.announce(series.series)
        self.tally.announce(series.series, series.expected_frames)
        self._joiner.announce_series(series.series)
        self._doubts.add_announced(series.expected_frames)

    def add_point(self, point: PointMeasured) -> None:
        """Take a position; a second one for the same point is counted as duplicate."""
        if point.index in self._point_indices:
            self.counters["duplicate_positions"] += 1
            return
        self.last_position_s = point.received_s
        self._await_frame(point)
        self.ledger.set_state(point.index, PointState.RECEIVED, "waits for its frame")
        self._verdicts.place(point.index, point.position, point.scalars, point.time_s)
        if not (point.frame_keys and self.rules.join.use_keys):
            self._doubts.set_by_order(self.rules.join.align == "order")
        self._doubts.compare_announced()
        self._apply(self._joiner.add_point(point))

    def add_frame(
        self,
        ticket: FrameTicket,
        outcome: Outcome,
        *,
        position_um: Mapping[str, float] | None = None,
        scalars: Mapping[str, float] | None = None,
    ) -> None:
        """Take what became of a frame; a second frame of the same identity is counted as duplicate.

        A frame that was rejected and comes again whole, as a file that was completed late, takes its point.
        """
        self.tally.add(ticket.series, ticket.number, ticket.reference)
        self._add_frame(self._own_ticket(ticket), outcome, position_um=position_um or {}, scalars=scalars or {})

    def add_defect(self, defect: Defect) -> None:
        """Take something that cannot be used; if it was a frame, its point is rejected."""
        self.counters[defect.reason.replace(" ", "_")] += 1
        self._defects.append(defect)
        self.tally.add_defect(defect)
        ticket = ticket_of_defect(defect)
        if ticket is not None:
            ticket = self._own_ticket(ticket)
            self._came_as_defect.add(ticket.frame_id)
            rejection = Rejection(reason=defect.reason, detail=defect.detail)
            self._add_frame(ticket, rejection, position_um={}, scalars={})

    def add_doubt(self, doubt: PositionDoubt) -> None:
        """Take a doubt of the source about positions: of a few points, or of all from one on."""
        self._defects += self._doubts.add_stated(doubt, received_s=self._newest_s)

    def set_stop(self, stop: ScanStop) -> None:
        """Take the end of the scan; later frames and positions are still welcome."""
        self.stop = stop

    def close(self, *, now_s: float) -> None:
        """Give every point a final state and count what belongs to no point."""
        self._apply(self._joiner.finish())
        surplus = self._joiner.unmatched_frames
        for index in self._joiner.unmatched_points:
            self.ledger.set_state(index, PointState.LOST_UPSTREAM, "no frame for this position")
        self._doubts.finish(
            surplus_frames=len(surplus),
            measured_points=self.measured_points,
            frames_taken=self._joiner.frames_taken,
        )
        for ticket in surplus:
            detail = f"frame {ticket.frame_id} belongs to no position"
            self._name_frame(ticket, "surplus frame", detail, channel="join", received_s=now_s)
            self._outcomes.pop(ticket.frame_id, None)
            self._stated.pop(ticket.frame_id, None)
        self.counters["surplus_frames"] += len(surplus)
        if self._joiner.lead_in_frames:
            self.counters["lead_in_frames"] = self._joiner.lead_in_frames
        self._verdicts.end_pending(self.stop.measured_points if self.stop is not None else None)
        self._defects += self._verdicts.name_dark_points(now_s=now_s)
        self._defects += self._doubts.spread(received_s=self._newest_s)

    def take_turn(self) -> Turn:
        """Return and forget what changed since the last call."""
        self._defects += self._doubts.spread(received_s=self._newest_s)
        scored, rejudged = self._verdicts.take_scored()
        turn = Turn(scored=scored, rejudged=rejudged, changed=self.ledger.take_changed(), defects=self._defects)
        self._defects = []
        return turn

    def revision(self, index: int) -> int:
        """How often what was said of a point was replaced; 0 for its first result."""
        return self._verdicts.revision(index)

    def _own_ticket(self, ticket: FrameTicket) -> FrameTicket:
        ticket, begins = self._rearmed.ticket(ticket)
        if begins:
            self._joiner.announce_series(ticket.series)
        return ticket

    def _add_frame(
        self,
        ticket: FrameTicket,
        outcome: Outcome,
        *,
        position_um: Mapping[str, float],
        scalars: Mapping[str, float],
    ) -> None:
        if not self._frames_seen.add(ticket.frame_id, ticket.series, ticket.number):
            if isinstance(outcome, Rejection) or not self._replace_rejected(ticket, outcome, position_um, scalars):
                self.counters["duplicate_frames"] += 1
            return
        self.frames += 1
        if self.first_frame_s is None:
            self.first_frame_s = ticket.received_s
        self.last_frame_s = ticket.received_s
        self._outcomes[ticket.frame_id] = outcome
        if self.rules.frames_place_themselves:
            self._add_own_point(ticket, position_um, scalars)
        else:
            if scalars:
                self._stated[ticket.frame_id] = scalars
            self._apply(self._joiner.add_frame(ticket))

    def _await_frame(self, point: PointMeasured) -> None:
        self._newest_s = max(self._newest_s, point.received_s)
        self._point_indices.add(point.index)
        self._waiting[point.index] = point

    def _apply(self, matches: list[Match]) -> None:
        for match in matches:
            self._settle(match)

    def _settle(self, match: Match) -> None:
        index, ticket = match.index, match.ticket
        outcome = self._outcomes.pop(ticket.frame_id)
        point = self._waiting.pop(index)
        self.points.set_frame(index, ticket.reference)
        self._verdicts.complete_scalars(index, self._stated.pop(ticket.frame_id, None))
        flags = PointFlag.JOINED_BY_ORDER if match.how == "order" else PointFlag.NONE
        if self.rules.with_event is not None and ticket.reference is not None:
            numbers = {**_numbers(self.start.metadata), **point.position, **point.scalars}
            outcome = self.rules.with_event(ticket.reference, outcome, numbers)
        if isinstance(outcome, Rejection):
            self._name_rejected(ticket, outcome)
            self.ledger.set_state(index, PointState.REJECTED, outcome.reason)
            self._rejected[ticket.frame_id] = index
        else:
            self._verdicts.score(index, outcome, received_s=max(ticket.received_s, point.received_s))
        self.ledger.add_flags([index], flags)
        self._doubts.flag(index)
        if point.time_is_measured and not self.rules.frames_place_themselves:
            self._doubts.add_pair(
                PairTimes(
                    index=index,
                    frame_s=ticket.time_s,
                    point_s=point.time_s,
                    receipt_gap_s=ticket.received_s - point.received_s,
                    by_order=match.how == "order",
                )
            )

    def _name_rejected(self, ticket: FrameTicket, outcome: Rejection) -> None:
        """Keep the line that says why, unless it is known from the defect that the frame came as."""
        if ticket.frame_id in self._came_as_defect:
            self._came_as_defect.discard(ticket.frame_id)
            return
        self._name_frame(ticket, outcome.reason, outcome.detail, channel="reduction", received_s=ticket.received_s)

    def _name_frame(self, ticket: FrameTicket, reason: str, detail: str, *, channel: str, received_s: float) -> None:
        self._defects.append(
            Defect(
                reason=reason,
                detail=detail,
                channel=channel,
                received_s=received_s,
                frame_id=ticket.frame_id,
                number=ticket.number,
                reference=ticket.reference,
            )
        )

    def _add_own_point(
        self, ticket: FrameTicket, position_um: Mapping[str, float], scalars: Mapping[str, float]
    ) -> None:
        # nothing is joined: numbers of files may have gaps, and position and pixels came in one file
        point = PointMeasured(
            uid=self.start.uid,
            index=len(self._point_indices),
            time_s=ticket.time_s,
            received_s=ticket.received_s,
            position=position_um,
            scalars=scalars,
        )
        self._await_frame(point)
        self._verdicts.place(point.index, point.position, point.scalars, point.time_s)
        self._settle(Match(index=point.index, ticket=ticket, how="key"))

    def _replace_rejected(
        self,
        ticket: FrameTicket,
        outcome: Reduced | None,
        position_um: Mapping[str, float],
        scalars: Mapping[str, float],
    ) -> bool:
        index = self._rejected.pop(ticket.frame_id, None)
        if index is not None:
            if self.rules.frames_place_themselves:
                self._verdicts.place(index, position_um, scalars, ticket.time_s)
            self.points.set_frame(index, ticket.reference)
            self._verdicts.complete_scalars(index, scalars)
            self._verdicts.score(index, outcome, received_s=ticket.received_s)
        elif isinstance(self._outcomes.get(ticket.frame_id), Rejection):
            self._outcomes[ticket.frame_id] = outcome  # it still waits for its position
            self._stated[ticket.frame_id] = scalars
        else:
            return False
        self.counters["frames_completed_late"] += 1
        return True


def _numbers(metadata: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metadata.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
