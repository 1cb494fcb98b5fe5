"""Opens result files in whichever state their writer left them."""

from pathlib import Path

import h5py

from phasecast.core.errors import ResultFileError

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def open_for_reading(path: Path) -> tuple[h5py.File, bool]:
    """Return the open file and whether its writer has closed it (else it grows, or the writer was killed).

    Raises
    ------
    ResultFileError
        If there is no such file or it is not HDF5.
    """
    if not path.is_file():
        raise ResultFileError("no such file", where=str(path), remedy="check the name")
    try:
        # Without locks: a reader must never be the reason for which a writer fails.
        return h5py.File(path, "r", locking=False), True
    except (OSError, RuntimeError) as refused:
        if _is_cut_short(path):
            raise ResultFileError(
                f"not readable as HDF5: {refused}", where=str(path), remedy="restore it, or replay its capture"
            ) from refused
        try:
            return h5py.File(path, "r", swmr=True, libver="latest", locking=False), False
        except (OSError, RuntimeError) as error:
            raise ResultFileError(
                f"not readable as HDF5: {refused}", where=str(path), remedy="restore it, or replay its capture"
            ) from error


def _is_cut_short(path: Path) -> bool:
    """Whether the file is shorter than it says; HDF5 waits for ever for the rest of a file that may grow.

    Read from the superblock of version 2 or 3 (HDF5 file format specification, II.A): consistency flags in
    byte 11, which are zero where no writer is at work, and the address of the end in bytes 28 to 35.
    """
    with path.open("rb") as file:
        head = file.read(48)
    if len(head) < 48 or head[:8] != _SIGNATURE or head[8] not in (2, 3):
        return False
    return head[11] == 0 or path.stat().st_size < int.from_bytes(head[28:36], "little")
