"""Long-running phasecast commands as processes that tests signal, kill and wait for."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO


class PhasecastProcess:
    """A phasecast command as a process, with the parts of `subprocess.Popen` that tests use.

    Parameters
    ----------
    words
        The command line after ``phasecast``.
    stderr
        Open file for its standard error.
    """

    def __init__(self, words: list[str], *, stderr: BinaryIO) -> None:
        self.args = words
        self.returncode: int | None = None
        self.pid: int = _forks().start(words, stderr)
        self._ended = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        """Exit status; None while it runs."""
        if self.returncode is None and select.select([self._ended], [], [], 0)[0]:
            self.returncode = _forks().reap(self.pid)
            os.close(self._ended)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises `subprocess.TimeoutExpired`."""
        if self.poll() is None:
            select.select([self._ended], [], [], timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Forks:
    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server = str(Path(__file__).with_name("fork_server.py"))
        with theirs:
            self._process = subprocess.Popen([sys.executable, server, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        self._lock = threading.Lock()

    def start(self, words: list[str], stderr: BinaryIO) -> int:
        request = {"command": words, "environment": dict(os.environ), "folder": str(Path.cwd())}
        return int(self._ask(request, [stderr.fileno()]))

    def reap(self, pid: int) -> int:
        return int(self._ask({"reap": pid}))

    def _ask(self, request: dict[str, Any], descriptors: list[int] | None = None) -> Any:
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors or [])
            answer = self._socket.recv(1 << 16)
        if not answer:
            raise RuntimeError(f"the process that starts phasecast ended with {self._process.wait()}")
        return json.loads(answer)


@cache
def _forks() -> _Forks:
    return _Forks()
