"""The whole simulated beamline: one call runs one scan through the real wires."""

import asyncio
import contextlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted

from phasecast.simulate import optics
from phasecast.simulate.beam import Beam
from phasecast.simulate.devices import Axis, Pilatus, UnitSignal
from phasecast.simulate.documents import DocumentWire
from phasecast.simulate.errors import SimulationError
from phasecast.simulate.frames import FrameRenderer
from phasecast.simulate.options import BeamlineOptions, Summary
from phasecast.simulate.sample import rust_sample
from phasecast.simulate.scan import RunDiesError, rust_map
from phasecast.simulate.transport import FrameTransport
from phasecast.simulate.transport_files import FileTransport
from phasecast.simulate.transport_simplon import SimplonTransport
from phasecast.simulate.truth import settings_of

__all__ = ["BeamlineOptions", "Summary", "open_transport", "run_beamline"]

logger = logging.getLogger(__name__)


def open_transport(options: BeamlineOptions) -> FrameTransport:
    """Open the wire for frames that ``options.output`` names.

    Raises
    ------
    SimulationError
        Unknown scheme, another host, a port in use.
    """
    parts = urlsplit(options.output)
    if parts.scheme == "simplon":
        if parts.hostname not in {"127.0.0.1", "localhost"}:
            raise SimulationError(
                f"simulators only bind 127.0.0.1, not {parts.hostname}",
                where=options.output,
                remedy="use simplon://127.0.0.1:PORT",
            )
        return SimplonTransport(
            parts.port if parts.port is not None else 9999,
            encoding=options.encoding,
            connect_timeout_s=options.start_timeout_s,
        )
    if parts.scheme in {"", "file", "files"}:
        folder = Path(unquote(parts.path)) if parts.scheme else Path(options.output)
        return FileTransport(folder, file_format=options.file_format)
    raise SimulationError(
        f"unknown scheme {parts.scheme!r}", where=options.output, remedy="give a folder or simplon://127.0.0.1:PORT"
    )


def run_beamline(options: BeamlineOptions) -> Summary:
    """Run one scan through real sockets or files and return what was sent.

    Raises
    ------
    SimulationError
        A port is in use, nobody takes the frames, or the start signal never comes.
    """
    with contextlib.ExitStack() as stack:
        sample = rust_sample(options.shape, step_um=options.step_um, seed=options.seed)
        renderer = FrameRenderer(sample, counts=options.exposure_counts, seed=options.seed)
        if options.truth is not None:
            renderer.truth(settings_of(options)).write(options.truth)
        transport = open_transport(options)
        stack.callback(transport.close)
        wire = DocumentWire(
            in_port=options.documents_in_port,
            out_port=options.documents_out_port,
            prefix=options.prefix,
            serializer=options.serializer,
        )
        stack.callback(wire.close)
        _announce(options, transport, wire)
        _wait_for(options.start_when, options.start_timeout_s, wire)
        return _scan(options, renderer, transport, wire)


