"""What several results of one map have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from phasecast.core.documents import MODEL_AXIS
from phasecast.core.errors import ResultFileError
from phasecast.core.result import ColumnSpec, ResultHeader
from phasecast.results.map_identity import frame_name_of, map_name_of, stage_frame_of
from phasecast.results.reader import Result


def must_fit(results: Sequence[Result], *, named: bool) -> None:
    """Raise `ResultFileError` unless results are parts of one map; a name that somebody gave makes them one."""
    if not results:
        raise ResultFileError("no results to put together", remedy="name at least one .nxs file")
    first, uids = results[0], set()
    for result in results:
        header, where = result.header, str(result.path)
        if header.raw_uid in uids:
            raise ResultFileError(
                "the same scan twice", where=where, remedy="name one result of each scan; a replay is another result"
            )
        uids.add(header.raw_uid)
        with_others = f"as in {first.path.name}"
        if [phase.id for phase in header.classes] != [phase.id for phase in first.header.classes]:
            raise ResultFileError(f"not the same classes {with_others}", where=where, remedy="classify both alike")
        if header.tth_deg != first.header.tth_deg:
            raise ResultFileError(f"not the same 2theta axis {with_others}", where=where, remedy="replay with one axis")
        if stage_frame_of(header) != stage_frame_of(first.header):
            raise ResultFileError(
                f"x and y are not made of the same motors, units and signs {with_others}",
                where=where,
                remedy="compare [positions] of both profiles; replay one of them with the right one",
            )
        names = [(map_name_of(one), frame_name_of(one)) for one in (first.header, header)]
        if not named and names[0] != names[1]:
            raise ResultFileError(
                f"belongs to the map {' / '.join(filter(None, names[1])) or 'without a name'}, not to "
                f"{' / '.join(filter(None, names[0])) or 'one without a name'}",
                where=where,
                remedy="say that they are one map with --name NAME",
            )


def fitting_of(header: ResultHeader) -> int:
    """Return a number that is equal for results that `must_fit` lets together if they are of one name."""
    return hash((tuple(phase.id for phase in header.classes), tuple(header.tth_deg), stage_frame_of(header)))


def header_of(results: Sequence[Result], name: str) -> ResultHeader:
    """Return the header of the newest scan, as far as it is true of all."""
    newest = results[-1].header
    headers = [result.header for result in results]

    def common(kind: str) -> tuple[ColumnSpec, ...]:
        return tuple(
            column
            for column in getattr(newest, kind)
            # numbers of models are each file's own
            if column.axis != MODEL_AXIS
            and all(
                any((one.name, one.dtype, one.shape) == (column.name, column.dtype, column.shape) for one in columns)
                for columns in (getattr(header, kind) for header in headers)
            )
        )

    counts = [result.points for result in results]
    scans = [{"file": Path(result.path).name, "raw_uid": result.header.raw_uid} for result in results]
    return replace(
        newest,
        plan_name="map",
        scan_id=0,
        started_s=results[0].header.started_s,
        axes=(),
        shape=None,
        snaking=(),
        expected_points=sum(counts),
        columns=common("columns"),
        point_columns=common("point_columns"),
        model=newest.model if all(header.model == newest.model for header in headers) else None,
        metadata={**newest.metadata, "map": {"name": name}, "scans": scans},
    )


def added_counters(counters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the numbers of all final counters, added; of anything else the newest that says something."""
    total: dict[str, Any] = {}
    for entry in counters:
        for key, value in entry.items():
            before = total.get(key)
            if isinstance(value, Mapping):
                total[key] = added_counters([before if isinstance(before, Mapping) else {}, value])
            elif isinstance(value, int | float) and not isinstance(value, bool) and isinstance(before, int | float):
                total[key] = before + value
            elif value or before is None or key == "exit_status":
                total[key] = value
    return total
