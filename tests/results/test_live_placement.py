"""A placement that grows point by point ends where the placement of the whole scan is."""

import numpy as np
import pytest

from phasecast.results.grid import Grid
from phasecast.results.live_placement import LivePlacement
from support.documents import make_header, raster


@pytest.mark.parametrize("fast", ["x", "y"])
@pytest.mark.parametrize("snaking", [True, False])
@pytest.mark.parametrize("signs", [(1, 1), (-1, 1), (1, -1)])
def test_growing_and_whole_placements_agree(fast: str, snaking: bool, signs: tuple[int, int]) -> None:
    shape = (12, 17)
    x, y = raster(shape, fast=fast, snaking=snaking, x_sign=signs[0], y_sign=signs[1])
    rng = np.random.default_rng(3)
    x, y = x + rng.normal(0, 0.2, x.size), y + rng.normal(0, 0.2, y.size)
    grid = Grid.from_header(make_header(shape=shape, fast=fast, snaking=snaking))
    assert grid is not None
    live = LivePlacement(grid)
    live.update(np.full(x.size, np.nan), np.full(x.size, np.nan), np.arange(0))
    seen_x, seen_y = np.full(x.size, np.nan), np.full(x.size, np.nan)
    moved = 0
    for first in range(0, x.size, 5):
        rows = np.arange(first, min(first + 5, x.size))
        seen_x[rows], seen_y[rows] = x[rows], y[rows]
        moved += live.update(seen_x, seen_y, rows)
    whole = grid.place(x, y)
    np.testing.assert_array_equal(live.rows, whole.rows)
    np.testing.assert_array_equal(live.columns, whole.columns)
    # centres were last settled when a tenth of the scan was missing at most
    np.testing.assert_allclose(live.x_um, whole.x_um, atol=0.3)
    np.testing.assert_allclose(live.y_um, whole.y_um, atol=0.3)
    assert live.is_even
    assert moved < 15


def test_points_without_position_keep_the_place_that_their_order_gives() -> None:
    shape = (6, 8)
    x, y = (values.astype(float) for values in raster(shape))
    x[20] = y[20] = np.nan
    grid = Grid.from_header(make_header(shape=shape))
    assert grid is not None
    live = LivePlacement(grid)
    for row in range(x.size):
        known = np.arange(x.size) <= row
        live.update(np.where(known, x, np.nan), np.where(known, y, np.nan), np.array([row]))
    assert (live.rows[20], live.columns[20]) == (2, 4)


def test_a_single_row_and_a_single_point_have_a_step() -> None:
    for shape in ((1, 9), (1, 1)):
        x, y = raster(shape)
        grid = Grid.from_header(make_header(shape=shape))
        assert grid is not None
        live = LivePlacement(grid)
        live.update(x.astype(float), y.astype(float), np.arange(x.size))
        assert np.all(np.isfinite(live.x_um))
        assert np.all(np.isfinite(live.y_um))
        assert min(live.step_um) > 0
        np.testing.assert_array_equal(live.columns, np.arange(x.size))
