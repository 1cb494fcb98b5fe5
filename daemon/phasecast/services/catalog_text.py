"""What the command line says of the runs of a catalog."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from phasecast.core.documents import HEADER_KEY, RAW_UID_KEY
from phasecast.services.catalog_runs import RunContent
from phasecast.sinks.result_documents import FILE_KEY
from phasecast.sinks.tiled_catalog import CatalogRun


def run_as_dict(run: CatalogRun) -> dict[str, Any]:
    """Return the short of a run, JSON-able."""
    return {
        "uid": run.uid,
        "kind": "derived" if RAW_UID_KEY in run.start else "raw",
        "scan_id": run.start.get("scan_id"),
        "plan_name": run.start.get("plan_name", ""),
        "time_s": run.start.get("time"),
        "exit_status": (run.stop or {}).get("exit_status", ""),
        "points": sum(((run.stop or {}).get("num_events") or {}).values()),
        "of": run.start.get(RAW_UID_KEY, ""),
        "result": run.start.get(FILE_KEY, ""),
    }


def line_of(run: CatalogRun) -> str:
    """Return the line of a run in a list."""
    short = run_as_dict(run)
    origin = f"of {short['of'][:8]}, {short['result']}" if short["of"] else f"scan {short['scan_id']}"
    return (
        f"{run.uid[:8]}  {short['kind']:8}{_time(short['time_s'])}  {short['plan_name']:16} "
        f"{short['points']:>7} points  {short['exit_status'] or 'not whole':8} {origin}"
    )


def lines_of(content: RunContent) -> Iterator[str]:
    """Yield what is said of one run."""
    run, short = content.run, run_as_dict(content.run)
    yield f"uid        {run.uid} ({short['kind']})"
    yield f"plan       {short['plan_name']}, {_time(short['time_s'])}, {short['exit_status'] or 'not whole'}"
    if short["of"]:
        header = run.start.get(HEADER_KEY, {})
        model = header.get("model") or {}
        yield f"of         {short['of']}"
        yield f"result     {short['result']}"
        yield f"profile    {header.get('profile_name', '')}, model {model.get('name', 'none')}"
    else:
        yield f"scan       {short['scan_id']}"
    if content.documents is not None:
        yield f"documents  {content.documents}"
    for stream, arrays in content.streams.items():
        yield f"stream     {stream}"
        for name, shape in arrays.items():
            yield f"             {name} {' x '.join(map(str, shape))}"


def _time(time_s: object) -> str:
    if not isinstance(time_s, int | float):
        return "-" * 16
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%MZ")
