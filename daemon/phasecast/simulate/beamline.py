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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted

from phasecast.simulate import optics
from phasecast.simulate.beam import Beam
from phasecast.simulate.devices import Axis, Pilatus, UnitSignal
from phasecast.simulate.documents import DocumentWire, Serializer
from phasecast.simulate.errors import SimulationError
from phasecast.simulate.faults import Faults
from phasecast.simulate.frames import FrameRenderer
from phasecast.simulate.sample import rust_sample
from phasecast.simulate.scan import RunDiesError, rust_map
from phasecast.simulate.transport import FrameTransport
from phasecast.simulate.transport_files import FileTransport, Format
from phasecast.simulate.transport_simplon import Encoding, SimplonTransport
from phasecast.simulate.truth import settings_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamlineOptions:
    """What ``phasecast simulate xrd`` can be told.

    Parameters
    ----------
    output
        ``simplon://127.0.0.1:PORT`` (0: a free port), or a folder (plain or ``files:///...``).
    shape
        Rows and columns of the map.
    step_um
        Step of the map.
    seed
        Seed of sample, frames and beam.
    rate_hz
        Points per second within a row; None is as fast as it goes.
    exposure_s
        Exposure time; None is 0.3 of the point period, or nothing without a rate.
    exposure_counts
        Mean counts per frame over the map.
    turnaround_s
        Time the slow axis takes at the end of each row.
    documents_in_port, documents_out_port
        Ports of the 0MQ proxy; 0 takes free ones.
    prefix
        Prefix of the documents.
    serializer, encoding, file_format
        Forms of documents and frames.
    counter
        Whether events carry the detector's image number; without it frames join by time or order.
    faults
        What goes wrong.
    truth
        File to write the true map to.
    announce
        File to write the addresses to once every socket is open.
    start_when
        Path whose existence starts the scan.
    start_timeout_s
        How long to wait for it, and for a consumer of the frames.
    sample_name
        Name in the start document.
    """

    output: str = "simplon://127.0.0.1:9999"
    shape: tuple[int, int] = (30, 40)
    step_um: float = 2.0
    seed: int = 0
    rate_hz: float | None = 20.0
    exposure_s: float | None = None
    exposure_counts: float = 2e5
    turnaround_s: float = 0.15
    documents_in_port: int = 5577
    documents_out_port: int = 5578
    prefix: str = "bl16xu"
    serializer: Serializer = "pickle"
    encoding: Encoding = "bs32-lz4<"
    file_format: Format = "cbf"
    counter: bool = True
    faults: Faults = field(default_factory=Faults)
    truth: Path | None = None
    announce: Path | None = None
    start_when: Path | None = None
    start_timeout_s: float = 60.0
    sample_name: str = "simulated rust cross-section"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What went out.

    Parameters
    ----------
    uids
        Uids of the runs, in order.
    points
        Points of the (last) scan.
    frames_sent, frames_lost
        Frames that left, and frames that nobody took or that were lost on order.
    documents
        Documents published.
    seconds
        From the first message of the scan to the last.
    frames_uri, documents_uri
        Where they went, as the daemon's ``--source`` takes them.
    """

    uids: tuple[str, ...]
    points: int
    frames_sent: int
    frames_lost: int
    documents: int
    seconds: float
    frames_uri: str
    documents_uri: str


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
        _wait_for(options.start_when, options.start_timeout_s)
        return _scan(options, renderer, transport, wire)


def _scan(
    options: BeamlineOptions, renderer: FrameRenderer, transport: FrameTransport, wire: DocumentWire
) -> Summary:
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
    try:
        yield engine
    finally:
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


def _wait_for(path: Path | None, timeout_s: float) -> None:
    if path is None:
        return
    deadline = time.monotonic() + timeout_s
    while not path.exists():
        if time.monotonic() > deadline:
            raise SimulationError(
                f"start signal did not come within {timeout_s:g} s", where=str(path), remedy="is the daemon running?"
            )
        time.sleep(0.02)
