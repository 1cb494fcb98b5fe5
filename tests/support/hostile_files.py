"""Files that a watched folder must survive, malformed and insane ones, and records of frames in files of many."""

import gzip
import hashlib
import io
import struct
import zlib

import cbor2
import h5py
import numpy as np

from support.frame_files import cbf_bytes, edf_bytes, small_image

_SMALL = (20, 30)


def hostile_files() -> dict[str, bytes]:
    """Name to content; none holds a frame."""
    cbf = cbf_bytes(small_image(0, _SMALL), "Exposure_time 0.1 s")
    edf = edf_bytes(small_image(0, _SMALL))
    head = cbf[: cbf.index(b"\x0c\x1a\x04\xd5")]
    tags = struct.pack("<HHIIHHIIHHIII", 256, 4, 1, 10**9, 257, 4, 1, 10**9, 273, 4, 1, 8, 0)
    return {
        "empty_001.cbf": b"",
        "endless_header_001.cbf": head[:-40],
        "huge_001.cbf": cbf.replace(b"Fastest-Dimension: 30", b"Fastest-Dimension: 999999999"),
        "negative_001.cbf": cbf.replace(b"Fastest-Dimension: 30", b"Fastest-Dimension: -30"),
        "checksum_001.cbf": cbf[:-200] + bytes(200),
        "no_header_001.cbf": bytes(2 << 20),
        "bomb_001.cbf.gz": _bomb(),
        "cut_001.cbf.gz": gzip.compress(cbf)[:-30],
        "noise_001.cbf.gz": b"\x1f\x8b" + bytes(range(256)),
        "loop_001.tif": b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 3) + tags[:36] + struct.pack("<I", 8),
        "far_001.tif": b"II*\0" + struct.pack("<I", 0xFFFFFFF0),
        "gif_001.tif": b"GIF89a" * 100,
        "huge_001.edf": edf.replace(b"Dim_1 = 30", b"Dim_1 = 999999999"),
        "open_001.edf": b"{" + b"x" * (2 << 20),
        "noise_001.h5": b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 4,
        "old_001.h5": b"\x89HDF\r\n\x1a\n" + b"\xff" * 500,
        "floats_001.h5": _hdf5(np.zeros((2, *_SMALL))),
        "link_001.h5": _hdf5(h5py.ExternalLink("/etc/passwd", "/x")),
    }


def frame_records() -> dict[str, list[bytes]]:
    """Records of frames in files of many that must become defects."""
    lies = {"index": 0, "rows": 20, "cols": 30, "dtype": "<i4", "encoding": ""}
    note = {"path": "/a.h5", "name": "a.h5", "size": 1, "mtime_s": 0.0, "sha256": "", "problem": "", "frame": lies}
    sha = _sha256
    plain = bytes(2400)
    bslz4 = struct.pack(">QI", 2400, 8192) + b"\xff" * 100
    claims = struct.pack(">QI", 1 << 60, 8192) + b"\xff" * 100

    def with_frame(content: bytes, **changes: object) -> list[bytes]:
        return [cbor2.dumps(note | {"sha256": sha(content), "frame": lies | changes}), content]

    return {
        "pixels missing": [cbor2.dumps(note)],
        "other pixels": [cbor2.dumps(note), plain],
        "too few pixels": with_frame(plain[:-1]),
        "10^18 pixels": with_frame(plain, rows=10**9, cols=10**9),
        "negative shape": with_frame(plain, rows=-1),
        "no rows": with_frame(plain, rows=0),
        "objects": with_frame(plain, dtype="O"),
        "a type of fields": with_frame(plain, dtype="i4,i4"),
        "floats": with_frame(plain, dtype="<f4"),
        "unknown encoding": with_frame(plain, encoding="filter 9"),
        "corrupt bslz4": with_frame(bslz4, encoding="bslz4"),
        "bslz4 that lies": with_frame(claims, encoding="bslz4"),
        "lz4 that lies": with_frame(claims, encoding="lz4"),
        "zstd that lies": with_frame(claims, encoding="bszstd"),
        "bslz4 too short": with_frame(b"\0", encoding="bslz4"),
        "deflate bomb": with_frame(zlib.compress(bytes(64 << 20), 9), encoding="deflate"),
        "deflate cut": with_frame(zlib.compress(plain)[:-5], encoding="deflate"),
        "frame a list": [cbor2.dumps(note | {"frame": [1]}), plain],
        "index negative": with_frame(plain, index=-1),
        "index 2^70": with_frame(plain, index=1 << 70),
    }


def _bomb() -> bytes:
    """300 MB of zeros, packed."""
    squeeze = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    block = bytes(1 << 20)
    return b"".join(squeeze.compress(block) for _ in range(300)) + squeeze.flush()


def _hdf5(what: object) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="latest") as file:
        file["entry/data/data"] = what
    return buffer.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
