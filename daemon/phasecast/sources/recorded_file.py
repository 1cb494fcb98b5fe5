"""Finding a recorded file again, and making sure that it is the same."""

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from phasecast.core.errors import FrameError
from phasecast.sources.file_names import path_of
from phasecast.sources.raw_root import places_below


class FileChangedError(FrameError):
    """The file is gone or no longer the one that was recorded."""


def read_verified(
    path: Path, name: str, sha256: str, file_roots: Sequence[Path], max_bytes: int = 256 << 20
) -> tuple[Path, bytes]:
    """Return where a recorded file lies and its bytes.

    Parameters
    ----------
    path
        Where it lay when it was recorded.
    name
        Its path below the watched folder.
    sha256
        What its bytes must hash to.
    file_roots
        Folders to look in if it is not there any more: by its name, and by as much of its path as is there.

    Raises
    ------
    FileChangedError
        If it is gone or has other bytes.
    """
    relative = PurePosixPath(name)
    below = [] if ".." in relative.parts or relative.is_absolute() else [root / relative for root in file_roots]
    changed = False
    for candidate in (path_of(str(path)), *below, *places_below(str(path), file_roots)):
        try:
            if not candidate.is_file() or candidate.stat().st_size > max_bytes:
                continue
            content = candidate.read_bytes()
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() == sha256:
            return candidate, content
        changed = True
    if changed:
        raise FileChangedError("the file has changed since it was recorded", where=str(path))
    raise FileChangedError(
        "the file is gone", where=str(path), remedy="name the folder that its tree lies in now with --raw-root"
    )
