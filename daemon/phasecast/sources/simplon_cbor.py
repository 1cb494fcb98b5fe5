"""The CBOR of SIMPLON stream V2: messages, and the images in them.

Sources of the format: the DECTRIS documentation of the stream, RFC 8746 for typed arrays, streams of real detectors.
Nothing is decompressed while a message is read: what is large stays bytes until an image is asked for, with its shape,
from which follows how many bytes it may have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cbor2
import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import WireError
from phasecast.sources.simplon_blob import decompress_framed

SELF_DESCRIBED = b"\xd9\xd9\xf7"
"""Tag 55799, with which detectors begin. cbor2 from 6 on makes everything under it immutable, so it is cut off."""

_MOST_ITEMS = 100_000
"""An image has about forty, a start message some hundreds. An item of one byte becomes up to 64 in memory."""
_IN_ROWS, _IN_COLUMNS, _COMPRESSED = 40, 1040, 56500
_TYPES = {
    64: "u1", 65: ">u2", 66: ">u4", 67: ">u8", 68: "u1", 69: "<u2", 70: "<u4", 71: "<u8",
    72: "i1", 73: ">i2", 74: ">i4", 75: ">i8", 77: "<i2", 78: "<i4", 79: "<i8",
    80: ">f2", 81: ">f4", 82: ">f8", 84: "<f2", 85: "<f4", 86: "<f8",
}  # fmt: skip
"""RFC 8746; numpy has no floats of 16 bytes in a fixed format (tags 83 and 87)."""
_TAGS = frozenset({0, 1, _IN_ROWS, _IN_COLUMNS, _COMPRESSED, 55799, *range(64, 88)})
"""All that a stream holds. Others are refused unread: cbor2 builds regular expressions, shared and huge numbers."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """Tag 56500: bytes that were compressed."""

    algorithm: object
    element_bytes: object
    content: object


@dataclass(frozen=True, slots=True)
class TypedArray:
    """A tag of RFC 8746 and the bytes, compressed or not, under it."""

    tag: int
    content: object


@dataclass(frozen=True, slots=True)
class Image:
    """Tag 40 or 1040: a typed array in rows or in columns."""

    by_columns: bool
    shape: object
    values: object


def read_message(content: bytes) -> Mapping[str, Any]:
    """Return the map that a message is; arrays in it are `Image`, `TypedArray` and `Compressed`.

    Raises
    ------
    WireError
        If it is no CBOR map with text for keys, or holds more or other things than a stream does.
    """
    if content.startswith(SELF_DESCRIBED):
        content = content[len(SELF_DESCRIBED) :]
    _check_items(content)
    try:
        message = cbor2.loads(content, tag_hook=_on_tag)
    except WireError:
        raise
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        cause = error.__cause__
        raise cause if isinstance(cause, WireError) else WireError(f"no readable CBOR ({error})") from error
    if not isinstance(message, Mapping) or not all(isinstance(key, str) for key in message):
        raise WireError("the message is no CBOR map with names for keys")
    return message


def decode_image(image: object, *, max_bytes: int) -> NDArray[Any]:
    """Return an image, shape (rows, cols), native byte order, in rows and read-only.

    Raises
    ------
    WireError
        If anything that the message says of the image is wrong; found before memory for it is taken.
    """
    if not isinstance(image, Image):
        raise WireError(f"the image is {_kind(image)}, not an array of two dimensions (tag 40)")
    rows, cols = _dimensions(image.shape)
    values = image.values
    if not isinstance(values, TypedArray):
        raise WireError(f"the pixels are {_kind(values)}, not a typed array")
    if values.tag not in _TYPES:
        raise WireError(f"tag {values.tag} is no type of pixels that can be read")
    sample = np.dtype(_TYPES[values.tag])
    expected = rows * cols * sample.itemsize
    if expected > max_bytes:
        raise WireError(f"image of {rows}x{cols} {sample.name} is larger than {max_bytes} bytes")
    content = _bytes_of(values.content, sample.itemsize, expected)
    if len(content) != expected:
        raise WireError(f"{len(content)} bytes of pixels where {rows}x{cols} {sample.name} need {expected}")
    pixels = np.frombuffer(content, sample).reshape((rows, cols), order="F" if image.by_columns else "C")
    if not sample.isnative:
        pixels = pixels.astype(sample.newbyteorder("="))
    pixels = np.ascontiguousarray(pixels)
    pixels.setflags(write=False)
    return pixels


def _bytes_of(content: object, itemsize: int, expected: int) -> bytes:
    if isinstance(content, Compressed):
        if not isinstance(content.content, bytes):
            raise WireError(f"compressed pixels are {_kind(content.content)}, not bytes")
        if content.element_bytes != itemsize:
            raise WireError(f"compressed in elements of {content.element_bytes!s:.20} bytes, pixels have {itemsize}")
        algorithm = content.algorithm
        if algorithm == "bslz4" or algorithm == "lz4":
            return decompress_framed(content.content, algorithm, itemsize=itemsize, expected=expected)
        raise WireError(f"compression {algorithm!s:.40} is neither bslz4 nor lz4")
    if not isinstance(content, bytes):
        raise WireError(f"pixels are {_kind(content)}, not bytes")
    return content


def _dimensions(shape: object) -> tuple[int, int]:
    match shape:
        case [int() as rows, int() as cols] if 0 < rows < 2**31 and 0 < cols < 2**31:
            return rows, cols
    raise WireError(f"shape {shape!s:.60} is not [rows, columns]")


def _on_tag(first: object, second: object) -> object:
    # cbor2 5 calls with (decoder, tag), cbor2 6 with (tag, immutable)
    tag = first if isinstance(first, cbor2.CBORTag) else second
    assert isinstance(tag, cbor2.CBORTag)
    number, value = tag.tag, tag.value
    if number in (_IN_ROWS, _IN_COLUMNS):
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise WireError(f"tag {number} holds {_kind(value)}, not [shape, values]")
        shape = tuple(value[0]) if isinstance(value[0], list) else value[0]
        return Image(number == _IN_COLUMNS, shape, value[1])
    if number == _COMPRESSED:
        if not isinstance(value, list | tuple) or len(value) != 3:
            raise WireError(f"tag {number} holds {_kind(value)}, not [algorithm, element size, bytes]")
        return Compressed(*value)
    return TypedArray(number, value) if 64 <= number < 88 else tag


def _kind(value: object) -> str:
    return "missing" if value is None else type(value).__name__


def _check_items(content: bytes) -> None:
    """Walk over the heads of all items, whose memory is not yet taken.

    Raises
    ------
    WireError
        If there are too many, or tags that no stream holds. Whether they make a message is for cbor2 to say.
    """
    at, end, items = 0, len(content), 0
    while at < end:
        items += 1
        if items > _MOST_ITEMS:
            raise WireError(f"more than {_MOST_ITEMS} items in one message")
        head = content[at]
        kind, value = head >> 5, head & 31
        at += 1
        if 24 <= value < 28:
            size = 1 << (value - 24)
            value = int.from_bytes(content[at : at + size], "big")
            at += size
        elif value > 27 and kind in (2, 3):
            value = 0  # its pieces follow
        if kind in (2, 3):
            at += value
        elif kind == 6 and value not in _TAGS:
            raise WireError(f"CBOR tag {value} is no part of the stream")


def looks_like_cbor(parts: tuple[bytes, ...]) -> bool:
    """Tell whether a message is of stream V2: one part that begins as CBOR maps do."""
    return len(parts) == 1 and (parts[0].startswith(SELF_DESCRIBED) or 0xA0 <= (parts[0] or b"\0")[0] <= 0xBF)
