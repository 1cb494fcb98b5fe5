"""Numbers in HDF5 files, one a point, also while they are written (SWMR): positions of fly scans."""

import math
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import FrameError
from phasecast.sources.frame_file import IncompleteFileError
from phasecast.sources.hdf5_head import look_at_hdf5
from phasecast.sources.hdf5_open import find_in_hdf5, first_line, open_hdf5

_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
_MAX_CHUNK_BYTES = 64 << 20


class Hdf5Values:
    """A dataset of numbers, shape (n,) or (n, 1, ...), that may still grow.

    Parameters
    ----------
    path
        The file.
    dataset
        Path of the dataset inside; links to other files are not followed.

    Raises
    ------
    IncompleteFileError
        If file or dataset is not there yet.
    FrameError
        If it holds no numbers, one a row.
    """

    def __init__(self, path: Path, dataset: str) -> None:
        self._where = f"{path.name}::{dataset}"
        look_at_hdf5(path)
        self._file = open_hdf5(path, where=self._where)
        try:
            self._dataset = self._find(dataset)
            self._require_numbers()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, first: int, count: int) -> NDArray[np.float64]:
        """Return numbers as float64, shape (count,).

        Raises
        ------
        IncompleteFileError
            If they are not written yet.
        FrameError
            If they cannot be read.
        """
        there = self._dataset.shape[0]
        if there < first + count:
            raise IncompleteFileError(f"{there} of {first + count} numbers are there", where=self._where)
        try:
            return np.asarray(self._dataset[first : first + count], np.float64).reshape(count)
        # h5py raises whatever libhdf5's message maps to
        except Exception as error:
            raise FrameError(f"cannot be read ({first_line(error)})", where=self._where) from error

    def _find(self, name: str) -> h5py.Dataset:
        place = find_in_hdf5(self._file, name, where=self._where)
        if not isinstance(place, h5py.Dataset):
            raise FrameError("is no dataset", where=self._where)
        return place

    def _require_numbers(self) -> None:
        data = self._dataset
        if not data.shape or math.prod(data.shape[1:]) != 1 or data.dtype.kind not in "iuf":
            raise FrameError(f"holds no numbers, one a row ({data.dtype}, {data.shape})", where=self._where)
        plist = data.id.get_create_plist()
        filters = {int(plist.get_filter(k)[0]) for k in range(plist.get_nfilters())}
        if data.is_virtual or data.external or filters - _FILTERS:
            raise FrameError("lies in other files, or is packed in an unknown way", where=self._where)
        if data.chunks and math.prod(data.chunks) * data.dtype.itemsize > _MAX_CHUNK_BYTES:
            raise FrameError(f"has chunks of {data.chunks}", where=self._where)
