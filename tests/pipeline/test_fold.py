"""The fold keeps its promises whatever the order of arrival and whatever goes missing."""

import random

import numpy as np
import pytest

from phasecast.core.frame import Frame, FrameId, counter_key
from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.protocols import Reduced
from phasecast.core.scan import Defect, PointMeasured
from phasecast.pipeline.desk import ticket_of
from phasecast.pipeline.fold import FoldRules, ScanFold
from phasecast.pipeline.join import JoinRule
from support.scans import UID, frame, point, point_times, scan_start, scan_stop, series_start, tidy_scan

ROWS, COLUMNS = 4, 8
POINTS = ROWS * COLUMNS


def place(position):
    return position.get("x", np.nan), position.get("y", np.nan)


def fold_of(*, align="order", skip=0, use_keys=True):
    rules = FoldRules(
        join=JoinRule(use_keys=use_keys, align=align, skip_frames_per_row=skip),
        place=place,
        scalar_fields={"i0": "i0"},
    )
    return ScanFold(scan_start(ROWS, COLUMNS), rules)


def reduced(number):
    return Reduced(columns={"total_counts": np.array(number)})


def feed(fold, items):
    for item in items:
        if isinstance(item, PointMeasured):
            fold.add_point(item)
        elif isinstance(item, Frame):
            fold.add_frame(ticket_of(item), reduced(item.number))
        elif isinstance(item, Defect):
            fold.add_defect(item)


def interleave(frames, points):
    return sorted([*frames, *points], key=lambda item: item.received_s)


def frame_of_point(fold):
    turn = fold.take_turn()
    return {scored.index: int(scored.reduced.columns["total_counts"]) for scored in turn.scored}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("counters", [True, False])
def test_result_does_not_depend_on_the_order_of_arrival(seed, counters):
    frames, points = tidy_scan(ROWS, COLUMNS, counters=counters)
    items = [*frames, *points]
    random.Random(seed).shuffle(items)
    fold = fold_of()
    fold.add_series(series_start(POINTS))
    feed(fold, items)
    fold.set_stop(scan_stop(POINTS, 2000.0))
    assert fold.is_complete
    assert frame_of_point(fold) == {index: index for index in range(POINTS)}
    fold.close(now_s=2000.0)
    assert fold.ledger.sums()["done"] == POINTS
    assert sum(fold.ledger.sums().values()) == POINTS


def test_order_joins_are_marked_and_key_joins_are_not():
    for counters, flagged in ((True, 0), (False, POINTS)):
        fold = fold_of()
        feed(fold, interleave(*tidy_scan(ROWS, COLUMNS, counters=counters)))
        assert fold.ledger.flag_sums()["joined_by_order"] == flagged


def test_the_same_message_twice_changes_nothing_but_a_counter():
    frames, points = tidy_scan(ROWS, COLUMNS, counters=True)
    fold = fold_of()
    feed(fold, [*frames, *points, *frames, *points])
    assert fold.counters == {"duplicate_frames": POINTS, "duplicate_positions": POINTS}
    assert len(frame_of_point(fold)) == POINTS


def test_a_frame_lost_on_the_way_is_named_and_shifts_nothing():
    frames, points = tidy_scan(ROWS, COLUMNS, counters=False)
    fold = fold_of()
    fold.add_series(series_start(POINTS))
    feed(fold, interleave(frames[:9] + frames[10:], points))
    fold.set_stop(scan_stop(POINTS, 2000.0))
    fold.close(now_s=2000.0)
    assert fold.ledger.state(9) is PointState.LOST_UPSTREAM
    assert fold.ledger.sums()["done"] == POINTS - 1
    assert fold.doubt is None


def test_a_corrupt_frame_rejects_its_own_point_with_the_reason():
    frames, points = tidy_scan(ROWS, COLUMNS, counters=True)
    broken = frames.pop(5)
    defect = Defect(
        reason="corrupt frame",
        detail="frame 1/5: cut short",
        channel="simplon",
        received_s=broken.received_s,
        frame_id=broken.frame_id,
        number=broken.number,
        frame_keys=broken.keys,
        hardware_s=broken.hardware_s,
    )
    fold = fold_of()
    feed(fold, interleave([*frames, defect], points))
    assert fold.ledger.state(5) is PointState.REJECTED
    assert fold.ledger.reason(5) == "corrupt frame"
    assert fold.ledger.sums()["done"] == POINTS - 1


