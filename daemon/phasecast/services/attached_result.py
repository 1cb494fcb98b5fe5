"""The result that gets its positions after the scan, written from the old one and a fold."""

from collections import Counter
from pathlib import Path
from typing import Any

from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.protocols import Reduced
from phasecast.core.result import ResultHeader
from phasecast.core.scan import Defect
from phasecast.pipeline.emitter import DerivedRun
from phasecast.pipeline.fold import ScanFold
from phasecast.pipeline.turn import Scored, Turn
from phasecast.results import Result
from phasecast.sinks.nexus import NexusSink

_PAGE = 256
_JUDGED_ANEW = (
    PointFlag.POSITION_DOUBTFUL | PointFlag.NO_POSITION | PointFlag.JOINED_BY_ORDER | PointFlag.NOT_NORMALISED
)


def write_attached(target: Path, header: ResultHeader, old: Result, fold: ScanFold) -> None:
    """Write the new result: patterns from the old one, places, states and remarks from the fold.

    Parameters
    ----------
    target
        The new file.
    header
        What it says of the scan.
    old
        The closed result; it is only read.
    fold
        Its frames, joined with the rows of the log. States and flags that the old result gave are added to it.

    Raises
    ------
    ResultFileError
        If the new file exists already, or cannot be written.
    """
    places = zip(*(old.frames[name].to_numpy().tolist() for name in ("path", "offset")), strict=True)
    by_reference = {place: row for row, place in enumerate(places)}
    old_states, old_flags = (old.ledger[name].to_numpy() for name in ("state", "flags"))
    points = len(fold.ledger)
    columns = fold.points.columns(range(points))
    sources = [
        by_reference.get((str(path), int(offset)), -1) if store else -1
        for store, path, offset in zip(
            columns["frame_store"], columns["frame_path"], columns["frame_offset"], strict=True
        )
    ]
    for index, row in enumerate(sources):
        if row < 0:
            continue
        if old_states[row] == PointState.REJECTED:
            fold.ledger.set_state(index, PointState.REJECTED, old.reason_of(row))
        fold.ledger.add_flags([index], PointFlag(int(old_flags[row])) & ~_JUDGED_ANEW)
    with NexusSink(target) as sink:
        run = DerivedRun(header, sink, models=old.models)
        run.start()
        scored = [(index, row) for index, row in enumerate(sources) if row >= 0]
        for first in range(0, len(scored), _PAGE):
            block = scored[first : first + _PAGE]
            wanted = [row for _, row in block]
            low, high = min(wanted), max(wanted) + 1
            values = {spec.name: old.column_block(spec.name, low, high) for spec in header.columns}
            page = [
                Scored(
                    index=index,
                    revision=0,
                    reduced=Reduced(columns={name: array[row - low] for name, array in values.items()}),
                    received_s=0.0,
                )
                for index, row in block
            ]
            run.emit(Turn(scored=page, rejudged=[], changed=[], defects=[]), fold, None)
        turn = fold.take_turn()
        defects = [*_old_defects(old), *turn.defects]
        run.emit(Turn(scored=[], rejudged=[], changed=list(range(points)), defects=defects), fold, None)
        run.stop(exit_status="success", reason="", counters=_counters(old, fold))


def _old_defects(old: Result) -> list[Defect]:
    table = old.defects
    columns = [table[name].to_numpy().tolist() for name in ("time_s", "channel", "reason", "detail", "frame_number")]
    return [
        Defect(reason=reason, detail=detail, channel=channel, received_s=time_s, number=None if number < 0 else number)
        for time_s, channel, reason, detail, number in zip(*columns, strict=True)
    ]


def _counters(old: Result, fold: ScanFold) -> dict[str, Any]:
    earlier = Counter(old.counters.get("counters", {}))
    return {
        "ledger": fold.ledger.sums(),
        "flags": fold.ledger.flag_sums(),
        "reasons": fold.ledger.reason_sums(),
        "counters": dict(earlier + fold.counters),
        "doubt": fold.doubt.reason if fold.doubt is not None else "",
        "exit_reason": str(old.counters.get("exit_reason", "")),
        "closed_by": str(old.counters.get("closed_by", "")),
    }
