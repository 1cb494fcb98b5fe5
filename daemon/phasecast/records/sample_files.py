"""Sample files: `sample.toml` in the data directory or beside the frames, edited before, during and after a scan.

In the data directory it stands for all scans that start from then on, as a form without a scan does, and its tables
``[scan.NAME]`` speak of single scans. Beside the frames it speaks of the scans of that folder. What changed since it
was last looked at becomes an entry of the journal of forms, with the name of who edited it and the time, and a note
beside the results; the files themselves are only read.
"""

import difflib
import hashlib
import logging
import pwd
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.core.request_rules import MAX_NAME, MAX_TEXT
from phasecast.core.requests import DescribeSample
from phasecast.core.words import LANGUAGES, words
from phasecast.records.journal import append
from phasecast.records.notes import add_notes
from phasecast.records.proposal import require_proposal
from phasecast.records.samples import FIELDS, SampleBook, form_entry, samples_path
from phasecast.records.toml_text import read_toml

logger = logging.getLogger(__name__)

SAMPLE_FILE = "sample.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFile:
    """What one sample file says.

    Parameters
    ----------
    path
        The file.
    who
        Its key ``who``, or else the owner of the file.
    time_s
        POSIX time of its last change.
    fields
        Field to text.
    scans
        Name of a scan to what is said of it alone.
    ignored
        One line a key that means nothing here.
    """

    path: Path
    who: str
    time_s: float
    fields: Mapping[str, str]
    scans: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def as_metadata(self) -> dict[str, Any]:
        """Return a JSON-able dict, as a result keeps it."""
        return {"path": str(self.path), "who": self.who, "time_s": self.time_s, "fields": dict(self.fields)}


