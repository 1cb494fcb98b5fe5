"""Names of files as text: what is no UTF-8 on the disk is CP932, as old shares and Windows programs leave it."""

import os
from pathlib import Path

_OLD = "cp932"


def readable_name(name: str) -> str:
    """Return a path, or a part of one, as text that can be written anywhere; bytes that are no UTF-8 are CP932."""
    return "/".join(_readable_part(part) for part in name.split("/"))


def path_of(readable: str) -> Path:
    """Return where the file lies that `readable_name` named so; the same path if nothing lies there."""
    path = Path(readable)
    if path.exists():
        return path
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        found = found / part if (found / part).exists() else found / _as_written(part)
    return found if found.exists() else path


def _readable_part(part: str) -> str:
    try:
        part.encode()
    except UnicodeEncodeError:
        content = os.fsencode(part)
        try:
            return content.decode(_OLD)
        except UnicodeDecodeError:
            return content.decode("utf-8", "backslashreplace")
    return part


def _as_written(part: str) -> str:
    try:
        return os.fsdecode(part.encode(_OLD))
    except UnicodeEncodeError:
        return part
