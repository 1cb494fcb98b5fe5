"""Copies closed scans to where they are kept: each with everything made and said of it, and proven by checksums."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.records.labels import label_path
from phasecast.records.notes import notes_path
from phasecast.records.proposal import PROPOSAL_FILE, read_proposal
from phasecast.records.results_list import ResultEntry, ResultsList
from phasecast.services.checksums import CHECKSUMS, copy_and_hash, hash_on_disk, read_checksums, write_checksums
from phasecast.services.end_of_scan import picture_path, summary_path
from phasecast.services.report_place import data_directory_of, report_path
from phasecast.sources.capture_format import list_segments

_RESERVE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveReport:
    """What became of an archive.

    Parameters
    ----------
    target
        Where it lies.
    copied
        Files that were copied and read back, relative to the target.
    kept
        Files that lay there already with the same bytes.
    skipped
        Scan to the reason for which it was left out.
    failed
        File to the reason for which it could not be copied; nothing of it is left at its name.
    bytes
        Bytes copied.
    """

    target: Path
    copied: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return {**asdict(self), "target": str(self.target)}


def archive(source: Path, target: Path, *, captures: bool = False, say: Callable[[str], None] = print) -> ArchiveReport:
    """Copy closed scans to a folder, with checksums, and read every copy back.

    The target is laid out as a data directory: page and report work on it. Files that are there already with the same
    bytes are not copied again, so that an interrupted archive is continued by the same command. A result that lies
    there with other bytes is never replaced.

    Parameters
    ----------
    source
        A result file, or a data directory with all its closed scans. Only read.
    target
        The folder; made if missing.
    captures
        Whether the raw record is copied too: frames of a detector's stream lie nowhere else.
    say
        Told one line a scan.

    Raises
    ------
    PhasecastError
        If there is nothing to archive, the one result named still grows, the target lies inside the source, or its
        disk is too small.
    """
    directory, entries, skipped = _closed(source)
    place, root = target.expanduser().resolve(), directory.root.resolve()
    if place == root or place.is_relative_to(root) or root.is_relative_to(place):
        raise PhasecastError(
            f"lies inside {root}, or that inside it", where=str(place), remedy="choose a folder elsewhere"
        )
    _refuse_other_proposal(directory, place)
    files = list(_files(directory, entries, captures=captures, skipped=skipped))
    needed = sum(path.stat().st_size for path, _ in files)
    _require_room(place, needed)
    known = read_checksums(place / CHECKSUMS)
    copied: list[str] = []
    kept: list[str] = []
    failed: dict[str, str] = {}
    total = 0
    try:
        for path, name in files:
            try:
                digest, is_new = _bring(path, place / name, known.get(name))
            except (OSError, PhasecastError) as error:
                reason = error.what if isinstance(error, PhasecastError) else str(error.strerror or error)
                failed[name] = " ".join(reason.split())
                say(f"FAILED {name}: {failed[name]}")
                continue
            known[name] = digest
            (copied if is_new else kept).append(name)
            total += path.stat().st_size if is_new else 0
            if name.endswith(".nxs"):
                say(f"{'copied' if is_new else 'there already'}: {name}")
    finally:
        # also what was copied before a Ctrl-C is proven
        if copied or kept:
            write_checksums(place / CHECKSUMS, known)
    for name, reason in skipped.items():
        say(f"skipped {name}: {reason}")
    return ArchiveReport(
        target=place, copied=tuple(copied), kept=tuple(kept), skipped=skipped, failed=failed, bytes=total
    )


def verify(target: Path) -> dict[str, str]:
    """Read every file of an archive and return those that are missing or have other bytes, with the reason.

    Raises
    ------
    PhasecastError
        If it has no checksums.
    """
    known = read_checksums(target / CHECKSUMS)
    if not known:
        raise PhasecastError("no checksums here", where=str(target / CHECKSUMS), remedy="name an archive")
    wrong: dict[str, str] = {}
    for name, digest in known.items():
        try:
            if hash_on_disk(target / name) != digest:
                wrong[name] = "its bytes have changed"
        except OSError as error:
            wrong[name] = str(error.strerror or error)
    return wrong


def _closed(source: Path) -> tuple[DataDirectory, list[ResultEntry], dict[str, str]]:
    """Return the data directory, its closed results, and why the others are left out."""
    if source.is_dir():
        directory = DataDirectory(source.parent if source.name == "results" else source)
        found = ResultsList(directory).read()
    else:
        if not source.is_file():
            raise PhasecastError("no such result or data directory", where=str(source), remedy="check the name")
        known = data_directory_of(source)
        if known is None:
            raise PhasecastError(
                "lies in no data directory", where=str(source), remedy="name a result in its folder `results`"
            )
        directory = known
        found = [entry for entry in ResultsList(directory).read() if entry.path.name == source.name]
    reasons = {
        "live": "it is still being written",
        "unfinished": "its scan has not ended; the daemon takes it up again",
        "unreadable": "it cannot be read",
    }
    closed = [entry for entry in found if entry.state == "closed"]
    skipped = {
        entry.path.name: f"{reasons[entry.state]}{f' ({entry.reason})' if entry.reason else ''}"
        for entry in found
        if entry.state != "closed"
    }
    if not source.is_dir() and skipped:
        ((name, reason),) = skipped.items()
        raise PhasecastError(reason, where=name, remedy="archive it when its scan has ended")
    if not found:
        raise PhasecastError("no results here", where=str(directory.results), remedy="name a data directory")
    return directory, closed, skipped


def _refuse_other_proposal(directory: DataDirectory, place: Path) -> None:
    ours, theirs = read_proposal(directory), read_proposal(DataDirectory(place))
    if theirs is not None and (ours is None or ours.id != theirs.id):
        raise PhasecastError(
            f"holds proposal {theirs.id}, these are scans of {'no proposal' if ours is None else ours.id}",
            where=str(place),
            remedy="archive each proposal to a folder of its own",
        )


def _files(
    directory: DataDirectory, entries: Sequence[ResultEntry], *, captures: bool, skipped: dict[str, str]
) -> Iterator[tuple[Path, str]]:
    """Yield each file with its name in the archive; results come last, so that one that is there is whole."""
    seen: set[str] = set()

    def named(path: Path) -> Iterator[tuple[Path, str]]:
        name = path.relative_to(directory.root).as_posix()
        if path.is_file() and not path.is_symlink() and name not in seen:
            seen.add(name)
            yield path, name

    for extra in (directory.root / PROPOSAL_FILE, directory.root / "sample.toml"):
        yield from named(extra)
    for journal in sorted(directory.notebook.glob("*.jsonl")):
        yield from named(journal)
    for declaration in sorted(directory.scans.glob("*.toml")):
        yield from named(declaration)
    if captures:
        segments = list_segments(directory.captures)
        if any(reason.startswith("it is still") for reason in skipped.values()) and segments:
            skipped[segments.pop()] = "this segment of the capture still grows"
        for segment in segments:
            yield from named(directory.captures / segment)
    for entry in entries:
        result = directory.results / entry.path.name
        html = directory.reports / report_path(result).name
        for path in (picture_path(result), summary_path(result), notes_path(result), html, html.with_suffix(".json")):
            yield from named(path)
        for path in sorted(html.with_suffix("").rglob("*")):
            yield from named(path)
        yield from named(label_path(directory, entry.raw_uid))
        yield from named(result)


def _bring(path: Path, place: Path, known: str | None) -> tuple[str, bool]:
    """Copy one file unless it is there; return its SHA-256 and whether it was copied."""
    if not place.exists():
        return copy_and_hash(path, place), True
    there, digest = hash_on_disk(place), hash_on_disk(path)
    if there == digest:
        return digest, False
    if known is not None and there != known:
        what = "the copy in the archive has changed since it was made"
    elif known is None or path.suffix == ".nxs":
        what = "another file of that name lies in the archive"
    else:
        # a report that was made again, a journal that has grown
        return copy_and_hash(path, place), True
    raise PhasecastError(what, where=str(place), remedy="move it away, then archive again")


def _require_room(place: Path, needed: int) -> None:
    parent = next(folder for folder in (place, *place.parents) if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise PhasecastError("cannot be written to", where=str(parent), remedy="check permissions, or choose another")
    free = shutil.disk_usage(parent).free
    if needed + _RESERVE_BYTES > free:
        raise PhasecastError(
            f"{needed / 1e9:.2f} GB are to be copied, {free / 1e9:.2f} GB are free",
            where=str(place),
            remedy="make room, or choose another disk",
        )