def read_sample_file(path: Path) -> SampleFile | None:
    """Return what a sample file says; None if there is none.

    Keys are the fields of the form, or their names in English or Japanese (``"試料名" = "A-3"``).

    Raises
    ------
    RecordsError
        If it cannot be read or is no TOML.
    """
    try:
        tables = read_toml(path)
        status = path.stat()
    except FileNotFoundError:
        return None
    ignored: list[str] = []
    who = str(tables.pop("who", "")).strip()[:MAX_NAME] or _owner(status.st_uid)
    named = tables.pop("scan", {})
    scans = named.items() if isinstance(named, Mapping) else ()
    return SampleFile(
        path=path,
        who=who,
        time_s=status.st_mtime,
        fields=_fields(tables, path, ignored),
        scans={str(name): _fields(said, path, ignored) for name, said in scans if isinstance(said, Mapping)},
        ignored=tuple(ignored),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownScan:
    """A scan that sample files may speak of.

    Parameters
    ----------
    raw_uid
        The scan.
    result
        Its result file.
    names
        What it may be called: file name, number, series.
    folder
        Folder of its frames; None if they lie in none.
    has_frames
        Whether the result holds a frame, so that the folder is known for good.
    """

    raw_uid: str
    result: Path
    names: frozenset[str]
    folder: Path | None = None
    has_frames: bool = False


class SampleFiles:
    """Notes what people change in the sample files of a data directory; looks at a file again only when it changed.

    Parameters
    ----------
    directory
        The data directory.
    """

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._book = SampleBook(samples_path(directory))
        self._seen: dict[Path, tuple[int, int, int]] = {}
        self._files: dict[Path, SampleFile | None] = {}
        self.problems: dict[Path, str] = {}
        """File to why it cannot be used, one line; such a file blocks nothing."""

    def look(self, scans: Sequence[KnownScan] = ()) -> int:
        """Write down what changed since the last look; return how many entries that were.

        Parameters
        ----------
        scans
            Scans of the data directory that the files may speak of.

        Raises
        ------
        RecordsError
            If the journal cannot be read or written.
        """
        self._book.refresh()
        entries = 0
        standing = self._current(self._directory.root / SAMPLE_FILE)
        if standing is not None:
            before = self._book.standing_of_file(self._key(standing.path))
            entries += self._write(standing, "", standing.fields, before, results=())
            for scan in scans:
                for name, fields in standing.scans.items():
                    if name in scan.names:
                        entries += self._about(standing, scan, fields)
        for scan in scans:
            beside = self._current(scan.folder / SAMPLE_FILE) if scan.folder is not None else None
            if beside is not None:
                entries += self._about(beside, scan, beside.fields)
        return entries

    def _about(self, file: SampleFile, scan: KnownScan, fields: Mapping[str, str]) -> int:
        before = self._book.about_of_file(scan.raw_uid, self._key(file.path))
        return self._write(file, scan.raw_uid, fields, before, results=(scan.result,))

    def _write(
        self,
        file: SampleFile,
        raw_uid: str,
        fields: Mapping[str, str],
        before: Mapping[str, str],
        *,
        results: Sequence[Path],
    ) -> int:
        if dict(fields) == dict(before) or (not fields and not before):
            return 0
        # a field that was taken out of the file is taken back
        said = {name: "" for name in before if name not in fields and raw_uid} | dict(fields)
        request = DescribeSample(scan_raw_uid=raw_uid, fields=said, who=file.who)
        entry = {
            **form_entry(request, _entry_id(file, raw_uid, said), time_s=file.time_s),
            "file": self._key(file.path),
            "file_fields": dict(fields),
        }
        append(self._book.path, [entry])
        self._book.refresh()
        note = {key: entry[key] for key in ("request", "who", "time_s", "time", "file")}
        add_notes(results, {**note, "what": "sample", "fields": said})
        return 1

    def _key(self, path: Path) -> str:
        """Return a file's name in the journal, the same wherever the data directory lies."""
        root = self._directory.root
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    def _current(self, path: Path) -> SampleFile | None:
        """Return what a file says now; None if it is not there or cannot be used, which is said once."""
        try:
            status = path.stat()
        except OSError:
            self._seen.pop(path, None)
            self.problems.pop(path, None)
            return None
        signature = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self._seen.get(path) != signature:
            self._seen[path] = signature
            self.problems.pop(path, None)
            try:
                self._files[path] = usable_sample_file(self._directory, path)
            except PhasecastError as error:
                self._files[path] = None
                self.problems[path] = str(error)
                logger.warning("%s", error)
        return self._files.get(path)


def usable_sample_file(directory: DataDirectory, path: Path) -> SampleFile | None:
    """Return what a sample file says, if it is there and is of the proposal of the data directory.

    Raises
    ------
    RecordsError
        If it cannot be read.
    RequestError
        If it speaks of another proposal.
    """
    file = read_sample_file(path)
    if file is None:
        return None
    for said in (file.fields, *file.scans.values()):
        require_proposal(directory, said.get("proposal", ""), where=str(path))
    for line in file.ignored:
        logger.warning("%s", line)
    return file


def _fields(tables: Mapping[str, Any], path: Path, ignored: list[str]) -> dict[str, str]:
    known = _labels()
    fields: dict[str, str] = {}
    for key, value in tables.items():
        name = known.get(key.strip(), "")
        text = _text(value)
        if not name:
            close = difflib.get_close_matches(key, FIELDS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"fields are {', '.join(FIELDS)}"
            ignored.append(f"{path}: no field {key!r} - {hint}")
        elif text is None or len(text) > MAX_TEXT or any(not (c.isprintable() or c in "\n\t") for c in text):
            ignored.append(f"{path}: {key} is no text of at most {MAX_TEXT} characters - correct it")
        else:
            fields[name] = text
    return fields


def _labels() -> dict[str, str]:
    """Field of each name that people may use for it."""
    labels: dict[str, str] = {}
    for language in LANGUAGES:
        say: Callable[..., str] = words(language)
        labels |= {say(f"sample.{name}"): name for name in FIELDS}
    return labels | {name: name for name in FIELDS}


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str | int | float):
        return str(value).strip()
    return value.isoformat() if isinstance(value, date | datetime | time) else None


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _entry_id(file: SampleFile, raw_uid: str, said: Mapping[str, str]) -> str:
    text = repr((str(file.path), file.time_s, raw_uid, sorted(said.items())))
    return f"file-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
