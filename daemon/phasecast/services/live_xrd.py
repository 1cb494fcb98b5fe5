"""The live diffraction service: wires to capture, capture to result files."""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import SourceError
from phasecast.core.record import Receiver
from phasecast.core.scan import ScanUid
from phasecast.pipeline.desk import ScanDesk
from phasecast.pipeline.runner import Runner
from phasecast.profiles import load_profile
from phasecast.records.mailbox import Mailbox
from phasecast.records.status import StatusFile
from phasecast.services.catalog_follow import NONE, CatalogAfterScan
from phasecast.services.data_directory_guard import require_local_disk
from phasecast.services.declared import declare
from phasecast.services.declaring import Declaring
from phasecast.services.document_fetching import with_documents
from phasecast.services.end_of_scan import EndOfScan
from phasecast.services.lifecycle import stop_on_signals
from phasecast.services.live_status import SERVICE, LiveStatus
from phasecast.services.model_desk import KINDS, ModelDesk, model_to_begin_with
from phasecast.services.placing import source_options, with_roots
from phasecast.services.publishing import open_publisher
from phasecast.services.sample_sources import SampleSources
from phasecast.services.scan_requests import SCAN_REQUEST_BYTES, ScanRequests
from phasecast.services.xrd_loop import LoopOptions, build_loop
from phasecast.services.xrd_stage import build_stage
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.document_lines import DocumentLines
from phasecast.sources.file_journal import go_on_behind
from phasecast.sources.uri import open_source
from phasecast.xrd.device import use_one_thread

logger = logging.getLogger(__name__)

