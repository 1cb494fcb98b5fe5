"""Replays what was recorded through the loop of the live service, into results of their own."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.core.protocols import Stage
from phasecast.profiles import load_profile
from phasecast.records.status import StatusFile
from phasecast.results import open_result
from phasecast.services.declared import declare
from phasecast.services.end_of_scan import EndOfScan
from phasecast.services.lifecycle import stop_on_signals
from phasecast.services.placing import source_options
from phasecast.services.replay_progress import SERVICE, ReplayProgress, compare_with
from phasecast.services.replay_source import ReplaySource, find_source
from phasecast.services.xrd_loop import LoopOptions, XrdLoop, build_loop
from phasecast.services.xrd_stage import build_stage
from phasecast.sources.capture import CaptureReader
from phasecast.sources.capture_pace import PacedReader
from phasecast.xrd.device import use_one_thread
from phasecast.xrd.shared_stage import SharedStage
from phasecast.xrd.stages import XrdStage

logger = logging.getLogger(__name__)

_TURN_RECORDS = 256
"""A turn's frames are in memory together: 100 MB of PILATUS 100k."""
_TURN_S = 0.02
_TOLD_EVERY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What `phasecast replay` can be told; names as on the command line."""

    data_dir: Path
    profile: str = ""
    speed: float | None = None
    frames: Path | None = None
    scan: Path | None = None
    model: str | None = None
    device: str = "auto"
    poni: Path | None = None
    raw_roots: tuple[Path, ...] = ()
    expected_points: int | None = None
    close_after_idle_s: float = 900.0
    compare: tuple[Path, ...] = ()
    reports: bool = True
    turn_records: int = _TURN_RECORDS
    threads: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What became of a replay.

    Parameters
    ----------
    source
        As given.
    complete
        Whether it came to the end; else the same command goes on.
    results
        Files of its scans, new and old.
    ledgers
        File name to the sums of its ledger.
    records, frames, reduced
        Records and frames worked off, and the frames among them whose outcome no file held yet.
    seconds, cpu_seconds, frames_per_s
        Time from first to last record, that of the processor with all threads, and the rate in the former.
    damage
        What of the capture could not be read, and where.
    defects
        Bad input by kind.
    comparisons
        Result it was compared with, to what was found.
    """

    source: Path
    complete: bool
    results: tuple[Path, ...]
    ledgers: dict[str, dict[str, int]]
    records: int
    frames: int
    reduced: int
    seconds: float
    cpu_seconds: float
    frames_per_s: float
    damage: tuple[str, ...] = ()
    defects: dict[str, int] = field(default_factory=dict)
    comparisons: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def identical(self) -> bool:
        """Whether every result that it was to be compared with is the same."""
        return all(found["identical"] for found in self.comparisons.values())

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return asdict(self) | {"source": str(self.source), "results": [str(path) for path in self.results]}


def replay(
    source: Path, options: ReplayOptions, *, tell: Callable[[ReplayProgress], None] = lambda _: None
) -> ReplayReport:
    """Replay one source into a data directory; the same call goes on where an earlier one was killed.

    Parameters
    ----------
    source
        See `find_source`.
    options
        What the command was told.
    tell
        Called a few times a second.

    Raises
    ------
    PhasecastError
        If source, profile, model, geometry or directory cannot be used.
    """
    found = find_source(source)
    profile = load_profile(_profile_name(found, options))
    declared = declare(profile, options.scan) if options.scan is not None else None
    profile = profile if declared is None else declared.profile
    directory = DataDirectory(options.data_dir).create()
    wires = source_options(profile) if declared is None else declared.wires(source_options(profile))
    # a beamline's disk is spared; at home nobody else waits for it
    wires = replace(wires, read_budget=None)
    use_one_thread()
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        captures = found.lay_out(directory, frames=options.frames, options=wires, stop=stop)
        stage = build_stage(profile, model=options.model, device=options.device, poni=options.poni)
        stage.warm_up()
        on_finished = stack.enter_context(EndOfScan()).submit if options.reports else _pass
        loop = build_loop(
            LoopOptions(
                profile=profile,
                declared=declared,
                wires=wires,
                sources=(f"replay of {source.absolute()}",),
                declares_on_page=declared is None,
                close_after_idle_s=options.close_after_idle_s,
                expected_points=options.expected_points,
                only=found.only,
            ),
            directory=directory,
            stage=stage,
            on_finished=on_finished,
            file_roots=options.raw_roots,
        )
        _require_same(loop, stage)
        stack.callback(loop.runs.close)
        records = stack.enter_context(CaptureReader(captures, loop.replay_from or found.start, follow=False))
        background: Executor | None = None
        shared: Stage = stage
        if options.threads > 1 and options.speed is None and stage.integrator.arm is None:
            background = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="turn"))
            if stage.integrator.device == "cpu":
                shared = stack.enter_context(SharedStage(stage, threads=options.threads))
        work = _Work(
            loop=loop,
            stage=shared,
            background=background,
            records=records,
            only=found.only,
            speed=options.speed,
            turn_records=options.turn_records,
            status=StatusFile(directory.status / f"{SERVICE}.json"),
            tell=tell,
        )
        work.run(stop)
    return _report(source, directory, work, options)


