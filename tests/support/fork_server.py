"""Starts phasecast commands as forks of a process that has loaded their libraries, which takes most of a start.

What it starts are processes of their own: with their own pid, signals, standard error and exit status.
"""

import importlib
import json
import os
import signal
import socket
import sys

MODULES = ("phasecast.cli", "phasecast.services.live_xrd", "phasecast.simulate.engine")
"""Nothing of these starts a thread or opens a socket when it is imported."""


def serve(connection: socket.socket) -> list[str] | None:
    """Fork and reap on request until the other side closes; return the command line in each fork, None at the end."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 1)
        if not data:
            return None
        request = json.loads(data)
        if "reap" in request:
            pid, status = os.waitpid(request["reap"], os.WNOHANG)
            connection.send(json.dumps(os.waitstatus_to_exitcode(status) if pid else None).encode())
            continue
        pid = os.fork()
        if not pid:
            connection.close()
            os.dup2(descriptors[0], 2)
            os.close(descriptors[0])
            os.environ.clear()
            os.environ.update(request["environment"])
            os.chdir(request["folder"])
            return list(request["command"])
        os.close(descriptors[0])
        connection.send(json.dumps(pid).encode())


def main() -> None:
    """Serve on the descriptor that the command line names."""
    for module in MODULES:
        importlib.import_module(module)
    # Ctrl-C in a terminal is for the tests, which then end what they started.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    command = serve(socket.socket(fileno=int(sys.argv[1])))
    if command is None:
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["phasecast", *command]
    importlib.import_module("phasecast.cli").main()


if __name__ == "__main__":
    main()