_IDLE_WAIT_S = 0.1
_TURN_S = 0.02
"""Shortest time from turn to turn. Most of a turn's cost does not depend on how many frames it holds (a block of the
network, forty rows of the file, two flushes): a turn for every record took 0.9 of a core at 100 frames/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """What `phasecast live xrd` can be told; names as on the command line."""

    profile: str
    data_dir: Path
    sources: tuple[str, ...] = ()
    scan: Path | None = None
    model: str | None = None
    device: str = "auto"
    poni: Path | None = None
    expected_points: int | None = None
    close_after_idle_s: float = 900.0
    copy_frames: bool = False
    document_roots: tuple[str, ...] = ()
    publish: str = ""
    once: bool = False
    reports: bool = True
    catalog: str = NONE


@dataclass(slots=True)
class LiveService:
    """The parts of the service and its loop."""

    runner: Runner
    desk: ScanDesk
    receivers: list[Receiver]
    capture: CaptureWriter
    reader: CaptureReader
    describe: Callable[[], dict[str, Any]]
    status: StatusFile
    requests: ScanRequests
    declaring: Declaring
    models: ModelDesk
    once: bool

    def run(self, stop: Event) -> None:
        """Run turn after turn until asked to stop; with `once`, until the first scan is finished."""
        while not stop.is_set() and not (self.once and self.desk.finished):
            began_s = time.monotonic()
            report = self.runner.step()
            self.requests.step(caught_up=not report.records)
            self.declaring.follow_log()
            self.models.step(busy=report.backlog, frames=report.frames > 0, latencies_s=report.latencies_s)
            self.status.write(self.describe)
            if not report.records and not self.models.is_busy:
                self.capture.wait(_IDLE_WAIT_S, self.reader.position)
            if not report.backlog:
                stop.wait(max(0.0, began_s + _TURN_S - time.monotonic()))
        for receiver in self.receivers:
            receiver.stop()
        self.declaring.close()
        while self.runner.step().records:
            pass
        self.status.write(lambda: {**self.describe(), "state": "stopped"}, now=True)


def run_live_xrd(options: LiveOptions) -> int:
    """Run the service until a signal, or with `once` until the first scan is finished; return the exit status.

    Raises
    ------
    PhasecastError
        If it cannot start: no such profile, geometry, bundle or source, or a data directory on a network file system.
    """
    profile = with_roots(load_profile(options.profile), options.document_roots)
    uris = options.sources or profile.sources
    declared = declare(profile, options.scan) if options.scan is not None else None
    if declared is not None:
        profile, uris = declared.profile, declared.sources(uris)
    if not uris:
        raise SourceError("no source given", where=f"profile {profile.name}", remedy="name one with --source")
    require_local_disk(options.data_dir)
    directory = DataDirectory(options.data_dir).create()
    use_one_thread()
    model = model_to_begin_with(directory, profile, options.model)
    stage = build_stage(profile, model=model, device=options.device, poni=options.poni)
    stage.warm_up()
    # a file that is never completed must be named before the silence closes its scan
    wires = source_options(profile)
    wires = replace(
        wires,
        timeout_s=min(wires.timeout_s, options.close_after_idle_s / 2),
        copy_frames=wires.copy_frames or options.copy_frames,
    )
    if declared is not None:
        wires = declared.wires(wires)
    sources = [open_source(uri, wires) for uri in uris]
    wires, fetching = with_documents(sources, wires)
    receivers = [*(source.receiver for source in sources), *fetching]
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        lines = DocumentLines(directory.documents)
        stack.callback(lines.close)
        wires = replace(wires, documents=replace(wires.documents, keep=lines))
        catalog = stack.enter_context(CatalogAfterScan(directory, options.catalog))
        end_of_scan = stack.enter_context(EndOfScan()) if options.reports else None

        def on_finished(path: Path) -> None:
            if end_of_scan is not None:
                end_of_scan.submit(path)
            catalog.submit(path)

        refusal = _why_not_declare(options, uris)
        loop = build_loop(
            LoopOptions(
                profile=profile,
                declared=declared,
                wires=wires,
                sources=tuple(uris),
                declares_on_page=not refusal,
                close_after_idle_s=options.close_after_idle_s,
                expected_points=options.expected_points,
            ),
            directory=directory,
            stage=stage,
            on_finished=on_finished,
            samples=SampleSources(directory, profile, uris),
        )
        stack.callback(loop.runs.close)
        publisher = open_publisher(options.publish, uris) if options.publish else None
        if publisher is not None:
            stack.callback(publisher.close)
            loop.runs.also = publisher
        capture = stack.enter_context(CaptureWriter(directory.captures))
        reader = stack.enter_context(CaptureReader(directory.captures, loop.replay_from or capture.end))
        runner = loop.runner(reader, stage=stage, clock=time.time)
        declaring = Declaring(
            directory=directory,
            profiles=loop.profiles,
            capture=capture,
            reader=reader,
            switch=loop.switch,
            desk=loop.desk,
            receivers=receivers,
            refusal=refusal,
            latest=loop.latest,
        )
        stack.callback(declaring.close)
        models = stack.enter_context(
            ModelDesk(
                directory=directory,
                profile=profile,
                profile_source=options.profile,
                stage=stage,
                open_scans=lambda: loop.desk.open_scans,
                read_rows=loop.runs.read_rows,
                began_with=model,
            )
        )
        go_on_behind(receivers, directory.captures, loop.replay_from)
        for receiver in receivers:
            receiver.start(capture)
            stack.callback(receiver.stop)
        LiveService(
            runner=runner,
            desk=loop.desk,
            receivers=receivers,
            capture=capture,
            reader=reader,
            describe=LiveStatus(
                runner=runner,
                desk=loop.desk,
                runs=loop.runs,
                receivers=receivers,
                capture=capture,
                reader=reader,
                declaring=declaring,
                switch=loop.switch,
                models=models,
                publisher=publisher,
            ).describe,
            status=StatusFile(directory.status / f"{SERVICE}.json"),
            declaring=declaring,
            models=models,
            requests=ScanRequests(
                Mailbox(directory.requests, max_bytes=SCAN_REQUEST_BYTES),
                lambda uid, who: _close_scan(runner, loop.desk, uid, who),
                declaring.take,
                others=models.serve,
                other_kinds=KINDS,
            ),
            once=options.once,
        ).run(stop)
    return 0


def _close_scan(runner: Runner, desk: ScanDesk, uid: ScanUid, who: str) -> bool:
    return desk.close_one(uid, time.time(), runner.position, who=who)


def _why_not_declare(options: LiveOptions, uris: tuple[str, ...]) -> str:
    """Return the entry of the catalogue that says why scans cannot be declared on the page; empty if they can."""
    if options.scan is not None:
        return "declare_command"
    return "declare_bluesky" if any(uri.startswith("bluesky:") for uri in uris) else ""
