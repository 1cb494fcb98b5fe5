"""Object headers of HDF5 files, as bytes: to see where they lie, and to tear one as a kill in mid-write does."""

import re
from pathlib import Path

import h5py


def headers_of(content: bytes) -> list[tuple[int, int]]:
    """First and last byte of every object header of version 2 (HDF5 File Format Specification 3.0, IV.A.1.b)."""
    found = []
    for match in re.finditer(rb"OHDR\x02", content):
        flags, place = content[match.start() + 5], match.start() + 6
        place += (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        found.append((match.start(), place + width + int.from_bytes(content[place : place + width], "little") + 3))
    return found


def tear_header(path: Path, name: str) -> bytes:
    """Give the header of an object of a growing file a wrong checksum; return what the file holds then."""
    with h5py.File(path, "r", swmr=True, locking=False) as file:
        header = h5py.h5o.get_info(file[name].id).addr
    content = bytearray(path.read_bytes())
    (last,) = [last for first, last in headers_of(content) if first == header]
    content[last] ^= 0xFF
    path.write_bytes(content)
    return bytes(content)
