"""Safe decoding of one bluesky document from one 0MQ message.

A bluesky publisher serialises with pickle unless told otherwise, and msgpack_numpy unpickles object arrays. Neither
may run here: a pickle is replayed against stand-ins that can build plain numbers, texts, containers and numeric
arrays and nothing else; msgpack and JSON are reduced to the same values.
"""

import io
import json
import pickle  # noqa: TID251 - the one guarded exception: bluesky's default serialiser, replayed against stand-ins
import pickletools
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgpack_numpy
import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import WireError

# Not `msgpack.unpackb`: a library that calls `msgpack_numpy.patch()`, as bluesky-kafka does, puts one in its place for
# the whole process that unpickles object arrays before our hook sees them.
try:
    from msgpack._cmsgpack import unpackb
except ImportError:
    from msgpack.fallback import unpackb

CODECS = ("msgpack", "json", "pickle")
"""How a document may be serialised. On a wire, pickle is let in where it is named only."""

_REMEDY = "let the publisher send msgpack, or add codec={} to the source"
_MAX_VALUES = 500_000
"""References in a pickle can make a small message describe an exponentially large document."""
_MAX_DEPTH = 64
_PLAIN_DTYPE = re.compile(r"[<>|=]?(?:\?|[biufcSU]\d{1,6})")


def decode_document(body: bytes, codecs: Collection[str] = CODECS) -> dict[str, Any]:
    """Return the document, made of dict, list, str, bytes, numbers, None and numpy arrays of plain types.

    Parameters
    ----------
    body
        The document as it was serialised.
    codecs
        Which of `CODECS` are let in.

    Raises
    ------
    WireError
        If the bytes are no document in pickle (protocol 2 on), msgpack or JSON, name anything that is not plain, or
        are serialised in a way that is not let in.
    """
    if not body:
        raise WireError("empty document")
    try:
        codec = _codec_of(body)
        if codec not in codecs:
            raise WireError(f"document is in {codec}, which is not let in", remedy=_REMEDY.format(codec))
        value = _Plain().reduce(_DECODERS[codec](body))
    except WireError:
        raise
    # Whatever a hostile body makes a decoder raise, it is one bad message and not the end of the stream.
    except Exception as error:
        raise WireError(f"document cannot be decoded ({type(error).__name__}: {str(error)[:160]})") from error
    if not isinstance(value, dict):
        raise WireError(f"document is a {type(value).__name__}, not a mapping")
    return value


def _codec_of(body: bytes) -> str:
    first = body[0]
    if body.lstrip()[:1] == b"{":
        return "json"
    # 0x80 is also msgpack's empty map, but nothing can follow that one.
    if first == 0x80 and len(body) > 1:
        return "pickle"
    if 0x80 <= first <= 0x8F or first in (0xDE, 0xDF):
        return "msgpack"
    raise WireError(f"document begins with byte 0x{first:02x}: neither pickle, msgpack nor JSON")


def _load_msgpack(body: bytes) -> object:
    return unpackb(body, object_hook=_msgpack_hook, strict_map_key=False)


def _msgpack_hook(value: dict[Any, Any]) -> object:
    if b"nd" not in value and b"complex" not in value:
        return value
    if b"nd" in value:
        # kind "O" makes msgpack_numpy unpickle; "V" builds structured types.
        if value.get(b"kind", b"") not in (b"", ""):
            raise WireError("array of objects refused")
        _plain_dtype(value.get(b"type"))
    return msgpack_numpy.decode(value)


def _plain_dtype(name: object) -> np.dtype[Any]:
    if isinstance(name, bytes):
        name = name.decode("ascii", "replace")
    if not isinstance(name, str) or not _PLAIN_DTYPE.fullmatch(name):
        raise WireError(f"array of type {str(name)[:40]!r} refused")
    return np.dtype(name)


class _Dtype:
    """Stand-in of numpy.dtype: remembers a plain type and its byte order."""

    __slots__ = ("_byteorder", "_name")

    def __init__(self, name: object, *_flags: object) -> None:
        self._name = name
        self._byteorder = ""

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), ("<" | ">" | "|" | "=") as byteorder, *_):
                self._byteorder = byteorder
            case _:
                raise WireError("numpy type in an unknown form")

    def resolve(self) -> np.dtype[Any]:
        name = self._name if isinstance(self._name, str) else ""
        return _plain_dtype(self._byteorder.strip("=") + name.lstrip("<>|="))


