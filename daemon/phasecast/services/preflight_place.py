"""Where a planned scan will be kept, looked at before it starts."""

import os
import shutil
from pathlib import Path

import numpy as np

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.records.proposal import PROPOSAL_FILE, read_proposal
from phasecast.services import preflight_checks as checks
from phasecast.services.data_directory_guard import require_local_disk
from phasecast.services.preflight_checks import Check, green, red, unchecked
from phasecast.services.preflight_instrument import Instrument, TrialFrame, fault
from phasecast.xrd.stages import XrdStage

ASSUMED_POINTS = 20_000


def check_place(
    data_dir: Path | None, points: int | None, instrument: Instrument, frame: TrialFrame | None
) -> list[Check]:
    """Look at the data directory: a local disk that can be written to and holds the scan, and whose proposal it is.

    Parameters
    ----------
    data_dir
        Where the scan will be kept; it need not exist yet. None if nobody said.
    points
        Points of the planned scan; None if nobody said, which is taken for 20,000.
    instrument
        What the points are reduced to.
    frame
        A frame, from which it is known what the capture keeps of each; None if there is none.
    """
    if data_dir is None:
        return [unchecked("data directory", "none is named", "name it with --data-dir: its disk is looked at")]
    found: list[Check] = []
    place = data_dir.expanduser().resolve()
    try:
        disk = require_local_disk(place)
    except PhasecastError as error:
        found.append(fault("data directory", error))
    else:
        parent = next(folder for folder in (place, *place.parents) if folder.exists())
        if not (parent.is_dir() and os.access(parent, os.W_OK)):
            found.append(red("data directory", f"{parent} cannot be written to", "choose another with --data-dir"))
        else:
            found.append(green("data directory", f"{place} is local ({disk.type or 'unknown file system'})"))
    found.append(_proposal(DataDirectory(place)))
    if instrument.integrator is None:
        return [*found, unchecked("disk", "needs a geometry")]
    columns = XrdStage(instrument.integrator, instrument.classifier).columns
    row = sum(np.dtype(column.dtype).itemsize * int(np.prod(column.shape, dtype=int)) for column in columns)
    free_bytes = shutil.disk_usage(next(folder for folder in (place, *place.parents) if folder.exists())).free
    return [
        *found,
        checks.check_disk(
            bytes_a_point=row + checks.POINT_OVERHEAD_BYTES + (frame.bytes if frame else 0),
            points=points or ASSUMED_POINTS,
            free_bytes=free_bytes,
            planned=points is not None,
        ),
    ]


def _proposal(directory: DataDirectory) -> Check:
    try:
        proposal = read_proposal(directory)
    except PhasecastError as error:
        return fault("proposal", error)
    if proposal is None:
        return unchecked("proposal", f"{PROPOSAL_FILE} is not there: scans of every proposal are taken")
    return green("proposal", f"{proposal.id} {proposal.title}".strip())
