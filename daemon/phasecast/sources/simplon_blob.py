"""Decoding the image blobs of the SIMPLON stream."""

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
_FRAME_HEAD = struct.Struct(">QI")


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
        if int(match[1]) != 8 * sample.itemsize:
            raise WireError(f"bit shuffle over {match[1]} bits of {8 * sample.itemsize}-bit pixels")
        content = decompress_framed(blob, "bslz4", itemsize=sample.itemsize, expected=expected)
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


def decompress_framed(blob: bytes, algorithm: str, *, itemsize: int, expected: int) -> bytes:
    """Return the bytes of an HDF5 filter's chunk: length (uint64) and block size (uint32), then blocks.

    Parameters
    ----------
    blob
        The chunk.
    algorithm
        Of its filter: ``bslz4``, ``lz4`` or ``bszstd``.
    itemsize
        Bytes of a pixel.
    expected
        Bytes that come of it. The head says how much is allocated, so it is believed only where it agrees.

    Raises
    ------
    WireError
        If the head disagrees or the blocks are corrupt.
    """
    if len(blob) < _FRAME_HEAD.size:
        raise WireError(f"{len(blob)} bytes are too short for {algorithm}")
    claimed, _ = _FRAME_HEAD.unpack_from(blob)
    if claimed != expected:
        raise WireError(f"{algorithm} head claims {claimed} bytes where the shape needs {expected}")
    try:
        return bytes(decompress(blob, algorithm, elem_size=itemsize))
    except (RuntimeError, ValueError, MemoryError) as error:
        raise WireError(f"{algorithm} is corrupt ({error})") from error


def _decode_lz4(blob: bytes, expected: int) -> bytes:
    try:
        return bytes(lz4.block.decompress(blob, uncompressed_size=expected))
    except (lz4.block.LZ4BlockError, ValueError, MemoryError, OverflowError) as error:
        raise WireError(f"lz4 is corrupt ({error})") from error
