"""Series of a wire that has none: its frames bear a running number, which begins anew now and then."""

from phasecast.core.record import RawRecord


class RunningNumber:
    """Names the series of frames whose wire states a running number and no series.

    A number that falls below the last one begins a series. It is named by the time of its first record, so that a
    capture that is read again from there gives the same name.

    Parameters
    ----------
    name
        What the names begin with.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._series = ""
        self._last: int | None = None

    @property
    def last(self) -> int | None:
        """The newest number; None before the first."""
        return self._last

    def series_of(self, number: int, record: RawRecord) -> str:
        """Return the series that a frame belongs to, which is the newest from now on."""
        if self._last is None or number < self._last:
            self._series = f"{self._name}-{round(record.received_s * 1e3)}"
        self._last = number
        return self._series
