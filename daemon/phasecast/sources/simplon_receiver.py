"""The receiver of both versions of the SIMPLON stream, and the question to the detector how much it dropped."""

import json
import threading
from typing import Any
from urllib.request import Request, urlopen

import zmq

from phasecast.core.record import Channel, RecordSink
from phasecast.sources.zmq_receiver import ZmqReceiver

_HIGH_WATER_MARK = 1000
"""About 40 MB of compressed 100k frames: a second at 1 kHz."""
_MOST_MESSAGE_BYTES = 160 << 20
"""Flat field and mask of 18 million pixels in one start message; V1 sends them in parts of their own."""
_POLL_S = 5.0
_TIMEOUT_S = 2.0
_MOST_BYTES = 1 << 16
_DROPPED = "/status/dropped"


class SimplonReceiver(ZmqReceiver):
    """PULL socket that records a SIMPLON stream. It must be the detector's only consumer (PUSH is round-robin).

    Parameters
    ----------
    address
        Address of the detector's stream, such as ``tcp://dcu:9999``.
    channel
        Name of the wire in the capture.
    rest
        Address of the detector's stream interface, such as ``http://dcu/stream/api/1.8.0``, which is asked how many
        images were dropped there because nobody fetched them; empty to leave the detector alone.
    """

    def __init__(self, address: str, *, channel: Channel, rest: str = "") -> None:
        super().__init__(
            channel,
            address,
            kind=zmq.PULL,
            high_water_mark=_HIGH_WATER_MARK,
            max_message_bytes=_MOST_MESSAGE_BYTES,
        )
        self._dropped = DroppedQuestion(rest + _DROPPED) if rest else None

    def start(self, capture: RecordSink) -> None:
        """Open the wire and begin to record, in a thread of its own.

        Raises
        ------
        SourceError
            If the wire cannot be opened.
        """
        super().start(capture)
        if self._dropped is not None:
            self._dropped.start()

    def stop(self) -> None:
        """Close the wire; returns when the thread has ended. Idempotent."""
        if self._dropped is not None:
            self._dropped.stop()
        super().stop()

    def status(self) -> dict[str, object]:
        """State and counters, JSON-able."""
        return super().status() | (self._dropped.status() if self._dropped is not None else {})


class DroppedQuestion:
    """Asks a detector every five seconds how many images it dropped, in a thread of its own.

    Parameters
    ----------
    url
        Where the detector says so.
    poll_s
        Pause between two questions.
    """

    def __init__(self, url: str, *, poll_s: float = _POLL_S) -> None:
        self._url = url
        self._poll_s = poll_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._answer: int | None = None
        self._error = ""

    def start(self) -> None:
        """Begin to ask."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="ask-dropped", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask no more; an answer that is waited for may still come. Idempotent."""
        self._stopping.set()
        self._thread = None

    def status(self) -> dict[str, object]:
        """The newest answer, None before the first, and why there was none the last time."""
        return {"dropped_by_detector": self._answer, "dropped_error": self._error}

    def _run(self) -> None:
        stopping = self._stopping
        while True:
            try:
                self._answer, self._error = _ask(self._url), ""
            except (OSError, ValueError, RecursionError) as error:
                self._error = f"{self._url}: {error}"
            if stopping.wait(self._poll_s):
                return


def _ask(url: str) -> int:
    with urlopen(Request(url, headers={"Accept": "application/json"}), timeout=_TIMEOUT_S) as answer:
        content: Any = json.loads(answer.read(_MOST_BYTES))
    value = content.get("value") if isinstance(content, dict) else content
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"the answer holds no number ({str(content)[:60]})")
    return value
