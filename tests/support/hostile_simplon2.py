"""SIMPLON V2 messages that nobody should send: malformed, or well-formed and insane."""

import pickle  # noqa: TID251 - to make a message that must not be believed
import struct
from typing import Any

import cbor2
import numpy as np

from support.simplon2_wire import UNIQUE_ID, end2, image2, image_tag, message, start2
from support.simplon_wire import bslz4, header_parts, image_parts

IMAGE = np.arange(195 * 487, dtype="u4").reshape(195, 487) % 1000
_BLOB = bslz4(IMAGE)
_WHOLE = IMAGE.nbytes


def _with(**changes: Any) -> list[bytes]:
    return image2(7, 3, {"threshold_1": image_tag(IMAGE, **changes)})


def _data(data: Any) -> list[bytes]:
    return image2(7, 3, {}, data=data)


def simplon2_frames() -> list[tuple[str, list[bytes]]]:
    """Image messages of frame 3 of series 7 whose image cannot be used; the frame itself can be named."""
    values = cbor2.CBORTag(70, IMAGE.tobytes())
    return [
        ("bslz4 cut", _with(content=_BLOB[: len(_BLOB) // 2])),
        ("bslz4 cut in its head", _with(content=_BLOB[:7])),
        ("bslz4 head claims less", _with(content=struct.pack(">Q", _WHOLE - 4) + _BLOB[8:])),
        ("bslz4 head claims 4 EiB", _with(content=struct.pack(">Q", 1 << 62) + _BLOB[8:])),
        ("bslz4 with insane blocks", _with(content=_BLOB[:8] + struct.pack(">I", 0xFFFFFFFF) + _BLOB[12:])),
        ("lz4 of noise", _with(compression="lz4", content=_BLOB[:12] + b"\xff" * 4000)),
        (
            "lz4 with insane blocks",
            _with(compression="lz4", content=struct.pack(">QI", _WHOLE, 0xFFFFFFFF) + b"\0" * 9),
        ),
        ("lz4 head claims 4 EiB", _with(compression="lz4", content=struct.pack(">QI", 1 << 62, 8192) + b"\0" * 99)),
        ("unknown compression", _with(compression="zstd", content=_BLOB)),
        (
            "elements of another size",
            _data({"a": cbor2.CBORTag(40, [[195, 487], cbor2.CBORTag(70, cbor2.CBORTag(56500, ["bslz4", 2, _BLOB]))])}),
        ),
        (
            "compression a number",
            _data({"a": cbor2.CBORTag(40, [[195, 487], cbor2.CBORTag(70, cbor2.CBORTag(56500, [1, 4, _BLOB]))])}),
        ),
        (
            "compressed text",
            _data({"a": cbor2.CBORTag(40, [[195, 487], cbor2.CBORTag(70, cbor2.CBORTag(56500, ["lz4", 4, "abc"]))])}),
        ),
        ("raw too short", _with(compression="", content=b"\0" * 100)),
        ("raw too long", _with(compression="", content=b"\0" * (_WHOLE + 4))),
        ("shape larger than memory", _with(shape=[2**31 - 1, 2**31 - 1])),
        ("shape of nothing", _with(shape=[0, 487])),
        ("shape negative", _with(shape=[-195, -487])),
        ("shape of one number", _with(shape=[94965])),
        ("shape of three", _with(shape=[1, 195, 487])),
        ("shape of words", _with(shape=["high", "wide"])),
        ("shape of fractions", _with(shape=[195.0, 487.0])),
        ("shape missing", _with(shape=cbor2.undefined)),
        ("16-byte floats", _with(tag=83)),
        ("type reserved", _with(tag=76)),
        ("pixels without type", _data({"a": cbor2.CBORTag(40, [[195, 487], IMAGE.tobytes()])})),
        ("pixels a list", _data({"a": cbor2.CBORTag(40, [[1, 2], [1, 2]])})),
        ("array without shape", _data({"a": values})),
        ("image a number", _data({"a": 7})),
        ("image null", _data({"a": None})),
        ("no image", _data({})),
        ("data a list", _data([values])),
        ("data missing", image2(7, 3, {}, data=None)),
        ("thresholds not chosen between", image2(7, 3, {"threshold_1": IMAGE, "threshold_2": IMAGE})),
    ]


def simplon2_messages() -> list[tuple[str, list[bytes]]]:
    """Messages that name no frame."""
    described = b"\xd9\xd9\xf7"
    head = {"type": "image", "series_id": 7, "series_unique_id": UNIQUE_ID, "image_id": 3}
    return [
        ("empty", [b""]),
        ("the mark alone", [described]),
        ("noise", [b"\xa3" + bytes(range(256))]),
        ("text", [b"hello"]),
        ("a list", [described + cbor2.dumps([1, 2])]),
        ("a number", [described + b"\x07"]),
        ("keys that are no names", [described + cbor2.dumps({1: 2})]),
        ("cut", [image2(7, 3, {"threshold_1": IMAGE})[0][:-50]]),
        ("map of 2^62 entries", [described + b"\xbb" + struct.pack(">Q", 1 << 62)]),
        ("bytes of 2^62", [described + b"\xa1\x64type\x5b" + struct.pack(">Q", 1 << 62)]),
        ("array of 2^62", [described + b"\xa1\x64type\x9b" + struct.pack(">Q", 1 << 62)]),
        ("deep", [described + b"\xa1\x64type" + b"\x81" * 90_000 + b"\0"]),
        ("deep tags", [described + b"\xa1\x64type" + b"\xd8\x28" * 20_000 + b"\0"]),
        (
            "a million empty lists",
            [described + b"\xa1\x64type\x9a" + struct.pack(">I", 1_000_000) + b"\x80" * 1_000_000],
        ),
        ("regular expression", [described + b"\xa1\x64type" + cbor2.dumps(cbor2.CBORTag(35, "(a+)+$"))]),
        ("cycle", [described + b"\xa1\x64type\xd8\x1c\x81\xd8\x1d\x00"]),
        ("decimal of 10^18 digits", [described + b"\xa1\x64type\xc5\x82\x1b" + struct.pack(">Q", 10**18) + b"\x01"]),
        ("broken tag 40", message({**head, "data": {"a": cbor2.CBORTag(40, 7)}})),
        ("broken tag 56500", message({**head, "data": {"a": cbor2.CBORTag(56500, ["bslz4"])}})),
        ("shape beyond integers", _with(shape=[2**70, 2**70])),
        ("no date", message({**head, "series_date": cbor2.CBORTag(0, "yesterday")})),
        ("no type", message({"series_id": 7})),
        ("unknown type", message({**head, "type": "movie"})),
        ("type a list", message({**head, "type": ["image"]})),
        ("image without series", message({"type": "image", "image_id": 3})),
        ("image without number", message({"type": "image", "series_id": 7})),
        ("image -1", message({**head, "image_id": -1})),
        ("image 2^70", message({**head, "image_id": 2**70})),
        ("image half", message({**head, "image_id": 0.5})),
        ("unique id of a megabyte", message({**head, "series_unique_id": "x" * 1_000_000})),
        ("start without series", message({"type": "start"})),
        ("end without series", message({"type": "end"})),
        ("two parts", [*image2(7, 3, {"threshold_1": IMAGE}), b""]),
        ("header of stream V1", header_parts(7)),
        ("image of stream V1", image_parts(7, 3, IMAGE)),
        ("pickle", [pickle.dumps({"type": "image"})]),
    ]


def good_simplon2_series() -> list[list[bytes]]:
    """A series of one good frame, number 0 of series 8."""
    return [start2(8), image2(8, 0, {"threshold_1": IMAGE}), end2(8)]
