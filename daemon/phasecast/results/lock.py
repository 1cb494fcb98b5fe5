"""Tells a result file that is still being written from one whose writer has died."""

import fcntl
import os
import time
from pathlib import Path

from phasecast.core.errors import ResultFileError

_PATIENCE_S = 0.5


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
        deadline_s = time.monotonic() + _PATIENCE_S
        while not _try_lock(self._handle):
            # `is_being_written` holds the lock for a moment in order to see whether it is free
            if time.monotonic() > deadline_s:
                os.close(self._handle)
                raise ResultFileError(
                    "another process is writing this result", where=str(path), remedy="wait until it has ended"
                )
            time.sleep(0.005)

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
        return not _try_lock(handle)
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
