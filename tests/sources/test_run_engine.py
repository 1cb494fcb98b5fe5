"""A real RunEngine through a real 0MQ proxy into a capture."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import msgpack_numpy
import pytest
import zmq

from phasecast.core.scan import Message, PointMeasured, ScanStart, ScanStop
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.documents import DocumentDecoder, DocumentReceiver

pytest.importorskip("bluesky")


@pytest.fixture
def exchange() -> Iterator[tuple[str, str]]:
    """Addresses (in, out) of a forwarder between publishers and subscribers, as the bluesky proxy is one."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    inward, outward = context.socket(zmq.XSUB), context.socket(zmq.XPUB)
    ports = [socket.bind_to_random_port("tcp://127.0.0.1") for socket in (inward, outward)]
    control, handle = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    control.bind("inproc://control")
    handle.connect("inproc://control")
    thread = threading.Thread(target=zmq.proxy_steerable, args=(inward, outward, None, control))
    thread.start()
    yield f"127.0.0.1:{ports[0]}", f"tcp://127.0.0.1:{ports[1]}"
    handle.send(b"TERMINATE")
    thread.join()
    context.destroy(linger=0)


def pack(doc: dict[str, Any]) -> bytes:
    return bytes(msgpack.packb(doc, default=msgpack_numpy.encode))


@pytest.mark.parametrize("serializer", [None, pack], ids=["pickle", "msgpack"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_snaking_grid_scan_arrives_point_by_point(
    tmp_path: Path, exchange: tuple[str, str], serializer: Callable[[dict[str, Any]], bytes] | None
) -> None:
    from bluesky import RunEngine
    from bluesky.callbacks.zmq import Publisher
    from bluesky.plans import grid_scan
    from ophyd.sim import SynAxis, SynGauss

    inward, outward = exchange
    receiver = DocumentReceiver(outward, prefix="bl16xu")
    decoder = DocumentDecoder()
    messages: list[Message] = []
    with CaptureWriter(tmp_path) as writer, CaptureReader(tmp_path) as reader:
        receiver.start(writer)
        keywords = {} if serializer is None else {"serializer": serializer}
        publisher = Publisher(inward, prefix=b"bl16xu", **keywords)
        # A PUB loses what it sends before the subscription has travelled to it: knock until one is heard.
        for _ in range(200):
            publisher("knock", {})
            if writer.wait(0.05, reader.position):
                break
        y, x = SynAxis(name="stage_y"), SynAxis(name="stage_x")
        detector = SynGauss("det", x, "stage_x", center=0, Imax=1)
        engine = RunEngine({}, context_managers=[])
        engine.subscribe(publisher)
        engine(grid_scan([detector], y, 0, 1, 2, x, 0, 2, 3, snake_axes=True), sample="rust")
        while not any(isinstance(message, ScanStop) for message in messages):
            assert writer.wait(20.0, reader.position)
            for record in reader.read_available():
                if b" knock " not in record.parts[0]:
                    messages.extend(decoder.decode(record))
        receiver.stop()
        publisher.close()
    start, *points, stop = messages
    assert isinstance(start, ScanStart)
    assert [axis.field for axis in start.axes] == ["stage_y", "stage_x"]
    assert (start.shape, start.snaking, start.expected_points) == ((2, 3), (False, True), 6)
    json.dumps(dict(start.metadata))
    assert all(isinstance(point, PointMeasured) for point in points)
    places = [
        (point.position["stage_y"], point.position["stage_x"]) for point in points if isinstance(point, PointMeasured)
    ]
    assert places == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]
    assert isinstance(stop, ScanStop)
    assert (stop.exit_status, stop.measured_points) == ("success", 6)
