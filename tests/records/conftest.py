"""A data directory with results in it."""

import numpy as np
import pytest

from phasecast.core.data_directory import DataDirectory
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


@pytest.fixture
def directory(tmp_path):
    return DataDirectory(tmp_path / "data").create()


@pytest.fixture
def scanned(directory):
    """With one closed result ``a.nxs`` of scan ``raw-1``, 4 x 5 points, of which 7 and 8 were lost."""
    write_result(directory, "a.nxs", missing=(7, 8))
    return directory
