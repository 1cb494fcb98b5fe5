"""A cap on how fast the acquisition's tree is read: its disk and its network serve the detector first."""

import threading
import time
from collections.abc import Callable


class ReadBudget:
    """Bytes that may be read, growing with time; shared by everyone who reads from the same tree.

    After a second without reading, a second's bytes may be read at once. A file larger than that is paid for
    afterwards: the next one waits longer.

    Parameters
    ----------
    bytes_per_s
        The cap.
    clock
        Monotonic seconds.
    """

    def __init__(self, bytes_per_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = bytes_per_s
        self._clock = clock
        self._lock = threading.Lock()
        self._left = bytes_per_s
        self._asked_s = clock()
        self.waited_s = 0.0
        """Time for which readers were held back so far."""

    def take(self, size: int, wait: Callable[[float], object] = time.sleep) -> None:
        """Return when that many bytes may be read.

        Parameters
        ----------
        size
            Bytes that will be read.
        wait
            Waits for so many seconds; may return early when nothing is to be read any more.
        """
        with self._lock:
            now_s = self._clock()
            self._left = min(self._rate, self._left + (now_s - self._asked_s) * self._rate)
            self._asked_s = now_s
            delay_s = max(0.0, -self._left / self._rate)
            self._left -= size
            self.waited_s += delay_s
        if delay_s > 0:
            wait(delay_s)
