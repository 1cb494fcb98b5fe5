"""A geometry comes from a .poni file or from nominal values, and contradictions are named."""

import logging
from pathlib import Path

import numpy as np
import pytest

from phasecast.core.errors import GeometryError, ProfileError
from phasecast.profiles import Profile, load_profile
from phasecast.xrd.corrections import corrections_from_profile
from phasecast.xrd.geometry import geometry_from_profile
from phasecast.xrd.integrator import Integrator

PONI = """poni_version: 2.1
Detector: Pilatus100k
Detector_config: {{"orientation": 3}}
Distance: {distance_m}
Poni1: 0.01677
Poni2: 0.041882
Rot1: {rot1_rad}
Rot2: 0.0
Rot3: 0.0
Wavelength: 1.2398419843e-10
"""


def _poni(folder: Path, *, distance_m: float = 0.153, rot1_rad: float = 0.43633231) -> Path:
    path = folder / "arm.poni"
    path.write_text(PONI.format(distance_m=distance_m, rot1_rad=rot1_rad), encoding="utf-8")
    return path


def _detector(profile: Profile, **changes: object) -> Profile:
    return profile.model_copy(update={"detector": profile.detector.model_copy(update=changes)})


def test_nominal_bl16xu_geometry_covers_the_stated_window() -> None:
    geometry = geometry_from_profile(load_profile("bl16xu"))
    tth_deg = geometry.pyfai().center_array((195, 487), unit="2th_deg")
    assert geometry.centre_tth_deg == pytest.approx(25.0, abs=0.001)
    assert float(tth_deg.min()) == pytest.approx(9.72, abs=0.01)
    assert float(tth_deg.max()) == pytest.approx(40.65, abs=0.01)


def test_poni_close_to_nominal_wins_in_silence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        geometry = geometry_from_profile(load_profile("bl16xu"), _poni(tmp_path, distance_m=0.1545))
    assert geometry.distance_mm == pytest.approx(154.5)
    assert geometry.warnings == ()
    assert caplog.records == []


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"distance_m": 0.160}, ["160.00 mm", "153.00 mm"]),
        ({"rot1_rad": 0.47}, ["26.93 deg", "25.00 deg"]),
    ],
)
def test_poni_far_from_nominal_wins_with_a_warning_that_names_both(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, float], fragments: list[str]
) -> None:
    path = _poni(tmp_path, **changes)
    with caplog.at_level(logging.WARNING):
        geometry = geometry_from_profile(load_profile("bl16xu"), path)
    (warning,) = geometry.warnings
    assert warning in caplog.text
    assert all(fragment in warning for fragment in [str(path), "profile bl16xu", *fragments])


def test_missing_poni_says_which_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match=r"gone\.poni: the \.poni file does not exist - correct the path"):
        geometry_from_profile(load_profile("bl16xu"), tmp_path / "gone.poni")


@pytest.mark.parametrize("content", ["", "not a calibration\n", "Distance: far\n"])
def test_unreadable_poni_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.poni"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(GeometryError, match=r"broken\.poni: ") as refusal:
        geometry_from_profile(load_profile("bl16xu"), path)
    assert "\n" not in str(refusal.value)


def test_poni_of_another_detector_is_refused(tmp_path: Path) -> None:
    path = _poni(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("Pilatus100k", "Pilatus1M"), encoding="utf-8")
    with pytest.raises(GeometryError, match=r"\(1043, 981\).*Pilatus100k has \(195, 487\)"):
        geometry_from_profile(load_profile("bl16xu"), path)


def test_moving_arm_without_poni_is_refused_with_the_remedy() -> None:
    with pytest.raises(GeometryError, match=r"ssrl-lab6.*--poni FILE"):
        Integrator.from_profile(load_profile("ssrl-lab6"))


def test_unknown_detector_is_named() -> None:
    with pytest.raises(GeometryError, match="pyFAI knows no detector 'Pilatus9'"):
        geometry_from_profile(_detector(load_profile("bl16xu"), model="Pilatus9"))


def test_axis_outside_the_detector_is_refused() -> None:
    profile = load_profile("bl16xu")
    axis = profile.axis.model_copy(update={"tth_min_deg": 100.0, "tth_max_deg": 120.0})
    with pytest.raises(GeometryError, match=r"no usable pixel lies between 100\.0 and 120\.0 deg"):
        Integrator.from_profile(profile.model_copy(update={"axis": axis}))


def test_correction_images_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.ones((10, 10)))
    profile = load_profile("bl16xu")
    for name, fragment in (("flat.npy", r"shape \(10, 10\)"), ("gone.tif", "cannot be read")):
        with pytest.raises(ProfileError, match=rf"detector.flat_file: .*{name}.*{fragment}"):
            corrections_from_profile(_detector(profile, flat_file=str(tmp_path / name)), (195, 487))
