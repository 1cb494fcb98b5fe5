"""Hears what a simulated beamline sends, for those who pass it on."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import zmq

Sockets = dict[str, "zmq.Socket[bytes]"]

_HEARD_WITHIN_S = 60.0


@contextlib.contextmanager
def hearing(
    context: "zmq.Context[zmq.Socket[bytes]]", addresses: dict[str, str], take: Callable[[str, list[bytes]], None]
) -> Iterator[None]:
    """Call `take` with wire ("frames" or "documents") and parts of each message, in a thread of its own.

    ``addresses`` names the wires that are heard. Entered when documents are: a beamline that waits for its start sends
    probes.
    """
    kinds = {"frames": zmq.PULL, "documents": zmq.SUB}
    sources: Sockets = {wire: context.socket(kind) for wire, kind in kinds.items() if wire in addresses}
    sources["documents"].setsockopt(zmq.SUBSCRIBE, b"")
    for wire, socket in sources.items():
        socket.connect("tcp://" + addresses[wire].partition("://")[2].partition("?")[0])
    stopping, heard = threading.Event(), threading.Event()
    thread = threading.Thread(target=_run, args=(sources, take, stopping, heard))
    thread.start()
    try:
        if not heard.wait(_HEARD_WITHIN_S):
            raise AssertionError(f"no document was heard from {addresses['documents']} in {_HEARD_WITHIN_S:.0f} s")
        yield
    finally:
        stopping.set()
        thread.join()
        for socket in sources.values():
            socket.close(linger=0)


def _run(
    sources: Sockets, take: Callable[[str, list[bytes]], None], stopping: threading.Event, heard: threading.Event
) -> None:
    poller = zmq.Poller()
    for socket in sources.values():
        poller.register(socket, zmq.POLLIN)
    while not stopping.is_set():
        ready = dict(poller.poll(50))
        for wire, socket in sources.items():
            if socket in ready:
                take(wire, socket.recv_multipart())
                if wire == "documents":
                    heard.set()
