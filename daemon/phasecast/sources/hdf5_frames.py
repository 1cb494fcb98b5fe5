"""Frames in an HDF5 file that may still grow (SWMR): found one by one, handed on as the chunks that lie in the file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np

from phasecast.core.errors import FrameError
from phasecast.sources.frame_file import IncompleteFileError
from phasecast.sources.hdf5_chunk import decode_chunk, encoding_of
from phasecast.sources.hdf5_open import LIBRARY_ERRORS, find_in_hdf5, first_line, open_hdf5

DATASET = "/entry/data/data"
"""Where areaDetector, ophyd-async and DECTRIS file writers put frames."""

_MAX_FRAMES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hdf5Frame:
    """One frame as it lies in the file.

    Parameters
    ----------
    index
        Its place in the dataset.
    content
        Its bytes; empty if there are none.
    shape
        (rows, cols).
    dtype
        numpy's name of the pixels' type, with byte order.
    encoding
        See `encoding_of`.
    problem
        What is wrong with it; empty if nothing.
    """

    index: int
    content: bytes
    shape: tuple[int, int]
    dtype: str
    encoding: str
    problem: str = ""


class Hdf5Frames:
    """An open HDF5 file whose frames are read as they come. It is opened for reading alone and locks nothing.

    Parameters
    ----------
    path
        The file; `look_at_hdf5` must have let it pass.
    dataset
        Where its frames are: shape (frames, rows, cols), or (rows, cols) for one.
    max_bytes
        Largest frame, uncompressed.

    Raises
    ------
    IncompleteFileError
        If the file cannot be opened now or has no such dataset yet.
    FrameError
        If the dataset cannot be frames.
    """

    def __init__(self, path: Path, dataset: str, *, max_bytes: int) -> None:
        self._where = path.name
        self._max_bytes = max_bytes
        self._file = open_hdf5(path, where=self._where)
        try:
            self._dataset = self._find(dataset)
            self._require_frames()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()

    @property
    def is_single(self) -> bool:
        """Whether the file holds one frame without a number."""
        return len(self._dataset.shape) == 2

    def refresh(self) -> int:
        """Return how many frames the file announces now.

        Raises
        ------
        IncompleteFileError
            If that cannot be read now.
        FrameError
            If they are more than any scan has: the index of such a file takes minutes to walk through.
        """
        try:
            # not `dataset.id.refresh()`: h5py keeps the shape that it saw first
            self._dataset.refresh()
            announced = 1 if self.is_single else int(self._dataset.shape[0])
        except LIBRARY_ERRORS as error:
            raise IncompleteFileError(f"cannot be read ({first_line(error)})", where=self._where) from error
        if announced > _MAX_FRAMES:
            raise FrameError(f"announces {announced} frames, more than {_MAX_FRAMES}", where=self._where)
        return announced

    def read(self, start: int, stop: int, *, is_final: bool) -> Iterator[Hdf5Frame]:
        """Yield the frames from `start` on that are there, up to the first that is not.

        Parameters
        ----------
        start, stop
            Places in the dataset, the last excluded.
        is_final
            Whether the writer has closed the file. Until then a chunk of several frames waits until all are announced.
        """
        for index in range(start, stop):
            depth = self._chunk[0]
            first = index - index % depth
            if depth > 1 and first + depth > stop and not is_final:
                return
            frame = self._read_one(index, first)
            if frame is None:
                return
            yield frame

    def next_stored(self, index: int) -> int | None:
        """Return the first frame after `index` that has pixels in the file; None if there is none."""
        if not self._is_chunked or self.is_single:
            return None
        following: int | None = None

        def look(stored: h5py.h5d.StoreInfo) -> None:
            nonlocal following
            start = int(stored.chunk_offset[0])
            if start > index and (following is None or start < following):
                following = start

        try:
            self._dataset.id.chunk_iter(look)
        except LIBRARY_ERRORS:
            return None
        return following

    def absent(self, index: int, problem: str) -> Hdf5Frame:
        """Return what stands for a frame that is announced and never came."""
        return Hdf5Frame(
            index=index, content=b"", shape=self._shape, dtype=self._dataset.dtype.str, encoding="", problem=problem
        )

    def _find(self, name: str) -> h5py.Dataset:
        found = find_in_hdf5(self._file, name, where=self._where)
        if not isinstance(found, h5py.Dataset):
            raise IncompleteFileError(f"has no dataset {name}", where=self._where)
        return found

    def _require_frames(self) -> None:
        data = self._dataset
        if data.dtype.kind not in "iu":
            raise FrameError(f"pixels are {data.dtype}, not integer counts", where=self._where)
        if data.ndim not in (2, 3) or min(data.shape[-2:]) < 1:
            raise FrameError(f"shape {data.shape} is not (frames, rows, cols)", where=self._where)
        if data.is_virtual or data.external:
            raise FrameError("frames lie in other files", where=self._where, remedy="watch those files")
        self._shape = (int(data.shape[-2]), int(data.shape[-1]))
        self._frame_bytes = self._shape[0] * self._shape[1] * data.dtype.itemsize
        if self._frame_bytes > self._max_bytes:
            raise FrameError(f"frames are larger than {self._max_bytes} bytes", where=self._where)
        chunk = data.chunks
        self._is_chunked = chunk is not None
        self._chunk = (1, *self._shape) if chunk is None else (1, *chunk)[-3:]
        if self._chunk[1:] != self._shape:
            raise FrameError(
                f"chunks of {self._chunk[1]} x {self._chunk[2]} pixels are parts of frames",
                where=self._where,
                remedy=f"let the writer use chunks of 1 x {self._shape[0]} x {self._shape[1]}",
            )
        if self._chunk[0] * self._frame_bytes > self._max_bytes:
            raise FrameError(f"chunks are larger than {self._max_bytes} bytes", where=self._where)
        plist = data.id.get_create_plist()
        filters = [plist.get_filter(place) for place in range(plist.get_nfilters())]
        self._filters = [(int(code), tuple(parameters)) for code, _, parameters, _ in filters]
        encoding_of(self._filters)

    def _read_one(self, index: int, first: int) -> Hdf5Frame | None:
        """Return one frame; None if its pixels are not there yet."""
        data = self._dataset
        made = {"index": index, "shape": self._shape, "dtype": data.dtype.str}
        place = (0, 0) if self.is_single else (first, 0, 0)
        try:
            if not self._is_chunked:
                plain = np.asarray(data[...] if self.is_single else data[index])
                return Hdf5Frame(content=plain.tobytes(), encoding="", **made)
            stored = data.id.get_chunk_info_by_coord(place)
            if stored.byte_offset is None:
                return None
            if stored.size > self._chunk[0] * self._frame_bytes + (1 << 20):
                return Hdf5Frame(content=b"", encoding="", problem=f"chunk of {stored.size} bytes", **made)
            mask, content = data.id.read_direct_chunk(place)
        except LIBRARY_ERRORS:
            return None  # the index of a file that grows may be read at the next look
        try:
            encoding = encoding_of(self._filters, mask)
            if self._chunk[0] > 1:
                pixels = decode_chunk(
                    content, shape=self._chunk, dtype=data.dtype.str, encoding=encoding, max_bytes=self._max_bytes
                )
                made["dtype"] = pixels.dtype.str
                content, encoding = pixels[index - first].tobytes(), ""
        except FrameError as error:
            return Hdf5Frame(content=b"", encoding="", problem=error.what, **made)
        return Hdf5Frame(content=bytes(content), encoding=encoding, **made)
