"""Frame files in memory: whether they are complete, and what they hold.

fabio loops for ever on a CBF that ends inside its binary header and returns zeros for a short EDF, so nothing is
given to it before it is known to be complete.
"""

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from fabio.edfimage import EdfImage
from fabio.fabioutils import BytesIO as LockedBytesIO
from fabio.TiffIO import TiffIO
from numpy.typing import NDArray

from phasecast.core.errors import FrameError
from phasecast.core.errors import IncompleteFileError as IncompleteFileError
from phasecast.sources.cbf_file import natural, read_cbf, require_cbf
from phasecast.sources.frame_name import format_suffix
from phasecast.sources.npy_frame import read_npy
from phasecast.sources.tiff_file import require_tiff
from phasecast.sources.tiff_tags import attribute_lines

_MAX_HEADER_BYTES = 1 << 20
_EDF_FIELD = re.compile(rb"(\w+)\s*=\s*([^;]*?)\s*;")
_EDF_ITEM_BYTES = {
    **dict.fromkeys((b"signedbyte", b"unsignedbyte"), 1),
    **dict.fromkeys((b"signedshort", b"unsignedshort"), 2),
    **dict.fromkeys((b"signedinteger", b"unsignedinteger", b"signedlong", b"unsignedlong"), 4),
    **dict.fromkeys((b"floatvalue", b"float"), 4),
    **dict.fromkeys((b"doublevalue", b"double", b"signed64", b"unsigned64"), 8),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameContent:
    """What a frame file holds.

    Parameters
    ----------
    image
        Counts, shape (rows, cols), integers.
    header
        The header's text for people, in the lines the detector wrote; the attributes of areaDetector's TIFF follow it.
    """

    image: NDArray[np.integer]
    header: str


def require_complete(
    name: str,
    content: bytes,
    *,
    raw_shape: tuple[int, int] | None = None,
    max_bytes: int = 256 << 20,
) -> bytes:
    """Return the file's bytes, uncompressed, if a whole frame is in them.

    Parameters
    ----------
    name
        Name of the file; its suffix chooses the format, ``.gz`` after it is taken off.
    content
        The file's bytes.
    raw_shape
        (rows, cols) of files that are bare int32 pixels (``.raw``).
    max_bytes
        Largest file, uncompressed.

    Raises
    ------
    IncompleteFileError
        If bytes are missing or the checksum in the file differs.
    FrameError
        If it is no such file.
    """
    if name.lower().endswith(".gz"):
        content = _gunzip(name, content, max_bytes)
    if len(content) > max_bytes:
        raise FrameError(f"larger than {max_bytes} bytes", where=name)
    check: dict[str, Callable[[str, bytes], None]] = {
        ".cbf": require_cbf,
        ".tif": require_tiff,
        ".tiff": require_tiff,
        ".edf": _require_edf,
    }
    suffix = format_suffix(name)
    if name.lower().endswith(".npy"):
        read_npy(name, content)
    elif suffix == ".raw":
        _require_raw(name, content, raw_shape)
    elif suffix in check:
        check[suffix](name, content)
    else:
        raise FrameError("not a frame format", where=name, remedy="CBF, TIFF, EDF or .raw is read")
    return content


def read_frame_file(
    name: str,
    content: bytes,
    *,
    raw_shape: tuple[int, int] | None = None,
    max_bytes: int = 256 << 20,
) -> FrameContent:
    """Return the frame of a file; parameters as `require_complete`.

    Raises
    ------
    FrameError
        If the file is incomplete, corrupt, or not one image of integers.
    """
    content = require_complete(name, content, raw_shape=raw_shape, max_bytes=max_bytes)
    suffix = format_suffix(name)
    try:
        if name.lower().endswith(".npy"):
            image, header = read_npy(name, content), ""
        elif suffix == ".raw":
            assert raw_shape is not None
            image, header = np.frombuffer(content, "<i4").reshape(raw_shape), ""
        elif suffix == ".cbf":
            image, header = read_cbf(name, content)
        elif suffix == ".edf":
            edf = EdfImage().read(LockedBytesIO(content))
            image, header = edf.data, "\n".join(f"# {key} {value}" for key, value in edf.header.items())
        else:
            tiff = TiffIO(BytesIO(content))
            described = str(tiff.getInfo(0).get("imageDescription") or "")
            image, header = tiff.getImage(0), "\n".join(filter(None, (described, attribute_lines(content))))
    except FrameError:
        raise
    # fabio's readers raise whatever the broken field makes Python raise; it is one bad frame either way.
    except Exception as error:
        raise FrameError(f"cannot be read ({type(error).__name__}: {str(error)[:160]})", where=name) from error
    if not isinstance(image, np.ndarray) or image.ndim != 2 or not image.size:
        raise FrameError(f"not one two-dimensional image (shape {getattr(image, 'shape', None)})", where=name)
    if image.dtype.kind not in "iu":
        raise FrameError(f"pixels are {image.dtype}, not integer counts", where=name)
    if not image.dtype.isnative:
        image = image.astype(image.dtype.newbyteorder("="))
    return FrameContent(image=image, header=header)


def _gunzip(name: str, content: bytes, max_bytes: int) -> bytes:
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = inflate.decompress(content, max_bytes + 1)
    except zlib.error as error:
        raise FrameError(f"gzip is corrupt ({error})", where=name) from error
    if len(plain) > max_bytes:
        raise FrameError(f"larger than {max_bytes} bytes", where=name)
    if not inflate.eof:
        raise IncompleteFileError("gzip ends early", where=name)
    return plain


def _require_edf(name: str, content: bytes) -> None:
    if not content:
        raise IncompleteFileError("0 bytes are no EDF yet", where=name)
    if not content.lstrip(b"\r\n").startswith(b"{"):
        raise FrameError("not an EDF", where=name)
    end = content.find(b"}", 0, _MAX_HEADER_BYTES)
    if end < 0 or content[end + 1 : end + 2] not in (b"\n", b"\r"):
        raise IncompleteFileError("the EDF header is not closed", where=name)
    begin = end + (3 if content[end + 1 : end + 3] == b"\r\n" else 2)
    fields = {match[1].lower(): match[2] for match in _EDF_FIELD.finditer(content, 0, end)}
    stated = natural(fields.get(b"edf_binarysize", fields.get(b"size", b"")))
    item = _EDF_ITEM_BYTES.get(fields.get(b"datatype", b"").lower(), 0)
    computed = natural(fields.get(b"dim_1", b"")) * natural(fields.get(b"dim_2", b"")) * item
    compressed = fields.get(b"compression", b"none").lower() not in (b"", b"none", b"nocompression")
    needed = stated if compressed else max(stated, computed)
    if not needed or not computed:
        raise FrameError("the EDF header states no size", where=name)
    if len(content) - begin < needed:
        raise IncompleteFileError(f"{len(content) - begin} of {needed} bytes of pixels are there", where=name)


def _require_raw(name: str, content: bytes, raw_shape: tuple[int, int] | None) -> None:
    if raw_shape is None:
        raise FrameError(".raw needs the detector's shape", where=name, remedy="state it in the profile")
    needed = raw_shape[0] * raw_shape[1] * struct.calcsize("<i")
    if len(content) < needed:
        raise IncompleteFileError(f"{len(content)} of {needed} bytes are there", where=name)
    if len(content) > needed:
        raise FrameError(f"{len(content)} bytes where {raw_shape} pixels need {needed}", where=name)
