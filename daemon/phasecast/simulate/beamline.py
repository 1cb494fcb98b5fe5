"""The whole simulated beamline: one call runs one scan through the real wires."""

import contextlib
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from phasecast.simulate import optics
from phasecast.simulate.beam import Beam
from phasecast.simulate.devices import Axis, Pilatus, UnitSignal
from phasecast.simulate.documents import DocumentWire
from phasecast.simulate.engine import run_plan
from phasecast.simulate.errors import SimulationError
from phasecast.simulate.faults import Faults
from phasecast.simulate.frames import FrameRenderer
from phasecast.simulate.options import BeamlineOptions, Summary
from phasecast.simulate.passes import Conditions, MapPass, points_of
from phasecast.simulate.position_log import PositionLogWriter
from phasecast.simulate.sample import rust_sample
from phasecast.simulate.scan import Plan, rust_map
from phasecast.simulate.transport import FrameTransport
from phasecast.simulate.transport_files import FileTransport
from phasecast.simulate.transport_simplon import SimplonTransport
from phasecast.simulate.transport_simplon2 import Simplon2Transport
from phasecast.simulate.truth import settings_of

__all__ = ["BeamlineOptions", "Summary", "open_transport", "run_beamline"]

logger = logging.getLogger(__name__)

Wire = DocumentWire | PositionLogWriter
"""What positions leave through."""


def open_transport(options: BeamlineOptions) -> FrameTransport:
    """Open the wire for frames that ``options.output`` names.

    Raises
    ------
    SimulationError
        Unknown scheme, another host, a port in use.
    """
    parts = urlsplit(options.output)
    if parts.scheme in {"simplon", "simplon2"}:
        if parts.hostname not in {"127.0.0.1", "localhost"}:
            raise SimulationError(
                f"simulators only bind 127.0.0.1, not {parts.hostname}",
                where=options.output,
                remedy=f"use {parts.scheme}://127.0.0.1:PORT",
            )
        transport, port = (SimplonTransport, 9999) if parts.scheme == "simplon" else (Simplon2Transport, 31001)
        return transport(
            parts.port if parts.port is not None else port,
            encoding=options.encoding,
            connect_timeout_s=options.start_timeout_s,
        )
    if parts.scheme in {"", "file", "files"}:
        folder = Path(unquote(parts.path, errors="surrogateescape")) if parts.scheme else Path(options.output)
        return FileTransport(folder, file_format=options.file_format)
    raise SimulationError(
        f"unknown scheme {parts.scheme!r}",
        where=options.output,
        remedy="give a folder, simplon:// or simplon2://127.0.0.1:PORT",
    )


def run_beamline(options: BeamlineOptions) -> Summary:
    """Run the scans through real sockets or files and return what was sent.

    Raises
    ------
    SimulationError
        A port is in use, nobody takes the frames, or the start signal never comes.
    """
    with contextlib.ExitStack() as stack:
        sample = rust_sample(
            options.sample_shape or options.shape,
            step_um=options.sample_step_um or options.step_um,
            seed=options.seed,
            letter=options.letter,
        )
        renderer = FrameRenderer(sample, counts=options.exposure_counts, seed=options.seed)
        if options.truth is not None:
            renderer.truth(settings_of(options)).write(options.truth)
        transport = open_transport(options)
        stack.callback(transport.close)
        wire = _open_wire(options)
        stack.callback(wire.close)
        _announce(options, transport, wire)
        _wait_for(options.start_when, options.start_timeout_s, wire, "start signal")
        return _scan(options, renderer, transport, wire)


def _open_wire(options: BeamlineOptions) -> Wire:
    """Open what positions leave through: the proxy of documents, or a log."""
    if options.position_log is not None:
        return PositionLogWriter(options.position_log)
    return DocumentWire(
        in_port=options.documents_in_port,
        out_port=options.documents_out_port,
        prefix=options.prefix,
        serializer=options.serializer,
    )


