"""Makes a file that a killed writer left behind, or a copy of one that still grows, readable by everyone."""

import logging
import os
import shutil
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import ResultFileError
from phasecast.core.ledger import PointState
from phasecast.results import layout
from phasecast.results.access import missing_bytes, open_for_reading, was_left_growing
from phasecast.results.lock import WriterLock, is_being_written

logger = logging.getLogger(__name__)

_BLOCK_ROWS = 4096

_PATIENCE_S = 15.0
_BYTES_PER_S = 20e6

__all__ = ["copy_committed", "is_being_written", "repair"]


def repair(path: str | os.PathLike[str]) -> Path:
    """Replace a crashed file by a closed copy of everything that was committed; a closed file stays as it is.

    The damaged file is never changed in place: flags cleared by force would let programs read rows that were
    half written. Rows of the page in which the writer died go back to what the last commit said of them.

    Parameters
    ----------
    path
        The result file.

    Returns
    -------
    path
        The same path, now of a closed file, which a sink may resume.

    Raises
    ------
    ResultFileError
        If a living process writes the file, or it cannot be read.
    """
    path = Path(path)
    if is_being_written(path):
        raise ResultFileError(
            "another process is writing this result", where=str(path), remedy="wait until it has ended"
        )
    if not is_crashed(path):
        return path
    lock = WriterLock(path)
    copy = path.with_name(f".{path.name}.repaired")
    try:
        _copy(path, copy)
        with copy.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(copy, path)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        copy.unlink(missing_ok=True)
        raise ResultFileError(
            f"cannot repair: {error}", where=str(path), remedy="replay its capture into a new result"
        ) from error
    finally:
        lock.release()
    logger.warning("repaired %s", path)
    return path


