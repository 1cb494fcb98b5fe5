"""Messages that nobody should send: malformed, or well-formed and insane. One corpus for decoders and services.

Each message must become defects (or nothing) and leave the next good message unharmed.
"""

import json
import os
import pickle  # noqa: TID251 - to make the messages that must not be believed
import struct
from typing import Any

import cbor2
import msgpack
import numpy as np

from support.simplon_wire import bslz4, end_parts, header_parts, image_parts, to_json

IMAGE = np.arange(195 * 487, dtype="u4").reshape(195, 487) % 1000

EXPLOITED = "PHASECAST_EXPLOITED"
"""Environment variable that the exploits set in the process that falls for them."""


class _Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"import os; os.environ[{EXPLOITED!r}] = '1'",)


def exploited() -> bool:
    return EXPLOITED in os.environ


def _image(**changes: Any) -> list[bytes]:
    return image_parts(7, 3, IMAGE, **changes)


def _part(index: int, content: bytes) -> list[bytes]:
    parts = _image()
    parts[index] = content
    return parts


def simplon_frames() -> dict[str, list[bytes]]:
    """Image messages of frame 7/3 whose image cannot be used; the frame itself can be named."""
    blob = bslz4(IMAGE)
    whole = IMAGE.nbytes
    return {
        "bslz4 cut": _image(blob=blob[: len(blob) // 2]),
        "bslz4 cut in its head": _image(blob=blob[:7]),
        "bslz4 head claims less": _image(blob=struct.pack(">Q", whole - 4) + blob[8:]),
        "bslz4 head claims 4 EiB": _image(blob=struct.pack(">Q", 1 << 62) + blob[8:]),
        "bslz4 with insane blocks": _image(blob=blob[:8] + struct.pack(">I", 0xFFFFFFFF) + blob[12:]),
        "bslz4 of noise": _image(blob=blob[:12] + b"\xff" * 4000),
        "bits that contradict the type": _image(encoding="bs16-lz4<", blob=blob),
        "size contradicts the blob": _image(size=17),
        "lz4 too short": _image(encoding="lz4<", shape=[488, 195]),
        "lz4 of noise": _image(encoding="lz4<", blob=b"\xf0" * 50),
        "raw too short": _image(encoding="<", blob=b"\x00" * 100),
        "raw too long": _image(encoding="<", blob=b"\x00" * (whole + 4)),
        "shape larger than memory": _image(shape=[2**31, 2**31]),
        "shape of nothing": _image(shape=[0, 195]),
        "shape negative": _image(shape=[-487, -195]),
        "shape of one number": _image(shape=[94965]),
        "shape of words": _image(shape=["wide", "high"]),
        "shape four deep": _image(shape=[1, 1, 487, 195]),
        "shape missing": _image(shape=None),
        "type of objects": _image(type="object"),
        "type float": _image(type="float32"),
        "type missing": _image(type=None),
        "encoding unknown": _image(encoding="bs32-zstd<", blob=blob),
        "encoding without compression": _image(encoding="bs32<", blob=blob),
        "encoding without byte order": _image(encoding="lz4", blob=blob),
        "second part no JSON": _part(1, b"\xff\xfe\x00"),
        "second part a list": _part(1, b"[]"),
        "second part too deep": _part(1, b"[" * 100_000),
        "blob missing": _image()[:2],
        "head alone": _image()[:1],
    }


def simplon_messages() -> dict[str, list[bytes]]:
    """Messages that name no frame."""
    return {
        "empty part": [b""],
        "no JSON": [b"\x00\x01\x02"],
        "not UTF-8": [b'{"htype": "\xff\xfe"}'],
        "JSON list": [b"[1, 2]"],
        "JSON number": [b"1e999"],
        "too deep": [b'{"htype":' + b"[" * 100_000],
        "too large": [b'{"htype":"' + b"x" * (2 << 20) + b'"}'],
        "no htype": [to_json({"series": 1})],
        "unknown htype": [to_json({"htype": "dimage-9.9", "series": 1})],
        "htype a list": [to_json({"htype": ["dimage-1.0"], "series": 1})],
        "image without series": [to_json({"htype": "dimage-1.0", "frame": 1}), *_image()[1:]],
        "image without frame": [to_json({"htype": "dimage-1.0", "series": 1}), *_image()[1:]],
        "image of frame -1": [to_json({"htype": "dimage-1.0", "series": 1, "frame": -1}), *_image()[1:]],
        "image of frame 2^70": [to_json({"htype": "dimage-1.0", "series": 1, "frame": 2**70}), *_image()[1:]],
        "integer of 5000 digits": [b'{"htype":"dimage-1.0","series":1,"frame":' + b"9" * 5000 + b"}"],
        "header without series": [to_json({"htype": "dheader-1.0", "header_detail": "none"})],
        "header of unknown detail": [to_json({"htype": "dheader-1.0", "series": 1, "header_detail": "most"})],
        "end without series": [to_json({"htype": "dseries_end-1.0"})],
        "eleven parts": [*_image(), *[b""] * 7],
        "CBOR of stream V2": [b"\xd9\xd9\xf7" + cbor2.dumps({"type": "image", "image_id": 1})],
        "pickle": [pickle.dumps({"htype": "dimage-1.0"})],
    }


def _doc(name: str, body: bytes, prefix: str = "bl16xu") -> list[bytes]:
    return [prefix.encode() + b" " + name.encode() + b" " + body]


def _bomb(levels: int) -> bytes:
    """Pickle a list that holds its predecessor twice, again and again: small here, 2^levels when walked."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value, value]
    return pickle.dumps({"uid": value})


def _object_array() -> bytes:
    payload = {b"nd": True, b"type": b"O", b"kind": b"O", b"shape": (1,), b"data": pickle.dumps(_Exploit())}
    return bytes(msgpack.packb({"uid": payload}))


def document_messages() -> dict[str, list[bytes]]:
    """Messages on the bluesky wire that are no usable document."""
    nested: dict[str, Any] = {}
    for _ in range(200):
        nested = {"a": nested}
    looped: dict[str, Any] = {"uid": "loop"}
    looped["self"] = looped
    start = {"uid": "u", "time": 0.0}
    return {
        "empty": [b""],
        "no blanks": [b"start"],
        "no body": [b"bl16xu start "],
        "two parts": [b"bl16xu start", b"{}"],
        "unknown name": _doc("ambush", json.dumps(start).encode()),
        "name not ASCII": [b"bl16xu \xff\xfe {}"],
        "pickle exploit": _doc("start", pickle.dumps(_Exploit())),
        "pickle exploit inside": _doc("start", pickle.dumps({"uid": _Exploit()})),
        "pickle exploit, protocol 0": _doc("start", pickle.dumps({"uid": _Exploit()}, 0)),
        "pickle of builtins": _doc("start", b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93."),
        "pickle that sets state on a name": _doc("start", b"\x80\x02cnumpy\ndtype\n}X\x01\x00\x00\x00aK\x01sb."),
        "pickle memo of 32 GiB": _doc("start", b"\x80\x02}r\xff\xff\xff\x7f."),
        "pickle bytes of 4 EiB": _doc("start", b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"."),
        "pickle bytearray of 64 GiB": _doc("start", b"\x80\x05\x96" + struct.pack("<Q", 1 << 36) + b"."),
        "pickle of objects in an array": _doc("start", pickle.dumps({"uid": np.array([{}, 1], dtype=object)})),
        "pickle of persistent id": _doc("start", b"\x80\x02X\x01\x00\x00\x00aQ."),
        "pickle bomb": _doc("start", _bomb(60)),
        "pickle loop": _doc("start", pickle.dumps(looped)),
        "pickle cut": _doc("start", pickle.dumps(start)[:-5]),
        "pickle of a list": _doc("start", pickle.dumps([start])),
        "pickle of numpy records": _doc("start", pickle.dumps({"uid": np.zeros(1, [("a", "i4")])})),
        "msgpack object array": _doc("start", _object_array()),
        "msgpack extension": _doc("start", bytes(msgpack.packb({"uid": msgpack.ExtType(5, b"x")}))),
        "msgpack cut": _doc("start", bytes(msgpack.packb(start))[:-3]),
        "msgpack map of 2^32": _doc("start", b"\xdf\xff\xff\xff\xff"),
        "msgpack deep": _doc("start", b"\x81\xa1a" * 100_000),
        "msgpack array longer than its data": _doc(
            "start",
            bytes(
                msgpack.packb({"uid": {b"nd": True, b"type": b"<f8", b"kind": b"", b"shape": (10**9,), b"data": b""}})
            ),
        ),
        "JSON deep": _doc("start", b'{"a":' + b"[" * 100_000),
        "JSON nested": _doc("start", json.dumps(nested).encode()),
        "JSON list": _doc("start", b"[]"),
        "JSON not UTF-8": _doc("start", b'{"uid": "\xff"}'),
        "CBOR": _doc("start", cbor2.dumps(start)),
        "too large": _doc("start", b'{"uid": "' + b"x" * (17 << 20) + b'"}'),
        "start without uid": _doc("start", b'{"time": 0}'),
        "start with a number for uid": _doc("start", b'{"uid": 7}'),
        "descriptor of nothing": _doc("descriptor", b"{}"),
        "descriptor of an unknown run": _doc("descriptor", b'{"uid": "d", "run_start": "nobody"}'),
        "event of nothing": _doc("event", b"{}"),
        "event of an unknown descriptor": _doc("event", b'{"descriptor": "nobody", "seq_num": 1, "data": {}}'),
        "event page without columns": _doc("event_page", b'{"descriptor": "desc-1", "data": []}'),
        "event page of unequal columns": _doc(
            "event_page", b'{"descriptor": "d", "seq_num": [1, 2], "time": [0, 1], "data": {"x": [1]}}'
        ),
        "datum without resource": _doc("datum", b'{"datum_id": "a"}'),
        "datum page of unequal columns": _doc(
            "datum_page", b'{"resource": "r", "datum_id": ["a", "b"], "datum_kwargs": {"p": [1]}}'
        ),
        "stop of an unknown run": _doc("stop", b'{"run_start": "nobody"}'),
        "stop of nothing": _doc("stop", b"{}"),
    }


def file_records() -> dict[str, list[bytes]]:
    """Records on the channel of a watched folder that name no readable file."""
    note = {"path": "/nowhere/a_001.cbf", "name": "a_001.cbf", "size": 1, "mtime_s": 0.0, "sha256": "", "problem": ""}
    return {
        "empty": [b""],
        "no CBOR": [b"\xff"],
        "CBOR cut": [cbor2.dumps(note)[:-4]],
        "CBOR deep": [b"\x81" * 5000],
        "CBOR text of 2^63 bytes": [b"\x7b" + struct.pack(">Q", 1 << 63)],
        "CBOR list": [cbor2.dumps([1, 2])],
        "path missing": [cbor2.dumps({key: value for key, value in note.items() if key != "path"})],
        "path a number": [cbor2.dumps(note | {"path": 7})],
        "path with a zero byte": [cbor2.dumps(note | {"path": "/a\x00b.cbf"})],
        "size negative": [cbor2.dumps(note | {"size": -1})],
        "file gone": [cbor2.dumps(note)],
        "name that climbs": [cbor2.dumps(note | {"name": "../../etc/a_001.cbf"})],
        "a folder": [cbor2.dumps(note | {"path": "/"})],
        "two parts": [cbor2.dumps(note), b""],
    }


def good_simplon_series() -> list[list[bytes]]:
    """A series of one good frame, 8/0."""
    return [header_parts(8), image_parts(8, 0, IMAGE), end_parts(8)]
