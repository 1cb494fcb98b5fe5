"""Rates of counters over the last seconds."""

import pytest

from phasecast.services.rates import RateMeter


def test_a_steady_counter_has_its_rate_and_a_stopped_one_none_after_the_window():
    meter = RateMeter(5.0)
    assert meter.sample(0, 0.0) == 0.0
    for second in range(1, 20):
        assert meter.sample(100 * second, float(second)) == pytest.approx(100.0)
    rates = [meter.sample(1900, float(second)) for second in range(20, 30)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0.0


def test_two_samples_at_one_time_give_no_rate():
    meter = RateMeter(5.0)
    meter.sample(0, 1.0)
    assert meter.sample(10, 1.0) == 0.0
