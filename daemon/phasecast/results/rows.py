"""Rows of a column that are read from the file when they are used."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray


class Rows(ABC):
    """Rows of a column that are read when they are used; `shape` and `dtype` are those of all of them."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def block(self, first: int, end: int) -> NDArray[Any]:
        """Read rows `first` to before `end`."""
        return self.read((slice(first, end),))

    @abstractmethod
    def read(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read what a basic index selects."""


class CommittedRows(Rows):
    """A dataset of which only the rows that a commit vouches for show values.

    Parameters
    ----------
    dataset
        One row a point.
    believed
        Rows to show, shape (n,); others read as NaN, or as the fill value where NaN cannot be.
    """

    def __init__(self, dataset: h5py.Dataset, believed: NDArray[np.bool_]) -> None:
        self._dataset = dataset
        self._believed = believed
        self.shape = (believed.size, *dataset.shape[1:])
        self.dtype = dataset.dtype

    def read(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read what a basic index selects of the rows that are believed."""
        rows = key[0]
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self._believed.size)
            rows = slice(start, max(stop, start), step)
        believed = self._believed[rows]
        values = np.array(self._dataset[(rows, *key[1:])])
        empty = np.nan if values.dtype.kind == "f" else self._dataset.fillvalue
        if isinstance(rows, slice):
            values[~believed] = empty
        elif not believed:
            values[...] = empty
        return values


class StackedRows(Rows):
    """The rows of several columns, one after the other.

    Parameters
    ----------
    parts
        The columns, at least one; of one dtype and of rows of one shape.
    hidden
        Rows to read as NaN, or as zero where NaN cannot be, shape (n,).
    """

    def __init__(self, parts: Sequence[Rows], hidden: NDArray[np.bool_]) -> None:
        self._parts = parts
        self._hidden = hidden
        self._ends = np.cumsum([part.shape[0] for part in parts])
        self.shape = (int(self._ends[-1]), *parts[0].shape[1:])
        self.dtype = parts[0].dtype

    def read(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read what a basic index selects, across the columns."""
        rows = key[0]
        if isinstance(rows, slice):
            values = self._rows(*rows.indices(self.shape[0]))
            return np.asarray(values[(slice(None), *key[1:])])
        return np.asarray(self._rows(rows, rows + 1, 1)[(0, *key[1:])])

    def _rows(self, first: int, end: int, step: int) -> NDArray[Any]:
        pieces = []
        for part, last in zip(self._parts, self._ends.tolist(), strict=True):
            start = last - part.shape[0]
            if first < last and end > start:
                pieces.append(part.block(max(first - start, 0), min(end - start, part.shape[0])))
        values = np.concatenate(pieces) if pieces else np.empty((0, *self.shape[1:]), self.dtype)
        hidden = self._hidden[first : first + len(values)]
        values[hidden] = np.nan if values.dtype.kind == "f" else 0
        return np.asarray(values[::step])
