"""Frames and positions that real RunEngines name in documents, fetched from the files that real detectors write."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from phasecast.core.frame import Frame
from phasecast.core.scan import Defect, PointMeasured, PositionDoubt, ScanStart, ScanStop
from support.document_wire import Wire

pytest.importorskip("ophyd_async")


@pytest.fixture(scope="module")
def engine() -> Any:
    from bluesky import RunEngine

    return RunEngine({}, context_managers=[])


@pytest.fixture(scope="module")
def ophyd_async(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Blob detector that writes SWMR HDF5, and two motors."""
    from ophyd_async.core import StaticPathProvider, UUIDFilenameProvider, init_devices
    from ophyd_async.sim import SimBlobDetector, SimMotor

    folder = tmp_path_factory.mktemp("blobs")
    with init_devices():
        detector = SimBlobDetector(StaticPathProvider(UUIDFilenameProvider(), folder), name="det")
        x, y = SimMotor(name="stage_x", instant=True), SimMotor(name="stage_y", instant=True)
    return folder, detector, x, y


def run(engine: Any, plan: Any, wire: Wire, **metadata: Any) -> None:
    token = engine.subscribe(wire)
    try:
        engine(plan, **metadata)
    finally:
        engine.unsubscribe(token)
    # HDF5 does not open in the process that writes it: files are looked at when they are closed
    wire.look()


def test_every_frame_of_an_ophyd_async_grid_scan_finds_its_point(engine: Any, ophyd_async: Any) -> None:
    from bluesky.plans import grid_scan

    folder, detector, x, y = ophyd_async
    wire = Wire(folder)
    run(engine, grid_scan([detector], y, 0, 1, 2, x, 0, 2, 3, snake_axes=True), wire)
    start, stop = wire.of(ScanStart)[0], wire.of(ScanStop)[0]
    assert (start.shape, start.snaking, stop.measured_points) == ((2, 3), (False, True), 6)
    joined = wire.joined()
    places = [(point.position["stage_y"], point.position["stage_x"]) for point, _ in joined]
    assert places == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]
    written = next(doc["uri"] for name, doc in wire.documents if name == "stream_resource")
    with h5py.File(written.removeprefix("file://localhost")) as file:
        pixels = file["/entry/data/data"][()]
    np.testing.assert_array_equal(np.stack([frame.image for _, frame in joined]), pixels)
    assert wire.of(Defect) == []
    assert {frame.run for frame in wire.of(Frame)} == {start.uid}


def flown(detector: Any, count: int, **metadata: Any) -> Any:
    """A fly scan: its run has no event documents."""
    from bluesky import plan_stubs, preprocessors
    from ophyd_async.core import TriggerInfo

    @preprocessors.stage_decorator([detector])  # type: ignore[untyped-decorator]
    @preprocessors.run_decorator(md=metadata)  # type: ignore[untyped-decorator]
    def plan() -> Iterator[Any]:
        trigger = TriggerInfo(number_of_events=count, livetime=0.02, deadtime=0.001)
        yield from plan_stubs.prepare(detector, trigger, wait=True)
        yield from plan_stubs.declare_stream(detector, name="fly", collect=True)
        yield from plan_stubs.kickoff(detector, wait=True)
        yield from plan_stubs.collect_while_completing([detector], [detector], flush_period=0.01, stream_name="fly")

    return plan()


def test_a_fly_scan_without_events_takes_cells_from_sequence_numbers_and_start(engine: Any, ophyd_async: Any) -> None:
    folder, detector, _, _ = ophyd_async
    wire = Wire(folder)
    metadata = {
        "hints": {"dimensions": [(["stage_y"], "fly"), (["stage_x"], "fly")]},
        "shape": (2, 3),
        "snaking": (False, True),
        "extents": [[0, 1], [10, 12]],
    }
    run(engine, flown(detector, 6, **metadata), wire)
    assert "event" not in {name for name, _ in wire.documents}
    joined = wire.joined()
    places = [(point.position["stage_y"], point.position["stage_x"]) for point, _ in joined]
    assert places == [(0, 10), (0, 11), (0, 12), (1, 12), (1, 11), (1, 10)]
    sums = [float(frame.image.sum()) for _, frame in joined]
    assert [point.scalars["det-sum"] for point, _ in joined] == sums
    # positions of a plan are not measured ones, and that is said
    assert ["not measured" in doubt.reason for doubt in wire.of(PositionDoubt)] == [True]
    assert (wire.of(ScanStop)[0].measured_points, wire.of(Defect)) == (6, [])


def test_a_fly_scan_that_states_no_stream_is_that_of_its_detector(engine: Any, ophyd_async: Any) -> None:
    folder, detector, _, _ = ophyd_async
    wire = Wire(folder, {"stage_fields": ("stage_x", "det-sum")})
    run(engine, flown(detector, 3), wire)
    assert [sorted(point.position) for point in wire.of(PointMeasured)] == [["det-sum"]] * 3
    assert [point.position["det-sum"] for point, _ in wire.joined()] == [
        float(frame.image.sum()) for _, frame in wire.joined()
    ]
    (defect,) = wire.of(Defect)
    assert defect.reason == "position missing"
    assert "stage_x" in defect.detail


def test_frames_of_classic_ophyd_come_from_its_numpy_files(engine: Any, tmp_path: Path) -> None:
    from bluesky.plans import list_scan
    from ophyd.sim import SynAxis, SynSignalWithRegistry

    x, y = SynAxis(name="stage_x"), SynAxis(name="stage_y")
    shots = iter(range(1, 100))
    detector = SynSignalWithRegistry(lambda: np.full((5, 7), next(shots)), name="image", save_path=str(tmp_path))
    wire = Wire(tmp_path)
    run(engine, list_scan([detector], x, [0, 5, 1], y, [2, 2, 0]), wire)
    (start,) = wire.of(ScanStart)
    assert start.shape is None
    joined = wire.joined()
    assert [point.position for point, _ in joined] == [
        {"stage_x": 0, "stage_y": 2},
        {"stage_x": 5, "stage_y": 2},
        {"stage_x": 1, "stage_y": 0},
    ]
    files = [np.load(frame.reference.path) for _, frame in joined]
    np.testing.assert_array_equal([frame.image for _, frame in joined], files)
    assert wire.of(Defect) == []