class _Array:
    """Stand-in of numpy.ndarray as its pickle builds it: empty first, its state afterwards."""

    __slots__ = ("_value",)

    def __init__(self, *_arguments: object) -> None:
        self._value: NDArray[Any] | None = None

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), tuple() as shape, _Dtype() as dtype, fortran, bytes() as content):
                self._value = _make_array(content, dtype, shape, "F" if fortran else "C")
            case _:
                raise WireError("array of objects refused")

    def resolve(self) -> NDArray[Any]:
        if self._value is None:
            raise WireError("array without content")
        return self._value


def _make_array(content: object, dtype: object, shape: object, order: object = "C") -> NDArray[Any]:
    if not isinstance(dtype, _Dtype) or not isinstance(content, bytes | bytearray):
        raise WireError("array in an unknown form")
    if not isinstance(shape, tuple) or order not in ("C", "F"):
        raise WireError("array in an unknown form")
    return np.frombuffer(content, dtype.resolve()).reshape(shape, order="F" if order == "F" else "C")


def _make_scalar(dtype: object, content: object) -> object:
    if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
        raise WireError("number in an unknown form")
    return np.frombuffer(content, dtype.resolve(), count=1)[0]


def _encode(text: object, encoding: object = "") -> bytes:
    # Protocol 2 writes bytes as latin-1 text.
    if not isinstance(text, str) or encoding != "latin1":
        raise WireError("unknown text encoding")
    return text.encode("latin1")


class _StandIn:
    """What a name in a pickle becomes. An object without attributes: a pickle can set none on it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., object]) -> None:
        self._make = make

    def __call__(self, *arguments: object) -> object:
        return self._make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise WireError("pickle sets the state of a name")


_STAND_INS: Mapping[tuple[str, str], _StandIn] = {
    ("numpy", "dtype"): _StandIn(_Dtype),
    ("numpy", "ndarray"): _StandIn(_Array),
    ("collections", "OrderedDict"): _StandIn(dict),
    ("_codecs", "encode"): _StandIn(_encode),
    **{
        (f"{package}.{module}", name): _StandIn(make)
        for package in ("numpy._core", "numpy.core")
        for module, name, make in (
            ("multiarray", "scalar", _make_scalar),
            ("multiarray", "_reconstruct", _Array),
            ("numeric", "_frombuffer", _make_array),
        )
    },
}
"""Every name that the documents of a RunEngine need."""


class _DocumentUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise WireError(f"pickle names {module[:60]}.{name[:60]}: refused") from None


_OPCODES = frozenset(
    [
        *("PROTO", "FRAME", "STOP", "POP", "MARK", "NONE", "NEWTRUE", "NEWFALSE"),
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("APPEND", "APPENDS", "SETITEM", "SETITEMS", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
        *("BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET"),
    ]
)
"""What values need; classes, persistent ids and extension codes are not among it."""


def _load_pickle(body: bytes) -> object:
    for opcode, argument, _ in pickletools.genops(body):
        if opcode.name not in _OPCODES:
            raise WireError(f"pickle opcode {opcode.name} refused")
        # The unpickler's memo is allocated up to the index that it is told: 32 GiB for one message of ten bytes.
        if opcode.name == "LONG_BINPUT" and not (isinstance(argument, int) and argument < len(body)):
            raise WireError("pickle memo index refused")
    return _DocumentUnpickler(io.BytesIO(body)).load()


_DECODERS: Mapping[str, Callable[[bytes], object]] = {
    "json": json.loads,
    "msgpack": _load_msgpack,
    "pickle": _load_pickle,
}


class _Plain:
    """Reduces what a decoder built to plain values, within bounds."""

    def __init__(self) -> None:
        self._left = _MAX_VALUES

    def reduce(self, value: object, depth: int = 0) -> Any:
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise WireError("document is too large or too deep")
        if isinstance(value, str):
            # files hold neither zero characters nor halves of pairs
            text = str(value).replace("\0", "\ufffd")
            return text if text.isascii() else text.encode("utf-8", "replace").decode()
        if value is None or isinstance(value, bool | int | float | bytes):
            return value.item() if isinstance(value, np.generic) else value
        if isinstance(value, dict):
            return {self._key(key): self.reduce(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.reduce(item, depth + 1) for item in value]
        if isinstance(value, _Array):
            value = value.resolve()
        if isinstance(value, np.ndarray) and _PLAIN_DTYPE.fullmatch(value.dtype.str):
            return value
        if isinstance(value, np.generic) and _PLAIN_DTYPE.fullmatch(value.dtype.str):
            return value.item()
        raise WireError(f"document holds a {type(value).__name__}: refused")

    def _key(self, key: object) -> str:
        if isinstance(key, str):
            return str(self.reduce(key))
        if isinstance(key, int | float):
            return str(key)
        raise WireError(f"document has a key of type {type(key).__name__}")
