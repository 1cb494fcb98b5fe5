"""CBF files of a PILATUS in memory: whether they are complete, and what they hold.

fabio loops for ever on a file that ends inside its binary header, so nothing is given to it before that is known. What
camserver writes is read here, with fabio's decoder of the pixels: fabio's own reader parses every header as CIF and
takes the MD5 once more, which is half its time.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from fabio.cbfimage import CbfImage
from fabio.ext.byte_offset import dec_cbf32
from numpy.typing import NDArray

from phasecast.core.errors import FrameError, IncompleteFileError

_MARKER = b"--CIF-BINARY-FORMAT-SECTION--"
_STARTER = b"\x0c\x1a\x04\xd5"
_FIELD = re.compile(rb"^(X-Binary-[A-Za-z-]+|Content-MD5):\s*(\S+)", re.MULTILINE)
_MAX_HEADER_BYTES = 1 << 20
_USUAL_PIXELS = re.compile(rb'X-Binary-Element-Type:\s*"signed 32-bit integer"')
_USUAL_ORDER = b"LITTLE_ENDIAN"
_USUAL_CODE = re.compile(rb'conversions="x-CBF_BYTE_OFFSET"', re.IGNORECASE)
_CONTENTS = re.compile(rb"^_array_data\.header_contents[ \t]*\r?\n;[ \t]*\r?\n(.*?)\r?\n;", re.DOTALL | re.MULTILINE)
_PAD = 8
"""fabio's decoder looks up to six bytes beyond the end of a stream that ends inside a long step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    marker: int
    start: int
    size: int
    shape: tuple[int, int]
    order: bytes


def require_cbf(name: str, content: bytes) -> None:
    """Return if a whole frame is in a file.

    Parameters
    ----------
    name
        Of the file.
    content
        Its bytes.

    Raises
    ------
    IncompleteFileError
        If bytes are missing or the checksum in the file differs.
    FrameError
        If it is no such file.
    """
    _section(name, content, take_md5=True)


def read_cbf(name: str, content: bytes) -> tuple[NDArray[np.integer], str]:
    """Return counts, shape (rows, cols), and the text of the header of a file that `require_cbf` let pass.

    Raises
    ------
    FrameError
        If its pixels are not what its header says; fabio raises others on forms that camserver does not write.
    """
    section = _section(name, content, take_md5=False)
    text = _CONTENTS.search(content, 0, section.marker)
    head = content[section.marker : section.start]
    usual = _USUAL_PIXELS.search(head) and _USUAL_CODE.search(head) and section.order == _USUAL_ORDER
    if text is None or not usual:
        cbf = CbfImage().read(BytesIO(content))
        return cbf.data, str(cbf.header.get("_array_data.header_contents", ""))
    rows, cols = section.shape
    pixels = content[section.start : section.start + section.size]
    counts = dec_cbf32(pixels + bytes(_PAD), rows * cols + _PAD)
    if len(counts) != rows * cols + _PAD:
        raise FrameError(f"the pixels end before {cols}x{rows} of them are there", where=name)
    return counts[: rows * cols].reshape(rows, cols), text[1].decode("latin-1")


def natural(text: bytes) -> int:
    """Return a number of at most 15 digits; 0 for anything else."""
    return int(text) if text.isdigit() and len(text) <= 15 else 0


def _section(name: str, content: bytes, *, take_md5: bool) -> _Section:
    """Return where the pixels are."""
    marker = content.find(_MARKER, 0, _MAX_HEADER_BYTES)
    starter = content.find(_STARTER, marker, _MAX_HEADER_BYTES) if marker >= 0 else -1
    if starter < 0:
        if len(content) >= _MAX_HEADER_BYTES:
            raise FrameError("no binary section in the first MiB: not a CBF frame", where=name)
        raise IncompleteFileError(f"ends after {len(content)} bytes, before its pixels begin", where=name)
    fields = {match[1]: match[2] for match in _FIELD.finditer(content, marker, starter)}
    size = natural(fields.get(b"X-Binary-Size", b""))
    if not size:
        raise FrameError("X-Binary-Size is missing", where=name)
    there = len(content) - starter - 4
    if there < size:
        raise IncompleteFileError(f"{there} of {size} bytes of pixels are there", where=name)
    stated = fields.get(b"Content-MD5") if take_md5 else None
    if stated is not None:
        digest = hashlib.md5(memoryview(content)[starter + 4 : starter + 4 + size], usedforsecurity=False).digest()
        if base64.b64encode(digest) != stated:
            raise IncompleteFileError("Content-MD5 differs from the pixels", where=name)
    fast = natural(fields.get(b"X-Binary-Size-Fastest-Dimension", b""))
    slow = natural(fields.get(b"X-Binary-Size-Second-Dimension", b""))
    # Byte-offset compression takes one byte a pixel at least; anything else would only make fabio allocate.
    if not fast or not slow or fast * slow > size:
        raise FrameError(f"{size} bytes cannot hold {fast}x{slow} pixels", where=name)
    elements = natural(fields.get(b"X-Binary-Number-of-Elements", b""))
    if elements and elements != fast * slow:
        raise FrameError(f"{elements} elements are not {fast}x{slow} pixels", where=name)
    return _Section(
        marker=marker,
        start=starter + 4,
        size=size,
        shape=(slow, fast),
        order=fields.get(b"X-Binary-Element-Byte-Order", b""),
    )
