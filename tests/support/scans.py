"""Scans as a list of messages: what the wires would say, with faults put in on purpose."""

from collections.abc import Sequence

import numpy as np

from phasecast.core.frame import Frame, FrameId, FrameReference, counter_key
from phasecast.core.scan import PointMeasured, ScanAxis, ScanStart, ScanStop, ScanUid, SeriesStart

UID = ScanUid("scan-1")


def scan_start(rows: int, columns: int, *, uid: ScanUid = UID, time_s: float = 1000.0) -> ScanStart:
    return ScanStart(
        uid=uid,
        scan_id=1,
        time_s=time_s,
        plan_name="grid_scan",
        axes=(ScanAxis(name="y", field="y"), ScanAxis(name="x", field="x")),
        shape=(rows, columns),
        snaking=(False, True),
        expected_points=rows * columns,
    )


def point_times(rows: int, columns: int, *, period_s: float = 0.1, seed: int = 1) -> np.ndarray:
    """Times of a step scan: triggers jitter by 2 %, the turn at the end of a row takes two periods."""
    rng = np.random.default_rng(seed)
    steps = period_s * (1 + 0.02 * rng.standard_normal(rows * columns))
    steps[columns::columns] += 2 * period_s
    return 1000.0 + np.cumsum(steps)


def point(index: int, time_s: float, *, columns: int, counter: int | None = None, uid: ScanUid = UID) -> PointMeasured:
    row, column = divmod(index, columns)
    column = columns - 1 - column if row % 2 else column
    return PointMeasured(
        uid=uid,
        index=index,
        time_s=time_s,
        received_s=time_s + 0.004,
        position={"x": float(column), "y": float(row)},
        scalars={"i0": 1e6},
        frame_keys=() if counter is None else (counter_key(counter),),
    )


def frame(number: int, time_s: float, *, series: str = "1") -> Frame:
    """Frame on a detector clock whose zero is far from ours."""
    return Frame(
        frame_id=FrameId(f"{series}/{number}"),
        series=series,
        number=number,
        image=np.zeros((2, 3), np.int32),
        keys=(counter_key(number),),
        received_s=time_s - 0.002,
        hardware_s=time_s + 4843.0,
        reference=FrameReference(store="capture", path="segment", offset=number, number=number),
    )


def series_start(expected: int | None, *, series: str = "1") -> SeriesStart:
    return SeriesStart(series=series, received_s=999.0, expected_frames=expected)


def scan_stop(points: int | None, time_s: float, *, uid: ScanUid = UID) -> ScanStop:
    return ScanStop(uid=uid, time_s=time_s, exit_status="success", measured_points=points)


def tidy_scan(
    rows: int, columns: int, *, counters: bool, exposures: Sequence[tuple[int, float]] | None = None
) -> tuple[list[Frame], list[PointMeasured]]:
    """Frames and points of a scan in which every trigger made one frame; `exposures` replaces the frames."""
    times = point_times(rows, columns)
    taken = exposures if exposures is not None else list(enumerate(times))
    frames = [frame(number, time_s - 0.05) for number, time_s in taken]
    points = [
        point(index, time_s, columns=columns, counter=index if counters else None) for index, time_s in enumerate(times)
    ]
    return frames, points
