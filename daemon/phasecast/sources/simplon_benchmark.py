"""How long one frame of a PILATUS 100k takes to decode, over each version and encoding of the SIMPLON stream."""

import json
import os
import struct
import time
from collections.abc import Mapping
from typing import Any, cast

import cbor2
import lz4.block
import numpy as np
from dectris.compression import decompress
from numpy.typing import NDArray

from phasecast.core.frame import Frame
from phasecast.core.record import CapturePosition, Channel, Decoder, RawRecord
from phasecast.sources.simplon import SimplonDecoder
from phasecast.sources.simplon2 import Simplon2Decoder

LIMIT_MS = 0.15
"""What one frame may take over either version, as detectors send it."""
_SHAPE = (195, 487)
_BLOCK = 8192
_ROUNDS = 40
_FRAMES_A_ROUND = 25


def bench_decode() -> dict[str, Any]:
    """Time the decoding of one frame, ms of processor time: the fastest and the middle of 40 rounds of 25 frames.

    All wires take turns in each round, beside them the bare decompression of the same image by dectris-compression, so
    that a busy machine slows all alike.
    """
    image = np.random.default_rng(1).poisson(2.1, _SHAPE).astype("<u4")
    image[::40, ::40] = 2**32 - 1
    wires = _wires(image)
    took_ms: dict[str, list[float]] = {name: [] for name in (*wires, "decompress alone")}
    chunk = _bslz4(image)
    for _ in range(_ROUNDS):
        for name, (decoder, record) in wires.items():
            began_s = time.thread_time()
            for _ in range(_FRAMES_A_ROUND):
                (frame,) = decoder.decode(record)
            took_ms[name].append((time.thread_time() - began_s) / _FRAMES_A_ROUND * 1e3)
            assert np.array_equal(cast(Frame, frame).image, image)
        began_s = time.thread_time()
        for _ in range(_FRAMES_A_ROUND):
            decompress(chunk, "bslz4", elem_size=image.itemsize)
        took_ms["decompress alone"].append((time.thread_time() - began_s) / _FRAMES_A_ROUND * 1e3)
    bare_ms = float(np.median(took_ms["decompress alone"]))
    return {
        "limit_ms": LIMIT_MS,
        "frame_bytes": image.nbytes,
        "compressed_bytes": len(chunk),
        "load": round(os.getloadavg()[0], 1),
        "wires": {
            name: {
                "best_ms": round(min(times), 4),
                "median_ms": round(float(np.median(times)), 4),
                "to_decompress_alone": round(float(np.median(times)) / bare_ms, 2),
            }
            for name, times in took_ms.items()
        },
    }


def format_report(report: Mapping[str, Any]) -> str:
    """Return the report as lines for a terminal."""
    lines = [
        f"one frame of a PILATUS 100k, {report['compressed_bytes']} of {report['frame_bytes']} bytes; "
        f"load {report['load']}; at most {report['limit_ms']} ms wanted"
    ]
    lines += [
        f"{name:28} best {said['best_ms']:.3f} ms, median {said['median_ms']:.3f} ms, "
        f"{said['to_decompress_alone']:.2f} of the bare decompression"
        for name, said in report["wires"].items()
    ]
    return "\n".join(lines)


def _wires(image: NDArray[np.uint32]) -> dict[str, tuple[Decoder, RawRecord]]:
    plain, packed = image.tobytes(), bytes(lz4.block.compress(image.tobytes(), store_size=False))
    second = _bslz4((image // 2).astype("<u4"))
    return {
        "V1 bs32-lz4<": (SimplonDecoder(), _v1(image, "bs32-lz4<", _bslz4(image))),
        "V1 lz4<": (SimplonDecoder(), _v1(image, "lz4<", packed)),
        "V1 <": (SimplonDecoder(), _v1(image, "<", plain)),
        "V2 bslz4": (Simplon2Decoder(), _v2(image, {"threshold_1": _bslz4(image)})),
        "V2 bslz4, 1 of 2 thresholds": (
            Simplon2Decoder(image_channel="threshold_1"),
            _v2(image, {"threshold_1": _bslz4(image), "threshold_2": second}),
        ),
    }


def _v1(image: NDArray[np.uint32], encoding: str, blob: bytes) -> RawRecord:
    described = {"shape": list(image.shape[::-1]), "type": "uint32", "encoding": encoding, "size": len(blob)}
    times = {"htype": "dconfig-1.0", "start_time": 10**12, "stop_time": 10**12 + 10**8, "real_time": 10**8}
    parts = [
        _json({"htype": "dimage-1.0", "series": 14, "frame": 2, "hash": "385db6946033c3d5d79ef6fe6fb01b69"}),
        _json({"htype": "dimage_d-1.0", **described}),
        blob,
        _json(times),
    ]
    return _record("simplon", parts)


def _v2(image: NDArray[np.uint32], chunks: Mapping[str, bytes]) -> RawRecord:
    def tagged(chunk: bytes) -> cbor2.CBORTag:
        compressed = cbor2.CBORTag(56500, ["bslz4", image.itemsize, chunk])
        return cbor2.CBORTag(40, [list(image.shape), cbor2.CBORTag(70, compressed)])

    message = {
        "type": "image",
        "series_id": 14,
        "series_unique_id": "01HKPXWTGDXGDNYZ9F6TPKGS3W",
        "image_id": 2,
        "real_time": [5_000_000, 50_000_000],
        "series_date": cbor2.CBORTag(0, "2026-01-01T00:00:00.000000+01:00"),
        "start_time": [10_000_000, 50_000_000],
        "stop_time": [15_000_000, 50_000_000],
        "data": {name: tagged(chunk) for name, chunk in chunks.items()},
    }
    return _record("simplon2", [bytes(cbor2.dumps(cbor2.CBORTag(55799, message)))])


def _record(channel: str, parts: list[bytes]) -> RawRecord:
    position = CapturePosition(segment="a", offset=0)
    return RawRecord(position=position, received_s=0.0, channel=Channel(channel), parts=tuple(parts))


def _bslz4(image: NDArray[np.uint32]) -> bytes:
    """Return what the HDF5 bitshuffle filter makes of an image: bits of equal weight side by side, then LZ4."""
    samples = image.reshape(-1)
    per_block = _BLOCK // samples.itemsize
    whole = samples.size - samples.size % 8
    chunk = [struct.pack(">QI", samples.nbytes, _BLOCK)]
    for at in range(0, whole, per_block):
        block = samples[at : min(at + per_block, whole)]
        bits = np.unpackbits(block.view(np.uint8).reshape(block.size, -1), axis=1, bitorder="little")
        packed = lz4.block.compress(np.packbits(bits.T, axis=1, bitorder="little").tobytes(), store_size=False)
        chunk += [struct.pack(">I", len(packed)), packed]
    return b"".join([*chunk, samples[whole:].tobytes()])


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content).encode()
