"""The mailbox: one file a request, answered in place, so that any process may ask and any may look."""

import logging
import os
import re
import secrets
import time
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NewType

from pydantic_core import to_json

from phasecast.core.errors import RecordsError
from phasecast.core.requests import Answer, Request
from phasecast.records.letter import read_letter
from phasecast.records.whole_file import TEMPORARY, write_whole

logger = logging.getLogger(__name__)

RequestId = NewType("RequestId", str)
"""Name of a request's file without its suffix; ids sort by time."""

MAX_BYTES = 8 << 20
_SUFFIX = ".json"
_REFUSED = "refused"
_ANSWERED = "answered"
_ID = re.compile(r"\d{20}-[0-9a-f]{12}")
_NAME_BYTES = 180
_UNFINISHED_S = 2.0
"""A file that cannot be read and is younger than this may still be on its way from someone who writes in place."""
_TEMPORARY_S = 3600.0
_CLOCK_STEP_S = 2.0
"""A folder that changed less than this ago may change again within the same tick of its clock (2 s on FAT)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is remembered of a file: a request that waits, or when it was answered, or why it is none."""

    signature: tuple[int, int, int]
    mtime_s: float
    waiting: Request | None = None
    answered_s: float | None = None
    reason: str = ""


class Mailbox:
    """Requests of one data directory.

    Parameters
    ----------
    folder
        ``<data-dir>/requests``.
    max_bytes
        Larger files are no requests. Who serves small requests alone need not read the large ones of others.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._seen: dict[str, _Seen] = {}
        self._folder_ns = -1
        self.counters: Counter[str] = Counter()
        """``submitted``, ``settled``, ``refused`` (files that are no request), ``archived``, ``listed`` (times the
        folder was read)."""

    @property
    def folder(self) -> Path:
        """Where the requests lie."""
        return self._folder

    def submit(self, request: Request) -> RequestId:
        """Post a request and return its id.

        Raises
        ------
        RecordsError
            If it cannot be written.
        """
        request_id = RequestId(f"{time.time_ns():020d}-{secrets.token_hex(6)}")
        content = to_json({"schema_version": 1, "request": request, "answer": None})
        if len(content) > MAX_BYTES:
            raise RecordsError(f"the request has {len(content)} bytes", remedy=f"ask for less than {MAX_BYTES}")
        write_whole(self._path(request_id), content)
        self.counters["submitted"] += 1
        return request_id

    def answer(self, request_id: str) -> Answer | None:
        """Return what became of a request; None while it waits, or if nobody asked."""
        if not _ID.fullmatch(request_id):
            return None
        for path in (self._path(request_id), self._archived(request_id)):
            found = read_letter(path, MAX_BYTES)
            if found is not None:
                return found.letter.answer if found.letter else None
        return None

    def pending(self, kinds: Collection[str]) -> list[tuple[RequestId, Request]]:
        """Return the requests of these kinds that nobody has answered, oldest first. A quiet folder costs one stat."""
        self._look()
        waiting = [
            (RequestId(name.removesuffix(_SUFFIX)), seen.waiting)
            for name, seen in self._seen.items()
            if seen.waiting is not None and seen.waiting.kind in kinds
        ]
        return sorted(waiting, key=lambda item: item[0])

    def settle(self, request_id: RequestId, answer: Answer) -> None:
        """Answer a request in place; a second answer to the same request is not written.

        Raises
        ------
        RecordsError
            If the answer cannot be written; the request then stays open.
        """
        path = self._path(request_id)
        found = read_letter(path, MAX_BYTES)
        if found is None or found.letter is None or found.letter.answer is not None:
            return
        write_whole(path, to_json({"schema_version": 1, "request": found.letter.request, "answer": answer}))
        self.counters["settled"] += 1

    def tidy(self, *, keep_answered_s: float = 600.0) -> None:
        """Put away what has been answered for a while, and what is no request; one process does this.

        Parameters
        ----------
        keep_answered_s
            How long answers stay in the folder; `answer` finds them later too.
        """
        self._look(everything=True)
        now_s = time.time()
        for name, seen in list(self._seen.items()):
            age_s = now_s - seen.mtime_s
            if seen.reason:
                if abs(age_s) > _UNFINISHED_S:
                    self._refuse(name, seen.reason)
            elif seen.answered_s is not None and now_s - seen.answered_s > keep_answered_s:
                self._move(name, self._archived(name.removesuffix(_SUFFIX)))
                self.counters["archived"] += 1
        for path in self._folder.glob(f".*{TEMPORARY}"):
            with suppress(OSError):
                if now_s - path.lstat().st_mtime > _TEMPORARY_S:
                    path.unlink()

    def _look(self, *, everything: bool = False) -> None:
        """Bring what is known of the folder up to date; a file that has not changed is not read again."""
        try:
            folder_ns = self._folder.stat().st_mtime_ns
            settled = time.time() - folder_ns / 1e9 > _CLOCK_STEP_S
            if folder_ns == self._folder_ns and not everything:
                return
            self.counters["listed"] += 1
            with os.scandir(self._folder) as entries:
                found = {entry.name: entry for entry in entries if not entry.name.startswith(".")}
                seen = {name: self._look_at(entry) for name, entry in found.items()}
        except FileNotFoundError:
            self._seen, self._folder_ns = {}, -1
            return
        except OSError as error:
            raise RecordsError(
                f"cannot read ({error.strerror or error})", where=str(self._folder), remedy="check permissions"
            ) from error
        self._seen = {name: what for name, what in seen.items() if what is not None}
        self._folder_ns = folder_ns if settled else -1

    def _look_at(self, entry: os.DirEntry[str]) -> _Seen | None:
        if entry.name in (_REFUSED, _ANSWERED):
            return None
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return None
        before = self._seen.get(entry.name)
        if before is not None and before.signature == _signature(status):
            return before
        if not entry.name.endswith(_SUFFIX) or not _ID.fullmatch(entry.name.removesuffix(_SUFFIX)):
            reason = "not named as a request is"
            return _Seen(signature=_signature(status), mtime_s=status.st_mtime, reason=reason)
        found = read_letter(Path(entry.path), self._max_bytes)
        if found is None:
            return None
        letter = found.letter
        return _Seen(
            signature=_signature(found.status),
            mtime_s=found.status.st_mtime,
            waiting=letter.request if letter is not None and letter.answer is None else None,
            answered_s=letter.answer.time_s if letter is not None and letter.answer is not None else None,
            reason=found.reason,
        )

    def _refuse(self, name: str, reason: str) -> None:
        # names may be as long as the file system takes, and in any encoding
        short = os.fsdecode(os.fsencode(name)[:_NAME_BYTES])
        target = self._folder / _REFUSED / f"{time.time_ns():020d}-{short}"
        if not self._move(name, target):
            return
        self.counters["refused"] += 1
        # quoted: a name that is no text cannot be written to a log
        logger.warning("%r: %s - moved to %r", str(self._folder / name), reason, str(target))
        with suppress(OSError):
            target.with_name(target.name + ".reason.txt").write_text(f"{reason}\n", encoding="utf-8")

    def _move(self, name: str, target: Path) -> bool:
        self._seen.pop(name, None)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            (self._folder / name).rename(target)
        except OSError as error:
            logger.warning("%r could not be put away: %s", str(self._folder / name), error.strerror)
            return False
        return True

    def _path(self, request_id: str) -> Path:
        return self._folder / f"{request_id}{_SUFFIX}"

    def _archived(self, request_id: str) -> Path:
        day = datetime.fromtimestamp(min(int(request_id[:20]) / 1e9, 1e11), UTC).strftime("%Y%m%d")
        return self._folder / _ANSWERED / day / f"{request_id}{_SUFFIX}"


def asked_s(request_id: RequestId) -> float:
    """Return the POSIX time at which a request was submitted."""
    return int(request_id[:20]) / 1e9


def _signature(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size
