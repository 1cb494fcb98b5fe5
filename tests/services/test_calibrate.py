"""The command: what it writes, what it says, and that a refusal writes nothing."""

import json
import shutil
from datetime import datetime

import fabio
import numpy as np
import pytest
from typer.testing import CliRunner

from phasecast.cli import app
from phasecast.core.errors import CalibrationError, FrameError, GeometryError, PhasecastError
from phasecast.profiles import load_profile
from phasecast.services.calibrate import calibrate_files
from phasecast.xrd.geometry import geometry_from_profile

PROFILE = """schema_version = 1
name = "arm"
title = "LaB6 on an arm"
energy_kev = 14.0
[detector]
model = "Pilatus100k"
[geometry]
distance_mm = 921.35
arm_plane = "vertical"
fast_axis_in_arm_plane = false
poni_file = "tuesday.poni"
[axis]
tth_min_deg = 20.0
tth_max_deg = 30.0
[join]
key = ["order"]
"""


@pytest.fixture
def beamline(measured_data, tmp_path):
    """A profile whose .poni is 3 mm and half a degree off, beside the frame that it is for."""
    name = "LaB6_SSRL_tth25.40_module1"
    frame = tmp_path / f"{name}.cbf"
    shutil.copy(measured_data / "pilatus100k_lab6" / frame.name, frame)
    given = (measured_data / "pilatus100k_lab6" / f"{name}.poni").read_text()
    assert "Distance: 0.918352721976438\n" in given
    assert "Rot2: 0.4428043342929581\n" in given
    (tmp_path / "given.poni").write_text(given)
    off = given.replace("0.918352721976438", "0.921352721976438").replace("0.4428043342929581", "0.4515309809")
    (tmp_path / "tuesday.poni").write_text(off)
    (tmp_path / "arm.toml").write_text(PROFILE)
    return tmp_path


def written(folder):
    return sorted(path.name for path in folder.glob("arm_*"))


def test_a_dated_poni_and_a_picture_are_written_beside_the_profile(beamline):
    frame, profile = beamline / "LaB6_SSRL_tth25.40_module1.cbf", beamline / "arm.toml"
    report = calibrate_files([frame], profile=str(profile), standard="LaB6", now=datetime(2026, 4, 21, 9, 30, 5))
    assert written(beamline) == ["arm_LaB6_20260421-093005.png", "arm_LaB6_20260421-093005.poni"]
    assert report.picture.read_bytes().startswith(b"\x89PNG")
    loaded = load_profile(str(profile))
    measured, given = geometry_from_profile(loaded, report.poni), geometry_from_profile(loaded, beamline / "given.poni")
    assert measured.warnings == ()
    assert measured.orientation == given.orientation
    (ring,) = report.calibration.rings
    rows, cols = report.calibration.points[:, 0], report.calibration.points[:, 1]
    found_deg, given_deg = (np.rad2deg(geometry.pyfai().tth(rows, cols)) for geometry in (measured, given))
    np.testing.assert_allclose(found_deg, given_deg, atol=0.01)
    assert found_deg.mean() == pytest.approx(ring.line_tth_deg, abs=0.005)
    comment = report.poni.read_text()
    assert "LaB6" in comment
    assert frame.name in comment
    assert "Sample_offset: 0 mm" in comment


def test_the_command_prints_table_free_set_and_json(beamline, monkeypatch):
    for name in ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT"):  # set by the command: kept from the tests that follow
        monkeypatch.setenv(name, "1")
    command = ["calibrate", str(beamline / "LaB6_SSRL_tth25.40_module1.cbf"), "--profile", str(beamline / "arm.toml")]
    said = CliRunner().invoke(app, [*command, "--standard", "lab6", "-o", str(beamline / "first.poni")])
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines()[1].split()[:2] == ["(200)", "24.6020"]
    assert "free: rot1, rot2" in said.stderr
    assert "fixed: dist (1 of the 3 rings it needs)" in said.stderr
    assert "one ring: that it is (200) rests on the arm angle" in said.stderr
    said = CliRunner().invoke(app, [*command, "--standard", "LaB6", "-o", str(beamline / "second.poni"), "--json"])
    told = json.loads(said.stdout)
    assert told["rings"][0]["hkl"] == "(200)"
    assert abs(told["rings"][0]["difference_deg"]) < 0.002
    assert told["rms_deg"] < 0.02
    assert "rot2" in told["free"]
    assert told["poni"] == str(beamline / "second.poni")


def test_the_sample_offset_is_in_the_distance_and_in_the_comment(beamline):
    frame, profile = beamline / "LaB6_SSRL_tth25.40_module1.cbf", str(beamline / "arm.toml")
    report = calibrate_files(
        [frame], profile=profile, standard="LaB6", sample_offset_mm=2.0, output=beamline / "offset.poni"
    )
    tilt = np.cos(np.deg2rad(report.geometry.rot1_deg)) * np.cos(np.deg2rad(report.geometry.rot2_deg))
    nearer_mm = report.calibration.geometry.distance_mm - report.geometry.distance_mm
    assert nearer_mm == pytest.approx(2.0 * tilt, abs=1e-6)
    assert geometry_from_profile(load_profile(profile), report.poni).distance_mm == pytest.approx(
        report.geometry.distance_mm, abs=1e-6
    )
    assert "Sample_offset: 2 mm along the beam" in report.poni.read_text()


