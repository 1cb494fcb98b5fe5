"""Decoding one SIMPLON V1 image blob."""

import re
import struct
from collections.abc import Sequence

import lz4.block
import numpy as np
from dectris.compression import decompress
from numpy.typing import NDArray

from phasecast.core.errors import WireError

_DTYPES = frozenset({"uint8", "uint16", "uint32", "int8", "int16", "int32"})
_ENCODING = re.compile(r"(?:bs(8|16|32)-)?(lz4)?([<>])")
_BSLZ4_HEAD = struct.Struct(">QI")


def decode_image(
    blob: bytes,
    *,
    shape: Sequence[int],
    dtype: str,
    encoding: str,
    stated_bytes: int | None,
    max_bytes: int,
) -> NDArray[np.integer]:
    """Return the image, shape (rows, cols), native byte order, read-only.

    Parameters
    ----------
    blob
        Bytes of the image as sent.
    shape
        As on the wire: ``[width, height]``, the reverse of numpy's.
    dtype
        Name of an integer type.
    encoding
        ``[bs<bits>-][lz4](<|>)``. ``lz4`` alone is one raw LZ4 block; with ``bs`` the blob is an HDF5 filter chunk.
    stated_bytes
        Length of the blob according to the message.
    max_bytes
        Largest uncompressed image.

    Raises
    ------
    WireError
        If anything the message says of the image is wrong.
    """
    if dtype not in _DTYPES:
        raise WireError(f"pixel type {dtype[:40]!r} is none of {', '.join(sorted(_DTYPES))}")
    match = _ENCODING.fullmatch(encoding)
    if match is None or (match[1] and not match[2]):
        raise WireError(f"unknown encoding {encoding[:40]!r}")
    if len(shape) == 3 and shape[2] == 1:
        shape = shape[:2]
    if len(shape) != 2 or min(shape) < 1:
        raise WireError(f"shape {list(shape)} is not [width, height]")
    width, height = shape
    sample = np.dtype(dtype).newbyteorder("<" if match[3] == "<" else ">")
    expected = width * height * sample.itemsize
    if expected > max_bytes:
        raise WireError(f"image of {width}x{height} {dtype} is larger than {max_bytes} bytes")
    if stated_bytes is not None and stated_bytes != len(blob):
        raise WireError(f"{len(blob)} bytes arrived where {stated_bytes} were announced")
    if match[1]:
        content = _decode_bslz4(blob, int(match[1]), sample.itemsize, expected)
    elif match[2]:
        content = _decode_lz4(blob, expected)
    else:
        content = blob
    if len(content) != expected:
        raise WireError(f"{len(content)} bytes of pixels where {width}x{height} {dtype} need {expected}")
    image = np.frombuffer(content, sample).reshape(height, width)
    if not sample.isnative:
        image = image.astype(sample.newbyteorder("="))
        image.setflags(write=False)
    return image


def _decode_bslz4(blob: bytes, bits: int, itemsize: int, expected: int) -> bytes:
    if bits != 8 * itemsize:
        raise WireError(f"bit shuffle over {bits} bits of {8 * itemsize}-bit pixels")
    if len(blob) < _BSLZ4_HEAD.size:
        raise WireError(f"{len(blob)} bytes are too short for bslz4")
    # The head says how much is allocated, so it is believed only where it agrees with the shape.
    claimed, _ = _BSLZ4_HEAD.unpack_from(blob)
    if claimed != expected:
        raise WireError(f"bslz4 head claims {claimed} bytes where the shape needs {expected}")
    try:
        return bytes(decompress(blob, "bslz4", elem_size=itemsize))
    except (RuntimeError, ValueError, MemoryError) as error:
        raise WireError(f"bslz4 is corrupt ({error})") from error


def _decode_lz4(blob: bytes, expected: int) -> bytes:
    try:
        return bytes(lz4.block.decompress(blob, uncompressed_size=expected))
    except (lz4.block.LZ4BlockError, ValueError, MemoryError, OverflowError) as error:
        raise WireError(f"lz4 is corrupt ({error})") from error
