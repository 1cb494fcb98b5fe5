"""Which alarms a person has seen."""

from dataclasses import dataclass
from pathlib import Path

from phasecast.core.data_directory import DataDirectory
from phasecast.core.requests import Acknowledge
from phasecast.records.book import Book, stamp
from phasecast.records.journal import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody has seen an alarm.

    Parameters
    ----------
    alarm_id
        The alarm's occurrence.
    who, time_s
        Who, and when (POSIX s).
    """

    alarm_id: str
    who: str
    time_s: float


class AcknowledgementBook(Book):
    """Acknowledgements of a data directory: `refresh` takes what is new."""

    def of(self, alarm_id: str) -> Acknowledgement | None:
        """Return the first acknowledgement of an alarm; None if there is none."""
        return self._first.get(alarm_id)

    def _clear(self) -> None:
        self._first: dict[str, Acknowledgement] = {}

    def _take(self, entry: Entry) -> None:
        seen = Acknowledgement(alarm_id=str(entry["alarm_id"]), who=str(entry["who"]), time_s=float(entry["time_s"]))
        self._first.setdefault(seen.alarm_id, seen)


def acknowledgements_path(directory: DataDirectory) -> Path:
    """Return the journal of the acknowledgements."""
    return directory.notebook / "acknowledgements.jsonl"


def acknowledgement_entry(request: Acknowledge, request_id: str, *, time_s: float) -> Entry:
    """Return the entry that keeps an acknowledgement."""
    return {**stamp(request_id, request.who, time_s), "kind": "acknowledged", "alarm_id": request.alarm_id}
