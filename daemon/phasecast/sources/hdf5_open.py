"""Opens HDF5 files of others, which may grow or be damaged, and finds what is in them without leaving them."""

from pathlib import Path

import h5py

from phasecast.core.errors import FrameError, IncompleteFileError
from phasecast.results.hdf5_patience import open_growing

LIBRARY_ERRORS = (OSError, RuntimeError, ValueError, KeyError)
"""h5py raises whatever libhdf5's message maps to."""
_LINKS = 16


def open_hdf5(path: Path, *, where: str) -> h5py.File:
    """Open a file that `look_at_hdf5` let pass, for reading while it may grow.

    Raises
    ------
    IncompleteFileError
        If it cannot be opened now; it may be readable at the next look.
    """
    try:
        return open_growing(path)
    except LIBRARY_ERRORS as error:
        raise IncompleteFileError(f"cannot be opened ({first_line(error)})", where=where) from error


def find_in_hdf5(file: h5py.File, name: str, *, where: str) -> h5py.Group | h5py.Dataset:
    """Return what has a name in a file, never through a link into another file.

    Raises
    ------
    IncompleteFileError
        If nothing has that name yet, or that cannot be read now.
    FrameError
        If it is a link into another file.
    """
    place: h5py.Group | h5py.Dataset = file
    parts, links = [part.encode() for part in name.split("/") if part], 0
    try:
        while parts:
            part = parts.pop(0)
            if not isinstance(place, h5py.Group) or not place.id.links.exists(part):
                raise IncompleteFileError(f"has no dataset {name}", where=where)
            kind = place.id.links.get_info(part).type
            if kind == h5py.h5l.TYPE_HARD:
                place = place[part]
            elif kind == h5py.h5l.TYPE_SOFT:
                if (links := links + 1) > _LINKS:
                    raise IncompleteFileError(f"has no dataset {name}: its links go in a circle", where=where)
                target = place.id.links.get_val(part)
                place = file if target.startswith(b"/") else place
                parts = [piece for piece in target.split(b"/") if piece] + parts
            else:
                raise FrameError(f"{name} is a link into another file", where=where, remedy="watch that file")
    except LIBRARY_ERRORS as error:
        raise IncompleteFileError(f"cannot be read ({first_line(error)})", where=where) from error
    return place


def first_line(error: BaseException) -> str:
    """Return the first line of what a library says."""
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
