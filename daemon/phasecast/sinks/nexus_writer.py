"""The rows, commits and maps of an open result file."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import DEFECT_COLUMNS, MODEL_COLUMNS, SCORE_AXES
from phasecast.core.ledger import PointState
from phasecast.core.result import ResultHeader
from phasecast.results import layout
from phasecast.results.grid import Grid
from phasecast.results.maps import Maps, draw_maps
from phasecast.sinks.nexus_rows import RowDataset, runs_of

Columns = Mapping[str, Any]


class ResultWriter:
    """Writes points, ledger, defects, commits and maps into a file whose structure exists.

    Parameters
    ----------
    file
        Open for writing, structure complete.
    header
        The header the structure was made from.
    clock
        POSIX time in seconds.
    """

    def __init__(self, file: h5py.File, header: ResultHeader, *, clock: Callable[[], float]) -> None:
        self._file = file
        self._header = header
        self._clock = clock
        self._paths = {column.name: layout.column_dataset(column.name, column.axis) for column in header.columns}
        self._of_model = tuple(column.name for column in header.columns if column.axis in SCORE_AXES)
        paths = list(self._paths.values())
        paths += [layout.ledger_dataset(name) for name in layout.LEDGER_FILE_COLUMNS]
        paths += [f"{layout.SCALARS}/{column.name}" for column in header.point_columns]
        paths += [layout.REVISION, layout.CHANGED_IN, layout.DONE_IN]
        self._rows = {path: RowDataset(file[path]) for path in paths}
        self._defects = {name: RowDataset(file[layout.defect_dataset(name)]) for name in DEFECT_COLUMNS}
        self._commits = RowDataset(file[layout.COMMIT])
        self._models = RowDataset(file[layout.MODELS]) if layout.MODELS in file else None
        self._grid = Grid.from_header(header)
        self._class_ids = tuple(phase.id for phase in header.classes)
        self._map_signals = {name: file[f"{layout.MAPS}/{name}"].attrs["signal"] for name in file[layout.MAPS]}
        self._map_written: dict[str, NDArray[Any]] = {}
        self._load()

    def _load(self) -> None:
        """Take over what the file already holds: nothing, or the points of a repaired one."""
        file = self._file
        self._count = int(file[layout.ledger_dataset("state")].shape[0])
        commits = file[layout.COMMIT]
        self._sequence = int(commits[-1]["sequence"]) if len(commits) else 0
        self._defect_count = int(file[layout.defect_dataset("time_s")].shape[0])
        self._state = file[layout.ledger_dataset("state")][...].astype(np.uint8)
        self._x_um = file[layout.ledger_dataset("x_um")][...]
        self._y_um = file[layout.ledger_dataset("y_um")][...]
        self._revision = file[layout.REVISION][...]
        self._done_in = file[layout.DONE_IN][...]
        classes = len(self._class_ids)
        self._confidence = np.full((self._count, classes), np.nan, dtype=np.float32)
        if layout.CONFIDENCES in file:
            self._confidence[:] = file[layout.CONFIDENCES][...]
        self._total = np.full(self._count, np.nan, dtype=np.float32)
        if layout.TOTAL_COLUMN in self._paths:
            self._total[:] = file[self._paths[layout.TOTAL_COLUMN]][...]
        elif layout.INTENSITY_COLUMN in self._paths and np.any(self._state == PointState.DONE):
            rows = np.flatnonzero(self._state == PointState.DONE)
            for start in range(0, rows.size, 1024):
                part = rows[start : start + 1024]
                self._total[part] = np.nansum(file[layout.INTENSITY_PATH][part], axis=1)
        self._norm = file[layout.NORM][...] if layout.NORM in file else None

    @property
    def header(self) -> ResultHeader:
        """What the structure was made from."""
        return self._header

    @property
    def points_done(self) -> int:
        """Points in the file that are done."""
        return int(np.count_nonzero(self._state == PointState.DONE))

    def write_points(self, columns: Columns) -> None:
        """Write one page of scored points; older revisions than the file's are left out."""
        self._write_rows(columns, tuple(self._paths))

    def write_scores(self, columns: Columns) -> None:
        """Write what a model says alone, of points that were scored before; older revisions are left out."""
        self._write_rows(columns, self._of_model)

    def write_models(self, columns: Columns) -> None:
        """Append to the table of models; points name its rows from now on."""
        if self._models is None:
            return
        table = np.zeros(len(columns["name"]), dtype=layout.MODEL_DTYPE)
        for name, dtype in MODEL_COLUMNS.items():
            values = np.asarray(columns[name])
            table[name] = np.char.encode(values.astype(dtype), "utf-8") if dtype.startswith("<U") else values
        self._models.append(table)

    def _write_rows(self, columns: Columns, names: tuple[str, ...]) -> None:
        rows = np.asarray(columns["point_index"], dtype=np.int64)
        revision = np.asarray(columns["revision"], dtype=np.int64)
        if rows.size == 0:
            return
        self._grow(rows)
        keep = revision >= self._revision[rows]
        if not keep.all():
            columns = {name: np.asarray(values)[keep] for name, values in columns.items()}
            rows, revision = rows[keep], revision[keep]
            if rows.size == 0:
                return
        runs = runs_of(rows)
        for name in names:
            path = self._paths[name]
            self._rows[path].write(runs, columns[name])
            if path == layout.CONFIDENCES:
                self._confidence[rows] = columns[name]
        self._rows[layout.REVISION].write(runs, revision)
        self._revision[rows] = revision
        if layout.TOTAL_COLUMN in names:
            self._total[rows] = columns[layout.TOTAL_COLUMN]
        elif layout.INTENSITY_COLUMN in names:
            self._total[rows] = np.nansum(np.asarray(columns[layout.INTENSITY_COLUMN]), axis=1)
        if self._norm is not None and layout.NORM_COLUMN in names:
            largest = np.fmax.reduce(np.asarray(columns[layout.NORM_COLUMN]), axis=0)
            self._norm = np.fmax(self._norm, largest).astype(np.float32)

    def write_ledger(self, columns: Columns) -> None:
        """Write one page of the ledger and vouch for it and for everything before it."""
        rows = np.asarray(columns["point_index"], dtype=np.int64)
        sequence = self._sequence + 1
        if rows.size:
            self._grow(rows)
            runs = runs_of(rows)
            for name in layout.LEDGER_FILE_COLUMNS:
                self._rows[layout.ledger_dataset(name)].write(runs, columns[name])
            for column in self._header.point_columns:
                values = columns.get(column.name)
                if values is not None:
                    self._rows[f"{layout.SCALARS}/{column.name}"].write(runs, values)
            state = np.asarray(columns["state"], dtype=np.uint8)
            fresh = (state == PointState.DONE) & (self._done_in[rows] == 0)
            self._done_in[rows[fresh]] = sequence
            self._rows[layout.DONE_IN].write(runs, self._done_in[rows])
            self._rows[layout.CHANGED_IN].write(runs, np.full(rows.size, sequence))
            self._state[rows] = state
            self._x_um[rows] = columns["x_um"]
            self._y_um[rows] = columns["y_um"]
        segments, offsets = columns["capture_segment"], columns["capture_offset"]
        if rows.size:
            touched = (int(rows.min()), int(rows.max()) + 1)
            self._commit(str(segments[-1]), int(offsets[-1]), touched)
        else:
            self._commit("", -1)

    def write_defects(self, columns: Columns) -> None:
        """Append to the table of defects; the next commit vouches for it."""
        for name, dataset in self._defects.items():
            dataset.append(columns[name])
        self._defect_count += len(columns["reason"])

    def _commit(self, segment: str, offset: int, touched: tuple[int, int] = (0, 0)) -> None:
        # Two flushes: a reader that sees the commit row must find everything that it vouches for.
        self._file.flush()
        self._sequence += 1
        row = np.zeros(1, dtype=layout.COMMIT_DTYPE)
        row[0] = (
            self._sequence,
            self.points_done,
            self._defect_count,
            segment.encode()[:128],
            offset,
            self._clock(),
            *touched,
        )
        # A file of the first days that is taken up again has no room for the rows.
        self._commits.append(row[list(self._commits.fields)])
        self._file.flush()

    def write_maps(self) -> None:
        """Bring the maps up to date: only rows of the picture that changed are written."""
        maps = draw_maps(
            self._grid, self._class_ids, x_um=self._x_um[: self._count], y_um=self._y_um[: self._count],
            state=self._state[: self._count], confidence=self._confidence[: self._count],
            total=self._total[: self._count],
        )  # fmt: skip
        for name, picture in maps.values.items():
            self._write_map(name, picture, maps)
        if self._norm is not None:
            self._file[layout.NORM][...] = self._norm
        self._file.flush()

    def _write_map(self, name: str, picture: NDArray[Any], maps: Maps) -> None:
        group = self._file[f"{layout.MAPS}/{name}"]
        dataset = group[self._map_signals[name]]
        before = self._map_written.get(name)
        if before is None or before.shape != picture.shape:
            dataset[...] = picture
        else:
            same = (picture == before) | ((picture != picture) & (before != before))
            changed = np.flatnonzero(~same.reshape(len(picture), -1).all(axis=1))
            for first, row, count in runs_of(changed):
                del first
                dataset[row : row + count] = picture[row : row + count]
        self._map_written[name] = picture.copy()
        if self._grid is not None:
            group["x"][...] = maps.x_um
            group["y"][...] = maps.y_um

    def finish(self, counters: Mapping[str, Any], end_time: str) -> None:
        """Write the final counters, the end time and the last maps."""
        text = json.dumps(counters, ensure_ascii=False, default=str).encode()
        if len(text) > layout.COUNTERS_BYTES:
            text = json.dumps({"omitted": f"{len(text)} bytes of counters"}).encode()
        self._file[layout.COUNTERS][0] = text
        self._file[layout.END_TIME][0] = end_time.encode()
        self.write_maps()
        self._commit_tail()

    def _commit_tail(self) -> None:
        """Vouch for defects that came after the last page of the ledger, at the same place of the capture."""
        commits = self._file[layout.COMMIT]
        last = commits[-1] if len(commits) else None
        vouched = int(last["defects"]) if last is not None else 0
        if self._defect_count > vouched:
            segment = last["capture_segment"].decode() if last is not None else ""
            self._commit(segment, int(last["capture_offset"]) if last is not None else -1)

    def _grow(self, rows: NDArray[np.int64]) -> None:
        """Make room for points beyond those announced."""
        needed = int(rows.max()) + 1
        if int(rows.min()) < 0:
            raise ValueError(f"point index {int(rows.min())} is negative")
        if needed <= self._count:
            return
        for dataset in self._rows.values():
            dataset.grow(needed)
        if self._grid is None:
            for name, signal in self._map_signals.items():
                self._file[f"{layout.MAPS}/{name}/{signal}"].resize(needed, axis=0)
        if needed > self._state.size:
            self._extend(max(needed, self._state.size * 3 // 2))
        self._count = needed

    def _extend(self, room: int) -> None:
        def longer(values: NDArray[Any], fill: Any) -> NDArray[Any]:
            extended = np.full((room, *values.shape[1:]), fill, dtype=values.dtype)
            extended[: len(values)] = values
            return extended

        self._state = longer(self._state, PointState.PENDING)
        self._x_um = longer(self._x_um, np.nan)
        self._y_um = longer(self._y_um, np.nan)
        self._revision = longer(self._revision, -1)
        self._done_in = longer(self._done_in, 0)
        self._confidence = longer(self._confidence, np.nan)
        self._total = longer(self._total, np.nan)
