"""Opens result files in whichever state their writer left them."""

from pathlib import Path

import h5py

from phasecast.core.errors import ResultFileError


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
        try:
            return h5py.File(path, "r", swmr=True, libver="latest", locking=False), False
        except (OSError, RuntimeError) as error:
            raise ResultFileError(
                f"not readable as HDF5: {refused}", where=str(path), remedy="restore it, or replay its capture"
            ) from error
