"""TOML files that people write: on any system, in any of its usual encodings."""

import tomllib
from pathlib import Path
from typing import Any

from phasecast.core.errors import RecordsError

MAX_BYTES = 1 << 20


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a TOML file holds; UTF-8 with or without a mark, or else CP932, as Windows writes in Japan.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordsError
        If it cannot be read, is larger than 1 MiB, or is no TOML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RecordsError(f"cannot be read ({error.strerror})", where=str(path), remedy="check permissions") from error
    if len(content) > MAX_BYTES:
        raise RecordsError(f"larger than {MAX_BYTES} bytes", where=str(path), remedy="keep only what people wrote")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp932", "replace")
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise RecordsError(f"is not valid TOML: {error}", where=str(path), remedy="correct that line") from error
