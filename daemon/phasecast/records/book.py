"""What a journal amounts to: entries read as they come, and what is in force after them."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phasecast.records.journal import Entry, JournalReader

logger = logging.getLogger(__name__)


def stamp(request_id: str, who: str, time_s: float) -> Entry:
    """Return what every entry begins with: the request it comes from, who, and when (POSIX s and ISO 8601)."""
    time = datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
    return {"request": request_id, "who": who, "time_s": time_s, "time": time}


class Book:
    """Base of everything read from one journal. Subclasses take entries in `_take` and forget all in `_clear`.

    Parameters
    ----------
    path
        The journal; it may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._reader = JournalReader(path)
        self.requests: set[str] = set()
        """Requests that the journal holds entries of."""
        self.foreign = 0
        """Entries that could not be understood; they are passed over."""
        self._clear()

    @property
    def path(self) -> Path:
        """The journal."""
        return self._reader.path

    @property
    def defects(self) -> int:
        """Lines and entries that could not be used."""
        return self._reader.defects + self.foreign

    def refresh(self) -> bool:
        """Take what is new in the journal; return whether there was anything.

        Raises
        ------
        RecordsError
            If the journal cannot be read.
        """
        restarts = self._reader.restarts
        entries = self._reader.read()
        began_anew = self._reader.restarts != restarts
        if began_anew:
            self.requests.clear()
            self._clear()
        for entry in entries:
            try:
                self._take(entry)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                self.foreign += 1
                logger.warning("%s: an entry is passed over: %r", self.path, error)
                continue
            request: Any = entry.get("request")
            if isinstance(request, str) and request:
                self.requests.add(request)
        return bool(entries) or began_anew

    def _take(self, entry: Entry) -> None:
        raise NotImplementedError

    def _clear(self) -> None:
        raise NotImplementedError
