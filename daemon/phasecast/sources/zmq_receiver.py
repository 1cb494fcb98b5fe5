"""A receiving ZMQ socket in a thread of its own."""

import logging
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

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

    def status(self) -> dict[str, object]:
        """State and counters, JSON-able."""
        return super().status() | {
            "address": self._address,
            "connected": self._state == "connected",
            "connects": self._connects,
            "reconnects": max(0, self._connects - 1),
            "disconnects": self._disconnects,
            "cut_off": self._cut_off,
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
        self._monitor = socket.get_monitor_socket(
            zmq.EVENT_CONNECTED | zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
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
            elif event == zmq.EVENT_DISCONNECTED:
                self._disconnects += 1
                self._alone_since_s = time.monotonic()
                self._state = "disconnected"
            elif event == zmq.EVENT_CONNECT_RETRIED:
                self._alone_since_s = None
            elif event == zmq.EVENT_CONNECTED:
                self._dialled = True
                self._alone_since_s = None

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