def copy_committed(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> Path:
    """Copy what is committed of a result that grows, or was left growing, into a closed file; the result is only read.

    Parameters
    ----------
    path
        The result file.
    target
        The copy; it appears complete or not at all, and replaces what was there.

    Returns
    -------
    target
        The copy: everything up to the last commit before it was begun, and nothing that a later one wrote.

    Raises
    ------
    ResultFileError
        If it cannot be read, or the copy not be written.
    """
    path, target = Path(path), Path(target)
    partial = target.with_name(f".{target.name}.part")
    try:
        _copy(path, partial)
        os.replace(partial, target)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ResultFileError(
            f"cannot be copied: {error}", where=str(path), remedy="make room, or wait until the scan has ended"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def is_crashed(path: Path) -> bool:
    """Return whether a writer died (or still writes) before it could close the file, or could not write all of it.

    On a full disk HDF5 may close a file in order and leave it shorter than it says.

    Raises
    ------
    ResultFileError
        If it cannot be read at all.
    """
    if was_left_growing(path) or missing_bytes(path):
        return True
    file, closed = open_for_reading(path)
    file.close()
    return not closed


def _copy(path: Path, copy: Path) -> None:
    if missing_bytes(path):
        _copy_padded(path, copy)
    else:
        _copy_committed(path, copy)


def _copy_committed(source_path: Path, copy: Path, present_bytes: int | None = None) -> None:
    """Copy what was committed; with `present_bytes`, only if all of it lies before that place in the file."""
    source, _ = open_for_reading(source_path)
    with source, h5py.File(copy, "w", libver=("v110", "v110"), **layout.UNTORN_PAGES) as target:
        if present_bytes is not None:
            _require_committed(source, present_bytes)
        # Counted before anything is copied: the writer may be alive, and a commit that comes later vouches for rows
        # that were copied too early.
        commits = len(source[layout.COMMIT])
        target.attrs.update(source.attrs)
        source.copy(layout.ENTRY, target, name=layout.ENTRY)
        target[layout.COMMIT].resize(commits, axis=0)
        undone = _undo_uncommitted(target)
        target.flush()
    logger.info("%d rows of an unfinished page were taken back", undone)


def _copy_padded(path: Path, copy: Path) -> None:
    """Copy what was committed to a file that a full disk left shorter than it says.

    It is read from a copy padded to its length, in a process that is killed if it waits for what is not there.

    Raises
    ------
    ValueError
        If committed rows lie in the part that is missing: it was cut off by something else than a full disk.
    """
    padded = path.with_name(f".{path.name}.padded")
    present = path.stat().st_size
    try:
        shutil.copyfile(path, padded)
        os.truncate(padded, present + missing_bytes(path))
        process = get_context("spawn").Process(target=_copy_committed, args=(padded, copy, present))
        process.start()
        process.join(_PATIENCE_S + present / _BYTES_PER_S)
        if process.is_alive():
            process.kill()
            process.join()
        if process.exitcode != 0:
            raise ValueError("it was cut off within what had been committed")
    finally:
        padded.unlink(missing_ok=True)


def _require_committed(file: h5py.File, present_bytes: int) -> None:
    commits = file[layout.COMMIT]
    last = commits[-1] if len(commits) else np.zeros(1, layout.COMMIT_DTYPE)[0]
    changed_in = file[layout.CHANGED_IN][:]
    committed = np.flatnonzero((changed_in > 0) & (changed_in <= int(last["sequence"])))
    last_row = int(committed[-1]) if committed.size else -1

    def check(name: str, item: object) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.chunks is None:
            offset = item.id.get_offset()
            if offset is not None and offset + item.id.get_storage_size() > present_bytes:
                raise ValueError(f"{name} is cut off")
            return
        for index in range(item.id.get_num_chunks()):
            chunk = item.id.get_chunk_info(index)
            if chunk.byte_offset + chunk.size > present_bytes and chunk.chunk_offset[0] <= last_row:
                raise ValueError(f"{name} is cut off within rows that were committed")

    file.visititems(check)


def _undo_uncommitted(file: h5py.File) -> int:
    """Take rows back that no commit vouches for, so that readers who know nothing of commits see the truth."""
    commits = file[layout.COMMIT]
    last = commits[-1] if len(commits) else np.zeros(1, layout.COMMIT_DTYPE)[0]
    sequence = int(last["sequence"])
    state = file[layout.ledger_dataset("state")]
    changed_in, done_in = file[layout.CHANGED_IN], file[layout.DONE_IN]
    rows = min(len(state), len(changed_in), len(done_in))
    changed, done, stored = changed_in[:rows], done_in[:rows], state[:rows]
    believed = layout.believed_states(stored, changed, done, sequence)
    _align_rows(file, rows)
    torn = np.flatnonzero((believed != stored) | (changed > sequence) | (done > sequence))
    for row in torn:
        state[row] = believed[row]
        changed_in[row] = sequence if believed[row] != PointState.PENDING else 0
        done_in[row] = done[row] if done[row] <= sequence else 0
    unfinished = believed != PointState.DONE
    for path in _row_datasets(file, layout.DATA) + _row_datasets(file, layout.COLUMNS) + _confidences(file):
        _blank(file[path], unfinished)
    _blank(file[layout.REVISION], unfinished)
    for name in file[layout.DEFECTS_PATH]:
        file[layout.defect_dataset(name)].resize(int(last["defects"]), axis=0)
    return int(torn.size)


def _confidences(file: h5py.File) -> list[str]:
    paths = (layout.CONFIDENCES, layout.MODEL_OF_POINT, layout.METAL_SHARE, layout.CONFIDENCES_ALONE)
    return [path for path in paths if path in file]


def _row_datasets(file: h5py.File, group: str) -> list[str]:
    fixed = {layout.RADIAL_AXIS, layout.NORM}
    return [f"{group}/{name}" for name in file[group] if f"{group}/{name}" not in fixed]


def _align_rows(file: h5py.File, rows: int) -> None:
    """Give all per-point datasets one length: the writer may have died between two that grow."""
    paths = _row_datasets(file, layout.DATA) + _row_datasets(file, layout.COLUMNS) + _confidences(file)
    paths += _row_datasets(file, layout.SCALARS)
    paths += [layout.ledger_dataset(name) for name in layout.LEDGER_FILE_COLUMNS]
    paths += [layout.REVISION, layout.CHANGED_IN, layout.DONE_IN]
    for group in file[layout.MAPS].values():
        signal = group[group.attrs["signal"]]
        if signal.maxshape[0] is None:
            paths.append(signal.name)
    for path in paths:
        if file[path].shape[0] != rows:
            file[path].resize(rows, axis=0)


def _blank(dataset: h5py.Dataset, unfinished: NDArray[np.bool_]) -> None:
    """Give rows back the fill value where they hold anything else."""
    fill = np.full((1, *dataset.shape[1:]), dataset.fillvalue, dtype=dataset.dtype)
    for start in range(0, len(unfinished), _BLOCK_ROWS):
        block = unfinished[start : start + _BLOCK_ROWS]
        if not block.any():
            continue
        values = dataset[start : start + len(block)]
        blank = (values == fill) | ((values != values) & (fill != fill))
        for row in np.flatnonzero(block & ~blank.reshape(len(block), -1).all(axis=1)):
            dataset[start + row] = fill[0]
