"""What headers say of beam and detector, in their units."""

import pytest

from phasecast.sources.header_geometry import parse_stated_geometry


def test_a_header_of_camserver_states_wavelength_distance_and_arm():
    stated = parse_stated_geometry(
        "# Wavelength 1.23984 A\r\n# Detector_distance 0.15300 m\r\n# Detector_2theta 25.4000 deg.\r\n"
    )
    assert stated.energy_kev == pytest.approx(10.0, abs=1e-4)
    assert stated.distance_mm == pytest.approx(153.0)
    assert stated.arm_tth_deg == pytest.approx(25.4)


def test_the_older_convention_and_an_energy_are_read():
    stated = parse_stated_geometry("Energy = 10000 eV\nDetector_distance: 153 mm\n")
    assert stated.energy_kev == pytest.approx(10.0)
    assert stated.distance_mm == pytest.approx(153.0)
    assert stated.arm_tth_deg is None


@pytest.mark.parametrize(
    "header", ["", "# Wavelength 0.0000 A\n# Detector_distance 0 m\n", "# Wavelength A\n", "# Wavelength 1e999 A\n"]
)
def test_what_is_not_set_or_malformed_states_nothing(header):
    stated = parse_stated_geometry(header)
    assert (stated.energy_kev, stated.distance_mm, stated.arm_tth_deg) == (None, None, None)
