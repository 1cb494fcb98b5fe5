"""A beamline of bluesky's own parts in a process: RunEngine, ophyd-async's blob detector (SWMR HDF5), 0MQ publisher.

``python -m support.bluesky_beamline FOLDER IN_ADDRESS PLAN...`` prints ``ready`` and runs the plans (``step``,
``fly``, ``insane``) once a line comes on stdin; the detector has the size of a PILATUS 100k and writes into FOLDER.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import msgpack_numpy

PREFIX = "bl16xu"
ROWS, POINTS = 2, 3


def packed(doc: dict[str, Any]) -> bytes:
    return bytes(msgpack.packb(doc, default=msgpack_numpy.encode))


def detector_and_motors(folder: Path) -> tuple[Any, Any, Any]:
    from ophyd_async.core import StaticPathProvider, UUIDFilenameProvider, init_devices
    from ophyd_async.sim import SimBlobDetector, SimMotor, _blob_data_logic

    _blob_data_logic.WIDTH, _blob_data_logic.HEIGHT = 487, 195
    with init_devices():
        detector = SimBlobDetector(StaticPathProvider(UUIDFilenameProvider(), folder), name="pilatus")
        y, x = SimMotor(name="stage_y", instant=True), SimMotor(name="stage_x", instant=True)
    return detector, y, x


def step(detector: Any, y: Any, x: Any) -> Any:
    from bluesky.plans import grid_scan

    return grid_scan([detector], y, 0, 10, ROWS, x, 0, 20, POINTS, snake_axes=True)


def fly(detector: Any, *_: Any) -> Any:
    """A run without event documents: positions are those of its start document."""
    from bluesky import plan_stubs, preprocessors
    from ophyd_async.core import TriggerInfo

    metadata = {
        "hints": {"dimensions": [(["stage_y"], "fly"), (["stage_x"], "fly")]},
        "shape": (ROWS, POINTS),
        "snaking": (False, True),
        "extents": [[0, 10], [0, 20]],
        "num_points": ROWS * POINTS,
    }

    @preprocessors.stage_decorator([detector])  # type: ignore[untyped-decorator]
    @preprocessors.run_decorator(md=metadata)  # type: ignore[untyped-decorator]
    def plan() -> Iterator[Any]:
        trigger = TriggerInfo(number_of_events=ROWS * POINTS, livetime=0.1, deadtime=0.001)
        yield from plan_stubs.prepare(detector, trigger, wait=True)
        yield from plan_stubs.declare_stream(detector, name="fly", collect=True)
        yield from plan_stubs.kickoff(detector, wait=True)
        yield from plan_stubs.collect_while_completing([detector], [detector], flush_period=0.02, stream_name="fly")

    return plan()


PLANS: dict[str, Callable[..., Any]] = {"step": step, "fly": fly}


def send_insane(publisher: Callable[[str, dict[str, Any]], None]) -> None:
    """A scan that cannot be, and one whose frames are nowhere; both are stopped."""
    from support import hostile_documents

    for start in (hostile_documents.worst_start(), hostile_documents.START):
        publisher("start", start)
        if start is hostile_documents.START:
            publisher("descriptor", hostile_documents.DESCRIPTOR)
            for documents in hostile_documents.documents().values():
                for document in documents:
                    publisher(*document)
        publisher("stop", {"run_start": start["uid"], "uid": "stop", "time": 1.8e9, "exit_status": "abort"})


def main(folder: Path, address: str, plans: list[str]) -> None:
    from bluesky import RunEngine
    from bluesky.callbacks.zmq import Publisher

    engine = RunEngine({}, context_managers=[])
    devices = detector_and_motors(folder)
    publisher = Publisher(address, prefix=PREFIX.encode(), serializer=packed)
    print("ready", flush=True)  # noqa: T201
    # a PUB loses what it sends before the subscription has travelled to it: the reader of stdout says when it heard one
    import select

    while not select.select([sys.stdin], [], [], 0.05)[0]:
        publisher("knock", {})
    engine.subscribe(publisher)
    for name in plans:
        if name == "insane":
            send_insane(publisher)
            continue
        engine(PLANS[name](*devices), sample="rust")
    publisher._socket.close(linger=5000)
    publisher.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
