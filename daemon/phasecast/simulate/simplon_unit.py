"""What both versions of SIMPLON's stream have in common on the side of the detector's control unit."""

import logging
from typing import Literal, TypedDict, get_args

import zmq

from phasecast.simulate.bitshuffle_encoder import BitshuffleEncoder
from phasecast.simulate.errors import SimulationError
from phasecast.simulate.push_socket import PushSocket

logger = logging.getLogger(__name__)

Encoding = Literal["bs32-lz4<", "lz4<", "<"]


class UnitOptions(TypedDict, total=False):
    """Parameters of `SimplonUnit` that every version takes."""

    encoding: Encoding
    connect_timeout_s: float
    stall_timeout_s: float
    context: "zmq.Context[zmq.Socket[bytes]] | None"


class SimplonUnit:
    """PUSH socket on 127.0.0.1 with the patience of a control unit.

    Parameters
    ----------
    port
        TCP port to bind; 0 takes a free one.
    scheme
        Of the URI that consumers open.
    encoding
        Encoding of the images, by the names of V1.
    connect_timeout_s
        How long ``arm`` waits for a consumer.
    stall_timeout_s
        How long a frame waits for the consumer to take it before it is lost, as in the real unit.
    context
        Context of the socket; the process's own if None.

    Raises
    ------
    SimulationError
        Port in use, or unknown encoding.
    """

    def __init__(
        self,
        port: int,
        *,
        scheme: str,
        encoding: Encoding = "bs32-lz4<",
        connect_timeout_s: float = 60.0,
        stall_timeout_s: float = 5.0,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        if encoding not in get_args(Encoding):
            raise SimulationError(f"unknown encoding {encoding!r}", remedy=f"choose from {get_args(Encoding)}")
        self._encoding = encoding
        self._connect_timeout_s = connect_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._encoder = BitshuffleEncoder()
        self._is_armed = False
        self._socket = PushSocket(port, scheme=scheme, context=context)

    @property
    def address(self) -> str:
        """URI of the stream, ``<scheme>://127.0.0.1:PORT``."""
        return self._socket.address

    def close(self) -> None:
        """Close the socket; what was sent is still delivered for 5 s."""
        self._socket.close()
        self._encoder.close()

    def _send_start(self, parts: list[bytes]) -> None:
        """Send the message that begins a series; raises SimulationError if no consumer connects in time."""
        self._is_armed = self._socket.send(parts, self._connect_timeout_s)
        if not self._is_armed:
            raise SimulationError(
                f"no consumer connected within {self._connect_timeout_s:g} s",
                where=self.address,
                remedy="start the daemon first, or give it this address",
            )

    def _send_image(self, parts: list[bytes], number: int, series: int) -> bool:
        if self._socket.send(parts, self._stall_timeout_s):
            return True
        logger.warning("frame %d of series %d lost: nobody took it", number, series)
        return False

    def _send_end(self, parts: list[bytes], series: int) -> None:
        """Send the end of a series; nothing where its start never left."""
        if self._is_armed and not self._socket.send(parts, self._stall_timeout_s):
            logger.warning("end of series %d lost: nobody took it", series)
        self._is_armed = False
