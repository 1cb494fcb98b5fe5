"""What a service says of itself, once a second, for pages and people."""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class StatusFile:
    """Writes `<data-dir>/status/<service>.json` at most once a second, atomically.

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

    def write(self, content: Callable[[], Mapping[str, Any]], *, now: bool = False) -> None:
        """Write what `content` returns if it is due, or in any case with `now`."""
        if not now and self._clock() - self._written_s < self._interval_s:
            return
        self._written_s = self._clock()
        body = {"schema_version": 1, "time_s": time.time(), "pid": os.getpid(), **content()}
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(body, indent=1), encoding="utf-8")
        temporary.replace(self._path)


def read_status(path: Path) -> dict[str, Any] | None:
    """Return what a service last said of itself; None if it never did."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content
