"""A frame in numpy's own file format, as ophyd's simulated detectors write it."""

from io import BytesIO
from math import prod

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from phasecast.core.errors import FrameError, IncompleteFileError

_MAGIC = b"\x93NUMPY"


def read_npy(name: str, content: bytes) -> NDArray[np.integer]:
    """Return the frame of a ``.npy`` file, shape (rows, cols).

    Whole numbers that are stored as floats, as simulated detectors do, become integers.

    Raises
    ------
    IncompleteFileError
        If bytes are missing.
    FrameError
        If it is no file of one image of whole numbers.
    """
    if len(content) < 12 and _MAGIC.startswith(content[:6]):
        raise IncompleteFileError(f"{len(content)} bytes are no .npy yet", where=name)
    stream = BytesIO(content)
    try:
        read_header = {1: npy.read_array_header_1_0, 2: npy.read_array_header_2_0}[npy.read_magic(stream)[0]]
        shape, is_fortran, dtype = read_header(stream)
    except KeyError as error:
        raise FrameError("numpy's format 3 is not read", where=name) from error
    # numpy's reader of old headers lets the tokenizer's errors through
    except Exception as error:
        kind = IncompleteFileError if "EOF" in str(error) else FrameError
        raise kind(f"not a .npy file ({str(error)[:100]})", where=name) from error
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if dtype.kind not in "iuf" or len(shape) != 2 or min(shape) < 1:
        raise FrameError(f"not one image of numbers ({dtype}, shape {shape})", where=name)
    needed = prod(shape) * dtype.itemsize
    pixels = content[stream.tell() :]
    if len(pixels) < needed:
        raise IncompleteFileError(f"{len(pixels)} of {needed} bytes of pixels are there", where=name)
    image = np.frombuffer(pixels[:needed], dtype).reshape(shape, order="F" if is_fortran else "C")
    if dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = image.astype(np.int64)
        if not np.array_equal(whole, image):
            raise FrameError("pixels are not whole numbers", where=name)
        return whole
    return image
