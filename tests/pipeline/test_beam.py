"""Which points had beam depends on what the monitors read, and on nothing else."""

import math
import random

import numpy as np
import pytest

from phasecast.pipeline.beam import BeamJudge, BeamRules


def dark_by_the_rule(readings, least=0.0):
    """The points below half the median of the others, found by trying every threshold.

    Of all sets of points that agree with the rule, the one whose beam is that of the brightest tenth.
    """
    values = np.array([value for value in readings.values() if np.isfinite(value)])
    if not values.size:
        return set()
    brightest = np.sort(values)[math.ceil(0.9 * values.size) - 1]
    limit = brightest / 2 if brightest > 0 else -math.inf
    while brightest > 0:
        again = np.median(values[values >= limit]) / 2
        if np.array_equal(values >= again, values >= limit):
            limit = again
            break
        limit = again
    return {index for index, value in readings.items() if value < limit or value < least}


def beam(points, *, level=1e6, seed=0):
    rng = np.random.default_rng(seed)
    return dict(enumerate((level * (1 + 0.01 * rng.standard_normal(points))).tolist()))


def judged(readings, order, least=0.0):
    """Verdicts as someone who only listens to `add` knows them, and the judge."""
    judge = BeamJudge(least)
    dark = {}
    for index in order:
        for other in judge.add(index, readings[index]):
            dark[other] = not dark[other]
        dark[index] = judge.is_dark(index)
        assert all(dark[other] == judge.is_dark(other) for other in dark)
    return {index for index, verdict in dark.items() if verdict}, judge


SCANS = {
    "a dump in the middle": beam(60) | dict.fromkeys(range(20, 35), 100.0),
    "no beam at first": beam(60) | dict.fromkeys(range(25), 80.0),
    "the beam never comes back": beam(60) | dict.fromkeys(range(10, 60), 100.0),
    "one reading far too high": beam(60) | {0: 4e6},
    "half the beam": beam(60) | dict.fromkeys(range(40, 50), 0.49e6),
    "just enough beam": beam(60) | dict.fromkeys(range(40, 50), 0.51e6),
    "unknown readings": beam(60) | {5: math.nan, 6: math.inf, 7: 0.0},
    "offsets larger than the reading": beam(60) | dict.fromkeys(range(4), -3.0),
    "many steps": {index: 1e6 * 0.93**index for index in range(60)},
}


@pytest.mark.parametrize("name", SCANS)
def test_points_below_half_the_median_have_no_beam_in_whatever_order_they_come(name):
    readings = SCANS[name]
    expected = dark_by_the_rule(readings)
    orders = [list(readings), list(reversed(readings)), *([*readings] for _ in range(8))]
    for seed, order in enumerate(orders[2:]):
        random.Random(seed).shuffle(order)
    for order in orders:
        assert judged(readings, order)[0] == expected


def test_the_dark_points_of_a_dump_are_exactly_those_of_the_dump():
    readings = SCANS["a dump in the middle"]
    dark, judge = judged(readings, list(readings))
    assert dark == set(range(20, 35))
    accepted = [value for index, value in readings.items() if index not in dark]
    assert judge.usual == np.median(accepted)


def test_first_points_without_beam_are_found_when_the_beam_comes():
    judge = BeamJudge()
    for index in range(5):
        assert judge.add(index, 90.0 + index) == []
        assert not judge.is_dark(index), "nothing says yet that this is no beam"
    assert sorted(judge.add(5, 1e6)) == [0, 1, 2, 3, 4]
    assert [judge.is_dark(index) for index in range(6)] == [True] * 5 + [False]


def test_a_first_reading_far_too_high_rejects_its_followers_for_nine_points_at_most():
    readings = {0: 5e6} | dict.fromkeys(range(1, 12), 1e6)
    judge = BeamJudge()
    for index, value in readings.items():
        judge.add(index, value)
        assert judge.is_dark(index) == (1 <= index < 9)
    assert not any(judge.is_dark(index) for index in readings)


def test_a_floor_tells_a_dead_beam_from_the_first_point_on():
    judge = BeamJudge(least=1000.0)
    judge.add(0, 90.0)
    assert judge.is_dark(0)


def test_a_monitor_that_is_not_plugged_in_rejects_nothing():
    dark, judge = judged(dict.fromkeys(range(30), 0.0), range(30))
    assert dark == set()
    assert judge.usual == 0


def test_a_reading_that_is_replaced_counts_once():
    judge = BeamJudge()
    for index in range(10):
        judge.add(index, 1e6)
    judge.add(3, 10.0)
    assert judge.is_dark(3)
    judge.add(3, 1e6)
    assert not judge.is_dark(3)
    judge.add(3, math.nan)
    assert not judge.is_dark(3)
    assert math.isnan(judge.reading(3))


def test_offsets_are_subtracted_before_anything_is_divided():
    rules = BeamRules(i0="i0", i1="diode", offsets={"i0": 200.0, "diode": 0.05}, empty_ratio=2e-6)
    assert rules.ratio({"i0": 1_000_200.0, "diode": 1.05}) == pytest.approx(1e-6)
    assert math.isnan(rules.ratio({"i0": 1_000_200.0}))
    assert math.isnan(rules.ratio({"i0": 150.0, "diode": 1.05})), "below its offset there is no flux to divide by"


@pytest.mark.parametrize(("i0", "transmission"), [(math.nan, 0.5), (1e6, math.nan), (0.0, 0.5), (1e6, -0.1)])
def test_the_empty_beam_has_no_scale_where_flux_or_transmission_are_unknown(i0, transmission):
    assert math.isnan(BeamRules(i0="i0", empty_i0=2e6).empty_scale(i0, transmission))


def test_the_scale_of_the_empty_beam_is_the_ratio_of_fluxes_times_the_transmission():
    assert BeamRules(i0="i0", empty_i0=2e6).empty_scale(1e6, 0.3) == pytest.approx(0.15)
