"""Files that others find whole or not at all."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from phasecast.core.errors import RecordsError

TEMPORARY = ".tmp"
"""Ending of what is not whole yet, which a killed process may leave; its name begins with a dot."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, in place of one that was there, and have it on the disk.

    Raises
    ------
    RecordsError
        If it cannot be written; then nothing is left of it.
    """
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RecordsError(
            f"cannot write ({error.strerror or error})", where=str(path), remedy="free space or check permissions"
        ) from error
