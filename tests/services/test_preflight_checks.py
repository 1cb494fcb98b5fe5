"""What makes a line of the preflight red, and that real headers are read as they say."""

import gzip
import time
from pathlib import Path

import numpy as np
import pytest

from phasecast.core.frame import Frame, FrameId, FrameReference
from phasecast.core.scan import PointMeasured, ScanUid
from phasecast.profiles import load_profile
from phasecast.services import preflight_checks as checks
from phasecast.services import preflight_clocks as clocks
from phasecast.services.preflight_checks import Stated
from phasecast.sources.frame_file import read_frame_file

NOW_S = time.mktime((2026, 11, 25, 12, 0, 0, 0, 0, -1))


@pytest.fixture(scope="module")
def profile():
    return load_profile("bl16xu")


def point(time_s=0.0, received_s=0.0, **scalars):
    return PointMeasured(
        uid=ScanUid("raw"), index=0, time_s=time_s, received_s=received_s, position={}, scalars=scalars
    )


def file_frame(hardware_s, received_s, exposure_s=0.5):
    return Frame(
        frame_id=FrameId("a_00001.cbf"),
        series="a",
        number=1,
        image=np.zeros((2, 2), np.int32),
        keys=(),
        received_s=received_s,
        hardware_s=hardware_s,
        exposure_s=exposure_s,
        reference=FrameReference(store="file", path="/frames/a_00001.cbf", offset=0, number=1),
    )


def test_threshold_and_energy_of_a_real_pilatus_are_read_and_a_contradiction_names_both(measured_data, profile):
    path = measured_data / "cbf" / "DLS_I03_smargon_0001.cbf.gz"
    stated = checks.stated_in_header(read_frame_file("a.cbf", gzip.decompress(path.read_bytes())).header)
    assert stated.threshold_kev == pytest.approx(6.35)
    assert stated.energy_kev == pytest.approx(12.7, rel=1e-4)
    for check in (checks.check_threshold(profile, stated), checks.check_energy(profile, stated)):
        assert check.state == "red"
        assert check.remedy
    assert "6.35 keV" in checks.check_threshold(profile, stated).what
    assert "5 keV" in checks.check_threshold(profile, stated).what
    assert "12.7 keV" in checks.check_energy(profile, stated).what
    assert "10 keV" in checks.check_energy(profile, stated).what


def test_settings_of_a_stream_are_in_ev_and_a_header_of_zeros_says_nothing(profile):
    stated = checks.stated_in_settings({"photon_energy": 10000.0, "threshold_energy": 5000.0})
    assert stated == Stated(threshold_kev=5.0, energy_kev=10.0)
    thresholds = {"threshold_1": 5000.0, "threshold_2": 8000.0}
    second = {"incident_energy": 10000.0, "threshold_energy": thresholds, "image_channel": "threshold_2"}
    assert checks.stated_in_settings(second) == Stated(threshold_kev=8.0, energy_kev=10.0)
    assert checks.check_energy(profile, stated).state == checks.check_threshold(profile, stated).state == "green"
    assert checks.stated_in_header("# Threshold_setting: 0 eV\n# Wavelength 0.0000 A") == Stated()
    assert checks.check_energy(profile, Stated()).state == "not checked"


@pytest.mark.parametrize(("threshold_kev", "state"), [(3.0, "red"), (5.0, "green"), (6.5, "green"), (9.0, "red")])
def test_a_threshold_far_from_half_the_energy_counts_photons_twice_or_not_at_all(profile, threshold_kev, state):
    detector = profile.detector.model_copy(update={"threshold_kev": None})
    check = checks.check_threshold(
        profile.model_copy(update={"detector": detector}), Stated(threshold_kev=threshold_kev)
    )
    assert check.state == state


@pytest.mark.parametrize(
    ("points", "state", "word"),
    [
        ([point(i0=1e6)], "green", "1e+06"),
        ([point(i0=1e6), point(i0=0.0)], "red", "reads 0"),
        ([point(i0=float("nan"))], "red", "nan"),
        ([point(ic1=3.0)], "red", "they carry ic1"),
        ([], "red", "no measured point"),
    ],
)
def test_a_monitor_that_is_dead_absent_or_silent_is_red(profile, points, state, word):
    check = checks.check_i0(profile, points, expects_points=True, listened_s=20.0)
    assert check.state == state
    assert word in check.what


def test_an_instrument_without_monitor_is_told_that_nothing_is_normalised():
    check = checks.check_i0(load_profile("gsecars-map"), [], expects_points=False, listened_s=1.0)
    assert check.state == "not checked"
    assert "not normalised" in check.what


def test_a_clock_that_is_off_is_red_and_whole_hours_look_like_a_time_zone():
    assert clocks.check_clocks({"documents": -0.4}).state == "green"
    late = clocks.check_clocks({"documents": 0.1, "frames": -17.0})
    assert late.state == "red"
    assert "NTP" in late.remedy
    zone = clocks.check_clocks({"frames": 9 * 3600 + 1.2})
    assert zone.state == "red"
    assert "+9 h looks like a time zone" in zone.remedy
    assert clocks.check_clocks({}).state == "not checked"


def test_only_a_file_that_was_written_while_we_listened_tells_the_clock():
    assert clocks.clock_offset_of_frame_s(file_frame(100.0, 103.5), began_s=101.0) == pytest.approx(-3.0)
    assert clocks.clock_offset_of_frame_s(file_frame(100.0, 101.5), began_s=101.0) is None
    assert clocks.clock_offset_of_frame_s(file_frame(None, 103.5), began_s=101.0) is None


def test_a_log_must_be_there_and_grow():
    log = Path("/logs/motors.txt")

    def look(before, now):
        return clocks.check_log(log, size_before=before, size_now=now, changed_s=0.0, listened_s=5.0)

    assert look(100, 160).state == "green"
    for before, now in ((100, 100), (100, 40), (None, None)):
        assert look(before, now).state == "red"
        assert look(before, now).remedy
    assert look(None, 30).state == "green", "a log that a program opens now is growing"


def test_the_age_of_a_calibration_is_that_of_its_own_stamp_not_of_its_copy(tmp_path):
    poni = tmp_path / "tuesday.poni"
    poni.write_text("# Calibration done at Tue Nov 24 11:00:00 2026\nDistance: 0.153\n")
    old = checks.check_geometry_age(poni, limit_h=24.0, now_s=NOW_S)
    assert old.state == "red"
    assert "25 h ago" in old.what
    assert checks.check_geometry_age(poni, limit_h=48.0, now_s=NOW_S).state == "green"
    assert checks.check_geometry_age(None, limit_h=24.0).state == "red", "nominal values are no calibration"
    plain = tmp_path / "plain.poni"
    plain.write_text("Distance: 0.153\n")
    assert checks.check_geometry_age(plain, limit_h=1.0).state == "green"


def test_the_disk_must_hold_the_planned_scan():
    def look(free_bytes):
        return checks.check_disk(bytes_a_point=5e4, points=24_000, free_bytes=free_bytes, planned=True)

    assert look(2_000_000_000).state == "green"
    assert look(1_000_000_000).state == "red"


def test_saturated_and_mostly_masked_frames_are_red():
    def look(masked, saturated):
        return checks.check_pixels(masked=masked, saturated=saturated, pixels=1000, mask_file=None)

    assert look(3, 0).state == "green"
    assert look(3, 1).state == "red"
    assert look(300, 0).state == "red"
