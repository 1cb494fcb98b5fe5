"""A receiving ZMQ socket in a thread of its own."""

import logging
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

from phasecast.core.curve_keys import CurveKeys
from phasecast.core.errors import SourceError
from phasecast.core.record import Channel
from phasecast.sources.receiver import ThreadedReceiver

logger = logging.getLogger(__name__)

MAX_PARTS = 10
"""A message with more parts is recorded with its first eleven: no wire we know sends so many."""
MAX_MESSAGE_BYTES = 64 << 20

_POLL_MS = 100
_MONITOR_EVENTS_A_TURN = 32
_RETRY_AFTER_S = 0.5
_LONGEST_RETRY_S = 5.0
_REFUSALS: dict[int, str] = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "the peer does not know our key",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "the two ends do not agree on encryption, or keys are wrong",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the handshake failed",
}
_CLOSED_EARLY = "the peer hangs up before the handshake: wrong server key, or only one end asks for CURVE"
_CLOSED_EARLY_TIMES = 3
"""A peer that is just being stopped may hang up once; one that refuses does so at every attempt."""


class ZmqReceiver(ThreadedReceiver):
    """Connects to one address and records every message that comes.

    Parameters
    ----------
    channel
        Name of the wire in the capture.
    address
        ZMQ address to connect to, such as ``tcp://host:9999``.
    kind
        ``zmq.PULL`` or ``zmq.SUB``.
    high_water_mark
        Messages that may wait in the socket. A PUSH at the other end blocks when they do; a PUB drops in silence.
    subscription
        Topic of a SUB socket.
    max_message_bytes
        A longer message makes ZMQ disconnect the peer and give it up; it is lost, counted as ``cut_off``, and the
        wire connected anew.
    curve
        Keys of an encrypted connection; None for a plain one.
    """

    def __init__(
        self,
        channel: Channel,
        address: str,
        *,
        kind: int,
        high_water_mark: int,
        subscription: bytes = b"",
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        curve: CurveKeys | None = None,
    ) -> None:
        super().__init__(channel)
        self._address = address
        self._kind = kind
        self._high_water_mark = high_water_mark
        self._subscription = subscription
        self._max_message_bytes = max_message_bytes
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._connects = 0
        self._disconnects = 0
        self._cut_off = 0
        self._dialled = False
        self._alone_since_s: float | None = None
        self._retry_after_s = _RETRY_AFTER_S
        self._curve = curve
        self._refusals = 0
        self._attempts_without_handshake = 0

    def status(self) -> dict[str, object]:
        """State and counters, JSON-able."""
        return super().status() | {
            "address": self._address,
            "connected": self._state == "connected",
            "connects": self._connects,
            "reconnects": max(0, self._connects - 1),
            "disconnects": self._disconnects,
            "cut_off": self._cut_off,
            "refusals": self._refusals,
            "encrypted": self._curve is not None,
        }

    def _open(self) -> None:
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(self._kind)
        # All of these are ignored when set after connect.
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, self._high_water_mark)
        socket.setsockopt(zmq.MAXMSGSIZE, self._max_message_bytes)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 5000)
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 60)
        if self._kind == zmq.SUB:
            socket.setsockopt(zmq.SUBSCRIBE, self._subscription)
        if self._curve is not None:
            socket.setsockopt(zmq.CURVE_PUBLICKEY, self._curve.public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, self._curve.secret)
            socket.setsockopt(zmq.CURVE_SERVERKEY, self._curve.server)
        self._monitor = socket.get_monitor_socket(
            zmq.EVENT_CONNECTED
            | zmq.EVENT_CONNECT_RETRIED
            | zmq.EVENT_HANDSHAKE_SUCCEEDED
            | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
            | zmq.EVENT_DISCONNECTED
        )
        self._socket = socket
        try:
            self._attach(socket)
        except zmq.ZMQError as error:
            self._close()
            raise SourceError(
                f"cannot connect ({error.strerror})",
                where=self._address,
                remedy="give host and port, such as simplon://dcu:9999",
            ) from error

    def _attach(self, socket: zmq.Socket[bytes]) -> None:
        socket.connect(self._address)

    def _serve(self) -> None:
        assert self._socket is not None
        assert self._monitor is not None
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        while not self._stopping.is_set():
            ready = dict(poller.poll(_POLL_MS))
            if self._monitor in ready:
                self._read_monitor()
            self._connect_anew_if_given_up()
            while self._socket in ready and not self._stopping.is_set():
                parts = self._receive()
                if parts is None:
                    break
                self._record(parts, self._now_s())

    def _receive(self) -> list[bytes] | None:
        """Take one message that has arrived, with MAX_PARTS + 1 parts at most; None if there is none."""
        assert self._socket is not None
        try:
            parts = [self._socket.recv(zmq.NOBLOCK)]
        except zmq.Again:
            return None
        while self._socket.getsockopt(zmq.RCVMORE):
            part = self._socket.recv()
            if len(parts) <= MAX_PARTS:
                parts.append(part)
        return parts

    def _read_monitor(self) -> None:
        assert self._monitor is not None
        for _ in range(_MONITOR_EVENTS_A_TURN):
            if not self._monitor.poll(0):
                return
            event = recv_monitor_message(self._monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._connects += 1
                self._retry_after_s = _RETRY_AFTER_S
                self._state = "connected"
                self._attempts_without_handshake = 0
                self._error = ""
            elif event in _REFUSALS:
                self._refuse(_REFUSALS[event])
            elif event == zmq.EVENT_DISCONNECTED:
                self._disconnects += 1
                self._alone_since_s = time.monotonic()
                if self._attempts_without_handshake >= _CLOSED_EARLY_TIMES:
                    self._refuse(_CLOSED_EARLY)
                elif self._state != "refused":
                    self._state = "disconnected"
            elif event == zmq.EVENT_CONNECT_RETRIED:
                self._alone_since_s = None
            elif event == zmq.EVENT_CONNECTED:
                self._dialled = True
                self._alone_since_s = None
                self._attempts_without_handshake += 1

    def _refuse(self, why: str) -> None:
        """Say, once in the log and as long as it lasts in the status, that the peer lets us not in."""
        self._refusals += 1
        self._state = "refused"
        line = f"{self._address}: connection refused: {why}"
        if self._error != line:
            logger.error("%s - check server_key and client_key of the source", line)
        self._error = line

    def _connect_anew_if_given_up(self) -> None:
        """Connect again where ZMQ does not: after a message above the cap, or one that breaks its protocol.

        libzmq 4.3.5 says at once that it will try again when a peer is merely gone, and ends the session otherwise.
        """
        gone_s = self._alone_since_s
        if not self._dialled or gone_s is None or time.monotonic() < gone_s + self._retry_after_s:
            return
        assert self._socket is not None
        if self._state == "disconnected":
            self._cut_off += 1
            logger.error(
                "%s: a message above %d bytes, or one that breaks the protocol, is lost; connecting again",
                self._address,
                self._max_message_bytes,
            )
        self._alone_since_s = time.monotonic()
        self._retry_after_s = min(2 * self._retry_after_s, _LONGEST_RETRY_S)
        self._attach(self._socket)

    def _close(self) -> None:
        if self._socket is None:
            return
        socket, self._socket = self._socket, None
        socket.disable_monitor()
        if self._monitor is not None:
            self._monitor.close(0)
            self._monitor = None
        socket.close(0)
