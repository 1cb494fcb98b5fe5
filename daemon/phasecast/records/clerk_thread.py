"""The clerk at work in the background of a process."""

import logging
import threading
from types import TracebackType
from typing import Self

from phasecast.records.clerk import Clerk

logger = logging.getLogger(__name__)


class ClerkThread:
    """Lets a clerk work in the background, as a context.

    Parameters
    ----------
    clerk
        The clerk; closed at the end.
    interval_s
        Time between two looks into the mailbox.
    """

    def __init__(self, clerk: Clerk, *, interval_s: float = 0.2) -> None:
        self._clerk = clerk
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clerk", daemon=True)
        self.failures = 0
        self.error = ""
        """Why the last turn failed; empty if it did not."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._clerk.close()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            try:
                self._clerk.step()
                self.error = ""
            except Exception as error:
                if not self.error:
                    logger.exception("the clerk cannot work")
                self.failures += 1
                self.error = str(error)
