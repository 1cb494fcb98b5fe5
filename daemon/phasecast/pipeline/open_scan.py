"""One scan that is open: what it takes, when it is over, and what is said of it when it is closed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.core.record import CapturePosition
from phasecast.core.result import ModelStamp
from phasecast.core.scan import PointMeasured, PositionDoubt, ScanStart, ScanStop
from phasecast.pipeline.emitter import DerivedRun, ExitStatus
from phasecast.pipeline.fold import ScanFold
from phasecast.pipeline.fold_rules import FoldRules


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRules:
    """When a scan is over.

    Parameters
    ----------
    grace_s
        After the stop, wait this long without news for frames and positions still under way; never longer than
        `idle_s`.
    linger_s
        After the last expected thing, wait this long for surplus.
    idle_s
        Without a stop, a scan that is silent for this long is declared over.
    expected_points
        Points of scans that have no documents; None if unknown.
    """

    grace_s: float = 10.0
    linger_s: float = 0.5
    idle_s: float = 900.0
    expected_points: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRules:
    """Rules of one scan, where it has its own.

    Parameters
    ----------
    fold
        How its frames and points are joined.
    grace_s
        See `DeskRules`.
    """

    fold: FoldRules
    grace_s: float


@dataclass(slots=True, kw_only=True)
class OpenScan:
    """A scan that is not closed yet.

    Parameters
    ----------
    fold
        What is known of it.
    run
        Where its documents go.
    newest_s
        POSIX time at which the last thing of it arrived.
    grace_s
        See `DeskRules`; its own where it has one.
    has_series
        Whether it has a detector series.
    status, reason
        How it ended, and why if not well.
    closed_by
        Person who declared it over.
    is_held
        Whether it is kept open although it is over, because another model is being loaded or asked about its points.
    """

    fold: ScanFold
    run: DerivedRun
    newest_s: float
    grace_s: float
    has_series: bool = False
    status: ExitStatus = "success"
    reason: str = ""
    closed_by: str = ""
    is_held: bool = False

    @property
    def has_stopped(self) -> bool:
        """Whether its end was announced."""
        return self.fold.stop is not None

    @property
    def lacks_stop(self) -> bool:
        """Whether its end should have been announced and was not."""
        return not self.has_stopped and not self.fold.rules.frames_place_themselves

    def hear(self, received_s: float) -> None:
        """Note that something of it arrived."""
        self.newest_s = max(self.newest_s, received_s)

    def take(self, message: PointMeasured | PositionDoubt | ScanStop) -> None:
        """Take what bears its uid."""
        if isinstance(message, PointMeasured):
            self.fold.add_point(message)
        elif isinstance(message, PositionDoubt):
            self.fold.add_doubt(message)
        else:
            self.fold.set_stop(message)
            if message.exit_status != "success":
                self.status = "abort" if message.exit_status == "abort" else "fail"
                self.reason = f"the scan ended with {message.exit_status}"

    def fail(self, reason: str) -> None:
        """Say that it did not end as scans do."""
        self.status, self.reason = "fail", reason

    def cut_off(self, by: ScanStart) -> None:
        """End it because the next scan starts."""
        self.fail("the next scan started before this one's stop document")
        uid = self.fold.start.uid
        self.fold.set_stop(ScanStop(uid=uid, time_s=by.time_s, exit_status="fail", measured_points=None))

    def declare_over(self, who: str) -> None:
        """End it because a person says so."""
        self.closed_by = who
        if not self.has_stopped:
            self.reason = f"declared over by {who}"
        if self.lacks_stop:
            self.status = "abort"

    def is_over(self, rules: DeskRules, quiet_s: float) -> bool:
        """Whether it can be closed after `quiet_s` seconds without news."""
        if self.is_held:
            return False
        expected = rules.expected_points
        if self.fold.rules.frames_place_themselves and expected is not None and self.fold.measured_points >= expected:
            return True
        if not self.has_stopped:
            return quiet_s > rules.idle_s
        return quiet_s > (rules.linger_s if self.fold.is_complete else min(self.grace_s, rules.idle_s))

    def emit(self, position: CapturePosition | None) -> list[float]:
        """Publish what changed; return when each scored point was received, POSIX s."""
        turn = self.fold.take_turn()
        if turn:
            self.fold.replace(self.run.emit(turn, self.fold, position).tolist())
        return [point.received_s for point in turn.scored]

    def replace_scores(
        self,
        indices: NDArray[np.int64],
        confidences: NDArray[np.float32],
        stamp: ModelStamp,
        *,
        drift: NDArray[np.float32],
    ) -> None:
        """Take what another model says of points that have their result; `emit` publishes it."""
        self.run.replace_scores(indices, confidences, stamp, drift=drift)
        self.fold.replace(indices.tolist())

    def close(self, now_s: float, position: CapturePosition | None) -> Mapping[str, object]:
        """Give all points their final state, publish them and the stop; return the counts that the stop bears."""
        self.fold.close(now_s=now_s)
        self.emit(position)
        self.fold.replace(self.run.settle(self.fold).tolist())
        self.emit(position)
        counters: dict[str, object] = {
            "ledger": self.fold.ledger.sums(),
            "flags": self.fold.ledger.flag_sums(),
            "reasons": self.fold.ledger.reason_sums(),
            "counters": dict(self.fold.counters),
            "frame_counts": self.fold.tally.counts(over=True),
            "doubt": self.fold.doubt.reason if self.fold.doubt else "",
            "exit_reason": self.reason,
            "closed_by": self.closed_by,
        }
        self.run.stop(exit_status=self.status, reason=self.reason, counters=counters)
        return counters
