"""How fast counters grow, told from samples that are taken now and then."""

from collections import deque


class RateMeter:
    """Rate of a counter over the last seconds.

    Parameters
    ----------
    window_s
        Time over which the rate is taken.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, float]] = deque()

    def sample(self, value: float, now_s: float) -> float:
        """Take the counter's value and return its rate in 1/s; 0 until two samples differ in time."""
        self._samples.append((now_s, value))
        while len(self._samples) > 2 and now_s - self._samples[1][0] >= self._window_s:
            self._samples.popleft()
        first_s, first = self._samples[0]
        return (value - first) / (now_s - first_s) if now_s > first_s else 0.0
