"""Small result files that belong to one map, side by side or over each other."""

import numpy as np

from phasecast.core.ledger import PointFlag, PointState
from phasecast.sinks.nexus import NexusSink
from support.documents import Scan, make_header, raster

PROFILE = {
    "title": "BL16XU",
    "energy_kev": 10.0,
    "positions": {
        "horizontal": {"field": "stage_x", "factor_to_um": 1.0},
        "vertical": {"field": "stage_y", "factor_to_um": 1.0},
    },
}


def write_scan(
    folder, name, *, shape=(4, 5), origin=(0.0, 0.0), step=2.0, started=0.0, done=None, bad=(), doubtful=(),
    level=0.9, class_index=1, exit_status="success", **changes,
):  # fmt: skip
    """Write a scan whose points all hold one class; `done` points were measured, those in `bad` lost their frame."""
    x, y = raster(shape, step_um=step)
    x, y = x - 100 + origin[0], y - 50 + origin[1]
    confidence = np.zeros((x.size, 9), np.float32)
    confidence[:, class_index] = level
    settings = {"raw_uid": f"raw-{name}", "profile": PROFILE, "metadata": {"map": "A-3"}, "started_s": 1.7e9 + started}
    header = make_header(shape=shape, **(settings | changes))
    run = Scan(header, x, y, confidence=confidence)
    path = folder / f"{name}.nxs"
    measured = np.arange(x.size if done is None else done)
    good = np.setdiff1d(measured, [*bad])
    with NexusSink(path) as sink:
        for document in run.opening():
            sink(*document)
        sink(*run.points(good))
        sink(*run.ledger(good))
        if bad:
            sink(*run.ledger(np.array(bad), PointState.LOST_UPSTREAM, reason="no frame"))
        if doubtful:
            sink(*run.ledger(np.array(doubtful), flags=int(PointFlag.POSITION_DOUBTFUL)))
        if measured.size < x.size:
            rest = np.arange(measured.size, x.size)
            sink(*run.ledger(rest, PointState.NOT_MEASURED, x_um=np.nan, y_um=np.nan, time_s=np.nan))
        name, stop = run.stop(exit_status=exit_status)
        sink(name, stop)
    return path
