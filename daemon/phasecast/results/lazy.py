"""Columns of a result as xarray variables that read from the file when they are used."""

from typing import Any

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing


class CommittedRows(BackendArray):
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

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        """Read a selection."""
        values: NDArray[Any] = indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )
        return values

    def block(self, first: int, end: int) -> NDArray[Any]:
        """Read rows `first` to before `end`."""
        return self._read((slice(first, end),))

    def _read(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
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


def lazy_array(rows: CommittedRows, dimensions: tuple[str, ...]) -> xr.Variable:
    """Return the rows as a variable that reads when used."""
    return xr.Variable(dimensions, indexing.LazilyIndexedArray(rows))
