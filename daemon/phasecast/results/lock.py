"""Tells a result file that is still being written from one whose writer has died."""

import fcntl
import os
from pathlib import Path

from phasecast.core.errors import ResultFileError


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


class WriterLock:
    """Held as long as a process writes a result; the kernel releases it however the process ends.

    HDF5 itself drops its lock when readers are let in, so it cannot tell.

    Parameters
    ----------
    path
        The result file.

    Raises
    ------
    ResultFileError
        If another process is writing it.
    """

    def __init__(self, path: Path) -> None:
        self._path = _lock_path(path)
        self._handle: int | None = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._handle)
            raise ResultFileError(
                "another process is writing this result", where=str(path), remedy="wait until it has ended"
            ) from error

    def release(self) -> None:
        """Let go; idempotent."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None


def is_being_written(path: Path) -> bool:
    """Return whether a living process writes the result."""
    try:
        handle = os.open(_lock_path(path), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
