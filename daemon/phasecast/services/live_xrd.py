"""The live diffraction service: wires to capture, capture to result files."""

import logging
import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError, SourceError
from phasecast.core.record import Receiver
from phasecast.core.scan import ScanUid
from phasecast.pipeline.desk import DeskRules, ScanDesk
from phasecast.pipeline.fold import ScanFold
from phasecast.pipeline.runner import Runner
from phasecast.profiles import load_profile
from phasecast.records.mailbox import Mailbox
from phasecast.records.samples import take_form
from phasecast.records.status import StatusFile
from phasecast.services.derived_runs import DerivedRuns
from phasecast.services.end_of_scan import EndOfScan
from phasecast.services.lifecycle import stop_on_signals
from phasecast.services.placing import fold_rules, source_options
from phasecast.services.process_usage import peak_memory_mb
from phasecast.services.rates import RateMeter
from phasecast.services.scan_requests import CLOSE_SCAN_BYTES, ScanRequests
from phasecast.services.xrd_stage import build_stage
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.uri import make_decoder, open_source
from phasecast.xrd.device import use_one_thread

logger = logging.getLogger(__name__)

SERVICE = "live-xrd"
_IDLE_WAIT_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """What `phasecast live xrd` can be told; names as on the command line."""

    profile: str
    data_dir: Path
    sources: tuple[str, ...] = ()
    model: str | None = None
    device: str = "auto"
    poni: Path | None = None
    expected_points: int | None = None
    close_after_idle_s: float = 900.0
    once: bool = False


@dataclass(slots=True)
class LiveService:
    """The parts of the service and its loop."""

    runner: Runner
    desk: ScanDesk
    runs: DerivedRuns
    receivers: list[Receiver]
    capture: CaptureWriter
    reader: CaptureReader
    status: StatusFile
    requests: ScanRequests
    once: bool
    _frame_rate: RateMeter = field(default_factory=lambda: RateMeter(5.0))
    _growth: RateMeter = field(default_factory=lambda: RateMeter(60.0))
    _growth_bytes_per_s: float = 0.0

    def run(self, stop: Event) -> None:
        """Run turn after turn until asked to stop; with `once`, until the first scan is finished."""
        while not stop.is_set() and not (self.once and self.desk.finished):
            report = self.runner.step()
            self.requests.step(caught_up=not report.records)
            self.status.write(self.describe)
            if not report.records:
                self.capture.wait(_IDLE_WAIT_S, self.reader.position)
        for receiver in self.receivers:
            receiver.stop()
        while self.runner.step().records:
            pass
        self.status.write(lambda: {**self.describe(), "state": "stopped"}, now=True)

    def describe(self) -> dict[str, Any]:
        """Return what the status file says."""
        p50_s, p99_s, max_s = self.runner.latency_s(50, 99, 100)
        return {
            "service": SERVICE,
            "state": "running",
            "sources": {str(receiver.channel): receiver.status() for receiver in self.receivers},
            "capture": self.capture.status(),
            "backlog_bytes": self.reader.backlog_bytes,
            "latency_p50_ms": round(p50_s * 1e3, 2) if p50_s == p50_s else None,
            "latency_p99_ms": round(p99_s * 1e3, 2) if p99_s == p99_s else None,
            "latency_max_ms": round(max_s * 1e3, 2) if max_s == max_s else None,
            "memory_peak_mb": peak_memory_mb(os.getpid()),
            "counters": {**self.runner.counters, **self.desk.counters},
            "frames_per_s": round(self._frame_rate.sample(self.runner.counters["frames"], time.monotonic()), 2),
            "disk": self._describe_disk(),
            "scans": [self._describe_scan(fold) for fold in self.desk.open_folds],
            "finished_scans": len(self.desk.finished),
            "results": [path.name for path in self.runs.open_paths],
            "device": self.runs.stage.integrator.device,
            "device_note": self.runs.stage.integrator.device_note,
            "profile": self.runs.profile.name,
            "model": self._describe_model(),
        }

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
        }


def run_live_xrd(options: LiveOptions) -> int:
    """Run the service until a signal, or with `once` until the first scan is finished; return the exit status.

    Raises
    ------
    PhasecastError
        If it cannot start: no such profile, geometry, bundle or source.
    """
    profile = load_profile(options.profile)
    uris = options.sources or profile.sources
    if not uris:
        raise SourceError("no source given", where=f"profile {profile.name}", remedy="name one with --source")
    directory = DataDirectory(options.data_dir).create()
    use_one_thread()
    stage = build_stage(profile, model=options.model, device=options.device, poni=options.poni)
    stage.warm_up()
    # a file that is never completed must be named before the silence closes its scan
    wires = source_options(profile)
    wires = replace(wires, timeout_s=min(wires.timeout_s, options.close_after_idle_s / 2))
    sources = [open_source(uri, wires) for uri in uris]
    receivers = [source.receiver for source in sources]
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        end_of_scan = stack.enter_context(EndOfScan())
        runs = DerivedRuns(
            folder=directory.results,
            profile=profile,
            stage=stage,
            on_finished=end_of_scan.submit,
            settings={"sources": list(uris)},
            sample_form=lambda uid: _standing_form(directory, uid),
        )
        replay_from, committed = runs.recover()
        stack.callback(runs.close)
        capture = stack.enter_context(CaptureWriter(directory.captures))
        reader = stack.enter_context(CaptureReader(directory.captures, replay_from or capture.end))
        desk = ScanDesk(
            fold_rules=fold_rules(profile),
            desk_rules=DeskRules(idle_s=options.close_after_idle_s, expected_points=options.expected_points),
            open_run=runs.open,
        )
        runner = Runner(
            reader=reader,
            decoder_for=lambda channel: make_decoder(channel, wires),
            stage=stage,
            desk=desk,
            clock=time.time,
            committed=committed,
        )
        for receiver in receivers:
            receiver.start(capture)
            stack.callback(receiver.stop)
        LiveService(
            runner=runner,
            desk=desk,
            runs=runs,
            receivers=receivers,
            capture=capture,
            reader=reader,
            status=StatusFile(directory.status / f"{SERVICE}.json"),
            requests=ScanRequests(
                Mailbox(directory.requests, max_bytes=CLOSE_SCAN_BYTES),
                lambda uid, who: _close_scan(runner, desk, uid, who),
            ),
            once=options.once,
        ).run(stop)
    return 0


def _close_scan(runner: Runner, desk: ScanDesk, uid: ScanUid, who: str) -> bool:
    return desk.close_one(uid, time.time(), runner.position, who=who)


def _standing_form(directory: DataDirectory, uid: str) -> dict[str, Any]:
    """Return the sample form for a scan that starts; what is wrong with the notebook must not stop a scan."""
    try:
        return take_form(directory, uid, time_s=time.time())
    except PhasecastError as error:
        logger.error("no sample form for scan %s: %s", uid, error)
        return {}
