"""The socket that a detector's control unit sends its stream through."""

import time

import zmq

from phasecast.simulate.errors import SimulationError


class PushSocket:
    """PUSH socket on 127.0.0.1.

    Parameters
    ----------
    port
        TCP port to bind; 0 takes a free one.
    scheme
        Of the URI that consumers open.
    context
        Context of the socket; the process's own if None.

    Raises
    ------
    SimulationError
        Port in use.
    """

    def __init__(self, port: int, *, scheme: str, context: zmq.Context[zmq.Socket[bytes]] | None = None) -> None:
        self._socket = (context or zmq.Context.instance()).socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, 1000)
        self._socket.setsockopt(zmq.LINGER, 5000)
        try:
            self._socket.bind(f"tcp://127.0.0.1:{port or '*'}")
        except zmq.ZMQError as error:
            self._socket.close(linger=0)
            raise SimulationError(
                f"cannot bind port {port} ({error})", where=scheme, remedy="choose another port, or 0"
            ) from error
        endpoint = self._socket.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(endpoint, bytes)
        self._address = endpoint.rstrip(b"\0").decode().replace("tcp://", f"{scheme}://")

    @property
    def address(self) -> str:
        """URI of the stream, ``<scheme>://127.0.0.1:PORT``."""
        return self._address

    def send(self, parts: list[bytes], timeout_s: float) -> bool:
        """Send one message; False if nobody took it in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self._socket.send_multipart(parts, flags=zmq.DONTWAIT, copy=False)
                return True
            except zmq.Again:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._socket.poll(int(min(left, 0.2) * 1000) + 1, zmq.POLLOUT)

    def close(self) -> None:
        """Close it; what was sent is still delivered for 5 s."""
        self._socket.close()
