"""Copies that are proven: hashed while they are read, written under another name, and read back from the disk."""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from phasecast.core.errors import PhasecastError

CHECKSUMS = "checksums.sha256"
"""Name of the list, in the format of ``sha256sum``: ``sha256sum -c checksums.sha256`` checks an archive."""
_BLOCK = 1 << 20


def hash_on_disk(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, from the disk rather than from what memory still holds of them.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    total = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        with suppress(OSError, AttributeError):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while block := file.read(_BLOCK):
            total.update(block)
    return total.hexdigest()


def copy_and_hash(path: Path, place: Path) -> str:
    """Copy a file, read the copy back, and return the SHA-256 of both.

    The copy appears under its name only when it is proven.

    Raises
    ------
    PhasecastError
        If the file changed meanwhile, or the copy has other bytes.
    OSError
        If it cannot be read or written.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.part")
    total = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as source, partial.open("wb", buffering=0) as copy:
            before = os.fstat(source.fileno())
            while block := source.read(_BLOCK):
                total.update(block)
                view = memoryview(block)
                while view:
                    view = view[copy.write(view) :]
            os.fsync(copy.fileno())
            after = os.fstat(source.fileno())
        digest = total.hexdigest()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise PhasecastError("it changed while it was copied", where=str(path), remedy="archive again")
        if hash_on_disk(partial) != digest:
            raise PhasecastError(
                "the copy has other bytes than the file", where=str(place), remedy="check the disk, then archive again"
            )
        with suppress(OSError):
            os.utime(partial, ns=(after.st_atime_ns, after.st_mtime_ns))
        os.replace(partial, place)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return digest


def read_checksums(path: Path) -> dict[str, str]:
    """Return name to SHA-256 as a list states them; empty if there is none."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return {}
    found = {}
    for line in text.splitlines():
        digest, _, name = line.partition("  ")
        if len(digest) == 64 and name:
            found[name] = digest
    return found


def write_checksums(path: Path, known: Mapping[str, str]) -> None:
    """Write the list, complete or not at all.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(known.items()))
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
