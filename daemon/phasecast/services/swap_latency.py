"""How late results are while another model is brought into use: what that costs the frames."""

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

_KEPT = 10_000


class SwapLatency:
    """Times from receipt to published result of points that came while a model was loaded or asked about older ones."""

    def __init__(self) -> None:
        self._latencies_s: deque[float] = deque(maxlen=_KEPT)

    def add(self, latencies_s: Iterable[float]) -> None:
        """Take those of one turn."""
        self._latencies_s.extend(latencies_s)

    def describe(self) -> dict[str, Any]:
        """Return how many points there were, 10,000 at most, and their latencies in ms, None if there were none."""
        known = np.array(self._latencies_s)
        names = ("p50_ms", "p99_ms", "max_ms")
        if not known.size:
            return {"points": 0, **dict.fromkeys(names)}
        values = np.percentile(known, (50, 99, 100)) * 1e3
        return {
            "points": known.size,
            **{name: round(float(value), 2) for name, value in zip(names, values, strict=True)},
        }
