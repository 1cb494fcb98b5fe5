"""Listening to the wires for a moment: what comes, from whom, and how late. Nothing is recorded or written."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from phasecast.core.errors import FrameError, PhasecastError
from phasecast.core.frame import Frame
from phasecast.core.record import CapturePosition, Channel, RawRecord
from phasecast.core.scan import Defect, Message, PointMeasured, ScanStart, SeriesStart
from phasecast.sources.capture import CaptureReader
from phasecast.sources.capture_format import list_segments
from phasecast.sources.documents import UNKNOWN_RUN
from phasecast.sources.frame_file import FrameContent, read_frame_file
from phasecast.sources.uri import Source, SourceOptions, make_decoder, open_source

_TURN_S = 0.1
_MOST_RECORDS = 400
"""Records of one wire that are looked at; a stream at 1 kHz must not keep the check from ending. Of a log all rows are,
because its header stands in the first."""


@dataclass(slots=True, kw_only=True)
class Heard:
    """What came over one wire while it was listened to.

    Parameters
    ----------
    uri
        The source as named; empty for a wire that was followed through the daemon's capture.
    channel
        Name of the wire.
    state, connected, error
        What its receiver says; `connected` is None for wires that have no connection.
    began_s
        When listening began, POSIX s.
    records
        Messages that came.
    frame
        The newest frame.
    settings
        What the detector says of itself.
    scans
        Scans that began.
    points
        Points that were measured, the newest last.
    defects
        What could not be used.
    joined_late
        Whether a scan was running when listening began: what it sends cannot be read without its beginning.
    record_bytes
        Size of the largest record.
    """

    uri: str
    channel: Channel
    state: str = ""
    connected: bool | None = None
    error: str = ""
    began_s: float = field(default_factory=time.time)
    records: int = 0
    frame: Frame | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    scans: int = 0
    points: list[PointMeasured] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)
    joined_late: bool = False
    record_bytes: int = 0

    @property
    def kind(self) -> str:
        """``files``, ``simplon``, ``bluesky`` and so on."""
        return str(self.channel).partition(".")[0]

    def take(self, record: RawRecord, messages: Iterable[Message]) -> None:
        """Note what one record says."""
        self.record_bytes = max(self.record_bytes, sum(map(len, record.parts)))
        for message in messages:
            match message:
                case Frame():
                    self.frame = message
                case PointMeasured():
                    self.points = [*self.points[-9:], message]
                case SeriesStart():
                    self.settings = message.settings
                case ScanStart():
                    self.scans += 1
                case Defect(reason=reason) if reason == UNKNOWN_RUN and not self.scans:
                    self.joined_late = True
                case Defect():
                    self.defects = [*self.defects[-9:], message]
                case _:
                    pass


class _Memory:
    """Takes records from receivers, in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[RawRecord] = []
        self._count = 0
        self.came = threading.Event()

    def append(self, channel: Channel, parts: Iterable[bytes], received_s: float) -> CapturePosition:
        with self._lock:
            position = CapturePosition(segment="", offset=self._count)
            self._count += 1
            record = RawRecord(position=position, received_s=received_s, channel=channel, parts=tuple(parts))
            if len(self._records) < _MOST_RECORDS or channel.startswith("log"):
                self._records.append(record)
        self.came.set()
        return position

    def drain(self) -> list[RawRecord]:
        with self._lock:
            records, self._records = self._records, []
        self.came.clear()
        return records


