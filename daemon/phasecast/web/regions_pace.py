"""Rests between costly looks at a scan that grows, so that drawing it keeps its time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_LEAST_REST_S = 3.0
_REST_PER_COST = 20.0


class Pace:
    """Says when something costly may be done again: after three seconds, or twenty times what it took."""

    def __init__(self) -> None:
        self._due_s = float("-inf")

    @property
    def is_due(self) -> bool:
        """Whether the rest is over."""
        return time.monotonic() >= self._due_s

    @contextmanager
    def work(self) -> Iterator[None]:
        """Measure some work; the rest begins at its end."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            ended_s = time.monotonic()
            self._due_s = ended_s + max(_LEAST_REST_S, _REST_PER_COST * (ended_s - began_s))
