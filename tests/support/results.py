"""Closed result files for tests that read them."""

import numpy as np

from phasecast.core.ledger import PointState
from phasecast.sinks.nexus import NexusSink
from support.documents import raster_scan


def write_result(directory, name, *, raw_uid="raw-1", shape=(4, 5), missing=(), **settings):
    """Write a closed result; the points in `missing` were lost."""
    run = raster_scan(shape, raw_uid=raw_uid, **settings)
    sink = NexusSink(directory.results / name)
    for document in run.opening():
        sink(*document)
    rows = np.setdiff1d(np.arange(run.x_um.size), missing)
    sink(*run.points(rows))
    sink(*run.ledger(rows))
    if len(missing):
        sink(*run.ledger(np.array(missing), PointState.LOST_UPSTREAM, reason="no frame"))
    sink(*run.stop())
    return run