def dropped_trigger(at):
    times = point_times(ROWS, COLUMNS)
    return [(number, time_s) for number, time_s in enumerate(np.delete(times, at))]


def doubled_trigger(at):
    times = point_times(ROWS, COLUMNS)
    return list(enumerate(np.insert(times, at + 1, times[at] + 0.03)))


def repeated_point(at):
    """A RunEngine that was paused repeats the point it was at: one more frame, then everything later."""
    times = point_times(ROWS, COLUMNS)
    return list(enumerate(np.insert(times, at, times[at] - 0.09)))


def lead_in(frames_per_row):
    times = point_times(ROWS, COLUMNS).reshape(ROWS, COLUMNS)
    extra = times[:, :1] - 0.1 * np.arange(frames_per_row, 0, -1)
    return list(enumerate(np.concatenate([extra, times], axis=1).ravel()))


@pytest.mark.parametrize("at", [3, 12, 20])
@pytest.mark.parametrize("fault", [dropped_trigger, doubled_trigger, repeated_point])
def test_a_shift_of_frames_against_positions_is_doubted_within_one_row(fault, at):
    exposures = fault(at)
    frames, points = tidy_scan(ROWS, COLUMNS, counters=False, exposures=exposures)
    fold = fold_of()
    row = at // COLUMNS
    one_row_later = point_times(ROWS, COLUMNS)[min((row + 2) * COLUMNS, POINTS) - 1] + 0.01
    feed(fold, [item for item in interleave(frames, points) if item.received_s <= one_row_later])
    fold.take_turn()
    assert fold.doubt is not None
    assert fold.doubt.from_index <= at, "the first wrong point must be in doubt"
    assert fold.doubt.from_index >= row * COLUMNS or fault is not dropped_trigger
    flagged = [index for index in range(POINTS) if fold.ledger.flags(index) & PointFlag.POSITION_DOUBTFUL]
    arrived = [index for index in range(POINTS) if fold.ledger.state(index) is not PointState.PENDING]
    assert flagged == [index for index in arrived if index >= fold.doubt.from_index]


@pytest.mark.parametrize("frames_per_row", [1, 2, 3])
def test_lead_in_frames_are_doubted_within_one_row_and_resolved_by_the_declared_rule(frames_per_row):
    frames, points = tidy_scan(ROWS, COLUMNS, counters=False, exposures=lead_in(frames_per_row))
    fold = fold_of()
    two_rows = point_times(ROWS, COLUMNS)[2 * COLUMNS - 1] + 0.01
    feed(fold, [item for item in interleave(frames, points) if item.received_s <= two_rows])
    assert fold.doubt is not None
    assert fold.doubt.from_index == 0

    declared = fold_of(skip=frames_per_row)
    declared.add_series(series_start(ROWS * (COLUMNS + frames_per_row)))
    feed(declared, interleave(frames, points))
    declared.set_stop(scan_stop(POINTS, 2000.0))
    declared.close(now_s=2000.0)
    assert declared.doubt is None
    assert declared.counters["lead_in_frames"] == ROWS * frames_per_row
    wanted = {
        row * COLUMNS + c: row * (COLUMNS + frames_per_row) + frames_per_row + c
        for row in range(ROWS)
        for c in range(COLUMNS)
    }
    assert frame_of_point(declared) == wanted


def test_a_declared_lead_in_takes_no_frame_that_an_event_names():
    frames, points = tidy_scan(ROWS, COLUMNS, counters=True)
    fold = fold_of(skip=2)
    feed(fold, [*frames, *points])
    assert len(frame_of_point(fold)) == POINTS
    assert fold.counters["lead_in_frames"] == 0


