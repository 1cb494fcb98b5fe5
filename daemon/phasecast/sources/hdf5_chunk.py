"""Chunks of HDF5 datasets as they lie in the file: which filters made them, and how they are undone.

libhdf5's own filters are never let loose on a file that is still written: the plugin for bitshuffle ends the process
on a corrupt chunk.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import FrameError, WireError
from phasecast.sources.simplon_blob import decompress_framed

_DEFLATE, _SHUFFLE, _LZ4, _BITSHUFFLE = 1, 2, 32004, 32008
_BITSHUFFLE_WITH = {2: "bslz4", 3: "bszstd"}

_READERS = frozenset(
    {"", "lz4", "bslz4", "bszstd", "deflate", "shuffle deflate", "shuffle lz4", "shuffle"},
)


def encoding_of(filters: Sequence[tuple[int, tuple[int, ...]]], mask: int = 0) -> str:
    """Return how a chunk is encoded, "" for plain pixels.

    Parameters
    ----------
    filters
        Number and parameters of each filter, in the order in which they were applied.
    mask
        The chunk's filter mask: bit i is set where filter i was left out.

    Raises
    ------
    FrameError
        If a filter is in it that is not undone here.
    """
    words = []
    for place, (number, parameters) in enumerate(filters):
        if mask & 1 << place:
            continue
        if number == _BITSHUFFLE and len(parameters) > 4 and parameters[4] in _BITSHUFFLE_WITH:
            words.append(_BITSHUFFLE_WITH[parameters[4]])
        else:
            words.append({_DEFLATE: "deflate", _SHUFFLE: "shuffle", _LZ4: "lz4"}.get(number, f"filter {number}"))
    encoding = " ".join(words)
    if encoding not in _READERS:
        raise FrameError(
            f"chunks are encoded by {encoding}",
            remedy="none, deflate, lz4, or bitshuffle with lz4 or zstd is read",
        )
    return encoding


def decode_chunk(
    content: bytes, *, shape: tuple[int, ...], dtype: str, encoding: str, max_bytes: int
) -> NDArray[np.integer]:
    """Return the pixels of a chunk in native byte order.

    Parameters
    ----------
    content
        The chunk's bytes.
    shape
        Of the pixels.
    dtype
        numpy's name of an integer type, with its byte order: ``<i4``.
    encoding
        See `encoding_of`.
    max_bytes
        Most that it may unpack to.

    Raises
    ------
    FrameError
        If it is corrupt or not what is said of it.
    """
    if encoding not in _READERS:
        raise FrameError(f"unknown encoding {encoding[:40]!r}")
    try:
        sample = np.dtype(dtype)
    except TypeError as error:
        raise FrameError(f"unknown type of pixels {dtype[:40]!r}") from error
    if sample.kind not in "iu":
        raise FrameError(f"pixels are {sample}, not integer counts")
    if not shape or min(shape) < 1:
        raise FrameError(f"shape {shape} holds no pixel")
    expected = sample.itemsize
    for length in shape:
        expected *= length
    if expected > max_bytes:
        raise FrameError(f"larger than {max_bytes} bytes")
    *before, last = ["", *encoding.split()]
    if last in ("lz4", "bslz4", "bszstd"):
        try:
            content = decompress_framed(content, last, itemsize=sample.itemsize, expected=expected)
        except WireError as error:
            raise FrameError(error.what) from error
    elif last == "deflate":
        content = _inflate(content, expected)
    if len(content) != expected:
        raise FrameError(f"{len(content)} bytes of pixels where {expected} are needed")
    if "shuffle" in (*before, last):
        planes = np.frombuffer(content, np.uint8).reshape(sample.itemsize, -1)
        content = np.ascontiguousarray(planes.T).tobytes()
    image: NDArray[np.integer] = np.frombuffer(content, sample).reshape(shape)
    return image if sample.isnative else image.astype(sample.newbyteorder("="))


def _inflate(content: bytes, expected: int) -> bytes:
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(content, expected + 1)
    except zlib.error as error:
        raise FrameError(f"deflate is corrupt ({error})") from error
    if not inflate.eof:
        raise FrameError("deflate ends early or holds more than the shape needs")
    return plain
