"""Light that passes a section tells iron from its rust."""

import numpy as np
import pytest

from phasecast_models.xrd.absorption import iron_attenuation_per_um, structure_attenuation_per_um
from phasecast_models.xrd.structures import get_structure
from phasecast_models.xrd.transmission import metal_share, seen_metal, settled, unsettled


def test_absorption_is_that_of_the_tables() -> None:
    # NIST XCOM at 10 keV: Fe 170.6, O 5.565, H 0.385 cm2/g
    iron = 170.6 * 7.874 * 1e-4
    goethite = (170.6 * 55.845 + 5.565 * 31.998 + 0.385 * 1.008) / 88.851 * 4.28 * 1e-4
    assert iron_attenuation_per_um(10.0) == pytest.approx(iron, rel=0.03)
    assert structure_attenuation_per_um(get_structure("goethite"), 10.0) == pytest.approx(goethite, rel=0.03)


def test_ten_micrometres_of_steel_are_metal_and_of_rust_are_not() -> None:
    share = metal_share([0.26, 0.63, 0.52, 0.99, 1.0], thickness_um=10.0)
    assert share[0] > 0.95
    assert share[1:].max() < 0.05


def test_metal_that_fills_most_of_the_beam_is_metal() -> None:
    rust = structure_attenuation_per_um(get_structure("goethite"), 10.0)
    part = np.array([1.0, 0.8, 0.6, 0.2, 0.0])
    transmission = np.exp(-10 * (part * iron_attenuation_per_um(10.0) + (1 - part) * rust))
    share = metal_share(transmission, thickness_um=10.0)
    assert share[:3].min() > 0.9
    assert share[3:].max() < 0.1


def test_what_was_not_measured_speaks_against_nothing() -> None:
    assert metal_share([np.nan, np.inf, 0.0, -0.1, 40.0]).tolist() == [0.5] * 5
    assert metal_share(0.63, thickness_um=10.0).shape == ()
    assert metal_share(np.empty(0)).shape == (0,)


@pytest.mark.parametrize("thickness_um", [5.0, 10.0, 20.0, (5.0, 20.0), (8.0, 12.0)])
@pytest.mark.parametrize("energy_kev", [8.0, 10.0, 17.5])
def test_more_light_never_makes_metal_likelier(thickness_um: float | tuple[float, float], energy_kev: float) -> None:
    share = metal_share(np.linspace(0.001, 1.4, 1500), thickness_um=thickness_um, energy_kev=energy_kev)
    assert np.diff(share).max() <= 1e-12
    assert share[0] > 0.95
    assert share[-1] < 0.05


def test_the_less_is_known_of_the_thickness_the_less_is_known_of_the_place() -> None:
    # 8 um of metal or 16 um of magnetite
    transmission = float(np.exp(-8 * iron_attenuation_per_um(10.0)))
    assert metal_share(transmission, thickness_um=8.0) > 0.95
    assert metal_share(transmission, thickness_um=16.0) < 0.05
    assert 0.5 < metal_share(transmission, thickness_um=(5.0, 20.0)) < 0.95


def test_below_the_edge_of_iron_it_refuses() -> None:
    with pytest.raises(ValueError, match=r"7\.112 keV.*leave transmission out"):
        metal_share(0.5, energy_kev=7.0)
    with pytest.raises(ValueError, match="thickness_um"):
        metal_share(0.5, thickness_um=(20.0, 5.0))


def test_a_transmission_is_weighed_by_bayes_rule() -> None:
    # nobody sees lines: odds of the pattern times odds of the transmission
    assert settled(0.5, 0.9, 0.0) == pytest.approx(0.9)
    assert settled(0.2, 0.9, 0.0) == pytest.approx(0.2 * 0.9 / (0.2 * 0.9 + 0.8 * 0.1))
    # even odds say nothing, and light says nothing between metal with lines and metal without
    assert settled(0.3, 0.5, 0.2) == pytest.approx(0.3)
    assert settled(0.02, 0.99, 1.0) == pytest.approx(0.02)
    p, share, q = np.random.default_rng(0).uniform(0.001, 0.999, (3, 100))
    assert unsettled(settled(p, share, q), share, q) == pytest.approx(p)
    assert seen_metal(np.array([[0.5, 0.5, 0.0]])) == pytest.approx([0.75])


def test_light_speaks_where_the_pattern_is_silent_and_not_against_lines() -> None:
    confident = settled([0.4, 0.4, 0.02], metal_share([0.26, 0.63, 0.26], thickness_um=10.0), [0.01, 0.01, 0.99])
    assert confident[0] > 0.95
    assert confident[1] < 0.05
    assert confident[2] < 0.05
