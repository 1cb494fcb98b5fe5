"""A training in a process of its own, as the daemon starts, watches and cancels it."""

import logging
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.model_requests import Retrain
from phasecast.records.status import StatusFile, read_status

logger = logging.getLogger(__name__)

SERVICE = "training"
"""Name of its status file."""
CANCELLED = 3
"""Exit status of a training that was cancelled."""
_END_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEnd:
    """How a training ended.

    Parameters
    ----------
    what
        ``trained``, ``failed`` or ``cancelled``.
    detail
        Why, one line; empty if it succeeded.
    """

    what: str
    detail: str = ""


class TrainingProcess:
    """One training that runs.

    Parameters
    ----------
    directory
        The data directory.
    request
        What was asked for.
    request_id
        Id of that request.
    profile
        Name or file of the instrument's profile.
    base
        Bundle that is trained further: its folder, or the name of a shipped one.
    folder
        Where the new bundle will lie.
    name, version
        What it carries.
    """

    def __init__(
        self,
        directory: DataDirectory,
        request: Retrain,
        request_id: str,
        *,
        profile: str,
        base: str,
        folder: Path,
        name: str,
        version: str,
    ) -> None:
        self.request = request
        self.request_id = request_id
        self.folder = folder
        self._directory = directory
        self._began_s = time.time()
        self._cancelled_by = ""
        command = [sys.executable, "-m", "phasecast.cli", "train", "xrd", "--data-dir", str(directory.root)]
        command += ["--output", str(folder), "--profile", profile, "--base", base, "--name", name, "--version", version]
        command += ["--owner", request.owner or request.who, "--effort", request.effort, "--while-open"]
        command += [word for uid in request.scans for word in ("--scan", uid)]
        command += ["--trusted", request.trusted] if request.trusted else []
        self._log = directory.status / f"{SERVICE}.log"
        with self._log.open("wb") as log:
            # its end of input is the end of this process, however that comes about
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def describe(self) -> dict[str, Any]:
        """Return what the status of the daemon says of it; details are in ``status/training.json``."""
        return {"model": self.folder.name, "who": self.request.who, "began_s": self._began_s, "pid": self.pid}

    def poll(self) -> TrainingEnd | None:
        """Return how it ended; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        self._close_input()
        if self._cancelled_by or code == CANCELLED:
            return self._end("cancelled", f"cancelled by {self._cancelled_by}" if self._cancelled_by else "cancelled")
        if code != 0 or not self.folder.is_dir():
            return self._end("failed", self._last_line() or f"it ended with status {code}")
        return TrainingEnd(what="trained")

    def cancel(self, who: str) -> None:
        """Ask it to end; `poll` tells when it has."""
        self._cancelled_by = who
        self._close_input()

    def close(self) -> None:
        """End it now; idempotent."""
        self._close_input()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _end(self, what: str, detail: str) -> TrainingEnd:
        """Say so in its status as well, if it could not do so itself any more."""
        path = self._directory.status / f"{SERVICE}.json"
        said = read_status(path) or {}
        if said.get("state") in (None, "running"):
            about = {"service": SERVICE, **self.describe(), "state": what, "detail": detail}
            StatusFile(path).write(lambda: about, now=True)
        return TrainingEnd(what=what, detail=detail)

    def _close_input(self) -> None:
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def _last_line(self) -> str:
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1].removeprefix("phasecast: ")[:400] if lines else ""
