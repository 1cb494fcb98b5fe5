"""Starting phasecast's own commands as processes that work together: a simulated beamline and a daemon."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasecast.core.errors import PhasecastError

POLL_S = 0.1
_START_TIMEOUT_S = 120.0
_END_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A running command.

    Parameters
    ----------
    name
        For messages.
    process
        The process.
    log
        Where its standard error goes, and its standard output unless that was asked for.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def must_live(self) -> None:
        """Raise `PhasecastError` with the last line of the log if the process failed."""
        if self.process.poll() is not None and self.process.returncode != 0:
            tail = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise PhasecastError(
                f"the {self.name} ended with status {self.process.returncode}: {' '.join(tail)}", where=str(self.log)
            )

    def end(self) -> None:
        """Ask the process to end, and end it if it does not."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def spawn(
    stack: ExitStack,
    name: str,
    arguments: Sequence[str],
    log: Path,
    *,
    output: Path | None = None,
    core: int | None = None,
) -> Child:
    """Start a phasecast command that ends with the stack at the latest.

    Parameters
    ----------
    stack
        Ends the process.
    name
        For messages.
    arguments
        The command line after ``phasecast``.
    log
        File for standard error.
    output
        File for standard output; the log if None.
    core
        Core to run on, where the system allows the choice.
    """
    errors = stack.enter_context(log.open("wb"))
    target = stack.enter_context(output.open("wb")) if output is not None else errors
    process = subprocess.Popen([sys.executable, "-m", "phasecast.cli", *arguments], stdout=target, stderr=errors)
    if core is not None and hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.sched_setaffinity(process.pid, {core})
    child = Child(name=name, process=process, log=log)
    stack.callback(child.end)
    return child


def wait_for(condition: Callable[[], bool], child: Child, what: str) -> None:
    """Wait for what a child brings about.

    Raises
    ------
    PhasecastError
        If the child fails first, or nothing happens for two minutes.
    """
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not condition():
        child.must_live()
        if time.monotonic() > deadline:
            raise PhasecastError(f"waited {_START_TIMEOUT_S:.0f} s for {what}", where=str(child.log))
        time.sleep(POLL_S)


def is_connected(status: dict[str, Any] | None) -> bool:
    """Tell from a daemon's status whether all its wires are connected."""
    sources = (status or {}).get("sources", {})
    return bool(sources) and all(source.get("connected", True) for source in sources.values())


def available_cores() -> list[int]:
    """Cores this process may use; empty where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def is_free(port: int) -> bool:
    """Tell whether a port of this machine can be listened on; 0 always can."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