class _Work:
    """The loop of one replay."""

    def __init__(
        self,
        *,
        loop: XrdLoop,
        stage: Stage,
        background: Executor | None,
        records: CaptureReader,
        only: str,
        speed: float | None,
        turn_records: int,
        status: StatusFile,
        tell: Callable[[ReplayProgress], None],
    ) -> None:
        self.records = records
        self._loop = loop
        self._only = only
        self._paced = PacedReader(iter(records), speed=speed)
        self._speed = speed
        self.runner = loop.runner(
            self._paced, stage=stage, clock=self._paced.recorded_now_s, max_records=turn_records, background=background
        )
        self._status = status
        self._tell = tell
        self._total = records.backlog_bytes
        self._told_s = 0.0
        self.complete = False
        self.seconds = self.cpu_seconds = 0.0
        self.defects: dict[str, int] = {}

    def run(self, stop: Event) -> None:
        """Work off all records, or as many as there are before somebody asks to stop."""
        began_s, cpu_s = time.monotonic(), time.process_time()
        while not stop.is_set():
            turn_s = time.monotonic()
            step = self.runner.step()
            self._say(turn_s)
            if self._only and any(uid == self._only for uid, _ in self._loop.desk.finished):
                self.complete = True
                break
            if not step.records and self._paced.finished:
                self.runner.drain()
                self.complete = True
                break
            if self._speed is not None and not step.backlog:
                stop.wait(max(turn_s + _TURN_S - time.monotonic(), min(self._paced.wait_s, 0.1)))
        self.seconds, self.cpu_seconds = time.monotonic() - began_s, time.process_time() - cpu_s
        self.defects = {name: count for name, count in self._loop.desk.counters.items() if count}
        self._say(time.monotonic(), now=True)

    def _say(self, now_s: float, *, now: bool = False) -> None:
        if not now and now_s - self._told_s < _TOLD_EVERY_S:
            return
        self._told_s = now_s
        progress = ReplayProgress(
            bytes_done=self._total - self.records.backlog_bytes,
            bytes_total=self._total,
            frames=self.runner.counters["frames"],
            points=self.runner.counters["scored"],
        )
        self._tell(progress)
        state = "running" if not now else "finished" if self.complete else "stopped"
        self._status.write(lambda: {"service": SERVICE, "state": state, **asdict(progress)}, now=now)


def _pass(_: Path) -> None:
    """Make no picture and no report."""


def _profile_name(found: ReplaySource, options: ReplayOptions) -> str:
    name = options.profile or found.profile
    if not name:
        raise PhasecastError(
            "nothing says which instrument this is", where=str(found.path), remedy="name its profile with --profile"
        )
    return name


def _require_same(loop: XrdLoop, stage: XrdStage) -> None:
    """Refuse to go on with a result that was begun with other settings: half a map would be another model's."""
    now = _settings_of(
        stage.classifier.stamp.sha256 if stage.classifier else "", stage.integrator.geometry_id, stage.integrator.device
    )
    for header in loop.runs.unfinished_headers.values():
        then = _settings_of(
            header.model.sha256 if header.model else "", str(header.processing.get("geometry_id")), header.device
        )
        for name, value in now.items():
            if then[name] != value:
                raise PhasecastError(
                    f"an unfinished result in it was begun with another {name}",
                    where=str(loop.runs.folder),
                    remedy=f"give that {name} again, or another --data-dir",
                )


def _settings_of(model: str, geometry: str, device: str) -> dict[str, str]:
    return {"model": model, "geometry": geometry, "device": device}


def _report(source: Path, directory: DataDirectory, work: _Work, options: ReplayOptions) -> ReplayReport:
    results = tuple(sorted(directory.results.glob("*.nxs")))
    ledgers = {}
    for path in results:
        with open_result(path) as result:
            ledgers[path.name] = {state: count for state, count in result.ledger_sums.items() if count}
    reader = work.records
    damage = []
    if reader.defects:
        damage.append(f"{reader.defects} damaged records were left out, the last one {reader.last_defect}")
    if reader.torn_tails:
        damage.append(reader.last_torn)
    return ReplayReport(
        source=source,
        complete=work.complete,
        results=results,
        ledgers=ledgers,
        records=work.runner.counters["records"],
        frames=work.runner.counters["frames"],
        reduced=work.runner.counters["reduced"],
        seconds=work.seconds,
        cpu_seconds=work.cpu_seconds,
        frames_per_s=work.runner.counters["frames"] / work.seconds if work.seconds else 0.0,
        damage=tuple(damage),
        defects=work.defects,
        comparisons={str(path): compare_with(path, results) for path in options.compare} if work.complete else {},
    )
