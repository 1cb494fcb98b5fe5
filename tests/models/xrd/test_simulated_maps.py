"""Simulated maps look like a rusted section, and spots of grains hang together."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from phasecast_models.xrd.axis import BL16XU_AXIS, CLASSES
from phasecast_models.xrd.simulated_maps import SimulatedMap, simulated_map


@pytest.fixture(scope="module")
def section() -> SimulatedMap:
    return simulated_map(48, 40, seed=3)


def _plane(section: SimulatedMap, name: str, truth: str = "present") -> np.ndarray:
    return getattr(section, truth)[:, CLASSES.index(name)].reshape(section.shape) > 0


def test_one_row_a_point_in_reading_order(section: SimulatedMap) -> None:
    n = 48 * 40
    assert section.shape == (48, 40)
    assert section.intensity.shape == section.sigma.shape == (n, BL16XU_AXIS.bins)
    assert section.labels_visible.shape == section.present.shape == (n, len(CLASSES))
    assert section.transmission.shape == section.x_um.shape == section.y_um.shape == (n,)
    assert (section.x_um[1], section.y_um[1]) == (2.0, 0.0)
    assert (section.x_um[40], section.y_um[40]) == (0.0, 1.25)
    assert np.isfinite(section.intensity).all()
    assert (section.sigma > 0).all()


def test_same_arguments_same_bits_and_two_sides_apart(section: SimulatedMap) -> None:
    again = simulated_map(48, 40, seed=3)
    assert again.intensity.tobytes() == section.intensity.tobytes()
    assert again.present.tobytes() == section.present.tobytes()
    other = simulated_map(48, 40, seed=3, hidden=False)
    assert not np.array_equal(other.present, section.present)


@pytest.mark.parametrize("seed", range(4))
def test_layers_follow_each_other(seed: int) -> None:
    section = simulated_map(48, 40, seed=seed)
    steel = np.any([_plane(section, name) for name in ("ferrite", "austenite", "cementite")], axis=0)
    away = distance_transform_edt(~steel, sampling=(1.25, 2.0))
    spinel, inner, outer, resin = (
        away[_plane(section, name) & ~steel].mean() for name in ("magnetite", "goethite", "lepidocrocite", "resin")
    )
    assert spinel < inner < outer < resin
    through = section.transmission.reshape(section.shape)
    assert through[steel].mean() < through[~steel].mean() < through[_plane(section, "resin")].mean()


def test_a_grain_shows_at_all_its_points_or_at_none(section: SimulatedMap) -> None:
    there, seen = _plane(section, "ferrite"), _plane(section, "ferrite", "labels_visible")
    both = there[:, 1:] & there[:, :-1]
    share = seen[there].mean()
    alike = (seen[:, 1:] == seen[:, :-1])[both].mean()
    assert 0.1 < share < 0.9
    # Independent luck at every point would agree this often.
    assert alike > share**2 + (1 - share) ** 2 + 0.15


def test_what_is_not_there_is_not_seen(section: SimulatedMap) -> None:
    # Below 5 % of the volume a class does not count as there, but may be seen.
    without = (section.labels_visible > 0) & (section.present == 0)
    assert without[:, :6].mean() < 0.05
    hidden = (section.labels_visible == 0) & (section.present > 0)
    assert hidden[:, CLASSES.index("ferrite")].mean() > 0.05
