"""The first bytes of an HDF5 file: whether it is one, whole or being written, before libhdf5 is given it."""

import struct
from dataclasses import dataclass
from pathlib import Path

from phasecast.core.errors import FrameError, IncompleteFileError

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAD_BYTES, _LEAST_BYTES = 64, 48
_WRITING, _SWMR = 1, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Hdf5State:
    """What the first bytes of an HDF5 file say.

    Parameters
    ----------
    is_written
        Whether a writer has it open; files of an older form (superblock 0 and 1) never say so.
    is_swmr
        Whether that writer lets others read.
    says_so
        Whether the file is of the form that tells.
    """

    is_written: bool
    is_swmr: bool
    says_so: bool


def look_at_hdf5(path: Path) -> Hdf5State:
    """Return what a file says of itself before libhdf5 is given it.

    Raises
    ------
    IncompleteFileError
        If it ends before it should, or is open for writing without SWMR.
    FrameError
        If it is no HDF5 file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            size = file.seek(0, 2)
    except OSError as error:
        raise IncompleteFileError(f"cannot be read ({error.strerror})", where=path.name) from error
    if len(head) < _LEAST_BYTES and _SIGNATURE.startswith(head[: len(_SIGNATURE)]):
        raise IncompleteFileError(f"{size} bytes are no HDF5 yet", where=path.name)
    if not head.startswith(_SIGNATURE):
        raise FrameError("not an HDF5 file", where=path.name)
    version, flags = head[8], 0
    if version in (2, 3):
        offset_bytes, flags = head[9], head[11] if version == 3 else 0
        end_place = 12 + 2 * offset_bytes
    elif version in (0, 1):
        offset_bytes, end_place = head[13], (24 if version == 0 else 28) + 2 * head[13]
    else:
        raise FrameError(f"HDF5 superblock {version} is unknown", where=path.name)
    if offset_bytes != 8 or end_place + 8 > len(head):
        raise FrameError(f"HDF5 with offsets of {offset_bytes} bytes is not read", where=path.name)
    (end,) = struct.unpack_from("<Q", head, end_place)
    state = Hdf5State(is_written=bool(flags & _WRITING), is_swmr=bool(flags & _SWMR), says_so=version == 3)
    if state.is_written and not state.is_swmr:
        raise IncompleteFileError("is open for writing, and not for reading yet (SWMR)", where=path.name)
    if not state.is_written and size < end:
        raise IncompleteFileError(f"{size} of {end} bytes are there", where=path.name)
    return state
