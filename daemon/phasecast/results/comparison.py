"""Are two results of one scan the same, to the bit, and where not."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import MODEL_AXIS
from phasecast.core.ledger import PointState
from phasecast.results.reader import Result

_ROWS_AT_ONCE = 1024
_LEDGER = ("state", "flags", "reason", "x_um", "y_um", "time_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was found.

    Parameters
    ----------
    points
        Points of the second result.
    compared
        What was compared, ledger and columns.
    differences
        One line each; empty if the two are identical.
    """

    points: int
    compared: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    @property
    def line(self) -> str:
        """One line for people."""
        if self.identical:
            return f"identical to the bit: {self.points} points, {', '.join(self.compared)}"
        return f"different: {'; '.join(self.differences)}"

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return {"identical": self.identical, **asdict(self)}


def compare_results(first: Result, second: Result) -> Comparison:
    """Compare two results of one scan: what they are made with, the ledger of each point, and every column.

    Names of files and results, times of writing and places in captures may differ.
    """
    differences = [*_settings(first, second)]
    if first.points != second.points:
        differences.append(f"{first.points} points and {second.points}")
        return Comparison(points=second.points, compared=(), differences=tuple(differences))
    compared = list(_LEDGER)
    ledgers = first.ledger, second.ledger
    scalars = {column.name for column in first.header.point_columns}
    shared = [column.name for column in second.header.point_columns if column.name in scalars]
    for name in (*_LEDGER, *shared):
        found = (ledger[name].to_numpy() for ledger in ledgers)
        differences += _difference(name, _unlike(*found), ledgers[1]["state"].to_numpy())
    columns = {column.name: column for column in first.header.columns}
    for column in second.header.columns:
        if column.name not in columns or columns[column.name].shape != column.shape:
            differences.append(f"{column.name} is in one of them alone, or has another shape")
            continue
        compared.append(column.name)
        if column.axis == MODEL_AXIS:
            # numbers of models are each file's own
            unlike = _names_of_models(first) != _names_of_models(second)
            differences += _difference(column.name, unlike, None)
            continue
        unlike = np.concatenate(list(_column_unlike(first, second, column.name)) or [np.zeros(0, np.bool_)])
        differences += _difference(column.name, unlike, None)
    lost = set(columns) - {column.name for column in second.header.columns}
    differences += [f"{name} is in one of them alone" for name in sorted(lost)]
    return Comparison(points=second.points, compared=(*compared, *shared), differences=tuple(differences))


def _settings(first: Result, second: Result) -> Iterator[str]:
    """What explains that results differ, or makes it a chance that they do not."""
    one, other = first.header, second.header
    if one.raw_uid != other.raw_uid:
        yield f"made of scan {one.raw_uid[:8]} and of scan {other.raw_uid[:8]}"
    stamps = [" + ".join(stamp.sha256[:12] for stamp, _ in found.model_shares) or "none" for found in (first, second)]
    if stamps[0] != stamps[1]:
        yield f"models {stamps[0]} and {stamps[1]}"
    geometries = [str(header.processing.get("geometry_id", ""))[:12] for header in (one, other)]
    if geometries[0] != geometries[1]:
        yield f"geometries {geometries[0]} and {geometries[1]}"
    if one.device != other.device:
        yield f"computed on {one.device} and {other.device}, which round differently"


def _names_of_models(result: Result) -> NDArray[Any]:
    names = [*(used.stamp.sha256 for used in result.models), ""]
    return np.array(names)[result.model_of_points]


def _column_unlike(first: Result, second: Result, name: str) -> Iterator[NDArray[np.bool_]]:
    for start in range(0, second.points, _ROWS_AT_ONCE):
        end = min(start + _ROWS_AT_ONCE, second.points)
        yield _unlike(first.column_block(name, start, end), second.column_block(name, start, end))


def _unlike(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows of two arrays (n, ...) differ in any bit; NaN is like NaN, whatever its bits."""
    if one.dtype != other.dtype:
        differs = one != other
    elif one.dtype.kind == "f":
        bits = np.dtype(f"u{one.dtype.itemsize}")
        one, other = np.ascontiguousarray(one), np.ascontiguousarray(other)
        differs = (one.view(bits) != other.view(bits)) & ~(np.isnan(one) & np.isnan(other))
    else:
        differs = one != other
    return np.asarray(differs.reshape(len(differs), -1).any(axis=1), dtype=np.bool_)


def _difference(name: str, unlike: NDArray[np.bool_], states: NDArray[np.uint8] | None) -> list[str]:
    rows = np.flatnonzero(unlike)
    if not rows.size:
        return []
    where = f"first at point {rows[0]}"
    if states is not None and name == "state":
        where += f", which is {PointState(int(states[rows[0]])).label} in the second"
    return [f"{name} of {rows.size} of {unlike.size} points, {where}"]
