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

_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
_MAX_LINKS = 16
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
        try:
            self._file = h5py.File(path, "r", swmr=True, locking=False)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise IncompleteFileError(f"cannot be opened ({_line(error)})", where=self._where) from error
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
            raise FrameError(f"cannot be read ({_line(error)})", where=self._where) from error

    def _find(self, name: str) -> h5py.Dataset:
        place: h5py.Group | h5py.Dataset = self._file
        parts, links = [part.encode() for part in name.split("/") if part], 0
        try:
            while parts:
                part = parts.pop(0)
                if not isinstance(place, h5py.Group) or not place.id.links.exists(part):
                    raise IncompleteFileError("is not there", where=self._where)
                kind = place.id.links.get_info(part).type
                if kind == h5py.h5l.TYPE_HARD:
                    place = place[part]
                elif kind == h5py.h5l.TYPE_SOFT and links < _MAX_LINKS:
                    links += 1
                    target = place.id.links.get_val(part)
                    place = self._file if target.startswith(b"/") else place
                    parts = [piece for piece in target.split(b"/") if piece] + parts
                else:
                    raise FrameError("links to other files are not followed", where=self._where)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise IncompleteFileError(f"cannot be read ({_line(error)})", where=self._where) from error
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


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
