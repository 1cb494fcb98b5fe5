"""Messages of PSI's and MAX IV's streams that nobody should send: malformed, or well-formed and insane."""

import json
import struct

from support.simplon_wire import bslz4
from support.stream_wires import array, cbf, counts, pilatus, stins_header, stins_image

IMAGE = counts()
_CBF = cbf(IMAGE)
_BLOB = bslz4(IMAGE)
_DEEP = b'{"htype":' + b"[" * 100_000


def psi_frames() -> list[tuple[str, list[bytes]]]:
    """Messages that name a frame, whose image cannot be used."""
    return [
        ("cbf cut in its header", pilatus("t_00001.cbf", _CBF[:300])),
        ("cbf cut in its binary header", pilatus("t_00001.cbf", _CBF[: _CBF.index(b"X-Binary-Size:") + 20])),
        ("cbf cut in its pixels", pilatus("t_00001.cbf", _CBF[:-5000])),
        ("cbf of nothing", pilatus("t_00001.cbf", b"")),
        ("cbf of other shape", pilatus("t_00001.cbf", _CBF.replace(b"-Dimension: 487", b"-Dimension: 999999999"))),
        ("no frame format", pilatus("../../etc/passwd", _CBF)),
        ("a name with zeros", pilatus("a\0b_1.cbf", b"x" * 100)),
        ("a folder outside", pilatus("t_1.cbf", b"x" * 100, path="../../..")),
        ("array compressed", array(IMAGE, 1, encoding="lz4", blob=_BLOB)),
        ("array too short", array(IMAGE, 1, blob=b"\0" * 100)),
        ("array too long", array(IMAGE, 1, blob=IMAGE.tobytes() + b"\0")),
        ("array larger than memory", array(IMAGE, 1, shape=[2**31, 2**31])),
        ("array of nothing", array(IMAGE, 1, shape=[0, 487])),
        ("array in colour", array(IMAGE, 1, shape=[3, 195, 487])),
        ("array of floats", array(IMAGE, 1, type="float64")),
        ("array of objects", array(IMAGE, 1, type="O")),
    ]


def psi_messages() -> list[tuple[str, list[bytes]]]:
    """Messages that name no frame."""
    return [
        ("one part", array(IMAGE, 1)[:1]),
        ("three parts", [*array(IMAGE, 1), b""]),
        ("no JSON", [b"hello", b""]),
        ("empty", [b"", b""]),
        ("deep JSON", [_DEEP, b""]),
        ("a megabyte and more", [b" " * (1 << 20) + b"{}", b""]),
        ("a JSON list", [b"[1]", b""]),
        ("unknown htype", [b'{"htype":"bsr_m-1.1"}', b""]),
        ("htype a number", [b'{"htype":7}', b""]),
        ("two htypes", [b'{"htype":["array-1.0","x"]}', b""]),
        ("frame negative", array(IMAGE, -1)),
        ("frame 2^70", array(IMAGE, 2**70)),
        ("frame a word", _array_with(frame="x")),
        ("shape negative", array(IMAGE, 1, shape=[-195, 487])),
        ("shape missing", array(IMAGE, 1, shape=None)),
        ("shape of four", array(IMAGE, 1, shape=[1, 1, 195, 487])),
        ("no file name", pilatus("", _CBF)),
        ("file name a megabyte", pilatus("x" * 900_000, _CBF)),
    ]


def _array_with(**fields: object) -> list[bytes]:
    head, blob = array(IMAGE, 1)
    return [json.dumps(json.loads(head) | fields).encode(), blob]


def stins_frames() -> list[tuple[str, list[bytes]]]:
    """Messages of frame 3, whose image cannot be used."""
    return [
        ("bslz4 cut", stins_image(14, 3, IMAGE, compression="bslz4", blob=_BLOB[:5000])),
        ("headless cut", stins_image(14, 3, IMAGE, compression="bslz4", blob=_BLOB[12:5000])),
        ("noise", stins_image(14, 3, IMAGE, compression="bslz4", blob=b"\xff" * 4000)),
        ("no blob", stins_image(14, 3, IMAGE, compression="bslz4", blob=b"")),
        (
            "head claims 4 EiB",
            stins_image(14, 3, IMAGE, compression="bslz4", blob=struct.pack(">Q", 1 << 62) + _BLOB[8:]),
        ),
        ("insane blocks", stins_image(14, 3, IMAGE, compression="bslz4", blob=_BLOB[:8] + b"\xff" * 4 + _BLOB[12:])),
        ("larger than memory", stins_image(14, 3, IMAGE, shape=[2**52, 2**52], compression="bslz4", blob=_BLOB)),
        ("of nothing", stins_image(14, 3, IMAGE, shape=[0, 0])),
        ("shape negative", stins_image(14, 3, IMAGE, shape=[-1, 5])),
        ("shape missing", stins_image(14, 3, IMAGE, shape=None)),
        ("too short", stins_image(14, 3, IMAGE, blob=b"\0" * 8)),
        ("of doubles", stins_image(14, 3, IMAGE, type="float64")),
        ("of doubles, packed", stins_image(14, 3, IMAGE, type="float64", compression="bslz4", blob=_BLOB)),
        ("unknown compression", stins_image(14, 3, IMAGE, compression="zstd", blob=_BLOB)),
        ("no second part", stins_image(14, 3, IMAGE)[:1]),
    ]


def stins_messages() -> list[tuple[str, list[bytes]]]:
    """Messages that name no frame."""
    return [
        ("no JSON", [b"hello"]),
        ("empty", [b""]),
        ("deep JSON", [_DEEP]),
        ("unknown htype", [b'{"htype":"dimage-1.0","msg_number":5}']),
        ("no number", [b'{"htype":"series_end"}']),
        ("number negative", [b'{"htype":"series_end","msg_number":-5}']),
        ("number 2^70", [b'{"htype":"series_end","msg_number":1180591620717411303424}']),
        ("frame missing", [b'{"htype":"image","msg_number":5}', b""]),
        ("frame a truth value", [b'{"htype":"image","msg_number":5,"frame":true}', b""]),
        ("frame 2^70", [b'{"htype":"image","msg_number":5,"frame":1180591620717411303424}', b""]),
        ("eleven parts", [*stins_header(5), *[b""] * 10]),
    ]