def listen(
    uris: Sequence[str], options: SourceOptions, *, listen_s: float, enough: Callable[[Sequence[Heard]], bool]
) -> list[Heard]:
    """Open the sources, listen until `enough` says so or the time is over, and return what each of them said.

    Only frame files that are new count. A source that cannot be opened says why in ``error``. A detector's stream
    gives what it sends to one listener alone, so nobody else gets the frames that are heard here.
    """
    options = replace(options, existing=False, wait=True)
    heard: list[Heard] = []
    memory = _Memory()
    with ExitStack() as stack:
        sources: list[tuple[Source, Heard]] = []
        for number, uri in enumerate(uris):
            try:
                source = open_source(_only_listening(uri), options)
                if any(source.channel == other.channel for other, _ in sources):
                    source = open_source(_with_channel(_only_listening(uri), f"{source.channel}.{number}"), options)
                source.receiver.start(memory)
            except PhasecastError as error:
                channel = Channel(uri.partition(":")[0])
                heard.append(Heard(uri=uri, channel=channel, state="failed", error=str(error)))
                continue
            stack.callback(source.receiver.stop)
            entry = Heard(uri=uri, channel=source.channel)
            heard.append(entry)
            sources.append((source, entry))
        deadline_s = time.monotonic() + listen_s
        while True:
            for record in memory.drain():
                source, entry = next(pair for pair in sources if pair[0].channel == record.channel)
                entry.records += 1
                if entry.records <= _MOST_RECORDS or entry.kind == "log":
                    entry.take(record, source.decoder.decode(record))
            for source, entry in sources:
                _ask(source, entry)
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or enough(heard):
                return heard
            memory.came.wait(min(_TURN_S, left_s))


def follow_capture(
    captures: Path,
    options: SourceOptions,
    *,
    sources: Mapping[str, Mapping[str, Any]],
    listen_s: float,
    enough: Callable[[Sequence[Heard]], bool],
) -> list[Heard]:
    """Listen to what a running daemon records, so that no frame is taken from it.

    Parameters
    ----------
    captures
        Its captures folder; only read.
    options
        How its wires are decoded.
    sources
        Channel to what the daemon's status says of that wire.
    listen_s, enough
        See `listen`.
    """
    heard = {
        channel: Heard(
            uri="",
            channel=Channel(channel),
            state=str(status.get("state", "")),
            connected=status.get("connected"),
            error=str(status.get("error", "")),
        )
        for channel, status in sources.items()
    }
    decoders = {channel: make_decoder(Channel(channel), options) for channel in heard}
    newest = list_segments(captures)[-1:]
    start = None
    if newest:
        start = CapturePosition(segment=newest[0], offset=(captures / newest[0]).stat().st_size)
    pause = threading.Event()
    deadline_s = time.monotonic() + listen_s
    with CaptureReader(captures, start) as reader:
        while True:
            for record in reader.read_available():
                entry = heard.get(record.channel)
                if entry is not None:
                    entry.records += 1
                    entry.take(record, decoders[record.channel].decode(record))
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or enough(list(heard.values())):
                return list(heard.values())
            pause.wait(min(_TURN_S, left_s))


def newest_frame_file(folder: Path, *, counts: Callable[[str], bool]) -> Path | None:
    """Return the youngest frame file in a folder and its direct sub-folders; None if there is none.

    Parameters
    ----------
    folder
        The folder; only listed.
    counts
        Whether a file of that name is a frame.
    """
    newest: tuple[float, Path] | None = None
    folders = [folder]
    for place in folders:
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if place is folder and entry.is_dir() and not entry.name.startswith("."):
                        folders.append(Path(entry.path))
                    elif counts(entry.name) and entry.is_file():
                        changed_s = entry.stat().st_mtime
                        if newest is None or changed_s > newest[0]:
                            newest = changed_s, Path(entry.path)
        except OSError:
            continue
    return newest[1] if newest else None


def read_frame(path: Path, options: SourceOptions) -> FrameContent:
    """Read a frame file.

    Raises
    ------
    FrameError
        If it cannot be read or is no whole frame.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FrameError(f"cannot be read ({error.strerror})", where=str(path)) from error
    return read_frame_file(path.name, content, raw_shape=options.raw_shape, max_bytes=options.max_image_bytes)


def _ask(source: Source, entry: Heard) -> None:
    status = source.receiver.status()
    entry.state = str(status.get("state", ""))
    entry.error = str(status.get("error", ""))
    connected = status.get("connected")
    entry.connected = connected if isinstance(connected, bool) else None


def _only_listening(uri: str) -> str:
    """Return the address under which a broker's note of what was recorded stays as it is."""
    return uri + ("&" if "?" in uri else "?") + "group=phasecast-preflight" if uri.startswith("kafka://") else uri


def _with_channel(uri: str, channel: str) -> str:
    return f"{uri}{'&' if '?' in uri else '?'}channel={channel}"
