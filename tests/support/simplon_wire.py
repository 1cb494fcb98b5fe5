"""Messages of a SIMPLON V1 stream, as a detector sends them."""

import hashlib
import io
import json
import struct
from typing import Any

import h5py
import hdf5plugin
import lz4.block
import numpy as np
from numpy.typing import NDArray

from phasecast.core.record import CapturePosition, Channel, RawRecord


def to_json(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def bslz4(image: NDArray[Any]) -> bytes:
    """Compress as the detector does: the HDF5 bitshuffle filter's chunk, taken out of a file in memory."""
    with h5py.File(io.BytesIO(), "w") as file:
        shape = (1, *image.shape)
        dataset = file.create_dataset(
            "frame", shape=shape, chunks=shape, dtype=image.dtype, **hdf5plugin.Bitshuffle(cname="lz4")
        )
        dataset[0] = image
        _, chunk = dataset.id.read_direct_chunk((0, 0, 0))
    # The filter stores an incompressible chunk with the same head, so the wire's promise holds for both.
    assert struct.unpack_from(">Q", chunk)[0] == image.nbytes
    return bytes(chunk)


def encode(image: NDArray[Any], encoding: str) -> bytes:
    ordered = image.astype(image.dtype.newbyteorder(encoding[-1]))
    if encoding.startswith("bs"):
        return bslz4(ordered)
    if encoding.startswith("lz4"):
        return bytes(lz4.block.compress(ordered.tobytes(), store_size=False))
    return ordered.tobytes()


def image_parts(
    series: int,
    frame: int,
    image: NDArray[Any],
    *,
    encoding: str | None = None,
    start_ns: int = 4_843_213_806_960,
    **overrides: Any,
) -> list[bytes]:
    """One image message; `overrides` replace fields of its second part, ``blob=`` the blob itself."""
    encoding = encoding or f"bs{8 * image.dtype.itemsize}-lz4<"
    blob = overrides.pop("blob", None) or encode(image, encoding)
    description = {
        "htype": "dimage_d-1.0",
        "shape": [image.shape[1], image.shape[0]],
        "type": image.dtype.name,
        "encoding": encoding,
        "size": len(blob),
    } | overrides
    second = to_json({key: value for key, value in description.items() if value is not None})
    times = {"htype": "dconfig-1.0", "start_time": start_ns, "stop_time": start_ns + 10**8, "real_time": 10**8}
    head = {
        "htype": "dimage-1.0",
        "series": series,
        "frame": frame,
        "hash": hashlib.md5(second, usedforsecurity=False).hexdigest(),
    }
    return [to_json(head), second, blob, to_json(times)]


def header_parts(series: int, *, detail: str = "basic", appendix: bytes | None = None, **config: Any) -> list[bytes]:
    """The global header with the parts that its detail promises."""
    parts = [to_json({"htype": "dheader-1.0", "series": series, "header_detail": detail})]
    if detail != "none":
        parts.append(to_json({"nimages": 4, "ntrigger": 3, "photon_energy": 10000.0} | config))
    if detail == "all":
        for name, dtype, shape in (
            ("dflatfield", "float32", (487, 195)),
            ("dpixelmask", "uint32", (487, 195)),
            ("dcountrate_table", "float32", (2, 4000)),
        ):
            parts.append(to_json({"htype": f"{name}-1.0", "shape": shape, "type": dtype}))
            parts.append(np.zeros(shape, dtype).tobytes())
    if appendix is not None:
        parts.append(appendix)
    return parts


def end_parts(series: int) -> list[bytes]:
    return [to_json({"htype": "dseries_end-1.0", "series": series})]


def record(parts: list[bytes], *, channel: str = "simplon", offset: int = 0, received_s: float = 1e9) -> RawRecord:
    """A record as the capture would hand it out."""
    return RawRecord(
        position=CapturePosition(segment="20260101T000000.000000Z-000.cborseq", offset=offset),
        received_s=received_s,
        channel=Channel(channel),
        parts=tuple(parts),
    )