def test_repeated_frames_are_summed_and_frames_of_another_arm_angle_are_refused_by_name(beamline, measured_data):
    frame, profile = beamline / "LaB6_SSRL_tth25.40_module1.cbf", str(beamline / "arm.toml")
    again = beamline / "again.cbf"
    shutil.copy(frame, again)
    report = calibrate_files([frame, again], profile=profile, standard="LaB6", output=beamline / "sum.poni")
    with fabio.open(str(frame)) as file:
        assert report.calibration.frame.image.max() == 2 * file.data.max()
    moved = measured_data / "pilatus100k_lab6" / "LaB6_SSRL_tth26.76_module1.cbf"
    with pytest.raises(FrameError, match=r"tth26.76.*26.76 deg, and at 25.4 deg in .*tth25.40"):
        calibrate_files([frame, moved], profile=profile, standard="LaB6")
    assert written(beamline) == []


def test_a_header_that_contradicts_the_profile_is_refused_with_both_values(beamline, tmp_path):
    frame, profile = beamline / "LaB6_SSRL_tth25.40_module1.cbf", tmp_path / "arm.toml"
    profile.write_text(PROFILE.replace("energy_kev = 14.0", "energy_kev = 14.1"))
    (tmp_path / "tuesday.poni").write_text(
        (tmp_path / "tuesday.poni").read_text().replace("8.85601409974337e-11", "8.79320556e-11")
    )
    with pytest.raises(FrameError, match=r"energy 14 keV contradicts 14\.1 keV of profile arm.*--ignore-headers"):
        calibrate_files([frame], profile=str(profile), standard="LaB6")
    assert written(tmp_path) == []


def with_distance(frame, line):
    content = frame.read_bytes()
    assert content.count(b"# Wavelength 0.885601 A") == 1
    frame.write_bytes(content.replace(b"# Wavelength 0.885601 A", b"# Wavelength 0.885601 A\r\n" + line))


def test_a_distance_in_the_header_is_compared_or_on_request_ignored_and_noted(beamline):
    frame, profile = beamline / "LaB6_SSRL_tth25.40_module1.cbf", str(beamline / "arm.toml")
    with_distance(frame, b"# Detector_distance 0.20000 m")
    with pytest.raises(FrameError, match=r"distance 200 mm contradicts 921\.35 mm of profile arm"):
        calibrate_files([frame], profile=profile, standard="LaB6")
    report = calibrate_files(
        [frame], profile=profile, standard="LaB6", ignore_headers=True, output=beamline / "ignored.poni"
    )
    assert any("distance 200 mm contradicts 921.35 mm" in line for line in report.summary)


def test_a_start_at_another_wavelength_is_refused_with_both_values(beamline):
    other = beamline / "other.poni"
    other.write_text((beamline / "given.poni").read_text().replace("8.85601409974337e-11", "1.2398e-10"))
    with pytest.raises(GeometryError, match=r"1\.23980 A contradicts 0\.88560 A of profile arm"):
        calibrate_files(
            [beamline / "LaB6_SSRL_tth25.40_module1.cbf"],
            profile=str(beamline / "arm.toml"),
            standard="LaB6",
            poni=other,
        )


def test_a_refused_calibration_names_the_frame_and_writes_nothing(beamline):
    frame = beamline / "LaB6_SSRL_tth25.40_module1.cbf"
    with pytest.raises(CalibrationError, match=r"tth25.40_module1.cbf: .*another line may fit"):
        calibrate_files([frame], profile=str(beamline / "arm.toml"), standard="Si")
    assert written(beamline) == []


def test_an_older_calibration_is_never_written_over(beamline):
    frame, old = beamline / "LaB6_SSRL_tth25.40_module1.cbf", beamline / "given.poni"
    before = old.read_bytes()
    with pytest.raises(CalibrationError, match="exists already"):
        calibrate_files([frame], profile=str(beamline / "arm.toml"), standard="LaB6", output=old)
    assert old.read_bytes() == before


@pytest.mark.parametrize("name", ["較正フレーム.cbf", "ｌａｂ６　１.cbf"])
def test_japanese_and_full_width_names_pass(beamline, name):
    frame = beamline / name
    shutil.copy(beamline / "LaB6_SSRL_tth25.40_module1.cbf", frame)
    folder = beamline / "結果"
    folder.mkdir()
    report = calibrate_files(
        [frame], profile=str(beamline / "arm.toml"), standard="LaB6", output=folder / f"{frame.stem}.poni"
    )
    measured = geometry_from_profile(load_profile(str(beamline / "arm.toml")), report.poni)
    assert measured.rot2_deg == pytest.approx(report.geometry.rot2_deg, abs=1e-9)


def test_a_frame_of_another_detector_or_none_is_one_clear_line(beamline, measured_data):
    profile = str(beamline / "arm.toml")
    with pytest.raises(PhasecastError, match="cannot be read"):
        calibrate_files([beamline / "missing.cbf"], profile=profile, standard="LaB6")
    other = next((measured_data / "cbf").glob("*.cbf*"))
    with pytest.raises(FrameError, match=r"pixels, the profile's detector has \(195, 487\)"):
        calibrate_files([other], profile=profile, standard="LaB6")


def test_the_output_must_be_a_poni_file_in_a_folder_that_is_there(beamline):
    frame, profile = beamline / "LaB6_SSRL_tth25.40_module1.cbf", str(beamline / "arm.toml")
    for output, reason in (
        (beamline / "a.png", r"end --output with \.poni"),
        (beamline / "no" / "a.poni", "written to"),
    ):
        with pytest.raises(CalibrationError, match=reason):
            calibrate_files([frame], profile=profile, standard="LaB6", output=output)