def _scan(options: BeamlineOptions, renderer: FrameRenderer, transport: FrameTransport, wire: DocumentWire) -> Summary:
    rows, cols = options.shape
    sample, faults = renderer.sample, options.faults
    exposure_s = options.exposure_s
    if exposure_s is None:
        exposure_s = 0.3 / options.rate_hz if options.rate_hz else 0.0
    x = Axis(name="stage_x", velocity_um_s=5000.0, settle_s=0.0)
    y = Axis(name="stage_y", velocity_um_s=5000.0, settle_s=options.turnaround_s)
    i0 = UnitSignal(name="i0", value=0.0, units="counts")
    i1 = UnitSignal(name="i1", value=0.0, units="counts")
    transmission = UnitSignal(name="transmission", value=0.0, units="")
    detector = Pilatus(
        name="pilatus",
        renderer=renderer,
        transport=transport,
        beam=Beam(seed=options.seed),
        faults=faults,
        where=lambda: (x.position, y.position),
        i0=i0,
        i1=i1,
        transmission=transmission,
        frames=rows * cols,
        rate_hz=options.rate_hz,
        exposure_s=exposure_s,
        counter=options.counter,
    )
    metadata = {
        "sample": {"name": options.sample_name, "id": f"simulated-{options.seed}"},
        "beamline": "BL16XU",
        "simulated": True,
        "energy_kev": optics.ENERGY_KEV,
        "exposure_s": exposure_s,
    }
    uids: list[str] = []
    dies_at = [faults.second_start_at, None] if faults.second_start_at is not None else [None]
    began = time.monotonic()
    try:
        for dies in dies_at:
            plan = rust_map(
                detector,
                [i0, i1, transmission],
                y,
                x,
                y_um=(float(sample.y_um[0]), float(sample.y_um[-1])),
                x_um=(float(sample.x_um[0]), float(sample.x_um[-1])),
                shape=options.shape,
                faults=faults,
                dies_at=dies,
                md=metadata,
            )
            silent = faults.no_stop or dies is not None
            uids.append(_run(plan, wire, pause_s=faults.pause_s, send_stop=not silent))
        wire.flush()
    finally:
        detector.close()
    return Summary(
        uids=tuple(uids),
        points=rows * cols,
        frames_sent=detector.frames_sent,
        frames_lost=detector.frames_lost,
        documents=wire.published,
        seconds=time.monotonic() - began,
        frames_uri=transport.address,
        documents_uri=wire.uri,
    )


def _run(plan: Any, wire: DocumentWire, *, pause_s: float, send_stop: bool) -> str:
    """Run one plan to its end, resuming after pauses; return the uid of the run."""
    uid = ""

    def publish(name: str, document: dict[str, Any]) -> None:
        nonlocal uid
        if name == "start":
            uid = document["uid"]
        if name != "stop" or send_stop:
            wire(name, document)

    with _run_engine() as engine:
        engine.subscribe(publish)
        try:
            _until_paused(engine, plan)
            while engine.state == "paused":
                time.sleep(pause_s)
                _until_paused(engine, None)
        except RunDiesError:
            logger.info("run %s died on order", uid)
    return uid


def _until_paused(engine: RunEngine, plan: Any) -> None:
    # The RunEngine prints about pauses; standard output belongs to the command line.
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(RunEngineInterrupted):
        if plan is None:
            engine.resume()
        else:
            engine(plan)


@contextlib.contextmanager
def _run_engine() -> Iterator[RunEngine]:
    """A RunEngine with a loop of its own that ends with it; without signal handlers outside the main thread."""
    loop = asyncio.new_event_loop()
    in_main = threading.current_thread() is threading.main_thread()
    engine = RunEngine({}, loop=loop, context_managers=None if in_main else [])
    # It logs a stack trace of every failure that it also raises.
    chatter = logging.getLogger("bluesky")
    level = chatter.level
    chatter.setLevel(logging.CRITICAL)
    try:
        yield engine
    finally:
        chatter.setLevel(level)
        loop.call_soon_threadsafe(loop.stop)
        deadline = time.monotonic() + 5
        while loop.is_running() and time.monotonic() < deadline:
            time.sleep(0.001)
        if not loop.is_running():
            loop.close()


def _announce(options: BeamlineOptions, transport: FrameTransport, wire: DocumentWire) -> None:
    """Write the addresses, complete or not at all."""
    if options.announce is None:
        return
    record = {
        "frames": transport.address,
        "documents": wire.uri,
        "documents_in": wire.in_address,
        "shape": list(options.shape),
        "points": options.shape[0] * options.shape[1],
        "truth": str(options.truth) if options.truth is not None else None,
        "pid": os.getpid(),
    }
    draft = options.announce.with_name(options.announce.name + ".part")
    draft.write_text(json.dumps(record) + "\n", encoding="utf-8")
    draft.replace(options.announce)


def _wait_for(path: Path | None, timeout_s: float, wire: DocumentWire) -> None:
    """Wait until a path exists, sending probes so that consumers see that they are subscribed."""
    if path is None:
        return
    deadline = time.monotonic() + timeout_s
    while not path.exists():
        if time.monotonic() > deadline:
            raise SimulationError(
                f"start signal did not come within {timeout_s:g} s", where=str(path), remedy="is the daemon running?"
            )
        wire.flush()
        time.sleep(0.02)
