"""Tells the counts of a frame that may be believed from those that may not.

Excluded are negative counts, the two highest values of the dtype (gaps and bad pixels on wires without negative
numbers, 2^32-1 and 2^32-2) and counts at or above the detector's limit; only the last are saturated.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import FrameError


class Reading(NamedTuple):
    """How to tell counts from other values in frames of one dtype.

    Parameters
    ----------
    unsigned
        Read as this dtype, negative numbers are the largest, and one comparison finds all bad values.
    limit
        Lowest value that is not believed.
    gap
        Lowest value that is no count at all.
    """

    unsigned: np.dtype[np.unsignedinteger]
    limit: np.unsignedinteger
    gap: np.unsignedinteger


@lru_cache(maxsize=16)
def reading_of(dtype: np.dtype[np.integer], count_limit: int) -> Reading:
    """Return how to read frames of an integer dtype of at most 32 bit."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    gap = int(np.iinfo(dtype).max) - 1
    return Reading(unsigned=unsigned, limit=unsigned.type(min(count_limit, gap)), gap=unsigned.type(gap))


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
    # Frames cut out of a message may begin at any byte.
    return stack if stack.flags.c_contiguous and stack.flags.aligned else stack.copy()
