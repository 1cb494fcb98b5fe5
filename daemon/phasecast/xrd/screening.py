"""Tells the counts of a frame that may be believed from those that may not."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from phasecast.core.errors import FrameError


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
    """Screens frames of one detector; remembers the last frame's bad pixels because most come again.

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
        self._static_mask = static_mask
        self._count_limit = count_limit
        self._last = np.empty(0, dtype=np.intp)

    def screen(self, frame: NDArray[np.integer], counts: torch.Tensor) -> Screened:
        """Write believable counts into `counts`, 0 for all others, and return what was found.

        Parameters
        ----------
        frame
            Shape (pixels,).
        counts
            Float tensor on the CPU to be overwritten, shape (pixels,).
        """
        gap_value = np.iinfo(frame.dtype).max - 1
        limit = min(self._count_limit, gap_value)
        view = counts.numpy()
        np.copyto(view, frame)
        view[self._static] = 0
        view[self._last] = 0
        # float32 rounds above 2^24, hence the margin; the exact comparison below is on integers.
        believable = view.min() >= 0 and view.max() < limit * (1 - 1e-6)
        if not (believable and _bad(frame[self._last], limit).all()):
            self._last = np.flatnonzero(_bad(frame, limit) & ~self._static_mask)
            np.copyto(view, frame)
            view[self._static] = 0
            view[self._last] = 0
        values = frame[self._last]
        saturated = int(np.count_nonzero((values >= limit) & (values < gap_value)))
        total = _exact_sum(counts.view(self._rows, -1))
        return Screened(excluded=self._last, saturated=saturated, total_counts=total)


def _exact_sum(counts: torch.Tensor) -> int:
    """Return the sum of whole numbers; float32 rows are five times as fast as float64 and exact below 2^24."""
    row_sums = counts.sum(dim=1)
    if row_sums.max() >= 2**24:
        row_sums = counts.sum(dim=1, dtype=torch.float64)
    return int(row_sums.sum(dtype=torch.float64))


def _bad(values: NDArray[np.integer], limit: int) -> NDArray[np.bool_]:
    return (values < 0) | (values >= limit)
