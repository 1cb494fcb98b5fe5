"""What an earlier daemon left in its result files: which are finished, and what the others hold already."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import ALONE_AXIS, SCORE_AXES
from phasecast.core.errors import ResultFileError
from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.record import CapturePosition
from phasecast.core.result import ResultHeader, UsedModel
from phasecast.results import open_result, repair
from phasecast.results.reader import Result
from phasecast.results.repair import is_crashed

logger = logging.getLogger(__name__)

_UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnfinishedResult:
    """A result whose daemon ended before its scan did.

    Parameters
    ----------
    path
        The repaired file.
    header
        Its header.
    capture_start
        First record of its scan.
    states
        States of its points, shape (points,); those without an outcome are pending.
    remarks
        Flags and reason that reducing its done points gave, index of the point to both; only where there are any.
    scores
        What models said of its points, column to rows; see `SCORE_AXES`.
    revisions
        How often what is said of its points was replaced, shape (points,), where another model was asked; else None.
    models
        Models that gave confidences.
    committed
        Places of the frames whose outcome it holds.
    """

    path: Path
    header: ResultHeader
    capture_start: CapturePosition
    states: NDArray[np.uint8]
    remarks: Mapping[int, tuple[PointFlag, str]]
    scores: Mapping[str, NDArray[Any]]
    revisions: NDArray[np.int64] | None
    models: tuple[UsedModel, ...]
    committed: frozenset[tuple[str, int]]


def find_results(folder: Path) -> tuple[list[UnfinishedResult], set[str]]:
    """Return the unfinished results of a folder, repaired, and the raw uids of the finished ones.

    A file that cannot even be repaired is left alone and named in the log.
    """
    unfinished: list[UnfinishedResult] = []
    finished: set[str] = set()
    for path in sorted(folder.glob("*.nxs")):
        try:
            if is_crashed(path):
                repair(path)
            with open_result(path) as result:
                header = result.header
                start = header.processing.get("capture_start")
                if result.counters.get("exit_status", _UNFINISHED) != _UNFINISHED or start is None:
                    finished.add(header.raw_uid)
                    continue
                states = result.ledger["state"].to_numpy().copy()
                settled = np.isin(states, (PointState.DONE, PointState.REJECTED))
                states[~settled] = PointState.PENDING
                kept = result.confidence_column
                scores = {} if kept is None else {kept: result.column(kept).to_numpy()}
                if kept is not None:
                    # withdrawn for want of beam, but the ledger that would say so was never committed
                    unscored = np.isnan(scores[kept]).all(axis=1)
                    meant = result.ledger["flags"].to_numpy() & np.uint32(PointFlag.NOT_CLASSIFIED) > 0
                    states[(states == PointState.DONE) & unscored & ~meant] = PointState.PENDING
                for column in header.columns:
                    if column.axis in SCORE_AXES:
                        scores[column.name] = result.column(column.name).to_numpy()
                models = result.models
                # a replay comes to the revisions by itself, save those that a change of models or a neighbour made
                said_again = len(models) > 1 or any(column.axis == ALONE_AXIS for column in header.columns)
                revisions = result.ledger["revision"].to_numpy() if said_again else None
                remarks = _remarks(result, states)
                # rejected frames are looked at again: a file may have been completed since
                frames = result.frames.isel(point=states == PointState.DONE)
                committed = frozenset(
                    zip(frames["path"].to_numpy().tolist(), frames["offset"].to_numpy().tolist(), strict=True)
                )
        except ResultFileError as error:
            logger.error("%s", error)
            continue
        unfinished.append(
            UnfinishedResult(
                path=path,
                header=header,
                capture_start=CapturePosition(**start),
                states=states,
                remarks=remarks,
                scores=scores,
                revisions=revisions,
                models=models,
                committed=committed,
            )
        )
    return unfinished, finished


def _remarks(result: Result, states: NDArray[np.uint8]) -> dict[int, tuple[PointFlag, str]]:
    """Return what reducing its done points gave beside columns; the rest is found again from the capture."""
    flags = result.ledger["flags"].to_numpy() & np.uint32(PointFlag.SATURATED | PointFlag.NOT_CLASSIFIED)
    reasons = result.ledger["reason"].to_numpy().astype(str)
    rows = np.flatnonzero((states == PointState.DONE) & ((flags > 0) | (reasons != "")))
    return {int(row): (PointFlag(int(flags[row])), str(reasons[row])) for row in rows}
