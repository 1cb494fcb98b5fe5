"""Messages of a SIMPLON V2 stream, as a detector sends them."""

import struct
from collections.abc import Mapping
from typing import Any

import cbor2
import lz4.block
import numpy as np
from numpy.typing import NDArray

from support.simplon_wire import bslz4

UNIQUE_ID = "01HKPXWTGDXGDNYZ9F6TPKGS3W"
TAGS = {
    "u1": 64, ">u2": 65, ">u4": 66, ">u8": 67, "<u2": 69, "<u4": 70, "<u8": 71,
    "i1": 72, ">i2": 73, ">i4": 74, ">i8": 75, "<i2": 77, "<i4": 78, "<i8": 79,
    ">f2": 80, ">f4": 81, ">f8": 82, "<f2": 84, "<f4": 85, "<f8": 86,
}  # fmt: skip
"""RFC 8746."""


def lz4_frame(content: bytes, block: int = 8192) -> bytes:
    """The chunk of HDF5's LZ4 filter."""
    blocks = [content[at : at + block] for at in range(0, len(content), block)]
    packed = [lz4.block.compress(piece, store_size=False) for piece in blocks]
    return struct.pack(">QI", len(content), block) + b"".join(struct.pack(">I", len(piece)) + piece for piece in packed)


def image_tag(
    image: NDArray[Any],
    *,
    sample: str = "",
    compression: str = "bslz4",
    tag: int | None = None,
    by_columns: bool = False,
    shape: Any = None,
    content: Any = None,
) -> cbor2.CBORTag:
    """An image as the stream holds it; `tag`, `shape` and `content` replace what follows from it."""
    sample = sample or image.dtype.newbyteorder("<").str.lstrip("|")
    ordered = np.ascontiguousarray(image.T if by_columns else image).astype(sample)
    plain = ordered.tobytes()
    if content is None:
        content = {"": plain, "lz4": lz4_frame(plain)}.get(compression) or bslz4(ordered)
    if compression:
        content = cbor2.CBORTag(56500, [compression, ordered.itemsize, content])
    values = cbor2.CBORTag(TAGS[sample.lstrip("|")] if tag is None else tag, content)
    return cbor2.CBORTag(1040 if by_columns else 40, [list(image.shape) if shape is None else shape, values])


def message(content: Mapping[str, Any], *, described: bool = True) -> list[bytes]:
    """One message, with the mark that real detectors begin with."""
    return [(b"\xd9\xd9\xf7" if described else b"") + cbor2.dumps(dict(content))]


def start2(series: int, *, unique: str = UNIQUE_ID, **fields: Any) -> list[bytes]:
    """A start message of firmware that names neither image_dtype nor user_data; None takes a field away."""
    content = {
        "type": "start",
        "arm_date": cbor2.CBORTag(0, "2024-01-08T12:30:00.123456+01:00"),
        "channels": ["threshold_1"],
        "incident_energy": 10000.0,
        "threshold_energy": {"threshold_1": 5000.0, "threshold_2": 8000.0},
        "number_of_images": 12,
        "image_size_x": 487,
        "image_size_y": 195,
        "series_id": series,
        "series_unique_id": unique,
        "countrate_correction_lookup_table": cbor2.CBORTag(70, np.arange(65536, dtype="<u4").tobytes()),
        "pixel_mask": {"threshold_1": image_tag(np.zeros((195, 487), "u4"))},
    } | fields
    return message({name: value for name, value in content.items() if value is not None})


def image2(
    series: int, number: int, images: Mapping[str, Any], *, unique: str = UNIQUE_ID, **fields: Any
) -> list[bytes]:
    """An image message; each image an array or what stands in its place, None takes a field away."""
    content = {
        "type": "image",
        "series_id": series,
        "series_unique_id": unique,
        "image_id": number,
        "real_time": [5_000_000, 50_000_000],
        "series_date": cbor2.CBORTag(0, "2024-01-08T12:30:00.123456+01:00"),
        "start_time": [number * 5_000_000, 50_000_000],
        "stop_time": [(number + 1) * 5_000_000, 50_000_000],
        "data": {name: image_tag(image) if isinstance(image, np.ndarray) else image for name, image in images.items()},
    } | fields
    return message({name: value for name, value in content.items() if value is not None})


def end2(series: int, *, unique: str = UNIQUE_ID) -> list[bytes]:
    return message({"type": "end", "series_id": series, "series_unique_id": unique})
