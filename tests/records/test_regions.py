"""Which points a region holds, against closed forms."""

import numpy as np
import pytest

from phasecast.core.errors import RequestError
from phasecast.core.region_requests import Points, Polygon, Threshold
from phasecast.records.journal import append
from phasecast.records.regions import inside_polygon, read_regions, region_mask, regions_path

X, Y = (axis.ravel().astype(float) for axis in np.meshgrid(np.arange(20), np.arange(10)))


def mask(definition, **layers):
    return region_mask(definition, raw_uid="raw-1", x_um=X, y_um=Y, layers=layers)


def test_a_rectangle_holds_its_left_and_lower_edge_and_not_the_others():
    chosen = mask(Polygon(vertices_um=((2, 3), (7, 3), (7, 5), (2, 5))))
    np.testing.assert_array_equal(chosen, (X >= 2) & (X < 7) & (Y >= 3) & (Y < 5))


@pytest.mark.parametrize("seed", range(5))
def test_polygons_that_share_edges_share_no_point_and_leave_none_out(seed):
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
    rim = np.column_stack([10 + 30 * np.cos(angles), 5 + 30 * np.sin(angles)])
    whole = np.array([[-50, -50], [70, -50], [70, 70], [-50, 70]], dtype=float)
    centre = np.array([10.0, 5.0])
    wedges = [np.array([centre, rim[k], rim[(k + 1) % 7]]) for k in range(7)]
    x, y = rng.uniform(-20, 40, 5000), rng.uniform(-25, 35, 5000)
    # points on the edges themselves, where rounding decides
    part = rng.uniform(0, 1, 2000)
    x[:2000], y[:2000] = (centre + part[:, None] * (rim[0] - centre)).T
    counts = sum(inside_polygon(wedge, x, y).astype(int) for wedge in wedges)
    assert counts.max() == 1
    star = inside_polygon(rim, x[2000:], y[2000:])
    np.testing.assert_array_equal(star, counts[2000:] == 1)
    assert inside_polygon(whole, x, y).all()


def test_the_area_of_a_circle_and_the_hole_of_a_ring():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-1, 1, (2, 200_000))
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    outer = np.column_stack([np.cos(angle), np.sin(angle)])
    inside = inside_polygon(outer, x, y)
    assert inside.mean() == pytest.approx(np.pi / 4, abs=4 * np.sqrt(0.17 / 200_000))
    np.testing.assert_array_equal(inside_polygon(outer[::-1], x, y), inside)
    crossed = np.array([[-1, -1], [1, 1], [1, -1], [-1, 1]], dtype=float)  # a bow tie, by the even-odd rule
    np.testing.assert_array_equal(inside_polygon(crossed, x, y), np.abs(x) > np.abs(y))


def test_points_without_a_place_lie_in_no_polygon():
    everything = np.array([[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]])
    chosen = inside_polygon(everything, np.array([0, np.nan, 0]), np.array([0, 0, np.nan]))
    np.testing.assert_array_equal(chosen, [True, False, False])
    assert inside_polygon(everything, np.zeros(0), np.zeros(0)).shape == (0,)


def test_chosen_points_count_on_their_own_scan_alone_and_only_those_that_exist():
    chosen = mask(Points(scan_raw_uid="raw-1", rows=(0, 5, 100_000)))
    np.testing.assert_array_equal(np.flatnonzero(chosen), [0, 5])
    assert not mask(Points(scan_raw_uid="raw-2", rows=(0, 5))).any()


def test_a_threshold_holds_both_its_limits_and_no_unknown_value():
    values = np.linspace(0, 1, X.size)
    values[3] = np.nan
    chosen = mask(Threshold(layer="goethite", low=values[50], high=values[60]), goethite=values)
    np.testing.assert_array_equal(np.flatnonzero(chosen), np.arange(50, 61))
    assert mask(Threshold(layer="goethite", low=0, high=1), goethite=values).sum() == X.size - 1
    with pytest.raises(RequestError, match="no layer 'rust'"):
        mask(Threshold(layer="rust", low=0, high=1), goethite=values)


def test_a_foreign_line_in_the_notebook_is_passed_over(directory):
    good = {
        "request": "1", "who": "m", "time_s": 1.0, "kind": "save", "name": "a", "role": "rust", "scan_raw_uid": "",
        "definition": {"kind": "threshold", "layer": "goethite", "low": 0, "high": 1},
    }  # fmt: skip
    bad = [
        {}, {"kind": "save"}, good | {"role": "gold"}, good | {"definition": {"kind": "shell"}},
        good | {"definition": 5}, good | {"definition": {"kind": "polygon", "vertices_um": [[0, 0]]}},
        good | {"time_s": "now"}, {"kind": "later invention", "name": "a"},
    ]  # fmt: skip
    append(regions_path(directory), [*bad, good | {"name": "b"}])
    (region,) = read_regions(directory)
    assert (region.name, region.role) == ("b", "rust")
