"""Tells the counts of a frame that may be believed from those that may not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import FrameError

_NONE = np.empty(0, dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Screened:
    """What screening found in one frame.

    Parameters
    ----------
    excluded
        Indices of the pixels to leave out of this frame beyond the static mask, rising.
    saturated
        How many of them reached the count limit.
    total_counts
        Counts of all other pixels.
    """

    excluded: NDArray[np.intp]
    saturated: int
    total_counts: int


def as_stack(frames: NDArray[np.integer], shape: tuple[int, int]) -> NDArray[np.integer]:
    """Return frames as (n, rows * cols) in native byte order.

    Raises
    ------
    FrameError
        If they are not integers of at most 32 bit, or not of the detector's shape.
    """
    frames = np.asarray(frames)
    if frames.dtype.kind not in "iu" or frames.dtype.itemsize > 4:
        raise FrameError(
            f"the frame holds {frames.dtype}, expected integer counts of at most 32 bit",
            remedy="send raw counts; corrected images cannot be given Poisson uncertainties",
        )
    if frames.ndim not in (2, 3) or frames.shape[-2:] != shape:
        raise FrameError(
            f"the frame has the shape {frames.shape}, expected {shape} (rows, cols) or a stack of them",
            remedy="check the detector, its region of interest and detector.model in the profile",
        )
    stack = frames.reshape(-1, shape[0] * shape[1])
    if not stack.dtype.isnative:
        stack = stack.astype(stack.dtype.newbyteorder("="))
    return np.ascontiguousarray(stack)


class Screen:
    """Screens frames of one detector.

    Excluded are negative counts, the two highest values of the dtype (gaps and bad pixels on wires without
    negative numbers, 2^32-1 and 2^32-2) and counts at or above the limit; only the last are saturated.

    Parameters
    ----------
    static_mask
        True where pixels are never used, shape (pixels,).
    count_limit
        Counts at which the counter ends.
    rows
        Rows of a frame.
    """

    def __init__(self, static_mask: NDArray[np.bool_], *, count_limit: int, rows: int) -> None:
        self._rows = rows
        self._static = np.flatnonzero(static_mask)
        self._count_limit = count_limit
        self._bad = np.empty(static_mask.size, dtype=np.bool_)
        self._ones = np.ones(static_mask.size // rows, dtype=np.float32)
        self._unsigned: dict[np.dtype[np.integer], tuple[np.dtype[np.unsignedinteger], int]] = {}

    def screen(self, frame: NDArray[np.integer], counts: NDArray[np.float32]) -> Screened:
        """Write believable counts into `counts`, 0 for all others, and return what was found.

        Parameters
        ----------
        frame
            Shape (pixels,).
        counts
            To be overwritten, shape (pixels,).
        """
        unsigned, gap_value = self._reading(frame.dtype)
        limit = min(self._count_limit, gap_value)
        # Read as unsigned, negative numbers are the largest: one comparison finds all.
        np.greater_equal(frame.view(unsigned), limit, out=self._bad)
        np.copyto(counts, frame)
        if self._static.size:
            self._bad[self._static] = False
            counts[self._static] = 0
        if not self._bad.any():
            return Screened(excluded=_NONE, saturated=0, total_counts=self._sum(counts))
        excluded = np.flatnonzero(self._bad)
        counts[excluded] = 0
        values = frame[excluded]
        saturated = int(np.count_nonzero((values >= limit) & (values < gap_value)))
        return Screened(excluded=excluded, saturated=saturated, total_counts=self._sum(counts))

    def _reading(self, dtype: np.dtype[np.integer]) -> tuple[np.dtype[np.unsignedinteger], int]:
        """Return the unsigned dtype of the same size, and from where on a value of `dtype` means a gap."""
        if dtype not in self._unsigned:
            self._unsigned[dtype] = (np.dtype(f"u{dtype.itemsize}"), int(np.iinfo(dtype).max) - 1)
        return self._unsigned[dtype]

    def _sum(self, counts: NDArray[np.float32]) -> int:
        """Return the exact sum; products in float32 are fastest, and exact while rows stay below 2^24."""
        image = counts.reshape(self._rows, -1)
        row_sums = image @ self._ones
        if row_sums.max() >= 2**24:
            row_sums = image.sum(axis=1, dtype=np.float64)
        return int(row_sums.sum(dtype=np.float64))
