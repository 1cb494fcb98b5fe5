"""What raises an alarm, what clears it, and what does neither."""

from dataclasses import replace

import pytest

from phasecast.core.words import LANGUAGES, words
from phasecast.records.alarms import KINDS, OF_THE_SCAN, AlarmInputs, AlarmRules, evaluate

FINE = AlarmInputs(
    now_s=1000.0, daemon_state="running", status_age_s=0.5, scan_uid="raw-1", scan_age_s=100.0, since_frame_s=0.1,
    since_position_s=0.1, frame_period_s=0.1, i0_ratio=1.0, saturated_points=0, recent_points=50, line_shift_deg=0.0,
    unsure_run=0, row_points=20, disk_free_bytes=1e12, disk_growth_bytes_per_s=1e7,
)  # fmt: skip
# kind: what raises it, what is between (neither raises nor clears), what clears it
STEPS = {
    "daemon_gone": ({"status_age_s": 5.1}, None, {"status_age_s": 1.0}),
    "disk_low": (
        {"disk_free_bytes": 1e10, "disk_growth_bytes_per_s": 1e10 / 7100},
        {"disk_free_bytes": 1e10, "disk_growth_bytes_per_s": 1e10 / 8900},
        {"disk_free_bytes": 1e10, "disk_growth_bytes_per_s": 1e10 / 9100},
    ),
    "no_frames": ({"since_frame_s": 5.1}, None, {"since_frame_s": 0.1}),
    "no_positions": ({"since_position_s": 5.1}, None, {"since_position_s": 0.1}),
    "i0_down": ({"i0_ratio": 0.49}, {"i0_ratio": 0.79}, {"i0_ratio": 0.81}),
    "saturation": ({"saturated_points": 3}, {"saturated_points": 1}, {"saturated_points": 0}),
    "line_drift": ({"line_shift_deg": -0.031}, {"line_shift_deg": -0.021}, {"line_shift_deg": 0.019}),
    "strange_patterns": ({"strangeness": 1.1}, {"strangeness": 0.95}, {"strangeness": 0.8}),
    "unsure_row": ({"unsure_run": 20}, {"unsure_run": 1}, {"unsure_run": 0}),
}


def kinds(inputs):
    return [alarm.kind for alarm in evaluate(inputs)]


def test_nothing_is_said_when_nothing_is_wrong_or_known():
    assert kinds(FINE) == []
    assert kinds(AlarmInputs(now_s=0.0)) == []
    assert kinds(AlarmInputs(now_s=1000.0, daemon_state="running", scan_uid="raw-1", scan_age_s=10.0)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_each_alarm_comes_stays_and_goes_without_flapping(kind):
    raising, between, clearing = STEPS[kind]
    (alarm,) = evaluate(replace(FINE, **raising))
    assert alarm.kind == kind
    assert alarm.since_s == FINE.now_s
    assert alarm.scan_uid == ("raw-1" if kind in OF_THE_SCAN else "")
    later = replace(FINE, now_s=1060.0, standing={kind: alarm.since_s})
    (same,) = evaluate(replace(later, **raising))
    assert (same.id, same.since_s) == (alarm.id, alarm.since_s)
    if between is not None:
        assert kinds(replace(FINE, **between)) == [], "too little to raise it"
        assert kinds(replace(later, **between)) == [kind], "too little to clear it"
    assert kinds(replace(later, **clearing)) == []
    (again,) = evaluate(replace(FINE, now_s=2000.0, **raising))
    assert again.id != alarm.id


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_alarm_says_what_is_wrong_and_what_to_do(kind, language):
    (alarm,) = evaluate(replace(FINE, **STEPS[kind][0]))
    what, remedy = alarm.what(words(language)), alarm.remedy(words(language))
    assert "{" not in what + remedy
    assert all(value in what for value in alarm.values.values())
    assert len(remedy) > 20
    assert what != remedy


def test_without_a_scan_only_disk_and_daemon_can_be_wrong():
    everything = {name: value for raising, _, _ in STEPS.values() for name, value in raising.items()}
    idle = replace(FINE, **everything | {"status_age_s": 0.5}, scan_uid="")
    assert kinds(idle) == ["disk_low"]
    assert set(kinds(replace(idle, scan_uid="raw-1"))) == set(KINDS) - {"daemon_gone"}


def test_a_silent_daemon_is_one_cause_and_one_alarm():
    everything = {name: value for raising, _, _ in STEPS.values() for name, value in raising.items()}
    assert kinds(replace(FINE, **everything)) == ["daemon_gone", "disk_low"]


def test_a_daemon_that_was_stopped_or_never_ran_is_not_gone():
    assert kinds(replace(FINE, daemon_state="stopped", status_age_s=3600.0, since_frame_s=3600.0)) == []
    assert kinds(replace(FINE, daemon_state="", status_age_s=3600.0, scan_uid="")) == []


def test_slow_exposures_are_no_silence():
    slow = replace(FINE, frame_period_s=10.0, since_frame_s=60.0, since_position_s=60.0)
    assert kinds(slow) == []
    assert kinds(replace(slow, since_frame_s=101.0)) == ["no_frames"]


def test_a_scan_whose_first_frame_never_comes_is_noticed():
    waiting = replace(FINE, since_frame_s=float("nan"), frame_period_s=float("nan"), scan_age_s=59.0)
    assert kinds(waiting) == []
    assert kinds(replace(waiting, scan_age_s=61.0)) == ["no_frames"]


def test_files_that_carry_their_positions_need_no_positions_from_elsewhere():
    files = replace(FINE, positions_expected=False, since_position_s=float("nan"), scan_age_s=3600.0)
    assert kinds(files) == []


def test_a_nearly_full_disk_is_named_at_any_rate():
    full = replace(FINE, disk_free_bytes=0.9e9, disk_growth_bytes_per_s=0.0, scan_uid="")
    (alarm,) = evaluate(full)
    assert alarm.kind == "disk_low"
    assert "0.9 GB" in alarm.what(words("en"))
    assert kinds(replace(full, disk_free_bytes=1.5e9)) == []
    assert kinds(replace(full, disk_free_bytes=1.5e9, standing={"disk_low": 1.0})) == ["disk_low"]


def test_a_row_is_as_long_as_the_scan_says_and_never_shorter_than_the_rule():
    assert kinds(replace(FINE, unsure_run=19)) == []
    assert kinds(replace(FINE, unsure_run=9, row_points=3)) == []
    assert kinds(replace(FINE, unsure_run=10, row_points=3)) == ["unsure_row"]
    assert [alarm.kind for alarm in evaluate(replace(FINE, unsure_run=30), AlarmRules(unsure_points=40))] == []
