"""The derived run over 0MQ, as bluesky's own consumers read documents. It may lag, and never holds anybody up."""

import logging
import queue
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from phasecast.core.curve_keys import CurveKeys
from phasecast.core.documents import PRIMARY
from phasecast.core.errors import PhasecastError
from phasecast.core.protocols import Document

logger = logging.getLogger(__name__)

_MAX_WAITING = 10_000
"""Documents that may wait for the sender; a page of points has 20 kB."""
_HIGH_WATER_MARK = 10_000
_LINGER_MS = 1000
_DRAIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishAddress:
    """Where results are published.

    Parameters
    ----------
    address
        0MQ address.
    prefix
        What stands before each message; consumers choose by it.
    connects
        Whether it is the address of a proxy's in port, to connect to; else consumers connect to it.
    keys
        CURVE keys; None for a plain socket.
    client_keys
        Folder with the public keys of consumers that are let in; None lets everybody in who knows our public key.
    """

    address: str
    prefix: str
    connects: bool = False
    keys: CurveKeys | None = None
    client_keys: Path | None = None


class DocumentPublisher:
    """A sink that publishes ``prefix name document``, msgpack of plain values, in a thread of its own.

    Parameters
    ----------
    where
        Address and keys.

    Raises
    ------
    PhasecastError
        If the address cannot be bound or connected to.
    """

    def __init__(self, where: PublishAddress) -> None:
        self._where = where
        self._prefix = where.prefix.encode()
        self._waiting: queue.Queue[tuple[str, Document] | None] = queue.Queue(_MAX_WAITING)
        self._published = 0
        self._dropped = 0
        self._failed = 0
        self._closing = threading.Event()
        with ExitStack() as stack:
            # a context of its own: two authenticators in one cannot both bind
            self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            stack.callback(self._context.destroy, linger=0)
            self._socket = self._context.socket(zmq.PUB)
            try:
                self._authenticator = self._open()
            except (zmq.ZMQError, OSError) as error:
                raise PhasecastError(
                    f"results cannot be published here ({error})",
                    where=where.address,
                    remedy="choose another port, or ?connect=1 for the in port of a proxy",
                ) from error
            stack.pop_all()
        self.address = (
            where.address if where.connects else self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        )
        """Where it is bound, or what it is connected to."""
        self._thread = threading.Thread(target=self._run, name="publish-results", daemon=True)
        self._thread.start()

    def __call__(self, name: str, doc: Document) -> None:
        """Take one document; while too many wait, it is dropped and counted."""
        try:
            self._waiting.put_nowait((name, doc))
        except queue.Full:
            if not self._dropped:
                logger.error("%s: documents are not published as fast as they come", self.address)
            self._dropped += 1

    def status(self) -> dict[str, object]:
        """Counters, JSON-able; a PUB socket does not know what its consumers lost."""
        return {
            "address": self.address,
            "prefix": self._where.prefix,
            "encrypted": self._where.keys is not None,
            "published": self._published,
            "dropped": self._dropped,
            "failed": self._failed,
            "waiting": self._waiting.qsize(),
        }

    def close(self) -> None:
        """Send what waits, for five seconds at most, and close; idempotent."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join(_DRAIN_S)
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.destroy(linger=_LINGER_MS)

    def _open(self) -> ThreadAuthenticator | None:
        keys, authenticator = self._where.keys, None
        self._socket.setsockopt(zmq.SNDHWM, _HIGH_WATER_MARK)
        self._socket.setsockopt(zmq.LINGER, _LINGER_MS)
        if keys is not None:
            self._socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
            self._socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
            if self._where.connects:
                self._socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)
            else:
                self._socket.setsockopt(zmq.CURVE_SERVER, True)
                authenticator = ThreadAuthenticator(self._context)
                authenticator.start()
                folder = self._where.client_keys
                authenticator.configure_curve(
                    domain="*", location=zmq.auth.CURVE_ALLOW_ANY if folder is None else str(folder)
                )
        try:
            if self._where.connects:
                self._socket.connect(self._where.address)
            else:
                self._socket.bind(self._where.address)
        except zmq.ZMQError:
            if authenticator is not None:
                authenticator.stop()
            raise
        return authenticator

    def _run(self) -> None:
        try:
            while not (self._closing.is_set() and self._waiting.empty()):
                try:
                    item = self._waiting.get(timeout=0.1)
                except queue.Empty:
                    continue
                if item is not None:
                    self._send(*item)
        finally:
            self._socket.close()

    def _send(self, name: str, doc: Document) -> None:
        try:
            body = msgpack.packb(_plain(_for_consumers(name, doc)))
            self._socket.send(b" ".join([self._prefix, name.encode(), body]), zmq.NOBLOCK)
            self._published += 1
        # whatever a document holds that cannot be said, the result file holds it, and the next one is sent
        except Exception:
            if not self._failed:
                logger.exception("%s: a %s document cannot be published", self.address, name)
            self._failed += 1


def _for_consumers(name: str, doc: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a document whose dimensions name a field that its stream has: positions are in the ledger's."""
    return {**doc, "hints": {"dimensions": [[["point_index"], PRIMARY]]}} if name == "start" else doc


def _plain(value: object) -> object:
    """Return a value in which arrays are lists: a consumer that unpacks arrays can be made to run code."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return value
