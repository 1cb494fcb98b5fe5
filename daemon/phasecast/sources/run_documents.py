"""The documents of single runs: out of the archive of JSON lines, or out of the capture where there is none."""

import json
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import SourceError, WireError
from phasecast.core.record import CapturePosition, RawRecord
from phasecast.sources import capture_replay, documents
from phasecast.sources.capture import CaptureReader
from phasecast.sources.document_codec import decode_document
from phasecast.sources.document_lines import SUFFIX, DocumentLines

logger = logging.getLogger(__name__)

Named = tuple[str, dict[str, Any]]
"""Name of a document, and the document."""


def archive_path(directory: DataDirectory, uid: str) -> Path:
    """Where the documents of a run lie."""
    return directory.documents / f"{Path(uid).name}{SUFFIX}"


def read_run(path: Path) -> Iterator[Named]:
    """Yield the documents of a file of JSON lines; what is no document is named in the log and left out.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    content = json.loads(line)
                except (ValueError, RecursionError):
                    content = None
                match content:
                    case {"name": str() as name, "doc": dict() as doc}:
                        yield name, doc
                    case [str() as name, dict() as doc]:
                        yield name, doc
                    case _:
                        logger.warning("%s: line %d is no document", path, number)
    except OSError as error:
        raise SourceError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="name a file of documents"
        ) from error


def is_whole(path: Path) -> bool:
    """Tell whether a file of JSON lines holds the end of its run, from its last line alone."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - (1 << 16)))
            last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    except OSError:
        return False
    return last.startswith((b'{"name": "stop"', b'{"name":"stop"', b'["stop"'))


def write_run(path: Path, run: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Write the documents of one run as JSON lines; the file appears whole or not at all.

    Raises
    ------
    SourceError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part-") as part:
            lines = DocumentLines(Path(part), unclaimed="of the run")
            for name, doc in run:
                lines(name, doc)
            lines.close()
            made = Path(part) / path.name
            if lines.failures or not made.is_file():
                raise SourceError(
                    "its documents cannot be written", where=str(path), remedy="free space or check permissions"
                )
            os.replace(made, path)
    except OSError as error:
        raise SourceError(
            f"cannot be written ({error.strerror})", where=str(path), remedy="free space or check permissions"
        ) from error


def bring_from_capture(directory: DataDirectory, uids: set[str], start: CapturePosition) -> set[str]:
    """Write the documents of runs that ended in the capture to the archive, in one pass.

    Returns those that have begun in it and not ended; nothing of them is written.

    Parameters
    ----------
    directory
        The data directory.
    uids
        The runs.
    start
        A place in the capture before all of them.

    Raises
    ------
    CaptureError
        If the capture is gone.
    SourceError
        If the archive cannot be written.
    """
    wanted = set(uids)
    begun: set[str] = set()
    try:
        directory.documents.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=directory.documents, prefix=".part-") as part,
            CaptureReader(directory.captures, start) as reader,
        ):
            lines = DocumentLines(Path(part), unclaimed="left out")
            descriptors: set[object] = set()
            for record in reader.read_available():
                if not wanted:
                    break
                named = document_of(record)
                if named is None:
                    continue
                name, doc = named
                if name == "start" and doc.get("uid") in wanted:
                    begun.add(str(doc["uid"]))
                if name == "descriptor":
                    descriptors.add(doc.get("uid"))
                elif "descriptor" in doc and doc["descriptor"] not in descriptors:
                    continue  # of a run that began before this place
                lines(name, doc)
                if name == "stop" and doc.get("run_start") in wanted:
                    uid = str(doc["run_start"])
                    wanted.discard(uid)
                    made = Path(part) / f"{uid}{SUFFIX}"
                    if made.is_file():
                        os.replace(made, archive_path(directory, uid))
            lines.close()
    except OSError as error:
        raise SourceError(
            f"cannot be written ({error.strerror})",
            where=str(directory.documents),
            remedy="free space or check permissions",
        ) from error
    return begun & wanted


def document_of(record: RawRecord) -> Named | None:
    """Return the document that a record of a capture is, also of a replayed one; None if it is none."""
    kind, parts = record.channel.partition(".")[0], record.parts
    if kind == capture_replay.CHANNEL and len(parts) > 2:
        kind, parts = parts[0].decode("utf-8", "replace").partition(".")[0], parts[2:]
    if kind != documents.CHANNEL or len(parts) != 1:
        return None
    pieces = parts[0].split(b" ", 2)
    if len(pieces) != 3:
        return None
    try:
        return pieces[1].decode("ascii", "replace"), decode_document(pieces[2])
    except WireError:
        return None
