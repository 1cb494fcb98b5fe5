"""Measured frames of standards: their lines are where physics puts them."""

from pathlib import Path

import fabio
import numpy as np
import pytest
from numpy.typing import NDArray

from phasecast.profiles import PatternAxis, load_profile
from phasecast.xrd.integrator import Integrator
from support.peaks import LAB6_TTH_DEG, line_tth_deg, lines_inside

CEO2_A_ANGSTROM = 5.4116
TOLERANCE_DEG = 0.01


def _read(path: Path) -> NDArray[np.int32]:
    with fabio.open(str(path)) as file:
        return np.array(file.data)


def test_lab6_modules_show_their_lines(measured_data: Path) -> None:
    folder = measured_data / "pilatus100k_lab6"
    frames = sorted(folder.glob("*.cbf"))
    profile = load_profile("ssrl-lab6")
    found: dict[float, list[float]] = {}
    for path in frames:
        integrator = Integrator.from_profile(profile, poni=path.with_suffix(".poni"), device="cpu")
        assert integrator.geometry.warnings == ()
        patterns = integrator.integrate(_read(path))
        tth_deg, intensity = patterns.tth_deg, patterns.intensity[0]
        for line in lines_inside(tth_deg, intensity, LAB6_TTH_DEG):
            found.setdefault(line, []).append(line_tth_deg(tth_deg, intensity, line) - line)
    worst = max(abs(error) for errors in found.values() for error in errors)
    print(f"LaB6: {sum(map(len, found.values()))} lines in {len(frames)} modules, worst {worst:.4f} deg")  # noqa: T201
    assert len(frames) == 4
    assert set(found) == set(LAB6_TTH_DEG)
    assert worst < TOLERANCE_DEG


def test_ceo2_module_shows_its_lines(measured_data: Path) -> None:
    path = measured_data / "pilatus100k_ceo2" / "CeO2_P1M_module_r2c1.cbf"
    gsecars = load_profile("gsecars-map")
    profile = gsecars.model_copy(
        update={
            "energy_kev": 12.398419843 / 0.4066,
            "axis": PatternAxis(tth_min_deg=2.0, tth_max_deg=25.0, bins=2300),
        }
    )
    integrator = Integrator.from_profile(profile, poni=path.with_suffix(".poni"), device="cpu")
    assert any("distance" in warning for warning in integrator.geometry.warnings)
    patterns = integrator.integrate(_read(path))
    tth_deg, intensity = patterns.tth_deg, patterns.intensity[0]
    lit = tth_deg[intensity > 0]
    reflections = [hkl for hkl in np.ndindex(7, 7, 7) if hkl[0] >= hkl[1] >= hkl[2] and len({i % 2 for i in hkl}) == 1]
    lines = {
        float(2 * np.rad2deg(np.arcsin(0.4066 / 2 / CEO2_A_ANGSTROM * np.sqrt(np.sum(np.square(hkl))))))
        for hkl in reflections
        if any(hkl)
    }
    inside = [line for line in sorted(lines) if lit.min() + 0.3 < line < lit.max() - 0.3]
    errors = {line: line_tth_deg(tth_deg, intensity, line, 0.15) - line for line in inside[:9]}
    print("CeO2:", ", ".join(f"{line:.3f} {error:+.4f}" for line, error in errors.items()))  # noqa: T201
    assert len(errors) == 9
    assert max(map(abs, errors.values())) < TOLERANCE_DEG


@pytest.mark.parametrize("number", ["01", "08"])
def test_map_module_needs_no_poni_to_come_close(measured_data: Path, number: str) -> None:
    """The nominal values of the shipped profile lie within a tenth of a degree of the calibration."""
    path = measured_data / "pilatus100k_map" / f"Fe3O4map_{number}_module_r2c1.cbf"
    profile, frame = load_profile("gsecars-map"), _read(path)
    nominal = Integrator.from_profile(profile, device="cpu").integrate(frame)
    calibrated = Integrator.from_profile(profile, poni=path.with_suffix(".poni"), device="cpu").integrate(frame)
    strongest = [float(run.tth_deg[np.argmax(run.intensity[0])]) for run in (nominal, calibrated)]
    assert strongest[0] == pytest.approx(strongest[1], abs=0.1)
