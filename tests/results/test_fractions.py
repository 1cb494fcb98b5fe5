"""Intervals of area fractions: right on random fields whose true share is known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from phasecast.results.fractions import area_fraction, wilson
from phasecast.results.grid import Placement


def cells(rows: int, columns: int, step_um: float = 2.0) -> Placement:
    row, column = (part.ravel() for part in np.indices((rows, columns)))
    return Placement(rows=row, columns=column, x_um=np.arange(columns) * step_um, y_um=np.arange(rows) * step_um)


def places(placement: Placement) -> tuple[np.ndarray, np.ndarray]:
    return placement.x_um[placement.columns], placement.y_um[placement.rows]


def field(rng: np.random.Generator, shape: tuple[int, int], width: float, share: float) -> np.ndarray:
    """A Gaussian field of unit variance, cut so that its expected share is known: P(z > q) = share."""
    margin = int(5 * width) + 1
    noise = rng.normal(size=(shape[0] + 2 * margin, shape[1] + 2 * margin))
    smooth = gaussian_filter(noise, width, mode="wrap")
    # exact for a discrete kernel: the variance of a filtered white field is the sum of its squared weights
    impulse = np.zeros(noise.shape)
    impulse[margin, margin] = 1.0
    smooth /= np.sqrt(np.sum(gaussian_filter(impulse, width, mode="wrap") ** 2))
    cut = smooth[margin:-margin, margin:-margin]
    return (cut > norm.ppf(1 - share)).ravel()


@pytest.mark.parametrize(("width", "share"), [(1.0, 0.5), (2.0, 0.3), (3.0, 0.5)])
def test_intervals_of_correlated_fields_hold_the_true_share_as_often_as_they_say(width: float, share: float) -> None:
    rng = np.random.default_rng(20)
    placement = cells(48, 64)
    x_um, y_um = places(placement)
    held, naive, runs = 0, 0, 150
    for _ in range(runs):
        present = field(rng, (48, 64), width, share)
        fraction = area_fraction(present, x_um, y_um, placement, 4.0)
        held += fraction.low <= share <= fraction.high
        low, high = wilson(float(present.mean()), present.size)
        naive += low <= share <= high
    # 95 % within three binomial deviations of 150 runs (1.8 % each), and a little for few independent points
    assert 0.88 <= held / runs <= 1.0
    assert naive / runs < 0.7


def test_scattered_points_of_a_correlated_field_have_honest_intervals_too() -> None:
    rng = np.random.default_rng(21)
    grid = cells(48, 64)
    chosen = rng.permutation(48 * 64)[:900]
    x_um, y_um = (part[chosen] + rng.uniform(-0.3, 0.3, 900) for part in places(grid))
    held, runs = 0, 40
    for _ in range(runs):
        fraction = area_fraction(field(rng, (48, 64), 2.0, 0.4)[chosen], x_um, y_um)
        held += fraction.low <= 0.4 <= fraction.high
        assert fraction.effective_points < 400
    assert held / runs >= 0.82


def test_independent_points_give_plain_wilson() -> None:
    rng = np.random.default_rng(3)
    placement = cells(40, 60)
    present = rng.random(2400) < 0.3
    fraction = area_fraction(present, *places(placement), placement, 4.0)
    assert fraction.effective_points == fraction.points == 2400
    # Wilson's interval as its closed form gives it
    p, n, z = float(present.mean()), 2400, 1.959963984540054
    root = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = [(p + z**2 / (2 * n) + sign * root) / (1 + z**2 / n) for sign in (-1, 1)]
    assert [fraction.low, fraction.high] == pytest.approx(expected, rel=1e-12)
    assert fraction.area_um2 == 9600.0


def test_cells_that_are_missing_and_points_outside_the_region_count_for_nothing() -> None:
    rng = np.random.default_rng(5)
    placement = cells(30, 40)
    x_um, y_um = places(placement)
    present = field(rng, (30, 40), 1.5, 0.5)
    left = placement.columns < 20
    half = cells(30, 20)
    alone = area_fraction(present[left], *places(half), half, 4.0)
    within = area_fraction(present, x_um, y_um, placement, 4.0, select=left)
    assert within == alone
    assert within.points == 600


def test_a_correlated_single_row_knows_less_than_its_number_of_points() -> None:
    rng = np.random.default_rng(6)
    placement = cells(1, 600)
    present = np.repeat(rng.random(60) < 0.5, 10)
    fraction = area_fraction(present, *places(placement), placement, 4.0)
    assert 20 < fraction.effective_points < 150


def test_shares_of_nothing_and_of_everything_have_one_sided_intervals() -> None:
    placement = cells(5, 6)
    none = area_fraction(np.zeros(30, bool), *places(placement), placement, 1.0)
    everything = area_fraction(np.ones(30, bool), *places(placement), placement, 1.0, effective_if_constant=7.0)
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(1.959964**2 / (30 + 1.959964**2), rel=1e-5)
    assert (everything.value, everything.high, everything.effective_points) == (1, 1, 7)
    nothing = area_fraction(np.zeros(0, bool), np.zeros(0), np.zeros(0))
    assert nothing.points == 0
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_handful_of_points_has_an_interval(count: int) -> None:
    present = np.arange(count) % 2 == 0
    for x_um in (np.arange(count, dtype=float), np.full(count, np.nan)):
        fraction = area_fraction(present, x_um, np.zeros(count))
        assert 0 <= fraction.low <= fraction.value <= fraction.high <= 1
