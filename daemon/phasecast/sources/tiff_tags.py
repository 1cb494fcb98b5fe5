"""What areaDetector's TIFF writer says of a frame in tags of its own: attributes as text, count and time.

Tags 65000 to 65003 are the time stamp, the number of the array, and the seconds and nanoseconds of the EPICS time; tags
from 65010 on hold one attribute each, as ``name:value`` (NDFileTIFF of ADCore).
"""

import struct

_UNIQUE_ID, _FIRST_ATTRIBUTE = 65001, 65010
_NAMED = {65000: "NDTimeStamp", _UNIQUE_ID: "NDUniqueId", 65002: "EPICSTSSec", 65003: "EPICSTSNsec"}
_ASCII, _LONG, _DOUBLE = 2, 4, 12
_MAX_ENTRIES, _MAX_TEXT, _MAX_TOTAL = 4096, 4096, 1 << 18


def attribute_lines(content: bytes) -> str:
    """Return the tags as header lines, ``# name: value``; empty if there are none.

    Parameters
    ----------
    content
        The file's bytes; what is malformed is left out.
    """
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(content[:4])
    if order is None or len(content) < 8:
        return ""
    (place,) = struct.unpack_from(order + "I", content, 4)
    if place + 2 > len(content):
        return ""
    (entries,) = struct.unpack_from(order + "H", content, place)
    lines: list[str] = []
    total = 0
    for number in range(min(entries, _MAX_ENTRIES)):
        start = place + 2 + 12 * number
        if start + 12 > len(content) or total > _MAX_TOTAL:
            break
        tag, kind, count, value = struct.unpack_from(order + "HHII", content, start)
        line = _line(content, order, tag, kind, count, value, start + 8)
        if line:
            lines.append(f"# {line}")
            total += len(line)
    return "\n".join(lines)


def _line(content: bytes, order: str, tag: int, kind: int, count: int, value: int, inline: int) -> str:
    if tag in _NAMED and count == 1:
        if kind == _LONG:
            return f"{_NAMED[tag]}: {value}"
        if kind == _DOUBLE and value + 8 <= len(content):
            return f"{_NAMED[tag]}: {struct.unpack_from(order + 'd', content, value)[0]!r}"
    if tag >= _FIRST_ATTRIBUTE and kind == _ASCII and 0 < count <= _MAX_TEXT:
        place = inline if count <= 4 else value
        text = content[place : place + count].split(b"\0")[0].decode("utf-8", "replace")
        name, colon, stated = text.partition(":")
        if colon and name.strip():
            return " ".join(f"{name.strip()}: {stated}".split())
    return ""
