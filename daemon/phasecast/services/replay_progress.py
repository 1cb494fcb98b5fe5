"""What is known of a replay without what reduces frames: how far it is, and whether its results are the old ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasecast.results import open_result
from phasecast.results.comparison import compare_results

SERVICE = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayProgress:
    """How far a replay is.

    Parameters
    ----------
    bytes_done, bytes_total
        Of the capture.
    frames, points
        Frames reduced and points that have a result.
    """

    bytes_done: int
    bytes_total: int
    frames: int
    points: int


def compare_with(old: Path, made: Sequence[Path]) -> dict[str, Any]:
    """Return, JSON-able, how the one of some new results that is of the same scan differs from an old one.

    Raises
    ------
    ResultFileError
        If one of them cannot be read.
    """
    with open_result(old) as second:
        path = next((path for path in made if _raw_uid(path) == second.header.raw_uid), None)
        if path is None:
            return {"identical": False, "line": f"its scan {second.header.raw_uid[:8]} is not in what was replayed"}
        with open_result(path) as first:
            comparison = compare_results(first, second)
    return comparison.as_dict() | {"line": comparison.line, "result": str(path)}


def _raw_uid(path: Path) -> str:
    with open_result(path) as result:
        return result.header.raw_uid
