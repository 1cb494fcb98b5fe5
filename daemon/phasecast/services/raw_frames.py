"""Raw frames of a result after the data went home: where they lie now, and whether they are still the same."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phasecast.core.errors import FrameError, PhasecastError
from phasecast.core.frame import FrameReference
from phasecast.results import open_result
from phasecast.sources.raw_root import places_below
from phasecast.sources.recorded_file import FileChangedError, read_verified

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFrames:
    """What became of the raw files of a result.

    Parameters
    ----------
    same
        Files that were found and have the SHA-256 that was recorded.
    missing, changed
        Old paths of those that are not there, and of those with other bytes; the first few.
    missing_files, changed_files
        How many those are.
    in_capture
        Frames that lie in captures and not in files.
    """

    same: int
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    missing_files: int = 0
    changed_files: int = 0
    in_capture: int = 0

    @property
    def line(self) -> str:
        """One line for people."""
        text = f"raw files: {self.same} found with their SHA-256"
        if self.missing_files:
            text += f", {self.missing_files} missing (first {self.missing[0]})"
        if self.changed_files:
            text += f", {self.changed_files} changed (first {self.changed[0]})"
        return text + (f", {self.in_capture} frames lie in captures" if self.in_capture else "")

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return asdict(self)


def check_raw_frames(result: Path, raw_roots: Sequence[Path]) -> RawFrames:
    """Look for every raw file of a result, where it lay or below new roots, and compare its SHA-256.

    Raises
    ------
    PhasecastError
        If the result cannot be read, or a root is no folder.
    """
    require_folders(raw_roots)
    same, captured = 0, 0
    missing: list[str] = []
    changed: list[str] = []
    for reference in _references(result):
        if reference.store != "file":
            captured += 1
            continue
        try:
            read_verified(Path(reference.path), Path(reference.path).name, reference.sha256, raw_roots)
        except FileChangedError as error:
            (changed if "changed" in error.what else missing).append(reference.path)
        else:
            same += 1
    return RawFrames(
        same=same,
        missing=tuple(missing[:_MOST_NAMED]),
        changed=tuple(changed[:_MOST_NAMED]),
        missing_files=len(missing),
        changed_files=len(changed),
        in_capture=captured,
    )


def frames_named_by(files: Sequence[Path], raw_roots: Sequence[Path]) -> list[Path]:
    """Return frames as they can be opened: those that are gone are looked for below the roots, results name theirs.

    Parameters
    ----------
    files
        Frames, patterns, or results (``.nxs``) whose raw frames are meant.
    raw_roots
        Folders below which their trees may lie now.

    Raises
    ------
    PhasecastError
        If a result cannot be read or its raw file is gone or changed, or a root is no folder.
    """
    require_folders(raw_roots)
    found: list[Path] = []
    for path in files:
        if path.suffix == ".nxs":
            found += _frames_of(path, raw_roots)
        elif path.exists():
            found.append(path)
        else:
            found.append(next((place for place in places_below(str(path), raw_roots) if place.is_file()), path))
    return found


def require_folders(raw_roots: Sequence[Path]) -> None:
    """Refuse a root that is not there: else every frame would be called missing.

    Raises
    ------
    PhasecastError
        If one is no folder.
    """
    for root in raw_roots:
        if not root.is_dir():
            raise PhasecastError(
                "no such folder", where=f"--raw-root {root}", remedy="name the folder that holds the raw frames now"
            )


def _frames_of(result: Path, raw_roots: Sequence[Path]) -> Iterator[Path]:
    for reference in _references(result):
        if reference.store != "file":
            raise FrameError(
                "its raw frames lie in captures, not in files",
                where=str(result),
                remedy="run the result through the loop again with `phasecast replay`",
            )
        path, _ = read_verified(Path(reference.path), Path(reference.path).name, reference.sha256, raw_roots)
        yield path


def _references(result: Path) -> Iterator[FrameReference]:
    with open_result(result) as opened:
        frames = opened.frames
        columns = (frames[name].to_numpy().tolist() for name in ("store", "path", "offset", "number", "sha256"))
        for store, path, offset, number, sha256 in zip(*columns, strict=True):
            if store in ("file", "capture") and path:
                yield FrameReference(store=store, path=path, offset=offset, number=number, sha256=sha256)
