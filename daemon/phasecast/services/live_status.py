"""What the live diffraction service says of itself, once a second."""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from phasecast.core.record import Receiver
from phasecast.pipeline.desk import ScanDesk
from phasecast.pipeline.fold import ScanFold
from phasecast.pipeline.runner import Runner
from phasecast.services.declaring import Declaring
from phasecast.services.derived_runs import DerivedRuns
from phasecast.services.model_desk import ModelDesk
from phasecast.services.process_usage import peak_memory_mb
from phasecast.services.rates import RateMeter
from phasecast.sinks.publisher import DocumentPublisher
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.scan_switch import ScanSwitch

SERVICE = "live-xrd"


@dataclass(slots=True, kw_only=True)
class LiveStatus:
    """Gathers the status from the parts of the service."""

    runner: Runner
    desk: ScanDesk
    runs: DerivedRuns
    receivers: Sequence[Receiver]
    capture: CaptureWriter
    reader: CaptureReader
    declaring: Declaring
    switch: ScanSwitch | None
    models: ModelDesk
    publisher: DocumentPublisher | None = None
    _frame_rate: RateMeter = field(default_factory=lambda: RateMeter(5.0))
    _growth: RateMeter = field(default_factory=lambda: RateMeter(60.0))
    _growth_bytes_per_s: float = 0.0

    def describe(self) -> dict[str, Any]:
        """Return what the status file says."""
        p50_s, p99_s, max_s = self.runner.latency_s(50, 99, 100)
        return {
            "service": SERVICE,
            "state": "running",
            "sources": {str(receiver.channel): self._describe_source(receiver) for receiver in self.receivers},
            "capture": self.capture.status(),
            "backlog_bytes": self.reader.backlog_bytes,
            "latency_p50_ms": round(p50_s * 1e3, 2) if p50_s == p50_s else None,
            "latency_p99_ms": round(p99_s * 1e3, 2) if p99_s == p99_s else None,
            "latency_max_ms": round(max_s * 1e3, 2) if max_s == max_s else None,
            "memory_peak_mb": peak_memory_mb(os.getpid()),
            "counters": {
                **self.runner.counters,
                **self.desk.counters,
                **(self.switch.counters if self.switch is not None else {}),
            },
            "frames_per_s": round(self._frame_rate.sample(self.runner.counters["frames"], time.monotonic()), 2),
            "disk": self._describe_disk(),
            "scans": [self._describe_scan(fold) for fold in self.desk.open_folds],
            "declaration": self.declaring.describe(),
            "finished_scans": len(self.desk.finished),
            "results": [path.name for path in self.runs.open_paths],
            "device": self.runs.stage.integrator.device,
            "device_note": self.runs.stage.integrator.device_note,
            "profile": self.runs.profile.name,
            "model": self._describe_model(),
            "models": self.models.describe(),
            "publishing": self.publisher.status() if self.publisher is not None else None,
        }

    def _describe_source(self, receiver: Receiver) -> dict[str, Any]:
        """Return what a wire says of itself, and what became of its frames since this process began."""
        said = receiver.status()
        tally = self.runner.tallies.get(receiver.channel)
        if tally is None:
            return said
        counts = tally.counts()
        lost = said.get("lost")
        counts["dropped_by_us"] += lost if isinstance(lost, int) else 0
        return {**said, "frame_counts": counts}

    def _describe_scan(self, fold: ScanFold) -> dict[str, Any]:
        path = self.runs.path_of(fold.start.uid)
        period_s = None
        if fold.frames > 1 and fold.first_frame_s is not None and fold.last_frame_s is not None:
            period_s = (fold.last_frame_s - fold.first_frame_s) / (fold.frames - 1)
        return {
            "uid": fold.start.uid,
            "scan_id": fold.start.scan_id,
            "plan_name": fold.start.plan_name,
            "started_s": fold.start.time_s,
            "state": "measuring" if fold.stop is None else "stopped",
            "result": path.name if path is not None else "",
            "expected_points": fold.start.expected_points,
            "points": len(fold.ledger),
            "measured_points": fold.measured_points,
            "frames": fold.frames,
            "frame_period_s": period_s,
            "last_frame_s": fold.last_frame_s,
            "last_position_s": fold.last_position_s,
            "positions_expected": not fold.rules.frames_place_themselves,
            "ledger": fold.ledger.sums(),
            "flags": fold.ledger.flag_sums(),
            "counters": dict(fold.counters),
            "frame_counts": fold.tally.counts(),
            "doubt": fold.doubt.reason if fold.doubt else "",
        }

    def _describe_disk(self) -> dict[str, Any]:
        """Free room, and how fast it is used; when nothing is recorded, how fast it was used last."""
        written = float(str(self.capture.status()["bytes"])) + self.runs.bytes_written
        rate = self._growth.sample(written, time.monotonic())
        if rate > 0:
            self._growth_bytes_per_s = rate
        try:
            free_bytes = shutil.disk_usage(self.capture.folder).free
        except OSError:
            free_bytes = None
        return {
            "free_bytes": free_bytes,
            "growth_bytes_per_s": round(self._growth_bytes_per_s),
        }

    def _describe_model(self) -> dict[str, str] | None:
        classifier = self.runs.stage.classifier
        if classifier is None:
            return None
        stamp = classifier.stamp
        return {
            "name": stamp.name,
            "version": stamp.version,
            "sha256": stamp.sha256,
            "calibrated_on": stamp.calibrated_on,
            "owner": stamp.owner,
        }
