"""Documents as JSON lines, in bluesky's own form: one object ``{"name": ..., "doc": ...}`` a line, one file a run."""

import base64
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Literal, TextIO

import msgpack
import numpy as np

from phasecast.core.errors import SourceError
from phasecast.sources.loose_documents import LooseDocuments, Named

logger = logging.getLogger(__name__)

SUFFIX = ".jsonl"
UNCLAIMED = f"_unclaimed{SUFFIX}"
"""File of documents whose run is not known; no uid of a run may begin so."""
_PREFIX = b"jsonl"
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_MAX_LINE_BYTES = 16 << 20
_MAX_OPEN = 16


class DocumentLines:
    """Writes each run's documents to ``{uid}.jsonl``; every document has left the process when its call returns.

    It never fails: what cannot be written is counted and named once, for the capture holds it as it came. A run
    whose start comes again, because its capture is read again after a crash, is written anew from there.

    A document goes to the run that it names, itself or through a descriptor or resource, and is never guessed to be
    of the only run at hand. Resources without a run wait in memory until a document of a run names them.

    Parameters
    ----------
    folder
        Where the files lie; made with the first of them.
    unclaimed
        What becomes of documents whose run has not started here: appended to the file `UNCLAIMED`, counted and said
        once; left out; or written to the run that is open, where whoever calls has one run alone. After a crash the
        first may hold a document twice.
    """

    def __init__(self, folder: Path, *, unclaimed: Literal["kept", "left out", "of the run"] = "kept") -> None:
        self._folder = folder
        self._policy = unclaimed
        self._files: dict[str, TextIO] = {}
        self._run_of: dict[str, str] = {}
        self._loose = LooseDocuments()
        self.failures = 0
        """Documents that are not in a file."""
        self.unclaimed = 0
        """Documents whose run is not known."""

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Write one document."""
        uid = self._run(name, doc)
        try:
            if name == "start" and uid is not None:
                self._begin(uid)
            if self._policy == "of the run":
                uid = next(iter(self._files), None)
            if uid is None or uid not in self._files:
                given_up = self._loose.take(name, doc)
                self._keep_unclaimed([(name, doc)] if given_up is None else given_up)
                return
            for named, document in self._loose.named_by(doc):
                self._run(named, {**document, "run_start": uid})
                self._write(self._files[uid], named, document)
            self._write(self._files[uid], name, doc)
            if name == "stop":
                self._end(uid)
        except (OSError, TypeError, ValueError, RecursionError) as error:
            self._fail(f"of run {uid}", error)

    def close(self) -> None:
        """Close every file; idempotent."""
        try:
            self._keep_unclaimed(list(self._loose.drain()))
        except (OSError, TypeError, ValueError, RecursionError) as error:
            self._fail("of no run", error)
        for uid in list(self._files):
            self._end(uid)

    def _write(self, file: TextIO, name: str, doc: Mapping[str, Any]) -> None:
        file.write(json.dumps({"name": name, "doc": doc}, default=_plain) + "\n")
        file.flush()

    def _keep_unclaimed(self, documents: Sequence[Named]) -> None:
        if self._policy == "left out" or not documents:
            return
        path = self._folder / UNCLAIMED
        if not self.unclaimed:
            name, doc = documents[0]
            names = str(doc.get("descriptor") or doc.get("run_start") or doc.get("resource") or "no run")[:60]
            logger.warning("%s: documents of no known run are kept there; the first, %s, names %s", path, name, names)
        self.unclaimed += len(documents)
        self._folder.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            for name, doc in documents:
                self._write(file, name, doc)

    def _fail(self, whose: str, error: Exception) -> None:
        if not self.failures:
            logger.error("%s: documents %s cannot be written: %s", self._folder, whose, error)
        self.failures += 1

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
