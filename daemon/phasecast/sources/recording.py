"""Files that were never streamed, brought into a capture of their own, so that one way leads to results."""

import heapq
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import cbor2

from phasecast.core.errors import CaptureError, SourceError
from phasecast.core.record import CapturePosition, Channel
from phasecast.sources import directory, documents
from phasecast.sources.capture import CaptureWriter
from phasecast.sources.capture_format import list_segments
from phasecast.sources.document_lines import read_document_lines
from phasecast.sources.document_refetch import Entry, roots_of_named, with_named_frames
from phasecast.sources.uri import SourceOptions, open_source

_LISTINGS = 3
"""The first may have begun before a file was there, and two looks must agree on it."""
_POLL_S = 0.02


class _Collector:
    """Takes what a receiver records, in memory: notes on files, not files."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def append(self, channel: Channel, parts: Iterable[bytes], received_s: float) -> CapturePosition:
        kept = list(parts)
        note = cbor2.loads(kept[0])
        time_s = note.get("mtime_s", 0.0)
        newest_s = self.entries[-1][0] if self.entries else 0.0
        # copies bear the times of copying: frames stay in the order of their numbers
        self.entries.append((max(newest_s, float(time_s)), channel, kept))
        return CapturePosition(segment="", offset=len(self.entries))


def record_files(
    captures: Path,
    *,
    documents_file: Path | None,
    frames_folder: Path | None,
    options: SourceOptions,
    stop: threading.Event,
) -> None:
    """Write documents and notes on frame files into a captures folder, in order of time; all of it or nothing.

    Parameters
    ----------
    captures
        Captures folder; nothing is done if it holds a segment.
    documents_file
        Documents as JSON lines; None for none.
    frames_folder
        Folder of frame files; None for none. Nothing is written there. If documents name files that are there, those
        are read as documents say; else it is looked through for frames.
    options
        How frame files are found.
    stop
        Ends the recording before it is done; then nothing is left of it.

    Raises
    ------
    SourceError
        If documents or frames cannot be read.
    CaptureError
        If the capture cannot be written.
    """
    if list_segments(captures):
        return
    frames: list[Entry] = []
    lines = _documents(documents_file) if documents_file is not None else iter(())
    if documents_file is not None and frames_folder is not None and frames_folder.is_dir():
        named = roots_of_named(read_document_lines(documents_file), frames_folder, options)
        if named is not None:
            lines = with_named_frames(read_document_lines(documents_file), named, options, stop)
            frames_folder = None
    if frames_folder is not None:
        frames = _frames(frames_folder, options, stop)
    partial = captures.with_name(f".{captures.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    with CaptureWriter(partial) as writer:
        for time_s, channel, parts in heapq.merge(lines, frames, key=lambda entry: entry[0]):
            if stop.is_set():
                break
            writer.append(channel, parts, time_s)
    if not stop.is_set():
        captures.mkdir(parents=True, exist_ok=True)
        for name in list_segments(partial):
            os.replace(partial / name, captures / name)
    shutil.rmtree(partial, ignore_errors=True)


def link_segments(source: Path, captures: Path, *, first: str = "") -> None:
    """Let a captures folder show the segments of another one, by symbolic links; nothing is copied or written to.

    Parameters
    ----------
    source
        Captures folder, or one segment.
    captures
        Where the links are made.
    first
        Name of the oldest segment that is wanted.

    Raises
    ------
    CaptureError
        If a link cannot be made, or another file of that name is there.
    """
    segments = [source / name for name in list_segments(source)] if source.is_dir() else [source]
    for segment in segments:
        link = captures / segment.name
        if segment.name < first:
            continue
        if link.exists() and link.samefile(segment):
            continue
        try:
            link.symlink_to(segment.absolute())
        except OSError as error:
            raise CaptureError(
                f"cannot be linked to ({error.strerror})",
                where=str(segment),
                remedy=f"choose another --data-dir than {captures.parent}",
            ) from error


def _documents(path: Path) -> Iterator[Entry]:
    for time_s, message in read_document_lines(path):
        yield time_s, documents.CHANNEL, [message]


def _frames(folder: Path, options: SourceOptions, stop: threading.Event) -> list[Entry]:
    if not folder.is_dir():
        raise SourceError("no such folder", where=str(folder), remedy="name the folder that the frames lie in")
    source = open_source(f"{directory.CHANNEL}://{quote(str(folder.absolute()))}", options)
    collector = _Collector()
    source.receiver.start(collector)
    try:
        while not stop.wait(_POLL_S):
            status = source.receiver.status()
            if status["error"] and status["state"] == "failed":
                raise SourceError(str(status["error"]), where=str(folder), remedy="check the folder")
            if int(str(status["listings"])) >= _LISTINGS and not status["pending"]:
                break
    finally:
        source.receiver.stop()
    return collector.entries
