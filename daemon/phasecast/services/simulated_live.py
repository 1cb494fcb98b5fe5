"""A simulated beamline and the real daemon, each in its own process, joined by real wires."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.records.status import read_status
from phasecast.services.processes import Child, is_connected, spawn, wait_for


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLive:
    """A simulated beamline that waits for its start, and the daemon that listens to it.

    Parameters
    ----------
    directory
        Data directory of the daemon.
    beamline, daemon
        The processes.
    """

    directory: DataDirectory
    beamline: Child
    daemon: Child

    @property
    def status(self) -> dict[str, Any]:
        """What the daemon last said of itself; empty before its first word."""
        return read_live_status(self.directory)

    def begin(self) -> None:
        """Let the scan start."""
        _start_file(self.directory).touch()


def start_simulated_live(
    stack: ExitStack,
    directory: DataDirectory,
    *,
    simulate: Sequence[str],
    live: Sequence[str],
    output: Path | None = None,
    cores: tuple[int, int] | None = None,
) -> SimulatedLive:
    """Start beamline and daemon on whatever ports are free; return when the daemon has connected all wires.

    Parameters
    ----------
    stack
        Ends the processes.
    directory
        Data directory of the daemon; logs and addresses lie in it as well.
    simulate, live
        What is added to ``phasecast simulate xrd`` and ``phasecast live xrd``.
    output
        File for the beamline's standard output; its log if None.
    cores
        Cores of beamline and daemon; None where they may run anywhere.

    Raises
    ------
    PhasecastError
        If one of them ends early or does not start within two minutes.
    """
    root, announce = directory.root, directory.root / "beamline.json"
    beamline = spawn(
        stack,
        "simulated beamline",
        ["simulate", "xrd", "--documents-port", "0", "--announce", str(announce),
         "--start-when", str(_start_file(directory)), *simulate],
        root / "beamline.log",
        output=output,
        core=cores[0] if cores else None,
    )  # fmt: skip
    wait_for(announce.exists, beamline, "the simulated beamline to open its sockets")
    addresses = json.loads(announce.read_text(encoding="utf-8"))
    # a beamline that writes a log of positions has no address of documents
    sources = [word for wire in ("frames", "documents") if addresses[wire] for word in ("--source", addresses[wire])]
    daemon = spawn(
        stack,
        "daemon",
        ["live", "xrd", "--profile", "bl16xu", "--data-dir", str(root), *sources, *live],
        root / "daemon.log",
        core=cores[1] if cores else None,
    )
    wait_for(lambda: is_connected(read_live_status(directory)), daemon, "the daemon to connect")
    return SimulatedLive(directory=directory, beamline=beamline, daemon=daemon)


def read_live_status(directory: DataDirectory) -> dict[str, Any]:
    """Return what the daemon of a data directory last said of itself; empty before its first word."""
    return read_status(directory.status / "live-xrd.json") or {}


def _start_file(directory: DataDirectory) -> Path:
    return directory.root / "start"
