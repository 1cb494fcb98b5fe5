"""Verdicts: what is said of each point of a scan, of its place, its scalars, its beam and its result."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import isnan

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.protocols import Reduced
from phasecast.core.scan import Defect
from phasecast.pipeline.beam import NO_BEAM
from phasecast.pipeline.beam_points import BEAM_FLAGS, BeamPoints, runs
from phasecast.pipeline.fold_rules import FoldRules
from phasecast.pipeline.ledger import Ledger
from phasecast.pipeline.points import PointTable
from phasecast.pipeline.seen import RangeSet
from phasecast.pipeline.turn import Scored


class Verdicts:
    """The points of one scan, which are judged again when it turns out what the beam was.

    Parameters
    ----------
    rules
        What the profile declares.
    expected_points
        Points of the scan; 0 if unknown.
    counters
        Counts of the scan; this counts points without beam.
    """

    def __init__(self, rules: FoldRules, expected_points: int, counters: Counter[str]) -> None:
        self.ledger = Ledger(expected_points)
        self.points = PointTable(expected_points, rules.scalars)
        self.beam = BeamPoints(rules.beam, self.points)
        self._rules = rules
        self._counters = counters
        self._ever_scored = RangeSet()
        self._revisions: Counter[int] = Counter()
        self._scored: dict[int, Scored] = {}
        self._rejudged: dict[int, None] = {}
        self._notes: dict[int, str] = {}

    def restore(
        self,
        states: NDArray[np.uint8],
        remarks: Mapping[int, tuple[PointFlag, str]] | None = None,
        revisions: NDArray[np.int64] | None = None,
    ) -> None:
        """Take over what the result file of an earlier daemon says of its points; see `Ledger.restore`.

        Revisions are those that a replay does not come to by itself: of points that another model was asked about.
        """
        self.ledger.restore(states, remarks)
        if revisions is not None:
            self._revisions.update({int(index): int(revisions[index]) for index in np.flatnonzero(revisions > 0)})
        self._notes = {index: reason for index, (_, reason) in (remarks or {}).items() if reason}

    def revision(self, index: int) -> int:
        """How often what was said of a point was replaced; 0 for its first result."""
        return self._revisions.get(index, 0)

    def place(self, index: int, position: Mapping[str, float], scalars: Mapping[str, float], time_s: float) -> None:
        """Give a point its measured position, by event field, its scalars and its time on the stage's clock."""
        x_um, y_um = self._rules.place(position)
        self.points.set_place(index, x_um, y_um, time_s)
        flags = PointFlag.NONE if x_um == x_um and y_um == y_um else PointFlag.NO_POSITION
        self.ledger.replace_flags(index, PointFlag.NO_POSITION, flags)
        fields = self._rules.scalar_fields
        self._take_scalars(index, {name: scalars[field] for name, field in fields.items() if field in scalars})

    def complete_scalars(self, index: int, stated: Mapping[str, float] | None) -> None:
        """Take those scalars of a point that its event lacks and its frame states, in header or sidecar."""
        if not stated:
            return
        fields = self._rules.scalar_fields
        known = {name: value for name in fields if not isnan(value := self.points.scalar(name, index))}
        fresh = {name: stated[field] for name, field in fields.items() if name not in known and field in stated}
        if fresh:
            self._take_scalars(index, known | fresh)

    def score(self, index: int, outcome: Reduced | None, *, received_s: float) -> None:
        """Give a point its result; None if the result file holds it already."""
        if outcome is not None:
            self._notes[index] = outcome.note
        self._set_verdict(index)
        # a result that the file holds counts as well: replay must come to the numbers that were written then
        if not self._ever_scored.add(index):
            self._revisions[index] += 1
        if outcome is not None:
            self.ledger.add_flags([index], outcome.flags)
            self._scored[index] = Scored(index=index, revision=0, reduced=outcome, received_s=received_s)

    def replace(self, indices: Iterable[int]) -> None:
        """Say anew what a model says of points that have their result."""
        for index in indices:
            self._revisions[index] += 1
            self._rejudged[index] = None
            self.ledger.touch(index)

    def end_pending(self, measured_points: int | None) -> None:
        """Give a final state to the points of which nothing arrived; None if the scan does not say how many it has."""
        for pending in np.flatnonzero(self.ledger.states == PointState.PENDING).tolist():
            # an event that was lost on the way leaves a hole before the number of points that the scan measured
            if measured_points is not None and pending < measured_points:
                self.ledger.set_state(pending, PointState.LOST_UPSTREAM, "its position never arrived")
            else:
                self.ledger.set_state(pending, PointState.NOT_MEASURED, "the scan ended before it")

    def name_dark_points(self, *, now_s: float) -> list[Defect]:
        """Return one line for each run of points without beam, and one if the empty beam is unknown."""
        dark = [
            index
            for index in np.flatnonzero(self.ledger.states == PointState.REJECTED).tolist()
            if self.ledger.reason(index) == NO_BEAM
        ]
        lines = [(NO_BEAM, self.beam.describe(first, last)) for first, last in runs(dark)]
        if self.beam.lacks_empty_beam:
            what = f"point {self._rules.beam.empty_point}, declared as measured in the empty beam, has no I0 and I1"
            lines.append(("empty beam unknown", f"{what}: no transmission is computed"))
        return [Defect(reason=reason, detail=detail, channel="monitors", received_s=now_s) for reason, detail in lines]

    def take_scored(self) -> tuple[list[Scored], list[int]]:
        """Return and forget the points that got a result, and the indices of others that were judged again."""
        scored = [replace(scored, revision=self.revision(index)) for index, scored in self._scored.items()]
        rejudged = sorted(index for index in self._rejudged if index not in self._scored)
        self._scored, self._rejudged = {}, {}
        return scored, rejudged

    def _set_verdict(self, index: int) -> None:
        was_dark = self.ledger.reason(index) == NO_BEAM
        dark = self.beam.had_no_beam(index)
        state, reason = (PointState.REJECTED, NO_BEAM) if dark else (PointState.DONE, self._notes.get(index, ""))
        self.ledger.set_state(index, state, reason)
        if dark != was_dark:
            self._counters["no_beam_points"] += 1 if dark else -1

    def _take_scalars(self, index: int, scalars: Mapping[str, float]) -> None:
        self._judge_again(self.beam.take(index, scalars))
        for touched in self.beam.take_touched():
            self.ledger.touch(touched)
            if self._rules.scores_need_transmission and touched in self._ever_scored:
                self._revisions[touched] += 1
                self._rejudged[touched] = None
        self.ledger.replace_flags(index, BEAM_FLAGS, self.beam.flags(index))

    def _judge_again(self, indices: list[int]) -> None:
        for index in indices:
            if index not in self._ever_scored:
                continue
            state = self.ledger.state(index)
            if state is PointState.DONE or (state is PointState.REJECTED and self.ledger.reason(index) == NO_BEAM):
                self._set_verdict(index)
                self._revisions[index] += 1
                self._rejudged[index] = None
