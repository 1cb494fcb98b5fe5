"""Documents as JSON lines, in bluesky's own form: one object ``{"name": ..., "doc": ...}`` a line, one file a run."""

import base64
import json
import logging
import re
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

import msgpack
import numpy as np

from phasecast.core.errors import SourceError

logger = logging.getLogger(__name__)

SUFFIX = ".jsonl"
_PREFIX = b"jsonl"
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_MAX_LINE_BYTES = 16 << 20
_MAX_OPEN = 16


class DocumentLines:
    """Writes each run's documents to ``{uid}.jsonl``; every document has left the process when its call returns.

    It never fails: what cannot be written is counted and named once, for the capture holds it as it came. A run
    whose start comes again, because its capture is read again after a crash, is written anew from there.

    Parameters
    ----------
    folder
        Where the files lie; made with the first of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, TextIO] = {}
        self._run_of: dict[str, str] = {}
        self.failures = 0
        """Documents that are not in a file."""

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Write one document; one of a run that has not started here is left out."""
        uid = self._run(name, doc)
        if uid is None:
            return
        try:
            if name == "start":
                self._begin(uid)
            file = self._files.get(uid)
            if file is None:
                return
            file.write(json.dumps({"name": name, "doc": doc}, default=_plain) + "\n")
            file.flush()
            if name == "stop":
                self._end(uid)
        except (OSError, TypeError, ValueError, RecursionError) as error:
            if not self.failures:
                logger.error("%s: documents of run %s cannot be written: %s", self._folder, uid, error)
            self.failures += 1

    def close(self) -> None:
        """Close every file; idempotent."""
        for uid in list(self._files):
            self._end(uid)

    def _begin(self, uid: str) -> None:
        self._end(uid)
        while len(self._files) >= _MAX_OPEN:
            self._end(next(iter(self._files)))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._files[uid] = (self._folder / f"{uid}{SUFFIX}").open("w", encoding="utf-8")

    def _end(self, uid: str) -> None:
        file = self._files.pop(uid, None)
        if file is not None:
            file.close()
        self._run_of = {key: run for key, run in self._run_of.items() if run != uid}

    def _run(self, name: str, doc: Mapping[str, Any]) -> str | None:
        """Return the run of a document, and note what later documents name it by."""
        if name == "start":
            run = doc.get("uid")
        elif name in ("stop", "descriptor", "resource", "stream_resource") and "run_start" in doc:
            run = doc.get("run_start")
        else:
            named = (doc.get(key) for key in ("descriptor", "resource", "stream_resource"))
            run = next((self._run_of[uid] for uid in named if isinstance(uid, str) and uid in self._run_of), None)
            if run is None and len(self._files) == 1:
                run = next(iter(self._files))  # resources of old plans name no run
        if not isinstance(run, str) or not _UID.fullmatch(run):
            return None
        uid = doc.get("uid")
        if isinstance(uid, str) and name in ("descriptor", "resource", "stream_resource"):
            self._run_of[uid] = run
        return run


def encode_document(name: str, doc: Mapping[str, Any]) -> bytes:
    """Return a document as it would come over 0MQ: ``prefix name body``."""
    return b" ".join([_PREFIX, name.encode("ascii", "replace"), bytes(msgpack.packb(doc))])


def read_document_lines(path: Path) -> Iterator[tuple[float, bytes]]:
    """Yield time, POSIX s, and message of each document of a file of JSON lines.

    A line that is no document becomes a message that its decoder names as a defect; an unfinished last line is no
    line. Documents without a time have that of the document before them.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    newest_s = 0.0
    try:
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n") and not line.rstrip().endswith(b"}"):
                    logger.warning("%s: the last line is not finished", path)
                    return
                if not line.strip():
                    continue
                message, time_s = _parse(line)
                newest_s = max(newest_s, time_s)
                yield newest_s, message
    except OSError as error:
        raise SourceError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="name a file of documents"
        ) from error


def _parse(line: bytes) -> tuple[bytes, float]:
    unreadable = b" ".join([_PREFIX, b"unreadable", line[:1000].strip() or b"-"])
    if len(line) > _MAX_LINE_BYTES:
        return unreadable, 0.0
    try:
        content = json.loads(line)
        match content:
            case {"name": str() as name, "doc": dict() as doc} if name and " " not in name:
                return encode_document(name, doc), _time_s(doc)
            case [str() as name, dict() as doc] if name and " " not in name:  # as suitcase-jsonl writes them
                return encode_document(name, doc), _time_s(doc)
    except (ValueError, RecursionError, OverflowError):
        pass
    return unreadable, 0.0


def _time_s(doc: Mapping[str, Any]) -> float:
    time_s = doc.get("time", 0.0)
    if isinstance(time_s, list):
        time_s = max((value for value in time_s if isinstance(value, int | float)), default=0.0)
    return float(time_s) if isinstance(time_s, int | float) and isfinite(time_s) else 0.0


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is no value of a document")
