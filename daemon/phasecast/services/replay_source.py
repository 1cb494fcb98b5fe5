"""What can be replayed: captures, documents as JSON lines, results, folders of frames."""

import json
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Literal

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError, ResultFileError, SourceError
from phasecast.core.record import CapturePosition
from phasecast.results import open_result
from phasecast.sources.capture import is_capture
from phasecast.sources.capture_format import list_segments
from phasecast.sources.document_lines import SUFFIX as DOCUMENTS_SUFFIX
from phasecast.sources.recording import link_segments, record_files
from phasecast.sources.uri import SourceOptions

Kind = Literal["capture", "documents", "result", "frames"]
_NOTE = "replay.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySource:
    """One thing that is replayed.

    Parameters
    ----------
    path
        As given.
    kind
        What it is.
    captures
        Captures folder or segment it is read from; None where its messages have to be recorded first.
    start
        First record; None for the oldest.
    only
        Raw uid of the one scan that is meant; empty for all.
    profile
        Profile that its results were made with; empty if there are none.
    """

    path: Path
    kind: Kind
    captures: Path | None = None
    start: CapturePosition | None = None
    only: str = ""
    profile: str = ""

    def lay_out(self, directory: DataDirectory, *, frames: Path | None, options: SourceOptions, stop: Event) -> Path:
        """Make the captures of a new data directory from it and return what is to be read: a folder or a segment.

        Captures are linked to, not copied. What was laid out before is kept.

        Parameters
        ----------
        directory
            Where the new results will lie.
        frames
            Folder of the frames that belong to documents; None for none.
        options
            How frame files are found.
        stop
            Ends it early.

        Raises
        ------
        PhasecastError
            If the directory holds something else, or the source cannot be read.
        """
        self._claim(directory)
        if self.captures is None:
            record_files(
                directory.captures,
                documents_file=self.path if self.kind == "documents" else None,
                frames_folder=self.path if self.kind == "frames" else frames,
                options=options,
                stop=stop,
            )
            return directory.captures
        link_segments(self.captures, directory.captures, first=self.start.segment if self.start is not None else "")
        return directory.captures if self.captures.is_dir() else directory.captures / self.captures.name

    def _claim(self, directory: DataDirectory) -> None:
        """Write down whose replay a directory is; one directory holds the results of one source."""
        note = directory.root / _NOTE
        mine = {"source": str(self.path.absolute()), "kind": self.kind}
        try:
            held = json.loads(note.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if list_segments(directory.captures) or any(directory.results.glob("*.nxs")):
                raise PhasecastError(
                    "this data directory holds scans of its own",
                    where=str(directory.root),
                    remedy="give a new folder with --data-dir; a replay writes beside old results, never among them",
                ) from None
            note.write_text(json.dumps(mine, indent=1), encoding="utf-8")
            return
        except ValueError:
            held = None
        if held != mine:
            raise PhasecastError(
                "this data directory holds the replay of something else",
                where=str(directory.root),
                remedy="give a new folder with --data-dir",
            )


def find_source(path: Path) -> ReplaySource:
    """Tell what a path is.

    Raises
    ------
    SourceError
        If it is nothing that can be replayed.
    """
    if not path.exists():
        raise SourceError("no such file or folder", where=str(path), remedy="check the name")
    if path.suffix == ".nxs":
        return _of_result(path)
    if path.suffix == DOCUMENTS_SUFFIX:
        return ReplaySource(path=path, kind="documents")
    inner = DataDirectory(path).captures
    captures = inner if inner.is_dir() and is_capture(inner) else path
    if is_capture(captures):
        folder = captures if captures.is_dir() else captures.parent
        return ReplaySource(path=path, kind="capture", captures=captures, profile=_profile_beside(folder))
    if path.is_dir():
        return ReplaySource(path=path, kind="frames")
    raise SourceError(
        "nothing that can be replayed",
        where=str(path),
        remedy="name a captures folder or segment, documents (.jsonl), a result (.nxs), or a folder of frames",
    )


def _of_result(path: Path) -> ReplaySource:
    with open_result(path) as result:
        header = result.header
    place = header.processing.get("capture_start") or {}
    captures = DataDirectory(path.absolute().parent.parent).captures
    segment = captures / Path(str(place.get("segment", ""))).name
    if not segment.is_file():
        raise ResultFileError(
            "its capture is not in the data directory",
            where=str(path),
            remedy=f"bring {segment.name or 'its segments'} to {captures}, or replay its frames as a folder",
        )
    return ReplaySource(
        path=path,
        kind="result",
        captures=captures,
        start=CapturePosition(segment=segment.name, offset=int(place["offset"])),
        only=header.raw_uid,
        profile=header.profile_name,
    )


def _profile_beside(captures: Path) -> str:
    """Return the profile of a result beside a captures folder; empty if there is none that can be read."""
    for path in sorted(DataDirectory(captures.absolute().parent).results.glob("*.nxs")):
        try:
            with open_result(path) as result:
                return result.header.profile_name
        except PhasecastError:
            continue
    return ""
