"""A relay between beamline and daemon, on real sockets, where a test can slip messages between the good ones."""

import threading
from collections.abc import Iterable, Iterator
from typing import Self

import zmq

from phasecast.simulate.documents import PROBE_PREFIX


class Relay:
    """Passes frames and documents on, with hostile messages after each good one as long as there are any.

    Parameters
    ----------
    addresses
        What the beamline announced.
    frames, documents
        Messages to slip in.
    """

    def __init__(
        self, addresses: dict[str, str], *, frames: Iterable[list[bytes]], documents: Iterable[list[bytes]]
    ) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._hostile = {"frames": iter(frames), "documents": iter(documents)}
        self._stopping = threading.Event()
        plain, _, query = addresses["documents"].partition("?")
        self._in = {
            "frames": self._connected(zmq.PULL, addresses["frames"]),
            "documents": self._connected(zmq.SUB, plain),
        }
        self._in["documents"].setsockopt(zmq.SUBSCRIBE, b"")
        self._out, self.addresses = {}, {}
        for wire, kind, scheme, tail in (
            ("frames", zmq.PUSH, "simplon", ""),
            ("documents", zmq.PUB, "bluesky", f"?{query}"),
        ):
            socket = self._context.socket(kind)
            socket.setsockopt(zmq.SNDHWM, 0)
            port = socket.bind_to_random_port("tcp://127.0.0.1")
            self._out[wire] = socket
            self.addresses[wire] = f"{scheme}://127.0.0.1:{port}{tail}"
        self.sent = {"frames": 0, "documents": 0}
        """Hostile messages that were slipped in."""
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._context.destroy(linger=0)

    def _connected(self, kind: int, uri: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.connect("tcp://" + uri.partition("://")[2])
        return socket

    def _run(self) -> None:
        poller = zmq.Poller()
        for socket in self._in.values():
            poller.register(socket, zmq.POLLIN)
        while not self._stopping.is_set():
            ready = dict(poller.poll(50))
            for wire, socket in self._in.items():
                if socket in ready:
                    good = socket.recv_multipart()
                    self._out[wire].send_multipart(good)
                    if good[0].startswith(PROBE_PREFIX):
                        continue  # sent before anybody listens
                    for hostile in self._some(wire):
                        self._out[wire].send_multipart(hostile)
                        self.sent[wire] += 1

    def _some(self, wire: str) -> Iterator[list[bytes]]:
        for _ in range(3):
            hostile = next(self._hostile[wire], None)
            if hostile is None:
                return
            yield hostile
