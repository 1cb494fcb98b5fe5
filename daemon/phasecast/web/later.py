"""One piece of work beside the server's loop, for one session."""

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from phasecast.core.errors import PhasecastError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Later(Generic[T]):
    """Does something in a thread; whoever asked looks whether it is there."""

    def __init__(self) -> None:
        self._number = 0
        self._done: tuple[int, T | None, str] | None = None
        self._running = False

    @property
    def is_running(self) -> bool:
        """Whether somebody waits for something."""
        return self._running

    def start(self, work: Callable[[], T]) -> None:
        """Begin; what was begun before is forgotten."""
        self._number += 1
        self._running = True
        threading.Thread(target=self._run, args=(self._number, work), name="later", daemon=True).start()

    def take(self) -> tuple[T | None, str] | None:
        """Return what came of it, or why nothing did, once; None before that."""
        done = self._done
        if not self._running or done is None or done[0] != self._number:
            return None
        self._running, self._done = False, None
        return done[1], done[2]

    def _run(self, number: int, work: Callable[[], T]) -> None:
        try:
            self._done = number, work(), ""
        except PhasecastError as error:
            self._done = number, None, str(error)
        except Exception as error:
            logger.exception("work of a session")
            self._done = number, None, f"{type(error).__name__}: {error}"
