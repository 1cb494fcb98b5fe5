"""Bluesky documents over a real 0MQ proxy on 127.0.0.1."""

import logging
import pickle  # noqa: TID251  bluesky's own default on this wire; written here, never read
import threading
import time
import uuid
from typing import Any, Literal, get_args

import msgpack
import msgpack_numpy
import zmq
from bluesky.callbacks.zmq import Proxy, Publisher

from phasecast.simulate.errors import SimulationError

logger = logging.getLogger(__name__)

Serializer = Literal["pickle", "msgpack"]
PROBE_PREFIX = b"phasecast-probe"
"""Prefix of the probes; a consumer that subscribes to it last knows when its subscriptions work."""


def _msgpack(document: Any) -> bytes:
    return bytes(msgpack.packb(document, default=msgpack_numpy.encode, use_bin_type=True))


class DocumentWire:
    """A bluesky 0MQ proxy in a thread and a publisher that is known to reach it.

    Parameters
    ----------
    in_port, out_port
        Ports of the proxy; 0 takes a free one.
    prefix
        Prefix of every message.
    serializer
        ``pickle`` as bluesky does by default, or ``msgpack``.

    Raises
    ------
    SimulationError
        A port is in use.
    """

    def __init__(
        self,
        *,
        in_port: int = 0,
        out_port: int = 0,
        prefix: str = "bl16xu",
        serializer: Serializer = "pickle",
    ) -> None:
        if serializer not in get_args(Serializer):
            raise SimulationError(f"unknown serializer {serializer!r}", remedy="choose pickle or msgpack")
        try:
            self._proxy = Proxy(_address(in_port), _address(out_port))
        except zmq.ZMQError as error:
            raise SimulationError(
                f"cannot bind ports {in_port} and {out_port} ({error})",
                where="0MQ proxy",
                remedy="choose other ports, or 0",
            ) from error
        self._proxy._backend.setsockopt(zmq.LINGER, 2000)
        # Only term() from outside ends Proxy.start(), which then terminates its context itself: libzmq aborts
        # the process when two threads do that at once. The proxy therefore gets an empty context to terminate.
        self._proxy_context, self._proxy._context = self._proxy._context, zmq.Context()
        self._thread = threading.Thread(target=self._forward, name="documents-proxy", daemon=True)
        self._thread.start()
        self.in_address = str(self._proxy.in_port)
        self.out_address = str(self._proxy.out_port)
        self.uri = f"{self.out_address.replace('tcp://', 'bluesky://')}?prefix={prefix}&codec={serializer}"
        dumps = pickle.dumps if serializer == "pickle" else _msgpack
        self._publisher = Publisher(self.in_address.removeprefix("tcp://"), prefix=prefix.encode(), serializer=dumps)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._echo = self._context.socket(zmq.SUB)
        self._echo.setsockopt(zmq.SUBSCRIBE, PROBE_PREFIX)
        self._echo.connect(self.out_address)
        self.published = 0
        self.flush()

    def __call__(self, name: str, document: dict[str, Any]) -> None:
        """Publish one document."""
        self._publisher(name, document)
        self.published += 1

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return when everything published so far has passed the proxy.

        PUB sockets drop what is sent before the other side subscribed; a probe of another prefix that
        comes back proves the whole way.

        Raises
        ------
        SimulationError
            The probe does not come back in time.
        """
        mark = PROBE_PREFIX + b" " + uuid.uuid4().hex.encode()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self._publisher._socket.send(mark)
            while self._echo.poll(50):
                if self._echo.recv() == mark:
                    return
        raise SimulationError(f"documents do not pass the proxy within {timeout_s:g} s", where=self.out_address)

    def close(self) -> None:
        """Flush, then close publisher and proxy."""
        try:
            self.flush()
        except SimulationError:
            logger.exception("closing although documents may be unsent")
        self._publisher.close()
        self._echo.close(linger=0)
        self._context.term()
        self._proxy_context.term()
        self._thread.join(timeout=10)

    def _forward(self) -> None:
        try:
            self._proxy.start()
        except zmq.ContextTerminated:
            logger.debug("proxy closed")


def _address(port: int) -> str:
    return f"tcp://127.0.0.1:{port}" if port else "tcp://127.0.0.1"
