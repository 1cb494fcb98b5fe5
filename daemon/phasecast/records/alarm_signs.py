"""What a growing result and the daemon's status say that alarms are made of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointFlag, PointState
from phasecast.records.alarms import AlarmInputs
from phasecast.results import layout
from phasecast.results.follow import ResultFollower
from phasecast.results.normalisation import i0_offset
from phasecast.results.quality import KnownLine, known_line, line_positions, rows_of, shows_line

RECENT_POINTS = 50
"""Newest points that saturation is counted in."""
DRIFT_POINTS = 100
"""Newest classified points whose median tells whether the model knows what it sees."""
_I0_POINTS = 10
_DOWN = 0.5
_LINE_POINTS = 30
"""Points whose mean pattern tells where a line is, at the beginning of the scan and now."""
_LONGEST_RUN = 4096
_SIGNIFICANCE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What the points of a scan say; see `AlarmInputs` for the meaning of each."""

    i0_ratio: float = math.nan
    saturated_points: int = 0
    recent_points: int = 0
    line_shift_deg: float = math.nan
    unsure_run: int = 0
    row_points: int = 0
    strangeness: float = math.nan


class SignReader:
    """Reads the signs of one growing result, at the cost of some dozen rows a look.

    Parameters
    ----------
    follower
        The result; whoever owns it advances it, in the same thread.
    """

    def __init__(self, follower: ResultFollower) -> None:
        self._follower = follower
        self._line: KnownLine | None = None
        self._begin: tuple[float, float] | None = None
        self._looked_at = -1
        self._shift_deg = math.nan

    def read(self) -> Signs:
        """Return what the points say now."""
        follower = self._follower
        done = np.flatnonzero(follower.state == PointState.DONE)
        shape = follower.result.header.shape
        recent = done[-RECENT_POINTS:]
        return Signs(
            i0_ratio=self._i0_ratio(),
            saturated_points=int(np.count_nonzero(follower.flags[recent] & int(PointFlag.SATURATED))),
            recent_points=int(recent.size),
            line_shift_deg=self._line_shift_deg(done),
            unsure_run=_run_at_end(follower.confidence[done[-_LONGEST_RUN:]]),
            row_points=int(shape[-1]) if shape and len(shape) > 1 else 0,
            strangeness=self._strangeness(done),
        )

    def _strangeness(self, done: NDArray[np.int64]) -> float:
        """Median drift of the newest points of which it is known; NaN as long as there are too few."""
        drift = self._follower.drift[done[-_LONGEST_RUN:]]
        known = drift[np.isfinite(drift)][-DRIFT_POINTS:]
        return float(np.median(known)) if known.size == DRIFT_POINTS else math.nan

    def _i0_ratio(self) -> float:
        i0, state = self._follower.scalars.get("i0"), self._follower.state
        # points without beam are rejected: they are what this sign is about
        measured = np.flatnonzero((state == PointState.DONE) | (state == PointState.REJECTED))
        known = i0[measured] if i0 is not None else np.zeros(0)
        known = known[np.isfinite(known)] - i0_offset(self._follower.result.header)
        if known.size < 2 * _I0_POINTS:
            return math.nan
        # a beam that stays away must not become the usual one: points that are down themselves do not count
        usual = float(np.median(known[known >= _DOWN * np.percentile(known, 90)]))
        return float(np.median(known[-_I0_POINTS:])) / usual if usual > 0 else math.nan

    def _line_shift_deg(self, done: NDArray[np.int64]) -> float:
        if done.size < 2 * _LINE_POINTS or not {layout.INTENSITY_COLUMN, layout.SIGMA_COLUMN} <= {
            column.name for column in self._follower.result.header.columns
        }:
            return math.nan
        if self._line is None:
            self._line = known_line(self._follower.result.header, self._follower.confidence[done])
            if self._line is None:
                return math.nan
        holds = done[shows_line(self._follower.result.header, self._follower.confidence[done], self._line)]
        if holds.size < 2 * _LINE_POINTS:
            # another class may come to show its line more often
            self._line = None
            return math.nan
        if self._begin is None:
            self._begin = self._position(self._line, holds[:_LINE_POINTS])
        newest = int(holds[-1])
        if newest >= self._looked_at + _LINE_POINTS or self._looked_at < 0 or newest < self._looked_at:
            self._looked_at = newest
            self._shift_deg = math.nan
            now = self._position(self._line, holds[-_LINE_POINTS:])
            if self._begin is not None and now is not None:
                shift = now[0] - self._begin[0]
                # what noise alone can make is no shift
                if abs(shift) > _SIGNIFICANCE * math.hypot(now[1], self._begin[1]):
                    self._shift_deg = shift
                else:
                    self._shift_deg = 0.0
        return self._shift_deg

    def _position(self, line: KnownLine, rows: NDArray[np.int64]) -> tuple[float, float] | None:
        """Median position of the line over some points, and its standard error from their scatter, deg.

        Single grains and strains move the line from point to point by far more than counting does: only the scatter
        of the points says what is no shift. For a median that is sqrt(pi / 2) of the error of a mean.
        """
        result = self._follower.result
        intensity = rows_of(result, layout.INTENSITY_COLUMN, rows)
        sigma = rows_of(result, layout.SIGMA_COLUMN, rows)
        centroid, _ = line_positions(result.header.tth_deg, intensity, sigma, line.tth_deg)
        known = centroid[np.isfinite(centroid)]
        if known.size < _LINE_POINTS // 2:
            return None
        middle = float(np.median(known))
        spread = 1.4826 * float(np.median(np.abs(known - middle)))
        return middle, math.sqrt(math.pi / 2) * spread / math.sqrt(known.size)


