"""The beam that is never quite constant, and the clock that paces the detector."""

import time
from dataclasses import dataclass

import numpy as np

I0_COUNTS = 1.0e6
_CATCH_UP_PERIODS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """Flux of each exposure; deterministic by seed.

    Parameters
    ----------
    seed
        Seed of the fluctuation.
    fluctuation
        Relative spread from exposure to exposure, on top of a slow drift of 3 %.
    """

    seed: int = 0
    fluctuation: float = 0.01

    def flux(self, series: int, number: int, *, dark: bool = False) -> float:
        """Flux of an exposure, 1 is nominal; a dumped beam leaves 1e-4."""
        if dark:
            return 1e-4
        rng = np.random.default_rng([self.seed, 6, series, number])
        drift = 1 + 0.03 * np.sin(2 * np.pi * number / 1700.0)
        return float(drift * (1 + self.fluctuation * rng.standard_normal()))

    def monitors(self, series: int, number: int, *, flux: float, transmission: float) -> tuple[float, float]:
        """Counts of the ion chambers before and behind the sample."""
        rng = np.random.default_rng([self.seed, 7, series, number])
        i0 = max(0.0, flux * I0_COUNTS * (1 + 0.001 * rng.standard_normal()))
        i1 = max(0.0, i0 * transmission * (1 + 0.001 * rng.standard_normal()))
        return round(i0), round(i1)


class Pacer:
    """Starts exposures at a mean rate within a row.

    Small delays of a busy computer are caught up, so that the mean holds; the time a row turnaround takes
    is not (``restart``).

    Parameters
    ----------
    rate_hz
        Exposures per second; None does not wait at all.
    """

    def __init__(self, rate_hz: float | None) -> None:
        self._period_s = 1 / rate_hz if rate_hz else 0.0
        self._next = 0.0

    def restart(self) -> None:
        """Forget the delay so far."""
        self._next = max(self._next, time.monotonic())

    def wait(self) -> None:
        """Wait for the next start."""
        now = time.monotonic()
        if now < self._next:
            time.sleep(self._next - now)
        self._next = max(self._next, now - _CATCH_UP_PERIODS * self._period_s) + self._period_s
