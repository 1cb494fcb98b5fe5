"""What receivers share: a thread that owns the wire, appends to the capture, and counts."""

import logging
import threading
import time
from collections.abc import Sequence

from phasecast.core.errors import CaptureError
from phasecast.core.record import Channel, RecordSink

logger = logging.getLogger(__name__)

_RETRY_S = 0.5


class ThreadedReceiver:
    """Base of receivers: subclasses open their wire in `_open`, serve it in `_serve` and close it in `_close`.

    Parameters
    ----------
    channel
        Name of the wire in the capture.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._capture: RecordSink | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._messages = 0
        self._bytes = 0
        self._capture_failures = 0
        self._lost = 0
        self._last_received_s: float | None = None
        self._state = "new"
        self._error = ""

    @property
    def channel(self) -> Channel:
        """Name of the wire."""
        return self._channel

    def start(self, capture: RecordSink) -> None:
        """Open the wire and begin to record, in a thread of its own.

        Raises
        ------
        SourceError
            If the wire cannot be opened.
        """
        if self._thread is not None:
            return
        self._capture = capture
        self._stopping.clear()
        self._state = "connecting"
        self._open()
        self._thread = threading.Thread(target=self._run, name=f"receive-{self._channel}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the wire; returns when the thread has ended. Idempotent."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def status(self) -> dict[str, object]:
        """State and counters, JSON-able; ``lost`` counts messages that could not be recorded before the end."""
        return {
            "channel": str(self._channel),
            "state": self._state,
            "messages": self._messages,
            "bytes": self._bytes,
            "last_received_s": self._last_received_s,
            "capture_failures": self._capture_failures,
            "lost": self._lost,
            "error": self._error,
        }

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:
            self._state, self._error = "failed", str(error)
            logger.exception("receiver %s failed", self._channel)
        finally:
            self._close()
            if self._state != "failed":
                self._state = "stopped"

    def _record(self, parts: Sequence[bytes], received_s: float) -> None:
        """Append one message; while that fails, wait here, so that the message waits and not its successors."""
        assert self._capture is not None
        while True:
            try:
                self._capture.append(self._channel, parts, received_s)
            except CaptureError as error:
                self._capture_failures += 1
                if not self._error:
                    logger.error("receiver %s: %s", self._channel, error)
                self._error = str(error)
                if self._stopping.wait(_RETRY_S):
                    self._lost += 1
                    return
                continue
            self._error = ""
            self._messages += 1
            self._bytes += sum(map(len, parts))
            self._last_received_s = received_s
            return

    def _open(self) -> None:
        raise NotImplementedError

    def _serve(self) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    @staticmethod
    def _now_s() -> float:
        return time.time()
