"""The daemon and the simulated beamline as a user starts them: processes, sockets, files."""

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasecast.records.status import read_status
from phasecast.results.access import was_left_growing
from support.process import PhasecastProcess
from support.relay import Relay

TIMEOUT_S = 90.0


def wait_until(condition, what, *, process=None, timeout_s=TIMEOUT_S):
    """Wait for a condition that another process brings about; fail with its name."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if process is not None and process.poll() is not None:
            raise AssertionError(f"process ended with {process.returncode} before {what}")
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(0.02)
    return value


def done_in(status):
    """Points done in the scan that has most."""
    return max((scan["ledger"]["done"] for scan in status.get("scans", [])), default=0)


@dataclass
class Setup:
    """One simulated beamline and the daemons that listen to it."""

    folder: Path
    addresses: dict[str, Any] = field(default_factory=dict)
    processes: list[PhasecastProcess] = field(default_factory=list)

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def truth(self) -> Path:
        return self.folder / "truth.json"

    @property
    def status(self) -> dict[str, Any]:
        return read_status(self.data_dir / "status" / "live-xrd.json") or {}

    @property
    def results(self) -> list[Path]:
        return sorted((self.data_dir / "results").glob("*.nxs"))

    def start_daemon(
        self, *arguments: str, profile: str = "bl16xu", wait: bool = True, reports: bool = False
    ) -> PhasecastProcess:
        """Start a daemon; pictures and reports take longer than most scans of tests, so it makes them if asked."""
        command = ["live", "xrd", "--profile", profile, "--data-dir", str(self.data_dir)]
        command += ["--catalog", "none", *([] if reports else ["--no-reports"])]
        command += ["--catalog", "none"]
        for wire in ("frames", "documents"):
            if wire in self.addresses:
                command += ["--source", self.addresses[wire]]
        with (self.folder / "daemon.log").open("ab") as log:
            process = PhasecastProcess([*command, *arguments], stderr=log)
        self.processes.append(process)
        if wait:
            wait_until(
                lambda: self.status.get("pid") == process.pid and self._connected(), "connection", process=process
            )
        return process

    def begin(self) -> None:
        (self.folder / "start").touch()

    def end(self) -> None:
        """Ask every process that still runs to end, the youngest first."""
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _connected(self) -> bool:
        return all(source.get("connected", True) for source in self.status["sources"].values())


@contextlib.contextmanager
def beamline(
    folder: Path, *, shape: str, rate: float, arguments: tuple[str, ...] = (), frames: str = ""
) -> Iterator[Setup]:
    """A simulated beamline that waits for `begin`."""
    setup = Setup(folder)
    command = ["simulate", "xrd", "-o", frames or "simplon://127.0.0.1:0", "--documents-port", "0"]
    command += ["--shape", shape, "--rate", str(rate), "--announce", str(folder / "announce.json")]
    command += ["--start-when", str(folder / "start"), "--truth", str(setup.truth), *arguments]
    with (folder / "beamline.log").open("wb") as log:
        process = PhasecastProcess(command, stderr=log)
        setup.processes.append(process)
        try:
            wait_until((folder / "announce.json").exists, "the beamline's sockets", process=process)
            setup.addresses = json.loads((folder / "announce.json").read_text())
            yield setup
        finally:
            setup.end()


class LongDaemon:
    """A daemon that works off the scans of one beamline after another.

    Parameters
    ----------
    folder
        Where it keeps its data; each beamline gets a sub-folder.
    arguments
        Of the daemon.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.relay = Relay()
        self.setup = Setup(folder, dict(self.relay.addresses))
        self._scans = 0
        self.setup.start_daemon(*arguments)

    def scan(self, *faults: str, shape: str, counter: bool = True, rate: float = 25.0, **slip: Any) -> Path:
        """Run one simulated scan; return its finished result."""
        self._scans += 1
        folder = self.setup.folder / f"scan-{self._scans}"
        folder.mkdir()
        daemon, before = self.setup.processes[0], set(self.setup.results)
        arguments = [word for fault in faults for word in ("--fault", fault)] + ([] if counter else ["--no-counter"])
        with (
            beamline(folder, shape=shape, rate=rate, arguments=tuple(arguments)) as simulated,
            self.relay.attached(simulated.addresses, **slip),
        ):
            simulated.begin()

            def finished() -> Path | None:
                return next((path for path in self.setup.results if self._is_closed(path) and path not in before), None)

            return wait_until(finished, "the finished scan", process=daemon)

    def end(self) -> int:
        """End the daemon as a user does; return its exit status."""
        self.setup.end()
        self.relay.close()
        return self.setup.processes[0].returncode

    @property
    def log(self) -> str:
        return (self.setup.folder / "daemon.log").read_text()

    def _is_closed(self, path: Path) -> bool:
        return not was_left_growing(path)


@contextlib.contextmanager
def watched_folder(folder: Path, *arguments: str, profile: str, reports: bool = False) -> Iterator[Setup]:
    """A daemon that watches the folder ``frames``, which is empty."""
    frames = folder / "frames"
    frames.mkdir()
    setup = Setup(folder, {"frames": f"files://{frames}"})
    try:
        setup.start_daemon(*arguments, profile=profile, reports=reports)
        yield setup
    finally:
        setup.end()
