"""Notes beside a result file: what people said of it later. The file itself is never opened for writing again."""

from collections.abc import Sequence
from pathlib import Path

from phasecast.records.journal import Entry, append, read_journal


def notes_path(result: Path) -> Path:
    """Return where the notes of a result lie: ``<result>.notes.jsonl``."""
    return result.with_name(result.name + ".notes.jsonl")


def read_notes(result: Path) -> list[Entry]:
    """Return the notes of a result, oldest first; each says ``who``, ``time_s``, ``time``, ``what`` and more.

    Raises
    ------
    RecordsError
        If they cannot be read.
    """
    return read_journal(notes_path(result))


def add_notes(results: Sequence[Path], note: Entry) -> None:
    """Add the same note to several results of one scan."""
    for result in results:
        path = notes_path(result)
        if all(entry.get("request") != note["request"] for entry in read_journal(path)):
            append(path, [note])