def measured_scan(status: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the daemon says of the scan that is being measured, the newest if several; empty if none is."""
    scans = (status or {}).get("scans")
    if not isinstance(scans, list):
        return {}
    measuring = [scan for scan in scans if isinstance(scan, dict) and scan.get("state") == "measuring"]
    return dict(measuring[-1]) if measuring else {}


def alarm_inputs(
    status: Mapping[str, Any] | None, *, now_s: float, signs: Signs | None = None, disk_free_bytes: float | None = None
) -> AlarmInputs:
    """Return what the rules need.

    Parameters
    ----------
    status
        What the daemon last said; None if it never did.
    now_s
        POSIX time.
    signs
        What the points of the scan say that is being measured.
    disk_free_bytes
        Room on the disk, where somebody knows it better than the status.
    """
    status, signs = status or {}, signs or Signs()
    scan = measured_scan(status)
    disk = status.get("disk")
    disk = disk if isinstance(disk, Mapping) else {}
    return AlarmInputs(
        now_s=now_s,
        daemon_state=str(status.get("state", "")),
        status_age_s=now_s - _number(status.get("time_s"), now_s),
        scan_uid=str(scan.get("uid", "")),
        scan_age_s=now_s - _number(scan.get("started_s"), now_s),
        since_frame_s=now_s - _number(scan.get("last_frame_s")),
        since_position_s=now_s - _number(scan.get("last_position_s")),
        frame_period_s=_number(scan.get("frame_period_s")),
        positions_expected=bool(scan.get("positions_expected", True)),
        i0_ratio=signs.i0_ratio,
        saturated_points=signs.saturated_points,
        recent_points=signs.recent_points,
        line_shift_deg=signs.line_shift_deg,
        unsure_run=signs.unsure_run,
        row_points=signs.row_points,
        strangeness=signs.strangeness,
        disk_free_bytes=_number(disk.get("free_bytes") if disk_free_bytes is None else disk_free_bytes),
        disk_growth_bytes_per_s=_number(disk.get("growth_bytes_per_s")),
    )


def _number(value: object, default: float = math.nan) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def _run_at_end(confidence: NDArray[np.float32]) -> int:
    """Unsure points in succession at the end, shape of confidence (n, classes)."""
    if confidence.size == 0:
        return 0
    low, high = layout.UNSURE
    unsure = ((confidence >= low) & (confidence <= high)).any(axis=1)
    sure = np.flatnonzero(~unsure)
    return int(unsure.size - 1 - sure[-1]) if sure.size else int(unsure.size)
