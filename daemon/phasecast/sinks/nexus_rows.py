"""Writes rows of many datasets of an open HDF5 file, fast enough for pages of a single row."""

import logging
from typing import Any

import h5py
import numpy as np
from h5py import h5s
from numpy.typing import ArrayLike, NDArray

logger = logging.getLogger(__name__)


class RowDataset:
    """One dataset with one row a point.

    h5py's indexing costs 50-100 us a call, and a page touches some forty datasets; selecting and writing
    through the low-level interface takes a tenth of that.

    Parameters
    ----------
    dataset
        Growing along its first axis.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._id = dataset.id
        self._name = dataset.name
        self._type = dataset.id.get_type()
        self._dtype = dataset.dtype
        self._tail = tuple(dataset.shape[1:])
        self._rows = int(dataset.shape[0])

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields of a row; empty if it has none."""
        return self._dtype.names or ()

    def grow(self, rows: int) -> None:
        """Make room for that many rows."""
        if rows > self._rows:
            self._id.set_extent((rows, *self._tail))
            self._rows = rows

    def write(self, runs: list[tuple[int, int, int]], values: ArrayLike) -> None:
        """Write values of shape (n, ...) in runs of (first value, first row, count)."""
        block = self.stored(values)
        space = self._id.get_space()
        for first, row, count in runs:
            extent = (count, *self._tail)
            space.select_hyperslab((row, *(0,) * len(self._tail)), extent)
            part = np.ascontiguousarray(block[first : first + count])
            self._id.write(h5s.create_simple(extent), space, part, self._type)

    def append(self, values: ArrayLike) -> None:
        """Write values of shape (n, ...) behind the last row."""
        block = self.stored(values)
        first = self._rows
        self.grow(first + len(block))
        self.write([(0, first, len(block))], block)

    def stored(self, values: ArrayLike) -> NDArray[Any]:
        """Values as they are stored: text becomes UTF-8 bytes of fixed length, cut between characters."""
        block = np.asarray(values)
        if self._dtype.kind != "S" or block.dtype.kind == "S":
            return block.astype(self._dtype, copy=False)
        encoded = np.char.encode(block.astype(str), "utf-8")
        size = self._dtype.itemsize
        if encoded.dtype.itemsize > size:
            if any(len(text) > size for text in encoded):
                logger.warning("text in %s is longer than %d bytes and was cut", self._name, size)
            encoded = np.array([text[:size].decode("utf-8", "ignore").encode() for text in encoded])
        return encoded.astype(self._dtype)


def runs_of(rows: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Split row numbers into runs of consecutive ones: (first value, first row, count)."""
    if rows.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    firsts = [0, *breaks.tolist()]
    ends = [*breaks.tolist(), rows.size]
    return [(first, int(rows[first]), end - first) for first, end in zip(firsts, ends, strict=True)]
