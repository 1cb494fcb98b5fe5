"""The capture: the write-ahead log of everything that came over a wire."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from phasecast.core.errors import CaptureError
from phasecast.sources.capture_format import begins_like_capture, list_segments
from phasecast.sources.capture_reader import CaptureReader
from phasecast.sources.capture_writer import CaptureWriter

__all__ = ["CaptureReader", "CaptureSummary", "CaptureWriter", "check_capture", "is_capture"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSummary:
    """What a capture holds.

    Parameters
    ----------
    records, channels
        Number of intact records, in all and by channel.
    defects, torn_tails
        As counted by `CaptureReader`.
    first_s, last_s
        POSIX times of the first and the last record; None if there is none.
    """

    records: int
    channels: dict[str, int]
    defects: int
    torn_tails: int
    first_s: float | None
    last_s: float | None


def is_capture(path: Path) -> bool:
    """Tell whether a path is a captures folder with segments or a segment file, reading one record at most."""
    if path.is_dir():
        return bool(list_segments(path))
    return begins_like_capture(path)


def check_capture(path: Path) -> CaptureSummary:
    """Read a whole capture and say what it holds.

    Raises
    ------
    CaptureError
        If it is no capture: no record can be read.
    """
    channels: Counter[str] = Counter()
    first_s: float | None = None
    last_s: float | None = None
    with CaptureReader(path, follow=False) as reader:
        for record in reader:
            channels[record.channel] += 1
            first_s = record.received_s if first_s is None else first_s
            last_s = record.received_s
    if not channels and (reader.defects or reader.torn_tails):
        raise CaptureError("not one record can be read", where=str(path), remedy="is this a capture?")
    return CaptureSummary(
        records=channels.total(),
        channels=dict(channels),
        defects=reader.defects,
        torn_tails=reader.torn_tails,
        first_s=first_s,
        last_s=last_s,
    )
