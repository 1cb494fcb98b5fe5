"""`phasecast page` as a process of its own: started, waited for, looked at."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from phasecast.services.processes import Child, spawn, wait_for

_ANSWER_TIMEOUT_S = 10.0


def free_port() -> int:
    """Return a port of this machine that nobody listens to right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class PageProcess:
    """A page that answers.

    Parameters
    ----------
    child
        The process.
    port
        Where it listens.
    """

    child: Child
    port: int

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self.child.process.pid

    def url(self, **query: str) -> str:
        """Address of the page, with a deep link: ``scan``, ``point``, ``layer``, ``lang``."""
        return page_url(self.port, **query)


def start_page(stack: ExitStack, data_dir: Path, log: Path, *arguments: str, port: int | None = None) -> PageProcess:
    """Start the page over a data directory and wait until it answers.

    Raises
    ------
    PhasecastError
        If it ends early or does not answer within two minutes.
    """
    port = port or free_port()
    child = spawn(stack, "page", ["page", "--data-dir", str(data_dir), "--port", str(port), *arguments], log)
    wait_for(lambda: answers(port), child, "the page to answer")
    return PageProcess(child=child, port=port)


def page_url(port: int, **query: str) -> str:
    """Address of the page on this machine."""
    return f"http://127.0.0.1:{port}/" + (f"?{urlencode(query)}" if query else "")


def answers(port: int) -> bool:
    """Tell whether somebody listens there; asking for the page itself would open a session that nobody uses."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_TIMEOUT_S):
            return True
    except OSError:
        return False