def _scan(options: BeamlineOptions, renderer: FrameRenderer, transport: FrameTransport, wire: Wire) -> Summary:
    conditions = Conditions()
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
        faults=options.faults,
        where=lambda: _beam_place(options, conditions, x.position, y.position),
        i0=i0,
        i1=i1,
        transmission=transmission,
        frames=0,
        rate_hz=options.rate_hz,
        exposure_s=exposure_s,
        counter=options.counter,
        conditions=conditions,
    )
    metadata: dict[str, Any] = {
        "sample": {"name": options.sample_name, "id": f"simulated-{options.seed}"},
        "beamline": "BL16XU",
        "simulated": True,
        "energy_kev": optics.ENERGY_KEV,
        "exposure_s": exposure_s,
    }
    if options.map_name:
        metadata["map"] = options.map_name
    uids: list[str] = []
    began = time.monotonic()
    try:
        for scan in options.scans:
            conditions.begin(scan)
            detector.begin_scan(scan.faults, frames=scan.shape[0] * scan.shape[1])
            for dies in _starts(scan.faults):
                plan = _plan_of(scan, options, conditions, detector, [i0, i1, transmission], y, x, wire, dies, metadata)
                silent = scan.faults.no_stop or dies is not None
                ahead = lambda: conditions.ahead_s  # noqa: E731
                uids.append(run_plan(plan, wire, pause_s=scan.faults.pause_s, send_stop=not silent, ahead_s=ahead))
        wire.flush()
    finally:
        detector.close()
    return Summary(
        uids=tuple(uids),
        points=points_of(options.scans),
        frames_sent=detector.frames_sent,
        frames_lost=detector.frames_lost,
        documents=wire.published,
        seconds=time.monotonic() - began,
        frames_uri=transport.address,
        documents_uri=wire.uri,
    )


def _starts(faults: Faults) -> list[int | None]:
    return [faults.second_start_at, None] if faults.second_start_at is not None else [None]


def _beam_place(options: BeamlineOptions, conditions: Conditions, x_um: float, y_um: float) -> tuple[float, float]:
    """Where on the sample the beam really is when the motors read this, um."""
    place = options.stage.sample_at(x_um, y_um)
    return place[0] + conditions.offset_um[0], place[1] + conditions.offset_um[1]


def _plan_of(
    scan: MapPass,
    options: BeamlineOptions,
    conditions: Conditions,
    detector: Pilatus,
    monitors: Sequence[Any],
    y: Axis,
    x: Axis,
    wire: Wire,
    dies_at: int | None,
    metadata: Mapping[str, Any],
) -> Plan:
    """The plan of one scan, in motor coordinates: every motor goes from its lowest to its highest reading."""
    corners = (options.stage.motors_at(*scan.origin_um), options.stage.motors_at(*scan.end_um))
    x_um, y_um = (sorted(reading) for reading in zip(*corners, strict=True))
    rows, cols = scan.shape

    def before_point(point: int) -> None:
        if point == scan.faults.beam_lost_at:
            conditions.beam_returns(scan.faults)
        if point == rows * cols - 1:
            _wait_for(options.end_when, options.start_timeout_s, wire, "signal for the last point")

    return rust_map(
        detector,
        monitors,
        y,
        x,
        y_um=(y_um[0], y_um[1]),
        x_um=(x_um[0], x_um[1]),
        shape=(cols, rows) if options.stage.exchanged else (rows, cols),
        faults=scan.faults,
        dies_at=dies_at,
        before_point=before_point,
        md=metadata,
    )


def _announce(options: BeamlineOptions, transport: FrameTransport, wire: Wire) -> None:
    """Write the addresses, complete or not at all."""
    if options.announce is None:
        return
    record = {
        "frames": transport.address,
        "documents": wire.uri,
        "documents_in": wire.in_address,
        "shape": list(options.shape),
        "points": points_of(options.scans),
        "truth": str(options.truth) if options.truth is not None else None,
        "pid": os.getpid(),
    }
    draft = options.announce.with_name(options.announce.name + ".part")
    draft.write_text(json.dumps(record) + "\n", encoding="utf-8")
    draft.replace(options.announce)


def _wait_for(path: Path | None, timeout_s: float, wire: Wire, what: str) -> None:
    """Wait until a path exists, sending probes so that consumers see that they are subscribed."""
    if path is None:
        return
    deadline = time.monotonic() + timeout_s
    while not path.exists():
        if time.monotonic() > deadline:
            raise SimulationError(
                f"{what} did not come within {timeout_s:g} s",
                where=str(path),
                remedy="is the daemon running?",
            )
        wire.flush()
        time.sleep(0.02)
