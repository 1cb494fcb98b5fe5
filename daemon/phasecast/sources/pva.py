"""EPICS PVA: the NTNDArray that areaDetector's plugin offers of each frame (extra ``pva``)."""

import queue
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import SourceError
from phasecast.core.record import Channel
from phasecast.sources.pva_record import CHANNEL, ArrayNote, plain_attributes
from phasecast.sources.receiver import ThreadedReceiver

_MAX_UPDATE_BYTES = 64 << 20
_MAX_WAITING_BYTES = 512 << 20
_MAX_ATTRIBUTES = 256
_QUEUE_SIZE = 100
"""Updates that the server keeps for us; at its default of 4, a client that paused for 60 updates got 12."""
_POLL_S = 0.1


class PvaReceiver(ThreadedReceiver):
    """Monitors one process variable and records each update.

    Parameters
    ----------
    pv
        Its name, such as ``13PIL:Pva1:Image``.
    channel
        Name of the wire in the capture.
    server
        ``host:port`` of the server (TCP); empty to search as ``EPICS_PVA_ADDR_LIST`` says.
    """

    def __init__(self, pv: str, *, channel: Channel = CHANNEL, server: str = "") -> None:
        super().__init__(channel)
        self._pv = pv
        self._server = server
        self._context: Any = None
        self._subscription: Any = None
        self._waiting: queue.SimpleQueue[tuple[Any, float]] = queue.SimpleQueue()
        self._taken_bytes = 0
        self._recorded_bytes = 0
        self._connects = 0
        self._disconnects = 0
        self._dropped = 0
        self._last_id: int | None = None
        self._gaps = 0

    def status(self) -> dict[str, object]:
        """State and counters, JSON-able; ``lost_upstream`` are gaps of the running number."""
        return super().status() | {
            "address": self._pv,
            "connected": self._state == "connected",
            "connects": self._connects,
            "reconnects": max(0, self._connects - 1),
            "disconnects": self._disconnects,
            "dropped_by_us": self._dropped,
            "lost_upstream": self._gaps,
        }

    def _open(self) -> None:
        try:
            from p4p.client.thread import Context
        except ImportError as error:
            raise SourceError(
                "EPICS PVA needs the library p4p", where=f"pva://{self._pv}", remedy='pip install "phasecast[pva]"'
            ) from error
        named = {"EPICS_PVA_NAME_SERVERS": self._server, "EPICS_PVA_ADDR_LIST": "", "EPICS_PVA_AUTO_ADDR_LIST": "NO"}
        # Unwrapped by p4p itself an array that is compressed raises, and its codec is gone.
        self._context = Context("pva", conf=named if self._server else None, useenv=not self._server, nt=False)
        # Kept, for p4p ends a subscription that nobody holds.
        self._subscription = self._context.monitor(
            self._pv, self._take, request=f"record[queueSize={_QUEUE_SIZE}]field()", notify_disconnect=True
        )

    def _take(self, update: Any) -> None:
        """Enqueue one update, in a thread of p4p's; while that one is busy, the server drops."""
        try:
            size = 0 if isinstance(update, Exception) else _bytes_of(update)
        except Exception:  # a type of its own making; recorded as what cannot be read
            size = 0
        if self._taken_bytes - self._recorded_bytes + size > _MAX_WAITING_BYTES:
            self._dropped += 1
            return
        self._taken_bytes += size
        self._waiting.put((update, self._now_s()))

    def _serve(self) -> None:
        initial = True
        while not self._stopping.is_set():
            try:
                update, received_s = self._waiting.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if isinstance(update, Exception):
                if self._state == "connected":
                    self._disconnects += 1
                self._state, initial = "disconnected", True
                continue
            if initial:
                self._connects += 1
                self._state = "connected"
            parts = self._parts_of(update, initial=initial)
            initial = False
            self._record(parts, received_s)

    def _parts_of(self, update: Any, *, initial: bool) -> list[bytes]:
        try:
            pixels = _pixels_of(update)
            if pixels is not None:
                self._recorded_bytes += pixels.nbytes
            note = _note_of(self._pv, update, pixels, initial=initial)
        # Whatever is behind the name may have any structure; it is one bad update and not the end of the wire.
        except Exception as error:
            detail = f"no NTNDArray ({type(error).__name__}: {' '.join(str(error).split())[:160]})"
            return [ArrayNote(pv=self._pv, problem=detail).to_part()]
        if pixels is None:
            return [note.to_part()]
        self._count(note.unique_id)
        if note.problem:
            return [note.to_part()]
        return [note.to_part(), pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()]

    def _count(self, unique_id: int) -> None:
        if self._last_id is not None and unique_id > self._last_id + 1:
            self._gaps += unique_id - self._last_id - 1
        self._last_id = unique_id

    def _close(self) -> None:
        subscription, self._subscription = self._subscription, None
        context, self._context = self._context, None
        if subscription is not None:
            subscription.close()
        if context is not None:
            context.close()


def _pixels_of(update: Any) -> NDArray[Any] | None:
    pixels = update.value
    return None if pixels is None else np.asarray(pixels)


def _bytes_of(update: Any) -> int:
    pixels = _pixels_of(update)
    return 0 if pixels is None else pixels.nbytes


def _note_of(pv: str, update: Any, pixels: NDArray[Any] | None, *, initial: bool) -> ArrayNote:
    problem = ""
    if not str(update.getID()).startswith("epics:nt/NTNDArray:1."):
        raise ValueError(f"its type is {str(update.getID())[:60]!r}")
    if pixels is None:
        problem = "the array holds no pixels"
    elif pixels.nbytes > _MAX_UPDATE_BYTES:
        problem = f"{pixels.nbytes} bytes, more than {_MAX_UPDATE_BYTES} are not recorded"
    parameters = update.codec.parameters
    stamp = update.dataTimeStamp if update.dataTimeStamp.secondsPastEpoch else update.timeStamp
    stamp_s = stamp.secondsPastEpoch + stamp.nanoseconds / 1e9
    attributes = {entry.name[:256]: entry.value for entry in islice(update.attribute or (), _MAX_ATTRIBUTES)}
    return ArrayNote(
        pv=pv,
        unique_id=update.uniqueId,
        codec=update.codec.name[:40],
        parameters=parameters if isinstance(parameters, int) else None,
        compressed=update.compressedSize,
        uncompressed=update.uncompressedSize,
        dimension=[entry.size for entry in islice(update.dimension or (), 11)],
        dtype="" if pixels is None else pixels.dtype.name,
        stamp_s=stamp_s if 0 < stamp_s < 1e11 else None,
        attributes=plain_attributes(attributes),
        initial=initial,
        problem=problem,
    )
