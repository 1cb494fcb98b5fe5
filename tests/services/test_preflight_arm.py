"""The preflight of a detector whose arm moves: its goniometer is read, and no window is judged where it never is."""

from pathlib import Path

from phasecast.profiles import ArmAxis, load_profile
from phasecast.services.preflight_instrument import build_instrument


def test_a_goniometer_file_is_a_calibration(measured_data: Path) -> None:
    poni = measured_data / "pilatus300kw_lab6_arm_scan" / "ROBL_v1.json"
    built = build_instrument(load_profile("ssrl-lab6-arm"), poni=poni, model=None, max_geometry_age_h=1e9)
    assert built.integrator is not None
    (check,) = [check for check in built.found if check.name == "geometry"]
    assert check.state == "green"


def test_a_window_that_moves_is_not_judged() -> None:
    profile = load_profile("bl16xu")
    arm = (ArmAxis(field="arm_tth", rotates="rot1"),)
    nominal = {"arm": arm, "arm_tth_deg": None, "beam_centre_px": (243.5, 97.5)}
    profile = profile.model_copy(update={"geometry": profile.geometry.model_copy(update=nominal)})
    built = build_instrument(profile, poni=None, model=None, max_geometry_age_h=1e9)
    (check,) = [check for check in built.found if check.name == "bundle"]
    assert check.state == "not checked"
    assert "the arm moves" in check.what
