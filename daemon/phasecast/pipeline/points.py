"""Where and when each point was measured and where its frame lies: compact columns, one row a point."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import LEDGER_COLUMNS
from phasecast.core.frame import FrameReference

_COLUMNS = ("x_um", "y_um", "time_s", "frame_offset", "frame_number")
_STORES = ("", "capture", "file")


class PointTable:
    """Columns of the points of one scan. Memory is a few dozen bytes a point, allocated when the scan starts.

    Parameters
    ----------
    points
        Rows to start with.
    scalars
        Names of the scalar columns.
    """

    def __init__(self, points: int, scalars: Sequence[str]) -> None:
        self._scalars = tuple(scalars)
        self._table: NDArray[Any] = self._blank(points)
        self._paths: list[str] = [""]
        self._path_index: dict[str, int] = {"": 0}
        self._sha256: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._table)

    def grow(self, points: int) -> None:
        """Make room for at least `points` points."""
        if points > len(self._table):
            self._table = np.concatenate([self._table, self._blank(points - len(self._table))])

    def set_place(self, index: int, x_um: float, y_um: float, time_s: float) -> None:
        """Record where and when a point was measured."""
        self.grow(index + 1)
        row = self._table[index]
        row["x_um"], row["y_um"], row["time_s"] = x_um, y_um, time_s

    def set_scalars(self, index: int, values: Mapping[str, float]) -> None:
        """Record the scalars of a point; unknown names are ignored, missing ones stay NaN."""
        self.grow(index + 1)
        for name in self._scalars:
            if name in values:
                self._table[f"scalar_{name}"][index] = values[name]

    def scalar(self, name: str, index: int) -> float:
        """Return a scalar of a point; NaN if the point or the scalar is unknown."""
        known = name in self._scalars and index < len(self._table)
        return float(self._table[f"scalar_{name}"][index]) if known else math.nan

    def scalars(self, name: str) -> NDArray[np.float64]:
        """Return a scalar of all points, shape (points,); a view that must not be written."""
        return np.asarray(self._table[f"scalar_{name}"])

    def places_um(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return x and y of all points, shape (points,) each; views that must not be written."""
        return self._table["x_um"], self._table["y_um"]

    def set_frame(self, index: int, reference: FrameReference | None) -> None:
        """Record where the raw frame of a point lies."""
        self.grow(index + 1)
        if reference is None:
            return
        row = self._table[index]
        row["store"] = _STORES.index(reference.store)
        row["frame_offset"], row["frame_number"] = reference.offset, reference.number
        if reference.path not in self._path_index:
            self._path_index[reference.path] = len(self._paths)
            self._paths.append(reference.path)
        row["path"] = self._path_index[reference.path]
        if reference.sha256:
            self._sha256[index] = reference.sha256

    def columns(self, indices: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Return ledger columns of the given points, names as in `LEDGER_COLUMNS` plus the scalars."""
        rows = self._table[list(indices)]
        columns: dict[str, NDArray[Any]] = {name: rows[name] for name in _COLUMNS}
        columns["frame_store"] = np.array([_STORES[code] for code in rows["store"]], LEDGER_COLUMNS["frame_store"])
        columns["frame_path"] = np.array([self._paths[code] for code in rows["path"]], LEDGER_COLUMNS["frame_path"])
        columns["frame_sha256"] = np.array(
            [self._sha256.get(index, "") for index in indices], LEDGER_COLUMNS["frame_sha256"]
        )
        columns.update({name: rows[f"scalar_{name}"] for name in self._scalars})
        return columns

    def _blank(self, points: int) -> NDArray[Any]:
        layout = [(name, LEDGER_COLUMNS[name]) for name in _COLUMNS]
        layout += [("store", "|u1"), ("path", "<i4")] + [(f"scalar_{name}", "<f8") for name in self._scalars]
        table = np.zeros(points, layout)
        for name in ("x_um", "y_um", "time_s", *(f"scalar_{name}" for name in self._scalars)):
            table[name] = np.nan
        table["frame_offset"] = table["frame_number"] = -1
        return table
