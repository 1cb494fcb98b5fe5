"""Opens result files in whichever state their writer left them."""

import struct
from pathlib import Path

import h5py

from phasecast.core.errors import ResultFileError
from phasecast.results.hdf5_patience import open_growing

_SUPERBLOCK = struct.Struct("<8s4B4Q")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_OPEN_FOR_WRITING = 1
_WRITTEN_FOR_READERS = 4


def open_for_reading(path: Path) -> tuple[h5py.File, bool]:
    """Return the open file and whether its writer has closed it (else it grows, or the writer was killed).

    Raises
    ------
    ResultFileError
        If there is no such file or it is not HDF5.
    """
    if not path.is_file():
        raise ResultFileError("no such file", where=str(path), remedy="check the name")
    flags, end = _superblock(path)
    has_readers = bool(flags & _WRITTEN_FOR_READERS)
    if flags & _OPEN_FOR_WRITING and not has_readers:
        raise ResultFileError(
            "not readable as HDF5: it is marked as open for writing, and lets no reader in",
            where=str(path),
            remedy="wait for its writer, or replay its capture",
        )
    # Asked of the file, not tried out: a process that reads a growing file gets a second handle on it also without
    # asking for SWMR, and that one never sees anything new.
    grows = has_readers and end <= path.stat().st_size
    try:
        # Another driver than that of growing files: HDF5 gives a process that still holds the file as it grew the
        # same view of it again, without what came last, or refuses ("file close degree doesn't match").
        return (open_growing(path) if grows else h5py.File(path, "r", driver="stdio", locking=False)), not grows
    except (OSError, RuntimeError) as error:
        raise ResultFileError(
            f"not readable as HDF5: {error}", where=str(path), remedy="restore it, or replay its capture"
        ) from error


def was_left_growing(path: Path) -> bool:
    """Whether a writer lets readers in, or let them in when it was killed; False for what is not HDF5."""
    flags, _ = _superblock(path)
    return bool(flags & _WRITTEN_FOR_READERS)


def missing_bytes(path: Path) -> int:
    """Bytes that a file says it has and has not: it was cut off by a copy, or its disk was full.

    HDF5 waits without end for what lies beyond the end of a file that is opened as a growing one
    (2.0 doubles its pause 100 times), so that such a file must never be opened so.
    """
    _, end = _superblock(path)
    return max(end - path.stat().st_size, 0)


def _superblock(path: Path) -> tuple[int, int]:
    """Return consistency flags and end of file as a version 3 superblock states them; zeros for anything else.

    HDF5 File Format Specification 3.0, section II.A.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_SUPERBLOCK.size)
    except OSError:
        return 0, 0
    if len(head) < _SUPERBLOCK.size:
        return 0, 0
    signature, version, _, _, flags, _, _, end, _ = _SUPERBLOCK.unpack(head)
    return (flags, end) if signature == _SIGNATURE and version == 3 else (0, 0)
