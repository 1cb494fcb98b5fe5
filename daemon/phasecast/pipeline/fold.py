"""The fold: everything that is known of one scan, brought together in whatever order it arrives."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.frame import FrameId, FrameReference
from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.protocols import Reduced, Rejection
from phasecast.core.scan import Defect, PointMeasured, PositionDoubt, ScanStart, ScanStop, SeriesStart
from phasecast.pipeline.beam import NO_BEAM, BeamRules
from phasecast.pipeline.beam_points import BEAM_FLAGS, TRANSMISSION, BeamPoints, runs
from phasecast.pipeline.crosscheck import Doubt, JoinCheck, PairTimes
from phasecast.pipeline.join import FrameTicket, Joiner, JoinRule, Match
from phasecast.pipeline.ledger import Ledger
from phasecast.pipeline.points import PointTable
from phasecast.pipeline.seen import RangeSet, SeenFrames

Outcome = Reduced | Rejection | None
"""What became of a frame; None for a frame whose result is in the file already (after a restart)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldRules:
    """What a profile declares about points.

    Parameters
    ----------
    join
        How frames find their points.
    place
        Measured position (event field to value) to sample coordinates (x_um, y_um); NaN where unknown.
    scalar_fields
        Name of a scalar column to the event field it comes from.
    beam
        What these scalars say of the beam.
    frames_place_themselves
        Whether there are no events at all and every frame is a point of its own.
    with_event
        What becomes of a frame once its event is known: takes the frame's reference, its outcome, and the numbers of
        the event and of the scan's start. None: the event changes nothing.
    """

    join: JoinRule
    place: Callable[[Mapping[str, float]], tuple[float, float]]
    scalar_fields: Mapping[str, str] = field(default_factory=dict)
    beam: BeamRules = field(default_factory=BeamRules)
    frames_place_themselves: bool = False
    with_event: Callable[[FrameReference, Outcome, Mapping[str, float]], Outcome] | None = None

    @property
    def scalars(self) -> tuple[str, ...]:
        """Names of all scalar columns, stated and computed."""
        return (*self.scalar_fields, *((TRANSMISSION,) if self.beam.computes_transmission else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One point that got its result.

    Parameters
    ----------
    index
        Index of the point.
    revision
        0 for the first result of a point.
    reduced
        Its columns.
    received_s
        POSIX time at which the later of its frame and its position reached this process.
    """

    index: int
    revision: int
    reduced: Reduced
    received_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one turn of the loop changed.

    Parameters
    ----------
    scored
        Points that got a result.
    rejudged
        Points scored in an earlier turn that turned out to have had no beam, or to have had it after all.
    changed
        Points whose ledger entry changed.
    defects
        Things that cannot be used, or that belong to no point.
    """

    scored: list[Scored]
    rejudged: list[int]
    changed: list[int]
    defects: list[Defect]

    def __bool__(self) -> bool:
        return bool(self.scored or self.changed or self.defects)


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
        points = start.expected_points or 0
        row_points = start.shape[-1] if start.shape else 0
        self.ledger = Ledger(points)
        self.points = PointTable(points, rules.scalars)
        self.beam = BeamPoints(rules.beam, self.points)
        self.counters: Counter[str] = Counter()
        self.stop: ScanStop | None = None
        self.frames = 0
        """Frames received, without duplicates."""
        self.first_frame_s: float | None = None
        self.last_frame_s: float | None = None
        self.last_position_s: float | None = None
        """POSIX times of receipt; None before the first."""
        self._joiner = Joiner(rule=rules.join, row_points=row_points)
        self._check = JoinCheck(
            row_points=row_points,
            expected_points=start.expected_points,
            skip_frames_per_row=rules.join.skip_frames_per_row,
        )
        self._by_order = False
        self._announced: list[int | None] = []
        self._outcomes: dict[FrameId, Outcome] = {}
        self._stated: dict[FrameId, Mapping[str, float]] = {}
        self._frames_seen = SeenFrames()
        self._rejected: dict[FrameId, int] = {}
        self._point_indices = RangeSet()
        self._waiting: dict[int, PointMeasured] = {}
        self._ever_scored = RangeSet()
        self._revisions: Counter[int] = Counter()
        self._scored: dict[int, Scored] = {}
        self._rejudged: dict[int, None] = {}
        self._notes: dict[int, str] = {}
        self._came_as_defect: set[FrameId] = set()
        self._defects: list[Defect] = []
        self._doubted: Doubt | None = None
        self._newest_s = start.time_s

    @property
    def doubt(self) -> Doubt | None:
        """The first sign that frames and positions do not belong together; None while all agree."""
        return self._check.doubt

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

    def restore(self, states: NDArray[np.uint8], remarks: Mapping[int, tuple[PointFlag, str]] | None = None) -> None:
        """Take over what the result file of an earlier daemon says of its points; see `Ledger.restore`."""
        self.ledger.restore(states, remarks)
        self._notes = {index: reason for index, (_, reason) in (remarks or {}).items() if reason}

    def add_series(self, series: SeriesStart) -> None:
        """Take the announcement of a detector series."""
        self._joiner.announce_series(series.series)
        self._announced.append(series.expected_frames)
        self._compare_announcements()

    def add_point(self, point: PointMeasured) -> None:
        """Take a position; a second one for the same point is counted as duplicate."""
        if point.index in self._point_indices:
            self.counters["duplicate_positions"] += 1
            return
        self._newest_s = max(self._newest_s, point.received_s)
        self.last_position_s = point.received_s
        self._point_indices.add(point.index)
        self._waiting[point.index] = point
        self.ledger.set_state(point.index, PointState.RECEIVED, "waits for its frame")
        self._place(point.index, point.position, point.scalars, point.time_s)
        if not (point.frame_keys and self.rules.join.use_keys):
            self._by_order = self.rules.join.align == "order"
        self._compare_announcements()
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
        if not self._frames_seen.add(ticket.frame_id, ticket.series, ticket.number):
            if isinstance(outcome, Rejection) or not self._replace_rejected(
                ticket, outcome, position_um or {}, scalars or {}
            ):
                self.counters["duplicate_frames"] += 1
            return
        self.frames += 1
        if self.first_frame_s is None:
            self.first_frame_s = ticket.received_s
        self.last_frame_s = ticket.received_s
        self._outcomes[ticket.frame_id] = outcome
        if self.rules.frames_place_themselves:
            self._add_own_point(ticket, position_um or {}, scalars or {})
        else:
            if scalars:
                self._stated[ticket.frame_id] = scalars
            self._apply(self._joiner.add_frame(ticket))

    def add_defect(self, defect: Defect) -> None:
        """Take something that cannot be used; if it was a frame, its point is rejected."""
        self.counters[defect.reason.replace(" ", "_")] += 1
        self._defects.append(defect)
        if defect.frame_id is not None and defect.number is not None:
            ticket = FrameTicket(
                frame_id=defect.frame_id,
                series=defect.series or defect.frame_id.rpartition("/")[0],
                number=defect.number,
                keys=defect.frame_keys,
                received_s=defect.received_s,
                hardware_s=defect.hardware_s,
                reference=defect.reference,
            )
            self._came_as_defect.add(ticket.frame_id)
            self.add_frame(ticket, Rejection(reason=defect.reason, detail=defect.detail))

    def add_doubt(self, doubt: PositionDoubt) -> None:
        """Take a doubt of the source about positions: of a few points, or of all from one on."""
        if doubt.to_index is None:
            self._check.raise_doubt(doubt.from_index, doubt.reason)
            return
        self.counters["position_doubts"] += 1
        self._defects.append(
            Defect(reason="position doubtful", detail=doubt.reason, channel="join", received_s=self._newest_s)
        )
        self.ledger.add_flags(range(doubt.from_index, doubt.to_index), PointFlag.POSITION_DOUBTFUL)

    def set_stop(self, stop: ScanStop) -> None:
        """Take the end of the scan; later frames and positions are still welcome."""
        self.stop = stop

    def close(self, *, now_s: float) -> None:
        """Give every point a final state and count what belongs to no point."""
        self._apply(self._joiner.finish())
        surplus = self._joiner.unmatched_frames
        missing = self._joiner.unmatched_points
        for index in missing:
            self.ledger.set_state(index, PointState.LOST_UPSTREAM, "no frame for this position")
        self._check.finish(
            surplus_frames=len(surplus),
            measured_points=self.measured_points,
            frames_taken={self._joiner.frames_taken, sum(frames or 0 for frames in self._announced)},
            by_order=self._by_order,
        )
        for ticket in surplus:
            self._defects.append(
                Defect(
                    reason="surplus frame",
                    detail=f"frame {ticket.frame_id} belongs to no position",
                    channel="join",
                    received_s=now_s,
                    frame_id=ticket.frame_id,
                    number=ticket.number,
                    reference=ticket.reference,
                )
            )
            self._outcomes.pop(ticket.frame_id, None)
            self._stated.pop(ticket.frame_id, None)
        self.counters["surplus_frames"] += len(surplus)
        if self._joiner.lead_in_frames:
            self.counters["lead_in_frames"] = self._joiner.lead_in_frames
        # an event that was lost on the way leaves a hole before the number of points that the scan says it measured
        measured = self.stop.measured_points if self.stop is not None else None
        for pending in np.flatnonzero(self.ledger.states == PointState.PENDING).tolist():
            if measured is not None and pending < measured:
                self.ledger.set_state(pending, PointState.LOST_UPSTREAM, "its position never arrived")
            else:
                self.ledger.set_state(pending, PointState.NOT_MEASURED, "the scan ended before it")
        self._name_dark_points(now_s)
        self._spread_doubt()

    def take_turn(self) -> Turn:
        """Return and forget what changed since the last call."""
        self._spread_doubt()
        turn = Turn(
            scored=[replace(scored, revision=self.revision(index)) for index, scored in self._scored.items()],
            rejudged=sorted(index for index in self._rejudged if index not in self._scored),
            changed=self.ledger.take_changed(),
            defects=self._defects,
        )
        self._scored, self._rejudged, self._defects = {}, {}, []
        return turn

    def revision(self, index: int) -> int:
        """How often what was said of a point was replaced; 0 for its first result."""
        return self._revisions.get(index, 0)

    def _compare_announcements(self) -> None:
        if self._by_order and self._announced and None not in self._announced:
            self._check.announce_frames(sum(frames or 0 for frames in self._announced), by_order=True)

    def _apply(self, matches: list[Match]) -> None:
        for match in matches:
            self._settle(match)

    def _settle(self, match: Match) -> None:
        index, ticket = match.index, match.ticket
        outcome = self._outcomes.pop(ticket.frame_id)
        point = self._waiting.pop(index)
        self.points.set_frame(index, ticket.reference)
        self._complete_scalars(index, self._stated.pop(ticket.frame_id, None))
        flags = PointFlag.JOINED_BY_ORDER if match.how == "order" else PointFlag.NONE
        if self.rules.with_event is not None and ticket.reference is not None:
            numbers = {**_numbers(self.start.metadata), **point.position, **point.scalars}
            outcome = self.rules.with_event(ticket.reference, outcome, numbers)
        if isinstance(outcome, Rejection):
            self._name_rejected(ticket, outcome)
            self.ledger.set_state(index, PointState.REJECTED, outcome.reason)
            self._rejected[ticket.frame_id] = index
        else:
            self._score(index, outcome, max(ticket.received_s, point.received_s))
        self.ledger.add_flags([index], flags)
        self._flag_if_doubted(index)
        if point.time_is_measured and not self.rules.frames_place_themselves:
            self._check.add(
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
        self._defects.append(
            Defect(
                reason=outcome.reason,
                detail=outcome.detail,
                channel="reduction",
                received_s=ticket.received_s,
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
        self._newest_s = max(self._newest_s, ticket.received_s)
        self._point_indices.add(point.index)
        self._waiting[point.index] = point
        self._place(point.index, point.position, point.scalars, point.time_s)
        self._settle(Match(index=point.index, ticket=ticket, how="key"))

    def _score(self, index: int, outcome: Reduced | None, received_s: float) -> None:
        if outcome is not None:
            self._notes[index] = outcome.note
        self._set_verdict(index)
        # a result that the file holds counts as well: replay must come to the numbers that were written then
        if not self._ever_scored.add(index):
            self._revisions[index] += 1
        if outcome is not None:
            self.ledger.add_flags([index], outcome.flags)
            self._scored[index] = Scored(index=index, revision=0, reduced=outcome, received_s=received_s)

    def _set_verdict(self, index: int) -> None:
        was_dark = self.ledger.reason(index) == NO_BEAM
        dark = self.beam.had_no_beam(index)
        state, reason = (PointState.REJECTED, NO_BEAM) if dark else (PointState.DONE, self._notes.get(index, ""))
        self.ledger.set_state(index, state, reason)
        if dark != was_dark:
            self.counters["no_beam_points"] += 1 if dark else -1

    def _judge_again(self, indices: list[int]) -> None:
        for index in indices:
            if index not in self._ever_scored:
                continue
            state = self.ledger.state(index)
            if state is PointState.DONE or (state is PointState.REJECTED and self.ledger.reason(index) == NO_BEAM):
                self._set_verdict(index)
                self._revisions[index] += 1
                self._rejudged[index] = None

    def _name_dark_points(self, now_s: float) -> None:
        dark = [
            index
            for index in np.flatnonzero(self.ledger.states == PointState.REJECTED).tolist()
            if self.ledger.reason(index) == NO_BEAM
        ]
        lines = [(NO_BEAM, self.beam.describe(first, last)) for first, last in runs(dark)]
        if self.beam.lacks_empty_beam:
            what = f"point {self.rules.beam.empty_point}, declared as measured in the empty beam, has no I0 and I1"
            lines.append(("empty beam unknown", f"{what}: no transmission is computed"))
        for reason, detail in lines:
            self._defects.append(Defect(reason=reason, detail=detail, channel="monitors", received_s=now_s))

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
                self._place(index, position_um, scalars, ticket.time_s)
            self.points.set_frame(index, ticket.reference)
            self._complete_scalars(index, scalars)
            self._score(index, outcome, ticket.received_s)
        elif isinstance(self._outcomes.get(ticket.frame_id), Rejection):
            self._outcomes[ticket.frame_id] = outcome  # it still waits for its position
            self._stated[ticket.frame_id] = scalars
        else:
            return False
        self.counters["frames_completed_late"] += 1
        return True

    def _place(self, index: int, position: Mapping[str, float], scalars: Mapping[str, float], time_s: float) -> None:
        x_um, y_um = self.rules.place(position)
        self.points.set_place(index, x_um, y_um, time_s)
        flags = PointFlag.NONE if x_um == x_um and y_um == y_um else PointFlag.NO_POSITION
        self.ledger.replace_flags(index, PointFlag.NO_POSITION, flags)
        fields = self.rules.scalar_fields
        self._take_scalars(index, {name: scalars[field] for name, field in fields.items() if field in scalars})

    def _complete_scalars(self, index: int, stated: Mapping[str, float] | None) -> None:
        """Take those scalars of a point that its event lacks and its frame states, in header or sidecar."""
        if not stated:
            return
        fields = self.rules.scalar_fields
        known = {name: value for name in fields if not isnan(value := self.points.scalar(name, index))}
        fresh = {name: stated[field] for name, field in fields.items() if name not in known and field in stated}
        if fresh:
            self._take_scalars(index, known | fresh)

    def _take_scalars(self, index: int, scalars: Mapping[str, float]) -> None:
        self._judge_again(self.beam.take(index, scalars))
        for touched in self.beam.take_touched():
            self.ledger.touch(touched)
        self.ledger.replace_flags(index, BEAM_FLAGS, self.beam.flags(index))

    def _spread_doubt(self) -> None:
        doubt = self._check.doubt
        if doubt is None or doubt is self._doubted:
            return
        self._doubted = doubt
        self.counters["position_doubts"] += 1
        self._defects.append(
            Defect(reason="position doubtful", detail=doubt.reason, channel="join", received_s=self._newest_s)
        )
        states = self.ledger.states[doubt.from_index :]
        arrived = np.flatnonzero((states != PointState.PENDING) & (states != PointState.NOT_MEASURED))
        self.ledger.add_flags((index + doubt.from_index for index in arrived.tolist()), PointFlag.POSITION_DOUBTFUL)

    def _flag_if_doubted(self, index: int) -> None:
        if self._doubted is not None and index >= self._doubted.from_index:
            self.ledger.add_flags([index], PointFlag.POSITION_DOUBTFUL)


def _numbers(metadata: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metadata.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
