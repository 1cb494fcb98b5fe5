"""Opens growing HDF5 files so that HDF5 gives up on what is damaged, in place of waiting for ever."""

import ctypes
import logging
from functools import cache
from pathlib import Path

import h5py

logger = logging.getLogger(__name__)

_ATTEMPTS = 30
"""Of reading one piece of metadata whose checksum is wrong. HDF5 doubles its pause from 1 ns on: 1 s in all, and not
the 10^13 years of its own 100 attempts."""


def open_growing(path: Path) -> h5py.File:
    """Open a file that is being written, or that a killed writer left, for reading.

    Raises
    ------
    OSError, RuntimeError
        It is no such file, or damaged.
    """
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
    # Without locks: a reader must never be the reason for which a writer fails.
    access.set_file_locking(False, True)
    library = _library()
    if library is not None:
        library.H5Pset_metadata_read_attempts(ctypes.c_int64(access.id), ctypes.c_uint(_ATTEMPTS))
    mode = h5py.h5f.ACC_RDONLY | h5py.h5f.ACC_SWMR_READ
    return h5py.File(h5py.h5f.open(bytes(path), mode, access))


@cache
def _library() -> ctypes.CDLL | None:
    """Return the HDF5 library that h5py has loaded: h5py has no call for this property."""
    try:
        names = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libhdf5" in line}
        found = [ctypes.CDLL(name) for name in sorted(names) if "_hl" not in Path(name).name]
        return next(library for library in found if hasattr(library, "H5Pset_metadata_read_attempts"))
    except (OSError, StopIteration):
        logger.warning("no HDF5 library found: a damaged result that was left growing may keep its reader waiting")
        return None
