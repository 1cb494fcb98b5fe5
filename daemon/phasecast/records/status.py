"""What a service says of itself, once a second, for pages and people."""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


class StatusFile:
    """Writes `<data-dir>/status/<service>.json` at most once a second, atomically.

    A status that cannot be written (disk full) is counted and named in the next one that can: it must not end the
    service that it speaks of.

    Parameters
    ----------
    path
        The file.
    interval_s
        Least time between two writes.
    clock
        Monotonic seconds.
    """

    def __init__(self, path: Path, *, interval_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._interval_s = interval_s
        self._clock = clock
        self._written_s = float("-inf")
        self.failures = 0

    def write(self, content: Callable[[], Mapping[str, Any]], *, now: bool = False) -> None:
        """Write what `content` returns if it is due, or in any case with `now`."""
        if not now and self._clock() - self._written_s < self._interval_s:
            return
        self._written_s = self._clock()
        body = {
            "schema_version": 1,
            "time_s": time.time(),
            "pid": os.getpid(),
            "status_failures": self.failures,
            **content(),
        }
        temporary = self._path.with_suffix(".tmp")
        try:
            temporary.write_text(json.dumps(body, indent=1), encoding="utf-8")
            temporary.replace(self._path)
        except OSError as error:
            if not self.failures:
                logger.error("%s: cannot write (%s) - free space on its disk", self._path, error.strerror)
            self.failures += 1


def read_status(path: Path) -> dict[str, Any] | None:
    """Return what a service last said of itself; None if it never did, or if the file is not its own."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
