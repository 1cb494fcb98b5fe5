"""The confidences of a scan's points, at hand for points whose verdict changes after they were published."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.result import ColumnSpec

CLASS_AXIS = "class"
"""`ColumnSpec.axis` of columns that are withheld from points without beam."""


class Scores:
    """Keeps one row a point of every column that runs along the classes: a few bytes a class.

    Parameters
    ----------
    columns
        All columns of the result.
    points
        Rows to start with.
    restored
        Rows that the file holds already, by column.
    """

    def __init__(
        self, columns: Sequence[ColumnSpec], points: int, restored: Mapping[str, NDArray[Any]] | None = None
    ) -> None:
        self._specs = [column for column in columns if column.axis == CLASS_AXIS]
        self._rows = {spec.name: np.full((points, *spec.shape), np.nan, spec.dtype) for spec in self._specs}
        for name, rows in (restored or {}).items():
            if name in self._rows:
                self._grow(len(rows))
                self._rows[name][: len(rows)] = rows

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns kept."""
        return tuple(self._rows)

    def keep(self, indices: NDArray[np.int64], columns: Mapping[str, NDArray[Any]]) -> None:
        """Keep the rows of points that were just scored."""
        if indices.size:
            self._grow(int(indices.max()) + 1)
            for name, rows in self._rows.items():
                rows[indices] = columns[name]

    def take(self, indices: NDArray[np.int64], withheld: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        """Return the rows of some points, NaN for those that are withheld; shape (points, classes)."""
        self._grow(int(indices.max(initial=-1)) + 1)
        found = {name: rows[indices] for name, rows in self._rows.items()}
        for rows in found.values():
            rows[withheld] = np.nan
        return found

    def _grow(self, points: int) -> None:
        for name, rows in self._rows.items():
            if points > len(rows):
                more = np.full((max(points, len(rows) * 3 // 2) - len(rows), *rows.shape[1:]), np.nan, rows.dtype)
                self._rows[name] = np.concatenate([rows, more])
