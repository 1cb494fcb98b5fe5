"""Reading the files that documents name, as records of a capture."""

import hashlib
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from phasecast.core.errors import FrameError
from phasecast.sources.document_frame_record import encode_note
from phasecast.sources.document_roots import DocumentRoots
from phasecast.sources.file_names import readable_name
from phasecast.sources.frame_file import IncompleteFileError, require_complete
from phasecast.sources.hdf5_frames import Hdf5Frames
from phasecast.sources.hdf5_head import look_at_hdf5
from phasecast.sources.hdf5_values import Hdf5Values
from phasecast.sources.read_budget import ReadBudget
from phasecast.sources.wanted_frames import Hdf5Place, WantedFrames, WantedRows

_MAX_OPEN = 8


class NamedFiles:
    """Reads frames and numbers; keeps HDF5 files open while they grow. Parameters as `FrameFetcher`."""

    def __init__(
        self,
        roots: DocumentRoots,
        *,
        budget: ReadBudget | None = None,
        max_bytes: int = 256 << 20,
        copy_frames: bool = False,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._roots = roots
        self._budget = budget
        self._max_bytes = max_bytes
        self._copy_frames = copy_frames
        self._wait = wait
        self._open: dict[tuple[str, str], Hdf5Frames] = {}
        self._there: dict[tuple[str, str], int] = {}
        self._tried: dict[str, tuple[int, int]] = {}

    def begin_look(self) -> None:
        """Let open files be asked again how many frames they hold."""
        self._there.clear()

    def close(self) -> None:
        """Close all files; they are opened again when they are needed."""
        for frames in self._open.values():
            frames.close()
        self._open.clear()
        self._tried.clear()

    def frame(self, wanted: WantedFrames, k: int, *, late: bool) -> list[bytes] | None:
        """Return the record of a frame; None if it is not there yet."""
        note: dict[str, Any] = {
            "kind": "frame",
            "run": wanted.run,
            "series": wanted.series,
            "number": wanted.number + k,
            "keys": [str(key) for key in wanted.keys_of(k)],
        }
        place = wanted.place
        stated = place.path if isinstance(place, Hdf5Place) else f"{place.folder}/{place.names[k]}"
        note["path"] = readable_name(stated)[:4096]
        try:
            if wanted.problem:
                raise FrameError(wanted.problem)
            if isinstance(place, Hdf5Place):
                return self._hdf5(note, self._roots.find(stated), place, k, late=late)
            return self._file(note, self._roots.find(stated), place.dataset)
        except IncompleteFileError as error:
            if not late:
                return None
            return encode_note({**note, "problem": error.what[:1000], "is_late": True})
        except FrameError as error:
            return encode_note({**note, "problem": str(error)[:1000]})
        # h5py raises whatever libhdf5's message maps to; it is one bad frame, and the fetcher goes on
        except Exception as error:
            return encode_note({**note, "problem": f"cannot be read ({type(error).__name__})"})

    def _hdf5(self, note: dict[str, Any], path: Path, place: Hdf5Place, k: int, *, late: bool) -> list[bytes]:
        note["path"] = readable_name(str(path))
        first, frames = place.first + k * place.frames_per_point, place.frames_per_point
        opened, there = self._opened(path, place.dataset)
        if there < first + frames:
            raise IncompleteFileError(f"{there} of {first + frames} frames are there")
        found = list(islice(opened.read(first, there, is_final=late or self._is_closed(path)), frames))
        if len(found) < frames:
            raise IncompleteFileError(f"frame {first + len(found)} is announced and not there")
        broken = next((frame for frame in found if frame.problem), None)
        if broken is not None:
            raise FrameError(f"frame {broken.index}: {broken.problem}")
        if self._budget is not None:
            self._budget.take(sum(len(frame.content) for frame in found), self._wait)
        images = [
            {"rows": frame.shape[0], "cols": frame.shape[1], "dtype": frame.dtype, "encoding": frame.encoding}
            for frame in found
        ]
        return encode_note({**note, "images": images}, [frame.content for frame in found])

    def _opened(self, path: Path, dataset: str) -> tuple[Hdf5Frames, int]:
        """Return an open dataset and how many frames it announces; looked at once a look."""
        key = (str(path), dataset)
        opened = self._open.get(key)
        if opened is None:
            while len(self._open) >= _MAX_OPEN:
                self._open.pop(next(iter(self._open))).close()
            look_at_hdf5(path)
            opened = self._open[key] = Hdf5Frames(path, dataset, max_bytes=self._max_bytes)
        if key not in self._there:
            try:
                self._there[key] = opened.refresh()
            except FrameError:
                self._open.pop(key).close()
                raise
        return opened, self._there[key]

    @staticmethod
    def _is_closed(path: Path) -> bool:
        state = look_at_hdf5(path)
        return state.says_so and not state.is_written

    def _file(self, note: dict[str, Any], path: Path, dataset: str) -> list[bytes]:
        note["path"] = readable_name(str(path))
        try:
            stat = path.stat()
            seen = (stat.st_size, stat.st_mtime_ns)
            if self._tried.get(str(path)) == seen:
                raise IncompleteFileError("has not been completed")
            if stat.st_size > self._max_bytes:
                raise FrameError(f"larger than {self._max_bytes} bytes")
            if dataset:
                look_at_hdf5(path)
                with Hdf5Frames(path, dataset, max_bytes=self._max_bytes) as opened:
                    found = next(opened.read(0, opened.refresh(), is_final=True), None)
                if found is None or found.problem:
                    raise FrameError(found.problem if found is not None else "no frame in it")
                image: dict[str, object] = {"rows": found.shape[0], "cols": found.shape[1]}
                image |= {"dtype": found.dtype, "encoding": found.encoding}
                return encode_note({**note, "images": [image]}, [found.content])
            if self._budget is not None:
                self._budget.take(stat.st_size, self._wait)
            content = path.read_bytes()
        except OSError as error:
            raise IncompleteFileError(f"cannot be read ({error.strerror})") from error
        try:
            require_complete(path.name, content, max_bytes=self._max_bytes)
        except IncompleteFileError:
            self._tried[str(path)] = seen
            raise
        self._tried.pop(str(path), None)
        note |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        return encode_note(note, [content] if self._copy_frames else None)

    def rows(self, wanted: WantedRows, *, late: bool) -> list[bytes] | None:
        """Return the record of some points; None if a number is not there yet."""
        columns: dict[str, np.ndarray[Any, Any]] = {
            name: np.array(values, "<f8") for name, values in wanted.given.items()
        }
        problems: list[str] = []
        for column in wanted.columns:
            values = columns.setdefault(column.name, np.full(wanted.count, np.nan, "<f8"))
            try:
                path = self._roots.find(column.place.path)
                with Hdf5Values(path, column.place.dataset) as opened:
                    values[column.skip : column.skip + column.count] = opened.read(column.place.first, column.count)
            except IncompleteFileError as error:
                if not late:
                    return None
                problems.append(f"{column.name[:60]}: {error}"[:1000])
            except FrameError as error:
                problems.append(f"{column.name[:60]}: {error}"[:1000])
        note = {
            "kind": "rows",
            "run": wanted.run,
            "name": wanted.name,
            "first_seq": wanted.first_seq,
            "count": wanted.count,
            "axes": list(wanted.axes),
            "columns": {name: values.tobytes() for name, values in columns.items()},
            "has_frames": wanted.has_frames,
            "time_s": wanted.time_s,
            "problems": problems[:64],
        }
        return encode_note(note)
