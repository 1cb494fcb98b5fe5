"""TIFF files in memory: whether they are complete.

fabio follows directories that point to each other for ever, so it is given nothing before their chain is known to end.
"""

import struct
from io import BytesIO

from fabio.TiffIO import TiffIO

from phasecast.core.errors import FrameError, IncompleteFileError

_MAX_DIRECTORIES = 64
_ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


def require_tiff(name: str, content: bytes) -> None:
    """Return if a whole image is in a TIFF.

    Parameters
    ----------
    name
        Of the file.
    content
        Its bytes.

    Raises
    ------
    IncompleteFileError
        If bytes are missing.
    FrameError
        If it is no such file.
    """
    if len(content) < 8:
        raise IncompleteFileError(f"{len(content)} bytes are no TIFF yet", where=name)
    if content[:4] not in (b"II*\x00", b"MM\x00*"):
        raise FrameError("not a TIFF", where=name)
    _require_directories(name, content)
    try:
        info = TiffIO(BytesIO(content)).getInfo(0)
        ends = [offset + count for offset, count in zip(info["stripOffsets"], info["stripByteCounts"], strict=True)]
        total = sum(info["stripByteCounts"])
        needed = info["nRows"] * info["nColumns"] * int(info["nBits"]) // 8
        compressed = info["compression"]
    except Exception as error:
        raise IncompleteFileError(f"the TIFF directory cannot be read ({error})", where=name) from error
    if not ends or max(ends) > len(content):
        raise IncompleteFileError(f"{len(content)} of {max(ends, default=0)} bytes are there", where=name)
    if not compressed and total < needed:
        raise FrameError(f"{total} bytes of strips where the image needs {needed}", where=name)


def _require_directories(name: str, content: bytes) -> None:
    """Return if the chain of directories comes to an end and what each entry points to lies in the file."""
    order = "<" if content[:2] == b"II" else ">"
    (place,) = struct.unpack_from(order + "I", content, 4)
    seen: set[int] = set()
    while place:
        if place in seen or len(seen) == _MAX_DIRECTORIES:
            raise FrameError("the TIFF's directories never end", where=name)
        seen.add(place)
        if place + 2 > len(content):
            raise IncompleteFileError(f"{len(content)} bytes end before the TIFF's directory", where=name)
        (entries,) = struct.unpack_from(order + "H", content, place)
        end = place + 2 + 12 * entries
        if end + 4 > len(content):
            raise IncompleteFileError(f"{len(content)} bytes end inside the TIFF's directory", where=name)
        for start in range(place + 2, end, 12):
            _, kind, count, value = struct.unpack_from(order + "HHII", content, start)
            size = count * _ITEM_BYTES.get(kind, 1)
            if size > 4 and value + size > len(content):
                raise IncompleteFileError(f"{len(content)} of {value + size} bytes are there", where=name)
        (place,) = struct.unpack_from(order + "I", content, end)