def test_a_hiccup_of_the_computers_is_no_shift():
    frames, points = tidy_scan(ROWS, COLUMNS, counters=False)
    late = [
        PointMeasured(
            uid=UID,
            index=p.index,
            time_s=p.time_s + (0.4 if p.index in (9, 21) else 0.0),
            received_s=p.received_s,
            position=p.position,
        )
        for p in points
    ]
    fold = fold_of()
    feed(fold, interleave(frames, late))
    assert fold.doubt is None


@pytest.mark.parametrize("at", [3, 12, 20])
@pytest.mark.parametrize("fault", [dropped_trigger, doubled_trigger, repeated_point])
def test_alignment_by_time_puts_every_frame_in_its_place(fault, at):
    exposures = fault(at)
    frames, points = tidy_scan(ROWS, COLUMNS, counters=False, exposures=exposures)
    fold = fold_of(align="time")
    feed(fold, interleave(frames, points))
    fold.set_stop(scan_stop(POINTS, 2000.0))
    fold.close(now_s=2000.0)
    joined = frame_of_point(fold)
    times = point_times(ROWS, COLUMNS)
    for index, number in joined.items():
        assert abs(dict(exposures)[number] - times[index]) < 0.05
    assert len(joined) == POINTS - (fault is dropped_trigger)
    assert fold.doubt is None


def test_counters_in_events_survive_a_dropped_trigger():
    frames, points = tidy_scan(ROWS, COLUMNS, counters=False, exposures=dropped_trigger(10))
    counters = [index if index < 10 else index - 1 for index in range(POINTS)]
    points = [point(p.index, p.time_s, columns=COLUMNS, counter=counters[p.index]) for p in points]
    fold = fold_of()
    feed(fold, interleave(frames, points))
    fold.set_stop(scan_stop(POINTS, 2000.0))
    fold.close(now_s=2000.0)
    assert fold.ledger.state(10) is PointState.LOST_UPSTREAM
    assert frame_of_point(fold) == {index: counters[index] for index in range(POINTS) if index != 10}


def test_an_announcement_that_does_not_fit_is_doubted_at_once():
    fold = fold_of()
    fold.add_series(series_start(POINTS + 5))
    fold.add_point(point(0, 1000.0, columns=COLUMNS))
    assert fold.doubt is not None
    assert str(POINTS + 5) in fold.doubt.reason


def test_points_of_an_aborted_scan_are_not_measured_rather_than_lost():
    frames, points = tidy_scan(ROWS, COLUMNS, counters=True)
    fold = fold_of()
    feed(fold, interleave(frames[:10], points[:10]))
    fold.set_stop(scan_stop(10, 2000.0))
    assert fold.is_complete
    fold.close(now_s=2000.0)
    sums = fold.ledger.sums()
    assert (sums["done"], sums["not_measured"]) == (10, POINTS - 10)


def test_frames_without_a_point_are_counted_as_surplus():
    frames, points = tidy_scan(ROWS, COLUMNS, counters=True)
    fold = fold_of()
    feed(fold, interleave([*frames, frame(POINTS, 1999.0), frame(POINTS + 1, 1999.5)], points))
    fold.set_stop(scan_stop(POINTS, 2000.0))
    fold.close(now_s=2000.0)
    assert fold.counters["surplus_frames"] == 2
    assert [d.frame_id for d in fold.take_turn().defects] == [FrameId("1/32"), FrameId("1/33")]
    assert fold.ledger.sums()["done"] == POINTS


def test_counters_of_a_second_series_start_again_and_still_join():
    first, points = tidy_scan(ROWS, COLUMNS, counters=True)
    half = POINTS // 2
    frames = first[:half] + [frame(f.number - half, f.hardware_s - 4843.0, series="2") for f in first[half:]]
    points = points[:half] + [
        PointMeasured(
            uid=UID,
            index=p.index,
            time_s=p.time_s,
            received_s=p.received_s,
            position=p.position,
            frame_keys=(counter_key(p.index - half),),
        )
        for p in points[half:]
    ]
    fold = fold_of()
    feed(fold, interleave(frames, points))
    assert len(frame_of_point(fold)) == POINTS
