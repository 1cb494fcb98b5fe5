"""Which files of a watched folder the capture holds already: a restarted daemon goes on behind them.

The capture itself is the journal, so that nothing can be in one and not in the other. Only the part that is replayed
counts: what lies before it belongs to scans that are over, or to none, and is recorded again as if it were new.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from phasecast.core.errors import WireError
from phasecast.core.record import CapturePosition, Channel, Receiver
from phasecast.sources.capture_reader import CaptureReader
from phasecast.sources.directory import DirectoryReceiver
from phasecast.sources.file_record import CHANNEL, decode_file


@dataclass(frozen=True, slots=True, kw_only=True)
class FileJournal:
    """What was recorded of one watched folder.

    Parameters
    ----------
    whole
        Name of each complete file to its size in bytes and POSIX time of change.
    frames
        Name of each file of many frames to the number of frames that were recorded.
    """

    whole: dict[str, tuple[int, float]] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)


def read_journals(captures: Path, start: CapturePosition) -> dict[Channel, FileJournal]:
    """Return what the capture holds from a place on, by channel.

    Raises
    ------
    CaptureError
        If that place is gone.
    """
    journals: dict[Channel, FileJournal] = defaultdict(FileJournal)
    with CaptureReader(captures, start) as reader:
        for record in reader.read_available():
            if record.channel.partition(".")[0] != CHANNEL:
                continue
            try:
                note = decode_file(record)
            except WireError:
                continue
            journal = journals[record.channel]
            if note.frame is not None:
                journal.frames[note.name] = max(journal.frames.get(note.name, 0), note.frame.index + 1)
            elif not note.problem:
                journal.whole[note.name] = (note.size, note.mtime_s)
    return dict(journals)


def go_on_behind(receivers: Iterable[Receiver], captures: Path, start: CapturePosition | None) -> None:
    """Let receivers that have not started leave out the files that will be replayed.

    Parameters
    ----------
    receivers
        All of them; only those of folders are told.
    captures
        Captures folder.
    start
        From where the capture is replayed; None if it is not.

    Raises
    ------
    CaptureError
        If that place is gone.
    """
    folders = [receiver for receiver in receivers if isinstance(receiver, DirectoryReceiver)]
    if start is None or not folders:
        return
    journals = read_journals(captures, start)
    for receiver in folders:
        journal = journals.get(receiver.channel)
        if journal is not None:
            receiver.go_on_behind(journal.whole, journal.frames)
