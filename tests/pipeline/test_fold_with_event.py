"""What an event says of its frame decides what becomes of it, in whatever order the two come."""

from dataclasses import replace

import numpy as np
import pytest

from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.protocols import Reduced, Rejection
from phasecast.pipeline.desk import ticket_of
from phasecast.pipeline.fold import FoldRules, ScanFold
from phasecast.pipeline.join import JoinRule
from support.scans import scan_start, tidy_scan

BLIND = Rejection(reason="arm angle unknown", detail="frame f states no angle")


def fold_with(with_event, **metadata):
    rules = FoldRules(join=JoinRule(), place=lambda position: (position["x"], position["y"]), with_event=with_event)
    return ScanFold(replace(scan_start(1, 4), metadata=metadata), rules)


@pytest.mark.parametrize("frames_first", [True, False])
def test_a_frame_is_settled_with_the_numbers_of_event_and_scan(frames_first):
    seen = {}

    def with_event(reference, outcome, numbers):
        assert outcome is BLIND
        seen[reference.number] = numbers
        return Reduced(columns={"total_counts": np.array(reference.number)}, note="outside", flags=PointFlag.SATURATED)

    fold = fold_with(with_event, arm=25.5, sample="rust", shutter=True)
    frames, points = tidy_scan(1, 4, counters=True)
    points = [replace(point, scalars={**point.scalars, "gamma": 0.1 * point.index}) for point in points]
    for kind in ("frames", "points") if frames_first else ("points", "frames"):
        for frame, point in zip(frames, points, strict=True):
            if kind == "frames":
                fold.add_frame(ticket_of(frame), BLIND)
            else:
                fold.add_point(point)
    turn = fold.take_turn()
    assert len(turn.scored) == len(seen) == 4
    for (number, numbers), point in zip(sorted(seen.items()), points, strict=True):
        assert numbers["arm"] == 25.5
        assert numbers["gamma"] == pytest.approx(0.1 * point.index), number
        assert numbers["x"] == point.position["x"]
        assert not {"sample", "shutter"} & numbers.keys()
    for index in range(4):
        assert fold.ledger.state(index) is PointState.DONE
        assert fold.ledger.reason(index) == "outside"
        assert PointFlag.SATURATED in fold.ledger.flags(index)


def test_a_frame_that_its_event_makes_no_better_is_named_once():
    fold = fold_with(lambda reference, outcome, numbers: outcome)
    frames, points = tidy_scan(1, 4, counters=True)
    for frame, point in zip(frames, points, strict=True):
        fold.add_frame(ticket_of(frame), BLIND)
        fold.add_point(point)
    turn = fold.take_turn()
    assert [defect.detail for defect in turn.defects] == [BLIND.detail] * 4
    assert turn.scored == []
    assert {fold.ledger.reason(index) for index in range(4)} == {BLIND.reason}


def test_what_an_earlier_daemon_said_of_a_point_stays():
    fold = fold_with(None)
    states = np.array([PointState.DONE, PointState.PENDING, PointState.DONE, PointState.PENDING], np.uint8)
    fold.restore(states, {0: (PointFlag.NOT_CLASSIFIED, "outside"), 2: (PointFlag.SATURATED, "")})
    frames, points = tidy_scan(1, 4, counters=True)
    for frame, point in zip(frames, points, strict=True):
        fold.add_frame(ticket_of(frame), None if states[point.index] == PointState.DONE else Reduced(columns={}))
        fold.add_point(point)
    fold.take_turn()
    assert [fold.ledger.reason(index) for index in range(4)] == ["outside", "", "", ""]
    flags = [fold.ledger.flags(index) & (PointFlag.NOT_CLASSIFIED | PointFlag.SATURATED) for index in range(4)]
    assert flags == [PointFlag.NOT_CLASSIFIED, PointFlag.NONE, PointFlag.SATURATED, PointFlag.NONE]
