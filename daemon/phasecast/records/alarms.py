"""Alarm rules: from what is known right now to what a person must hear. Pure: no clock, no file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from phasecast.core.words import Words
from phasecast.results.layout import LINE_SHIFT_LIMIT_DEG

AlarmKind = Literal[
    "daemon_gone", "disk_low", "no_frames", "no_positions", "i0_down", "saturation", "line_drift", "strange_patterns",
    "unsure_row",
]  # fmt: skip
KINDS: tuple[AlarmKind, ...] = get_args(AlarmKind)
"""All kinds, the gravest first."""
OF_THE_SCAN: frozenset[AlarmKind] = frozenset(
    {"no_frames", "no_positions", "i0_down", "saturation", "line_drift", "strange_patterns", "unsure_row"}
)
"""Kinds that only an open scan can raise; they end with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRules:
    """Limits. Each pair ``..., clear_...`` leaves a gap, so that an alarm does not come and go with noise.

    Parameters
    ----------
    daemon_s
        Age of the status from which the daemon counts as gone; it writes one every second.
    silence_s, silence_periods
        Frames or positions are missing after this time and this many usual times between two of them.
    first_s
        Time from the start of a scan in which the first must have come.
    i0, clear_i0
        Incident intensity as a part of its median over the scan.
    saturated, clear_saturated
        Points with saturated pixels among the newest ones that are looked at.
    line_shift_deg, clear_line_shift_deg
        Shift of a known line against the beginning of the scan.
    strange, clear_strange
        Median drift of the newest points; 1 is as strange to the model as one simulated pattern in a thousand.
    unsure_points
        Least length of a row of unsure points; longer where a row of the scan is longer.
    disk_h, clear_disk_h
        Hours until the disk is full at the present rate.
    disk_bytes, clear_disk_bytes
        Free bytes below which it is full soon at any rate.
    """

    daemon_s: float = 5.0
    silence_s: float = 5.0
    silence_periods: float = 10.0
    first_s: float = 60.0
    i0: float = 0.5
    clear_i0: float = 0.8
    saturated: int = 3
    clear_saturated: int = 0
    line_shift_deg: float = LINE_SHIFT_LIMIT_DEG
    clear_line_shift_deg: float = 0.02
    strange: float = 1.0
    clear_strange: float = 0.9
    unsure_points: int = 10
    disk_h: float = 2.0
    clear_disk_h: float = 2.5
    disk_bytes: float = 1e9
    clear_disk_bytes: float = 2e9


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmInputs:
    """What is known right now; NaN or None where nothing is.

    Parameters
    ----------
    now_s
        POSIX time.
    daemon_state
        What the daemon last said of itself: ``running`` or ``stopped``; empty if there never was one.
    status_age_s
        Age of that.
    scan_uid
        The scan that is being measured; empty if none is, or if it has stopped.
    scan_age_s
        Time since it started.
    since_frame_s, since_position_s
        Time since the last frame and position; NaN before the first one of the scan.
    frame_period_s
        Usual time between two frames.
    positions_expected
        Whether positions come over a wire of their own.
    i0_ratio
        Incident intensity of the newest points over its median in the scan.
    saturated_points, recent_points
        Points with saturated pixels among the newest ones, and how many these are.
    line_shift_deg
        Shift of a known line against the beginning of the scan.
    unsure_run, row_points
        Unsure points in succession up to the newest one, and points in a row of the scan (0 if it has none).
    strangeness
        Median drift of the newest points.
    disk_free_bytes, disk_growth_bytes_per_s
        Room on the disk, and how fast it is used.
    standing
        Kind to the POSIX time since which an alarm stands.
    """

    now_s: float
    daemon_state: str = ""
    status_age_s: float = 0.0
    scan_uid: str = ""
    scan_age_s: float = 0.0
    since_frame_s: float = math.nan
    since_position_s: float = math.nan
    frame_period_s: float = math.nan
    positions_expected: bool = True
    i0_ratio: float = math.nan
    saturated_points: int = 0
    recent_points: int = 0
    line_shift_deg: float = math.nan
    unsure_run: int = 0
    row_points: int = 0
    strangeness: float = math.nan
    disk_free_bytes: float = math.nan
    disk_growth_bytes_per_s: float = math.nan
    standing: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One cause, and one occurrence of it.

    Parameters
    ----------
    id
        The same as long as the cause lasts; another one when it comes again.
    kind
        What it is.
    since_s
        POSIX time since which it stands.
    scan_uid
        The scan it is about; empty for disk and daemon.
    values
        What fills the places of its text.
    wording
        Entry of the catalogue, ``alarm.<wording>``.
    acknowledged_by, acknowledged_s
        Who has seen it, and when (POSIX s); empty and None as long as nobody has.
    """

    id: str
    kind: AlarmKind
    since_s: float
    scan_uid: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    wording: str = ""
    acknowledged_by: str = ""
    acknowledged_s: float | None = None

    def what(self, words: Words) -> str:
        """What is wrong."""
        return words(f"alarm.{self.wording or self.kind}", **self.values)

    def remedy(self, words: Words) -> str:
        """What to do."""
        return words(f"alarm.{self.kind}_do")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cause:
    values: Mapping[str, str]
    wording: str = ""


def evaluate(inputs: AlarmInputs, rules: AlarmRules | None = None) -> list[Alarm]:
    """Return the alarms that stand, the gravest first: at most one a kind."""
    rules = rules or AlarmRules()
    causes: dict[AlarmKind, _Cause | None] = {
        "daemon_gone": _daemon_gone(inputs, rules),
        "disk_low": _disk_low(inputs, rules),
    }
    # what a silent daemon last said of its scan is no news: one cause, one alarm
    if inputs.scan_uid and causes["daemon_gone"] is None and inputs.daemon_state != "stopped":
        causes |= {
            "no_frames": _silence(inputs, rules, inputs.since_frame_s),
            "no_positions": _silence(inputs, rules, inputs.since_position_s) if inputs.positions_expected else None,
            "i0_down": _i0_down(inputs, rules),
            "saturation": _saturation(inputs, rules),
            "line_drift": _line_drift(inputs, rules),
            "strange_patterns": _strange_patterns(inputs, rules),
            "unsure_row": _unsure_row(inputs, rules),
        }
    alarms: list[Alarm] = []
    for kind in KINDS:
        cause = causes.get(kind)
        if cause is not None:
            since_s = inputs.standing.get(kind, inputs.now_s)
            alarms.append(
                Alarm(
                    id=f"{kind}-{round(since_s * 1000)}",
                    kind=kind,
                    since_s=since_s,
                    scan_uid=inputs.scan_uid if kind in OF_THE_SCAN else "",
                    values=cause.values,
                    wording=cause.wording or kind,
                )
            )
    return alarms


def _daemon_gone(inputs: AlarmInputs, rules: AlarmRules) -> _Cause | None:
    if inputs.daemon_state in ("", "stopped") or inputs.status_age_s <= rules.daemon_s:
        return None
    return _Cause(values={"seconds": _whole(inputs.status_age_s)})


def _disk_low(inputs: AlarmInputs, rules: AlarmRules) -> _Cause | None:
    free, rate = inputs.disk_free_bytes, inputs.disk_growth_bytes_per_s
    stands = "disk_low" in inputs.standing
    free_gb = _short(free / 1e9)
    hours = free / rate / 3600 if rate > 0 else math.inf
    if hours < (rules.clear_disk_h if stands else rules.disk_h):
        return _Cause(values={"hours": _short(hours), "free_gb": free_gb})
    if free < (rules.clear_disk_bytes if stands else rules.disk_bytes):
        return _Cause(values={"free_gb": free_gb}, wording="disk_full_soon")
    return None


def _silence(inputs: AlarmInputs, rules: AlarmRules, since_s: float) -> _Cause | None:
    if math.isnan(since_s):
        since_s, limit_s = inputs.scan_age_s, rules.first_s
    else:
        period_s = 0.0 if math.isnan(inputs.frame_period_s) else inputs.frame_period_s
        limit_s = max(rules.silence_s, rules.silence_periods * period_s)
    return _Cause(values={"seconds": _whole(since_s)}) if since_s > limit_s else None


def _i0_down(inputs: AlarmInputs, rules: AlarmRules) -> _Cause | None:
    limit = rules.clear_i0 if "i0_down" in inputs.standing else rules.i0
    return _Cause(values={"percent": _whole(100 * inputs.i0_ratio)}) if inputs.i0_ratio < limit else None


def _saturation(inputs: AlarmInputs, rules: AlarmRules) -> _Cause | None:
    count = inputs.saturated_points
    if count > rules.clear_saturated if "saturation" in inputs.standing else count >= rules.saturated:
        return _Cause(values={"count": str(count), "of": str(inputs.recent_points)})
    return None


def _line_drift(inputs: AlarmInputs, rules: AlarmRules) -> _Cause | None:
    limit = rules.clear_line_shift_deg if "line_drift" in inputs.standing else rules.line_shift_deg
    if abs(inputs.line_shift_deg) > limit:
        return _Cause(values={"shift": f"{inputs.line_shift_deg:+.3f}", "limit": f"{rules.line_shift_deg:g}"})
    return None


def _strange_patterns(inputs: AlarmInputs, rules: AlarmRules) -> _Cause | None:
    limit = rules.clear_strange if "strange_patterns" in inputs.standing else rules.strange
    return _Cause(values={"drift": _short(inputs.strangeness)}) if inputs.strangeness > limit else None


def _unsure_row(inputs: AlarmInputs, rules: AlarmRules) -> _Cause | None:
    limit = max(rules.unsure_points, inputs.row_points)
    # it stands until the run is broken
    if inputs.unsure_run >= (1 if "unsure_row" in inputs.standing else limit):
        return _Cause(values={"count": str(inputs.unsure_run)})
    return None


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _short(value: float) -> str:
    return f"{value:.1f}"
