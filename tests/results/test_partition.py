"""Steel, rust, outside and the surface between them, on layers whose true border is known."""

from dataclasses import replace

import numpy as np
import pytest

from phasecast.results.grid import Placement
from phasecast.results.partition import Surface, propose_parts, propose_surface
from support.documents import CLASSES

ROLES = ("rust", "rust", "rust", "steel", "steel", "steel", "outside", "steel", "")
PHASES = tuple(replace(phase, role=role) for phase, role in zip(CLASSES, ROLES, strict=True))


def layers(
    shape: tuple[int, int], *, angle_deg: float = 0.0, step_um: float = 2.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Placement]:
    """Steel, 20 um of rust, resin, stacked along a direction; depth is the distance from the steel."""
    row, column = (part.ravel() for part in np.indices(shape))
    x_um, y_um = column * step_um + 100.0, row * step_um - 50.0
    angle = np.radians(angle_deg)
    depth = -np.sin(angle) * (x_um - x_um.mean()) + np.cos(angle) * (y_um - y_um.mean())
    confidence = np.zeros((row.size, 9), np.float32)
    confidence[depth < 0, 3] = 0.95
    confidence[(depth >= 0) & (depth < 20), 1] = 0.95
    confidence[depth >= 20, 6] = 0.95
    placement = Placement(
        rows=row, columns=column, x_um=np.arange(shape[1]) * step_um + 100, y_um=np.arange(shape[0]) * step_um - 50
    )
    return confidence, x_um, y_um, depth, placement


@pytest.mark.parametrize("angle_deg", [0, 30, 90, 180, 250])
@pytest.mark.parametrize("raster", [True, False])
def test_layers_in_any_direction_have_their_parts_and_their_surface(angle_deg: float, raster: bool) -> None:
    confidence, x_um, y_um, depth, placement = layers((40, 40), angle_deg=angle_deg)
    parts = propose_parts(PHASES, confidence, x_um, y_um, placement if raster else None)
    truth = np.where(depth < 0, "steel", np.where(depth < 20, "rust", "outside"))
    inner = np.minimum(np.abs(depth), np.abs(depth - 20)) > 3
    assert np.mean(parts == truth) > 0.95
    assert np.mean((parts == truth)[inner]) > 0.999
    surface = propose_surface(parts, x_um, y_um)
    assert surface is not None
    assert np.median(np.abs(surface.distance_um(x_um, y_um) - depth)) < 1.5
    assert np.max(np.abs(surface.distance_um(x_um, y_um) - depth)[inner]) < 6


def test_single_wrong_points_join_what_surrounds_them() -> None:
    confidence, x_um, y_um, depth, placement = layers((40, 40))
    rng = np.random.default_rng(4)
    wrong = rng.permutation(1600)[:25]
    confidence[wrong] = np.eye(9)[6] * 0.9
    parts = propose_parts(PHASES, confidence, x_um, y_um, placement)
    deep = depth < -8
    assert set(parts[deep]) == {"steel"}


def test_points_without_a_confidence_or_a_place_are_unknown() -> None:
    confidence, x_um, y_um, _, placement = layers((10, 10))
    confidence[5] = np.nan
    x_um[7] = np.nan
    assert propose_parts(PHASES, confidence, x_um, y_um, None)[[5, 7]].tolist() == ["unknown", "unknown"]
    assert set(propose_parts(CLASSES, confidence, x_um, y_um, placement)) == {"unknown"}  # a file without roles
    assert set(propose_parts((), np.zeros((4, 0)), np.zeros(4), np.zeros(4))) == {"unknown"}
    assert propose_parts(PHASES, np.zeros((0, 9)), np.zeros(0), np.zeros(0)).size == 0
    one = propose_parts(PHASES, np.eye(9)[[3]], np.zeros(1), np.zeros(1))
    assert one.tolist() == ["steel"]


def test_there_is_no_surface_without_steel_without_rust_or_around_an_island() -> None:
    row, column = (part.ravel() for part in np.indices((30, 30)))
    island = np.where(np.hypot(row - 15, column - 15) < 7, "steel", "rust")
    assert propose_surface(island, column * 1.0, row * 1.0) is None
    for part in ("steel", "rust", "unknown"):
        assert propose_surface(np.full(900, part), column * 1.0, row * 1.0) is None
    assert propose_surface(np.zeros(0, "U7"), np.zeros(0), np.zeros(0)) is None


def test_a_single_row_has_a_surface_across_it() -> None:
    x_um = np.arange(60) * 2.0
    parts = np.where(x_um < 50, "steel", "rust")
    surface = propose_surface(parts, x_um, np.full(60, 7.0))
    assert surface is not None
    np.testing.assert_allclose(surface.distance_um(x_um, np.full(60, 7.0)), x_um - 49, atol=1e-6)


def test_distances_are_normal_to_the_line_and_signed() -> None:
    # steel to the right of who walks along it: walking to +x, it is below
    roof = Surface(vertices_um=((0.0, 0.0), (10.0, 10.0), (20.0, 0.0)))
    assert roof.distance_um(10.0, 15.0) == pytest.approx(5.0)
    assert roof.distance_um(10.0, 5.0) == pytest.approx(-5.0 / np.sqrt(2))
    assert roof.distance_um(0.0, 10.0) == pytest.approx(10.0 / np.sqrt(2))
    assert roof.distance_um(-10.0, -10.0) == pytest.approx(0.0)  # its ends go on
    straight = Surface(vertices_um=((0.0, 0.0), (10.0, 0.0)))
    np.testing.assert_allclose(straight.distance_um([-99.0, 4.0, 50.0], [3.0, -2.0, 0.5]), [3, -2, 0.5])
    assert np.isnan(straight.distance_um(np.nan, 1.0))


def test_a_line_drawn_the_other_way_round_is_turned() -> None:
    confidence, x_um, y_um, depth, placement = layers((30, 30))
    parts = propose_parts(PHASES, confidence, x_um, y_um, placement)
    ends = [(90.0, float(y_um.mean())), (170.0, float(y_um.mean()))]
    for corners in (ends, ends[::-1]):
        np.testing.assert_allclose(Surface.beside(corners, parts, x_um, y_um).distance_um(x_um, y_um), depth, atol=1e-9)


@pytest.mark.parametrize("vertices", [(), ((0.0, 0.0),), ((0.0, 0.0), (0.0, 0.0)), ((0.0, np.nan), (1.0, 0.0))])
def test_a_surface_needs_two_different_known_corners(vertices: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="corners"):
        Surface(vertices_um=vertices)
