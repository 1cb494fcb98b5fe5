"""Reads a result file, growing, crashed or finished, and believes only what its last commit vouches for."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from phasecast.core.documents import DEFECT_COLUMNS
from phasecast.core.errors import ResultFileError
from phasecast.core.frame import FrameReference
from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.result import ColumnSpec, ModelStamp, ResultHeader, UsedModel
from phasecast.results import layout
from phasecast.results.access import open_for_reading
from phasecast.results.grid import Grid, Placement
from phasecast.results.labelled import data_array, dataset, lazy_array
from phasecast.results.rows import CommittedRows, Rows

if TYPE_CHECKING:
    import xarray as xr

_DIMENSION_OF_AXIS = {layout.PATTERN_AXIS: "tth_deg", layout.CLASS_AXIS: "class_id", layout.ALONE_AXIS: "class_id"}


def open_result(path: str | os.PathLike[str]) -> "Result":
    """Open a result file, also one that another process is writing or that a killed one left behind.

    Raises
    ------
    ResultFileError
        If it cannot be opened or is no phasecast result.
    """
    return Result(path)


class Result:
    """A result file as labelled arrays.

    Everything is what the newest commit at the last `refresh` vouches for: rows beyond it are pending, and
    their patterns and confidences read as NaN.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    ResultFileError
        If it cannot be opened or is no phasecast result.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file, self.is_closed = open_for_reading(self.path)
        try:
            header = json.loads(self._file[layout.HEADER][()].decode())
            self.header = ResultHeader.from_dict(header)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._file.close()
            raise ResultFileError(
                f"no phasecast result: {error}", where=str(self.path), remedy="give a .nxs file that phasecast wrote"
            ) from error
        self.grid = Grid.from_header(self.header)
        self._state = np.zeros(0, dtype=np.uint8)
        self._known = np.zeros(0, dtype=np.bool_)
        self._done = np.zeros(0, dtype=np.bool_)
        self._commits_seen = 0
        self._last = np.zeros(1, layout.COMMIT_DTYPE)[0]
        try:
            self._lengthen(self._dataset(layout.ledger_dataset("state")).shape[0])
            self.refresh()
        except (KeyError, OSError, RuntimeError) as error:
            self._file.close()
            raise ResultFileError(
                f"damaged: {error}", where=str(self.path), remedy="replay its capture into a new result"
            ) from error

    def refresh(self) -> NDArray[np.int64]:
        """Look again at what a growing file holds; return the rows whose state or values may have changed.

        Only rows that new commits touched are read, so the cost does not grow with the scan.
        """
        seen = int(self._last["sequence"])
        commits = self._dataset(layout.COMMIT)
        fresh = commits[self._commits_seen :]
        if not len(fresh):
            return np.zeros(0, dtype=np.int64)
        self._commits_seen += len(fresh)
        self._last = fresh[-1]
        states = self._dataset(layout.ledger_dataset("state"))
        first, end = self._touched(fresh, len(states))
        # Read in the order of writing: a row that changes meanwhile shows the number of a commit still to come.
        state = states[first:end]
        done_in = self._dataset(layout.DONE_IN)[first : first + len(state)]
        changed_in = self._dataset(layout.CHANGED_IN)[first : first + len(state)]
        rows = min(len(changed_in), len(done_in), len(state))
        last = int(self._last["sequence"])
        believed = layout.believed_states(state[:rows], changed_in[:rows], done_in[:rows], last)
        self._lengthen(max(first + rows, len(states)))
        before = self._state[first : first + rows]
        # Rows that are being changed right now stay what they were; their commit will name them again.
        in_work = (changed_in[:rows] > last) & (believed != PointState.DONE)
        believed[in_work] = before[in_work]
        changed = np.flatnonzero((changed_in[:rows] > seen) | (believed != before)) + first
        self._state[first : first + rows] = believed
        self._known[first : first + rows] = believed != PointState.PENDING
        self._done[first : first + rows] = believed == PointState.DONE
        return changed.astype(np.int64)

    def _touched(self, commits: NDArray[Any], rows: int) -> tuple[int, int]:
        if self._commits_seen == len(commits) or "end_row" not in (commits.dtype.names or ()):
            return 0, rows
        touching = commits[commits["end_row"] > 0]
        return (int(touching["first_row"].min()), int(touching["end_row"].max())) if len(touching) else (0, 0)

    def _lengthen(self, rows: int) -> None:
        """Points beyond those that were known are pending."""
        more = rows - self._state.size
        if more > 0:
            self._state = np.concatenate([self._state, np.full(more, PointState.PENDING, dtype=np.uint8)])
            self._known = np.concatenate([self._known, np.zeros(more, dtype=np.bool_)])
            self._done = np.concatenate([self._done, np.zeros(more, dtype=np.bool_)])

    def close(self) -> None:
        """Close the file; arrays that were not loaded cannot be read any more. Idempotent."""
        self._file.close()

    def __enter__(self) -> "Result":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def file(self) -> h5py.File:
        """The open file, for what has no name here."""
        return self._file

    @property
    def points(self) -> int:
        """Number of points: those announced, or more if more came."""
        return int(self._state.size)

    @property
    def points_done(self) -> int:
        """Points that are done."""
        return int(np.count_nonzero(self._done))

    @property
    def done(self) -> NDArray[np.bool_]:
        """Which points are done, shape (n,)."""
        return self._done.copy()

    @property
    def last_commit(self) -> dict[str, Any]:
        """The newest commit: sequence, points_done, defects, capture_segment, capture_offset, time_s."""
        commit = {name: self._last[name].item() for name in self._last.dtype.names or ()}
        return {**commit, "capture_segment": commit["capture_segment"].decode()}

    @property
    def ledger(self) -> "xr.Dataset":
        """State, flags, reason, x_um, y_um, time_s, revision and the scan's scalars of every point."""
        labelled = dataset({"state": ("point", self._state.copy())}, coords={"point": np.arange(self.points)})
        for name in ("flags", "reason", "x_um", "y_um", "time_s"):
            labelled[name] = ("point", self._believed(layout.ledger_dataset(name)))
        labelled["revision"] = ("point", self._believed(layout.REVISION))
        for column in self.header.point_columns:
            labelled[column.name] = ("point", self._believed(f"{layout.SCALARS}/{column.name}"))
            labelled[column.name].attrs["units"] = column.unit
        labelled["state"].attrs["state_names"] = [state.label for state in PointState]
        for name, unit in layout.UNITS.items():
            labelled[name].attrs["units"] = unit
        return labelled

    def ledger_block(self, first: int, end: int) -> dict[str, NDArray[Any]]:
        """Return state, flags, x_um, y_um, time_s and the scan's scalars of rows `first` to before `end`."""
        paths = {name: layout.ledger_dataset(name) for name in ("flags", "x_um", "y_um", "time_s")}
        paths |= {column.name: f"{layout.SCALARS}/{column.name}" for column in self.header.point_columns}
        block = {name: self._believed(path, first, end) for name, path in paths.items()}
        return {"state": self._state[first:end].copy(), **block}

    @property
    def ledger_sums(self) -> dict[str, int]:
        """Points in each state; the sum is the number of points."""
        counts = np.bincount(self._state, minlength=len(PointState))
        return {state.label: int(counts[state]) for state in PointState}

    @property
    def flag_sums(self) -> dict[str, int]:
        """Points with each flag."""
        flags = self._believed(layout.ledger_dataset("flags"))
        return {(flag.name or "").lower(): int(np.count_nonzero(flags & int(flag))) for flag in PointFlag if flag}

    @property
    def positions(self) -> "xr.Dataset":
        """Measured sample positions, y up, um."""
        return self.ledger[["x_um", "y_um"]]

    @property
    def patterns(self) -> "xr.DataArray":
        """Intensity, (point, tth_deg), read when used."""
        return self.column(layout.INTENSITY_COLUMN)

    @property
    def sigma(self) -> "xr.DataArray":
        """Standard error of the intensity, (point, tth_deg), read when used."""
        return self.column(layout.SIGMA_COLUMN)

    @property
    def confidences(self) -> "xr.DataArray":
        """Confidence of each class, (point, class_id), read when used; no classes if nothing was classified."""
        name = self.confidence_column
        if name is not None:
            return self.column(name)
        return data_array(
            np.full((self.points, 0), np.nan, dtype=np.float32), dims=("point", "class_id"), name="confidence"
        )

    @property
    def models(self) -> tuple[UsedModel, ...]:
        """Models that gave confidences, in order; points of the last one may not be committed yet."""
        table = self._fresh(layout.MODELS) if layout.MODELS in self._file else np.zeros(0, layout.MODEL_DTYPE)
        if not len(table) and self.header.model is not None:
            return (UsedModel(stamp=self.header.model, since_s=self.header.started_s),)
        names = [name for name in table.dtype.names or () if name != "time_s"]
        return tuple(
            UsedModel(stamp=ModelStamp(**{name: row[name].decode() for name in names}), since_s=float(row["time_s"]))
            for row in table
        )

    @property
    def model_of_points(self) -> NDArray[np.int16]:
        """Which of `models` gave the confidences of each point, shape (n,); -1 where there are none."""
        column = next((column.name for column in self.header.columns if column.axis == layout.MODEL_AXIS), None)
        if column is not None:
            return np.asarray(self.column(column).to_numpy(), np.int16)
        one = 0 if self.header.model is not None else -1
        return np.where(self._done, one, -1).astype(np.int16)

    @property
    def model_shares(self) -> list[tuple[ModelStamp, int]]:
        """Models behind the confidences of points that are done, and of how many: the one of most points first."""
        models, made_by = self.models, self.model_of_points[self._done]
        counts = np.bincount(made_by[made_by >= 0].astype(np.int64), minlength=len(models))
        order = sorted(range(len(models)), key=lambda k: (-int(counts[k]), -k))
        return [(models[k].stamp, int(counts[k])) for k in order if counts[k]]

    @property
    def main_model(self) -> ModelStamp | None:
        """The model behind most points, or that of the scan's start while there are none; None if there is none."""
        shares = self.model_shares
        return shares[0][0] if shares else self.header.model

    @property
    def confidence_column(self) -> str | None:
        """Name of the column of confidences; None if nothing was classified."""
        return next((column.name for column in self.header.columns if column.axis == layout.CLASS_AXIS), None)

    def column(self, name: str) -> "xr.DataArray":
        """Return any result column by the name it has in the header, read when used.

        Raises
        ------
        ResultFileError
            If the result has no such column.
        """
        column = self._spec(name)
        committed = self._committed(column)
        rows = committed.shape[0]
        data = lazy_array(committed, self._dimensions(column))
        array = data_array(data, name=name, attrs={"units": column.unit, "description": column.description})
        array = array.assign_coords(point=np.arange(rows))
        if column.axis == layout.PATTERN_AXIS:
            array = array.assign_coords(tth_deg=np.asarray(self.header.tth_deg))
        elif column.axis in (layout.CLASS_AXIS, layout.ALONE_AXIS):
            array = array.assign_coords(class_id=[phase.id for phase in self.header.classes])
        return array

    def column_block(self, name: str, first: int, end: int) -> NDArray[Any]:
        """Return rows `first` to before `end` of a result column, bare: for those who follow a growing file.

        Raises
        ------
        ResultFileError
            If the result has no such column.
        """
        return self._committed(self._spec(name)).block(first, end)

    @property
    def placement(self) -> Placement | None:
        """Cells of all points; None for scans that are not rasters over x and y."""
        if self.grid is None:
            return None
        return self.grid.place(
            self._believed(layout.ledger_dataset("x_um")), self._believed(layout.ledger_dataset("y_um"))
        )

    @property
    def cell_sizes_um(self) -> NDArray[np.float64] | None:
        """Width and height of the cell of each point, (n, 2); None where all are alike."""
        return None

    def map_of(self, values: ArrayLike, *, select: NDArray[np.bool_] | None = None, fill: Any = None) -> "xr.DataArray":
        """Return per-point values as a map (y_um, x_um) in sample coordinates, y ascending.

        Parameters
        ----------
        values
            One value a point, shape (n,).
        select
            Points to show; those that are done if None.
        fill
            Value of cells without a point; NaN for real numbers, 0 for others if None.

        Raises
        ------
        ResultFileError
            If the scan is not a raster; use `positions` for scattered points.
        """
        placement = self.placement
        if placement is None:
            raise ResultFileError(
                "this scan is not a raster", where=str(self.path), remedy="draw its points at their positions"
            )
        array = np.asarray(values)
        empty = (np.nan if array.dtype.kind == "f" else 0) if fill is None else fill
        picture = placement.paint(array, select=self._done if select is None else select, fill=empty)
        return data_array(picture, dims=("y_um", "x_um"), coords={"y_um": placement.y_um, "x_um": placement.x_um})

    @property
    def frames(self) -> "xr.Dataset":
        """Where the raw frame of each point lies: store, path, offset, number, sha256; no store if it has none."""
        return dataset(
            {
                name: ("point", self._believed(layout.ledger_dataset(f"frame_{name}")))
                for name in ("store", "path", "offset", "number", "sha256")
            }
        )

    def frame_reference(self, row: int) -> FrameReference | None:
        """Return where the raw frame of a point lies; None if the point has none. `frames` gives all at once.

        Raises
        ------
        IndexError
            If there is no such point.
        """
        if not 0 <= row < self.points:
            raise IndexError(f"point {row} of {self.points}")
        cell = {
            name: _text(np.asarray(self._dataset(layout.ledger_dataset(f"frame_{name}"))[row : row + 1]))[0]
            for name in ("store", "path", "offset", "number", "sha256")
        }
        if not self._known[row] or cell["store"] not in ("capture", "file"):
            return None
        return FrameReference(
            store=cell["store"].item(),
            path=str(cell["path"]),
            offset=int(cell["offset"]),
            number=int(cell["number"]),
            sha256=str(cell["sha256"]),
        )

    def reason_of(self, row: int) -> str:
        """Why a point is in its state, as its ledger row says; empty for most."""
        return str(self._believed(layout.ledger_dataset("reason"), row, row + 1)[0])

    @property
    def defects(self) -> "xr.Dataset":
        """Everything that could not be used, in order: time_s, channel, reason, detail, frame_number."""
        rows = int(self._last["defects"])
        return dataset(
            {name: ("defect", _text(self._fresh(layout.defect_dataset(name))[:rows])) for name in DEFECT_COLUMNS}
        )

    @property
    def counters(self) -> dict[str, Any]:
        """Final counters of the stop document; empty while the scan runs."""
        text = self._fresh(layout.COUNTERS)[0]
        return dict(json.loads(text)) if text else {}

    @property
    def end_time(self) -> str:
        """ISO 8601 time of the end; empty while the scan runs."""
        return str(self._fresh(layout.END_TIME)[0].decode())

    def _spec(self, name: str) -> ColumnSpec:
        column = next((column for column in self.header.columns if column.name == name), None)
        if column is None:
            names = sorted(column.name for column in self.header.columns)
            raise ResultFileError(
                f"no column {name!r}", where=str(self.path), remedy=f"this result has {', '.join(names)}"
            )
        return column

    def _committed(self, column: ColumnSpec) -> Rows:
        dataset = self._dataset(layout.column_dataset(column.name, column.axis))
        return CommittedRows(dataset, self._done[: min(self.points, dataset.shape[0])])

    def _dataset(self, path: str) -> h5py.Dataset:
        dataset = self._file[path]
        if not self.is_closed:
            dataset.id.refresh()
        return dataset

    def _fresh(self, path: str) -> NDArray[Any]:
        return np.asarray(self._dataset(path)[...])

    def _believed(self, path: str, first: int = 0, end: int | None = None) -> NDArray[Any]:
        """A ledger column; rows that no commit vouches for hold what an untouched row holds."""
        dataset = self._dataset(path)
        values = np.array(dataset[first : self.points if end is None else end])
        fill = dataset.fillvalue if dataset.dtype.kind != "S" else b""
        values[~self._known[first : first + len(values)]] = fill
        return _text(values)

    def _dimensions(self, column: ColumnSpec) -> tuple[str, ...]:
        if not column.shape:
            return ("point",)
        inner = [f"{column.name}_{k}" for k in range(len(column.shape))]
        inner[0] = _DIMENSION_OF_AXIS.get(column.axis, inner[0])
        return ("point", *inner)


def _text(values: NDArray[Any]) -> NDArray[Any]:
    return np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values
