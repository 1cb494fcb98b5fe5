"""A recorded scan on real sockets once more: every message as it came, at the pace at which it came or another."""

import json
import logging
import os
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import zmq

from phasecast.core.record import RawRecord
from phasecast.simulate.errors import SimulationError
from phasecast.simulate.options import Summary
from phasecast.simulate.push_socket import PushSocket
from phasecast.sources.capture import CaptureReader
from phasecast.sources.capture_pace import PacedReader

logger = logging.getLogger(__name__)

_FRAMES = ("simplon", "simplon2")
_DOCUMENTS = "bluesky"
_STALL_S = 5.0
_POLL_S = 0.02
_LINGER_MS = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedOptions:
    """What is sent, and how.

    Parameters
    ----------
    capture
        Captures folder or segment.
    output
        Where frames are offered: ``simplon://127.0.0.1:PORT``, 0 for any.
    documents_port
        Port at which documents are offered; 0 for any.
    speed
        Recorded seconds a second; None as fast as they are taken.
    announce
        File to write the addresses to; None for none.
    start_when
        Begin when this path exists; None for at once.
    start_timeout_s
        How long to wait for that and for consumers.
    """

    capture: Path
    output: str
    documents_port: int = 0
    speed: float | None = 1.0
    announce: Path | None = None
    start_when: Path | None = None
    start_timeout_s: float = 60.0


class _DocumentsSocket:
    """Hands out documents as a bluesky proxy does, and knows when somebody has subscribed."""

    def __init__(self, port: int, first: bytes) -> None:
        prefix, _, rest = first.partition(b" ")
        # as `decode_document` tells them apart; a daemon lets pickle in only where it is named
        codec = "pickle" if rest.partition(b" ")[2][:1] == b"\x80" else ""
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._socket = context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.LINGER, _LINGER_MS)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        try:
            self._socket.bind(f"tcp://127.0.0.1:{port or '*'}")
        except zmq.ZMQError as error:
            self._socket.close(linger=0)
            raise SimulationError(
                f"cannot bind port {port} ({error})", where="documents", remedy="choose another port, or 0"
            ) from error
        endpoint = self._socket.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(endpoint, bytes)
        self.uri = endpoint.rstrip(b"\0").decode().replace("tcp://", "bluesky://")
        self.uri += f"?prefix={prefix.decode('ascii', 'replace')}" + (f"&codec={codec}" if codec else "")

    def await_subscriber(self, timeout_s: float) -> None:
        """Return when somebody listens: what is published before that is lost."""
        if not self._socket.poll(int(timeout_s * 1000), zmq.POLLIN):
            raise SimulationError(
                f"nobody subscribed within {timeout_s:g} s", where=self.uri, remedy="start the daemon first"
            )
        self._socket.recv()

    def send(self, parts: list[bytes]) -> None:
        self._socket.send_multipart(parts)

    def close(self) -> None:
        self._socket.close()


def send_recorded(options: RecordedOptions) -> Summary:
    """Send the frames and documents of a capture to whoever connects, in their order; return what went out.

    Frames of SIMPLON V1 and V2 leave through a PUSH socket, documents through a PUB socket. Records of other wires
    are counted and named, for they were files.

    Raises
    ------
    CaptureError
        If there is no capture.
    SimulationError
        If it holds neither frames of a stream nor documents, a port is in use, or no consumer comes.
    """
    kinds, document = _look_through(options.capture)
    scheme = next((kind for kind in _FRAMES if kinds[kind]), "")
    if not scheme and not kinds[_DOCUMENTS]:
        raise SimulationError(
            f"no frames of a stream and no documents in it, only {', '.join(sorted(kinds)) or 'nothing'}",
            where=str(options.capture),
            remedy="use `phasecast replay`",
        )
    for kind in sorted(set(kinds) - {scheme, _DOCUMENTS}):
        logger.warning("%d records of %s are not sent: no stream", kinds[kind], kind)
    with ExitStack() as stack:
        frames = documents = None
        if scheme:
            frames = PushSocket(_port(options.output), scheme=scheme)
            stack.callback(frames.close)
        if kinds[_DOCUMENTS]:
            documents = _DocumentsSocket(options.documents_port, document)
            stack.callback(documents.close)
        _announce(options, frames, documents)
        _await(options)
        if documents is not None:
            documents.await_subscriber(options.start_timeout_s)
        records = stack.enter_context(CaptureReader(options.capture, follow=False))
        return _send(options, PacedReader(iter(records), speed=options.speed), frames, documents)


def _send(
    options: RecordedOptions, records: PacedReader, frames: PushSocket | None, documents: _DocumentsSocket | None
) -> Summary:
    sent, lost, published = 0, 0, 0
    began_s = time.monotonic()
    patience_s = options.start_timeout_s
    while not records.finished:
        for record in records.read_available():
            kind = _kind(record)
            if kind in _FRAMES and frames is not None:
                taken = frames.send(list(record.parts), patience_s)
                if not taken and not sent:
                    raise SimulationError(
                        f"no consumer connected within {patience_s:g} s",
                        where=frames.address,
                        remedy="start the daemon first, or give it this address",
                    )
                sent, lost, patience_s = sent + taken, lost + (not taken), _STALL_S
            elif kind == _DOCUMENTS and documents is not None:
                documents.send(list(record.parts))
                published += 1
        time.sleep(min(records.wait_s, _POLL_S))
    return Summary(
        uids=(),
        points=0,
        frames_sent=sent,
        frames_lost=lost,
        documents=published,
        seconds=time.monotonic() - began_s,
        frames_uri=frames.address if frames is not None else "",
        documents_uri=documents.uri if documents is not None else "",
    )


def _look_through(capture: Path) -> tuple[Counter[str], bytes]:
    """Return how many records of each kind a capture holds, and the first of its documents."""
    kinds: Counter[str] = Counter()
    document = b""
    with CaptureReader(capture, follow=False) as records:
        for record in records:
            kind = _kind(record)
            kinds[kind] += 1
            if kind == _DOCUMENTS and not document and record.parts:
                document = record.parts[0]
    return kinds, document


def _kind(record: RawRecord) -> str:
    return record.channel.partition(".")[0]


def _port(output: str) -> int:
    parts = urlsplit(output)
    if parts.scheme not in _FRAMES or parts.hostname not in {"127.0.0.1", "localhost"}:
        raise SimulationError(
            "recorded frames leave by a stream of this machine",
            where=output,
            remedy="use -o simplon://127.0.0.1:PORT; the wire is the recorded one",
        )
    return parts.port or 0


def _announce(options: RecordedOptions, frames: PushSocket | None, documents: _DocumentsSocket | None) -> None:
    """Write the addresses, complete or not at all."""
    if options.announce is None:
        return
    record = {
        "frames": frames.address if frames is not None else "",
        "documents": documents.uri if documents is not None else "",
        "pid": os.getpid(),
    }
    draft = options.announce.with_name(options.announce.name + ".part")
    draft.write_text(json.dumps(record) + "\n", encoding="utf-8")
    draft.replace(options.announce)


def _await(options: RecordedOptions) -> None:
    deadline = time.monotonic() + options.start_timeout_s
    while options.start_when is not None and not options.start_when.exists():
        if time.monotonic() > deadline:
            raise SimulationError(
                f"start signal did not come within {options.start_timeout_s:g} s", where=str(options.start_when)
            )
        time.sleep(_POLL_S)
