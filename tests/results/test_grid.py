"""A pattern that no mirror or turn maps onto itself must come out upright, however the stage ran."""

import itertools

import numpy as np
import pytest

from phasecast.results.grid import Grid
from support.documents import make_header, raster

# Rows from top to bottom, as a person sees it.
LETTER_F = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]], dtype=float)


def letter_at(x_um: np.ndarray, y_um: np.ndarray, step_um: float) -> np.ndarray:
    """Value of the letter at sample positions, y up."""
    column = np.rint((x_um - x_um.min()) / step_um).astype(int)
    row = np.rint((y_um.max() - y_um) / step_um).astype(int)
    return LETTER_F[row, column]


def seen(picture: np.ndarray) -> np.ndarray:
    """The map as drawn with y up: its first row is at the bottom."""
    return picture[::-1]


@pytest.mark.parametrize(
    ("fast", "snaking", "x_sign", "y_sign"), list(itertools.product("xy", (True, False), (1, -1), (1, -1)))
)
@pytest.mark.parametrize("announced_right", [True, False])
def test_the_letter_stands_upright(fast: str, snaking: bool, x_sign: int, y_sign: int, announced_right: bool) -> None:
    shape = (5, 4) if fast == "x" else (4, 5)
    x, y = raster(shape, fast=fast, snaking=snaking, x_sign=x_sign, y_sign=y_sign)
    grid = Grid.from_header(make_header(shape=shape, fast=fast, snaking=snaking == announced_right))
    assert grid is not None
    noise = np.random.default_rng(1).normal(0, 0.1, (2, x.size))
    placement = grid.place(x + noise[0], y + noise[1])
    values = letter_at(x, y, 2.0)
    picture = placement.paint(values, select=np.ones(x.size, bool), fill=np.nan)
    np.testing.assert_array_equal(seen(picture), LETTER_F)
    assert np.all(np.diff(placement.x_um) > 0)
    assert np.all(np.diff(placement.y_um) > 0)
    np.testing.assert_allclose(placement.x_um, np.unique(x), atol=0.3)
    np.testing.assert_allclose(placement.y_um, np.unique(y), atol=0.3)


def test_points_measured_where_the_plan_did_not_say_go_where_they_were_measured() -> None:
    x, y = raster((5, 4), snaking=False)
    x[13:], y[13:] = np.r_[x[12], x[13:-1]], np.r_[y[12], y[13:-1]]  # point 13 repeats 12, the rest follow late
    grid = Grid.from_header(make_header(shape=(5, 4), snaking=False))
    assert grid is not None
    placement = grid.place(x, y)
    np.testing.assert_array_equal(placement.x_um[placement.columns], x)
    np.testing.assert_array_equal(placement.y_um[placement.rows], y)


def test_a_scan_in_progress_is_placed_as_far_as_it_is_known() -> None:
    x, y = raster((5, 4), snaking=True, y_sign=-1)
    grid = Grid.from_header(make_header(shape=(5, 4)))
    assert grid is not None
    full = grid.place(x, y)
    for measured in (1, 3, 4, 5, 9):
        known = np.arange(x.size) < measured
        placement = grid.place(np.where(known, x, np.nan), np.where(known, y, np.nan))
        assert placement.inside.all()
        if measured > 4:
            np.testing.assert_array_equal(placement.rows[known], full.rows[known])
            np.testing.assert_allclose(placement.y_um, full.y_um)
        if measured > 1:
            np.testing.assert_allclose(placement.x_um, full.x_um)


def test_uneven_steps_keep_their_true_centres() -> None:
    x_lines, y_lines = np.array([0.0, 1.0, 3.0, 8.0]), np.array([5.0, 6.0, 9.0])
    y, x = (part.ravel() for part in np.meshgrid(y_lines, x_lines, indexing="ij"))
    grid = Grid.from_header(make_header(shape=(3, 4), snaking=False))
    assert grid is not None
    placement = grid.place(x, y)
    np.testing.assert_allclose(placement.x_um, x_lines)
    np.testing.assert_allclose(placement.y_um, y_lines)
    np.testing.assert_array_equal(placement.columns, np.tile(np.arange(4), 3))


def test_surplus_points_outside_the_raster_have_no_cell_and_inside_it_replace() -> None:
    x, y = raster((3, 4), snaking=False)
    grid = Grid.from_header(make_header(shape=(3, 4), snaking=False))
    assert grid is not None
    placement = grid.place(np.r_[x, 500.0, x[5]], np.r_[y, y[0], y[5]])
    assert not placement.inside[12]
    assert (placement.rows[13], placement.columns[13]) == (placement.rows[5], placement.columns[5])


def test_a_wild_encoder_reading_moves_no_other_point() -> None:
    x, y = raster((6, 8), snaking=True)
    grid = Grid.from_header(make_header(shape=(6, 8)))
    assert grid is not None
    full = grid.place(x, y)
    x[20] += 1e4
    placement = grid.place(x, y)
    others = np.arange(x.size) != 20
    np.testing.assert_array_equal(placement.columns[others], full.columns[others])
    assert not placement.inside[20]


@pytest.mark.parametrize("shape", [None, (12,), (2, 3, 2)])
def test_only_rasters_over_x_and_y_have_a_grid(shape: tuple[int, ...] | None) -> None:
    assert Grid.from_header(make_header(shape=shape)) is None


@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 1)])
def test_a_single_line_is_a_raster_too(shape: tuple[int, int]) -> None:
    x, y = raster(shape)
    grid = Grid.from_header(make_header(shape=shape))
    assert grid is not None
    placement = grid.place(x, y)
    picture = placement.paint(np.arange(x.size, dtype=float), select=np.ones(x.size, bool), fill=np.nan)
    assert sorted(picture.ravel()) == list(range(x.size))
