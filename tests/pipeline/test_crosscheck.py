"""The cross-check knows a shift from a computer that was busy for a moment."""

import numpy as np

from phasecast.pipeline.crosscheck import JoinCheck, PairTimes

POINTS, COLUMNS, PERIOD_S = 400, 200, 0.01


def doubt_of(delays_s, *, by_order=False):
    check = JoinCheck(row_points=COLUMNS, expected_points=POINTS)
    for index, delay_s in enumerate(delays_s):
        point_s = 1000.0 + index * PERIOD_S
        check.add(
            PairTimes(index=index, frame_s=point_s + delay_s, point_s=point_s, receipt_gap_s=0.0, by_order=by_order)
        )
    check.finish(surplus_frames=0, measured_points=POINTS, frames_taken={POINTS}, by_order=by_order)
    return check.doubt


def test_a_moment_of_delay_at_a_hundred_points_a_second_is_no_shift():
    delays_s = np.zeros(POINTS)
    delays_s[250:270] = -0.013
    assert doubt_of(delays_s) is None


def test_a_shift_at_a_hundred_points_a_second_is_seen_from_its_row():
    delays_s = np.zeros(POINTS)
    delays_s[250:] = PERIOD_S
    doubt = doubt_of(delays_s)
    assert doubt is not None
    assert doubt.from_index == 200
    assert "+1 points" in doubt.reason


def test_whole_periods_of_delay_that_pass_are_doubted_only_where_nothing_but_order_joins():
    delays_s = np.zeros(POINTS)
    delays_s[250:260] = -2 * PERIOD_S
    assert doubt_of(delays_s) is None
    doubt = doubt_of(delays_s, by_order=True)
    assert doubt is not None
    assert doubt.from_index == 200


def test_a_shift_of_the_last_points_is_seen_too():
    delays_s = np.zeros(POINTS)
    delays_s[-5:] = -PERIOD_S
    doubt = doubt_of(delays_s)
    assert doubt is not None
    assert doubt.from_index == 200
