"""Absorption against tabulated transmissions."""

import numpy as np
import pytest

from phasecast_models.xrd.absorption import (
    amorphous_rust_attenuation_per_um,
    compound_attenuation_per_um,
    iron_attenuation_per_um,
    resin_attenuation_per_um,
    slab_transmission,
    structure_attenuation_per_um,
)
from phasecast_models.xrd.structures import get_structure


def test_ten_micrometres_at_ten_kev() -> None:
    assert slab_transmission(iron_attenuation_per_um(10.0), 10.0) == pytest.approx(0.26, abs=0.006)
    assert slab_transmission(resin_attenuation_per_um(10.0), 10.0) == pytest.approx(0.991, abs=0.001)
    passed = {name: structure_attenuation_per_um(get_structure(name), 10.0) for name in ("magnetite", "goethite")}
    assert slab_transmission(passed["magnetite"], 10.0) == pytest.approx(0.52, abs=0.01)
    assert slab_transmission(passed["goethite"], 10.0) == pytest.approx(0.63, abs=0.01)
    assert passed["goethite"] > amorphous_rust_attenuation_per_um(10.0) > 0.85 * passed["goethite"]


@pytest.mark.parametrize(("energy_kev", "cm2_per_g"), [(8.0, 305.6), (10.0, 170.6), (15.0, 57.08), (20.0, 25.68)])
def test_iron_follows_the_tables(energy_kev: float, cm2_per_g: float) -> None:
    """Of Hubbell and Seltzer (NIST SRD 126), whose totals hold 1 to 3 % of scattering."""
    assert iron_attenuation_per_um(energy_kev) == pytest.approx(cm2_per_g * 7.874e-4, rel=0.04)


def test_below_its_edge_iron_is_much_clearer() -> None:
    assert iron_attenuation_per_um(7.2) / iron_attenuation_per_um(7.0) == pytest.approx(7.3, abs=0.7)


def test_a_compound_is_the_sum_of_its_atoms() -> None:
    whole = compound_attenuation_per_um({"Fe": 2, "O": 3}, 5.27, 10.0)
    assert whole == pytest.approx(structure_attenuation_per_um(get_structure("hematite"), 10.0), rel=0.01)
    assert compound_attenuation_per_um({"Fe": 1}, 2 * 7.874, 10.0) == pytest.approx(
        2 * iron_attenuation_per_um(10.0), rel=0.01
    )


def test_thick_slabs_multiply() -> None:
    thickness = np.array([0.0, 5.0, 10.0])
    passed = slab_transmission(0.13, thickness)
    assert passed[0] == 1
    assert passed[2] == pytest.approx(passed[1] ** 2)
