"""Several results of one map, read as one: an interrupted scan and its continuation, tiles, a fine scan over a coarse.

Closed files are never written: what counts is decided each time they are read together.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phasecast.core.frame import FrameReference
from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.result import ColumnSpec
from phasecast.results import layout
from phasecast.results.composed_header import added_counters, header_of, must_fit
from phasecast.results.grid import Floats, Placement
from phasecast.results.lazy import Rows, StackedRows
from phasecast.results.map_identity import map_name_of, planned_places
from phasecast.results.reader import Result, open_result
from phasecast.results.same_place import MapPoints, superseded_points, union_raster
from phasecast.results.scene import even_axis, spacing_um

Offsets = Mapping[str, tuple[float, float]]
"""Raw uid to what is added to x and y of its points, um."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPart:
    """One result of a map.

    Parameters
    ----------
    result
        The open result.
    first
        Its first row in the map.
    offset_um
        What was added to its x and y, because somebody asked for it.
    step_um
        Width and height of its cells.
    """

    result: Result
    first: int
    offset_um: tuple[float, float]
    step_um: tuple[float, float]

    @property
    def rows(self) -> slice:
        """Its rows in the map."""
        return slice(self.first, self.first + self.result.points)


def open_map(paths: Sequence[str | os.PathLike[str]], *, name: str = "", offsets_um: Offsets | None = None) -> Result:
    """Open one result, or several as one map.

    Parameters
    ----------
    paths
        Result files in any order.
    name
        Name of the map; that of its scans if empty.
    offsets_um
        Raw uid to what is added to x and y of its points; nothing unless somebody asks for it.

    Raises
    ------
    ResultFileError
        If one cannot be opened, or they are no parts of one map.
    """
    with ExitStack() as stack:
        results = [stack.enter_context(open_result(path)) for path in paths]
        if len(results) == 1 and not offsets_um:
            stack.pop_all()
            return results[0]
        composed = ComposedMap(results, name=name, offsets_um=offsets_um)
        stack.pop_all()
    return composed


class ComposedMap(Result):
    """Several results as one; everything that reads a result reads this as well.

    Points are those of all scans, one scan after the other in order of their start. Of several points at one place the
    latest accepted one counts (done, and its position not doubtful), else the latest that is done, else the latest; the
    others are ``superseded`` and say why in their ``reason``. The same place is: within half a cell of the scan
    that counts.

    Parameters
    ----------
    results
        Open results; closed together with this.
    name
        Name of the map; that of its scans if empty.
    offsets_um
        Raw uid to what is added to x and y of its points; nothing unless somebody asks for it.

    Raises
    ------
    ResultFileError
        If they are no parts of one map: other classes, axis, coordinates or names, or one scan twice.
    """

    def __init__(self, results: Sequence[Result], *, name: str = "", offsets_um: Offsets | None = None) -> None:
        ordered = sorted(results, key=lambda result: (result.header.started_s, result.path.name))
        must_fit(ordered, named=bool(name))
        self.path = ordered[-1].path
        self.is_closed = all(result.is_closed for result in ordered)
        self.name = name or next(filter(None, (map_name_of(result.header) for result in ordered)), "")
        self.header = header_of(ordered, self.name)
        self.grid = None
        self._offsets: Offsets = dict(offsets_um or {})
        self._results = ordered
        self._combine()

    def _combine(self) -> None:
        """Decide which points count."""
        first, parts = 0, []
        for result in self._results:
            offset = self._offsets.get(result.header.raw_uid, (0.0, 0.0))
            parts.append(MapPart(result=result, first=first, offset_um=offset, step_um=_step_of(result)))
            first += result.points
        self.parts = tuple(parts)
        places = [planned_places(part.result) for part in parts]
        self.places_um: Floats = np.concatenate(
            [np.column_stack(place) + part.offset_um for place, part in zip(places, parts, strict=True)]
        )
        """Where every point was measured or planned, x and y, (n, 2); NaN where nothing tells."""
        state = np.concatenate([result._state for result in self._results])
        self._known = np.concatenate([result._known for result in self._results])
        flags = np.concatenate([result.ledger["flags"].values for result in self._results])
        doubtful = (flags & int(PointFlag.POSITION_DOUBTFUL)) > 0
        quality = np.where(state == PointState.DONE, np.where(doubtful, 1, 2), 0)
        self.part_of = np.repeat(np.arange(len(parts)), [part.result.points for part in parts])
        """Which part each point belongs to, (n,)."""
        points = MapPoints(
            places_um=self.places_um,
            quality=quality,
            part=self.part_of,
            cell=np.concatenate([_cells_of(result) for result in self._results]),
            steps_um=np.array([part.step_um for part in parts]),
        )
        self._counts_instead = superseded_points(points)
        self._hidden = self._counts_instead >= 0
        self._state = np.where(self._hidden, np.uint8(PointState.SUPERSEDED), state)
        self._done = self._state == PointState.DONE
        self._placement = union_raster(points)

    @property
    def file(self) -> h5py.File:
        """The file of the newest scan."""
        return self._results[-1].file

    def refresh(self) -> NDArray[np.int64]:
        """Look again at what growing files hold; return the rows that may have changed: all, if any did."""
        if not any(result.refresh().size for result in self._results):
            return np.zeros(0, dtype=np.int64)
        self._combine()
        return np.arange(self.points)

    def close(self) -> None:
        """Close all files. Idempotent."""
        for result in self._results:
            result.close()

    @property
    def placement(self) -> Placement | None:
        """Cells of all points; None unless all scans lie on one raster that they fill."""
        return self._placement

    @property
    def cell_sizes_um(self) -> Floats | None:
        """Width and height of the cell of each point, (n, 2)."""
        return np.array([part.step_um for part in self.parts])[self.part_of]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Places without a result: points that are neither done nor superseded, (n,)."""
        return ~self._done & ~self._hidden

    @property
    def has_one_step(self) -> bool:
        """Whether the cells of all scans are alike, so that shares of points are shares of area."""
        steps = np.array([part.step_um for part in self.parts])
        return bool(np.all(np.abs(steps - steps[0]) <= 0.1 * steps[0]))

    @property
    def last_commit(self) -> dict[str, Any]:
        """The newest commit of the newest scan."""
        return self._results[-1].last_commit

    @property
    def counters(self) -> dict[str, Any]:
        """Final counters of all scans: numbers added, the exit status of the newest."""
        return added_counters([result.counters for result in self._results])

    @property
    def end_time(self) -> str:
        """ISO 8601 time of the end of the newest scan; empty while one runs."""
        ends = [result.end_time for result in self._results]
        return max(ends) if all(ends) else ""

    @property
    def defects(self) -> xr.Dataset:
        """Everything that could not be used, scan by scan."""
        return xr.concat([result.defects for result in self._results], dim="defect")

    def frame_reference(self, row: int) -> FrameReference | None:
        """Return where the raw frame of a point lies; None if the point has none.

        Raises
        ------
        IndexError
            If there is no such point.
        """
        if not 0 <= row < self.points:
            raise IndexError(f"point {row} of {self.points}")
        part = self.parts[int(self.part_of[row])]
        return part.result.frame_reference(row - part.first)

    def _committed(self, column: ColumnSpec) -> Rows:
        pieces = [result._committed(column) for result in self._results]
        return StackedRows(pieces, self._hidden)

    def _believed(self, path: str, first: int = 0, end: int | None = None) -> NDArray[Any]:
        pieces = [part.result._believed(path) for part in self.parts]
        for axis, name in enumerate(("x_um", "y_um")):
            if path == layout.ledger_dataset(name):
                pieces = [piece + part.offset_um[axis] for piece, part in zip(pieces, self.parts, strict=True)]
        values = np.concatenate(pieces)
        if path == layout.ledger_dataset("reason"):
            values = self._reasons(values)
        return values[first : self.points if end is None else end]

    def _reasons(self, reasons: NDArray[Any]) -> NDArray[Any]:
        texts = reasons.astype("U128")
        for row in np.flatnonzero(self._hidden):
            other = int(self._counts_instead[row])
            part = self.parts[int(self.part_of[other])]
            how = "measured again" if other > row else "measured before and accepted"
            texts[row] = f"{how}: point {other - part.first} of {part.result.path.stem}"[:128]
        return texts


def _cells_of(result: Result) -> NDArray[np.int64]:
    """A number for the cell of each point in the raster of its own scan; -1 where there is none."""
    placement = result.placement
    if placement is None:
        return np.full(result.points, -1, dtype=np.int64)
    return np.where(placement.inside, placement.rows * placement.x_um.size + placement.columns, -1)


def _step_of(result: Result) -> tuple[float, float]:
    """Width and height of the cells of a result; a side that nothing tells is as long as the other."""
    placement = result.placement
    if placement is None:
        x, y = planned_places(result)
        side = spacing_um(x, y) / 0.9
        return side, side
    _, width, _ = even_axis(placement.x_um, placement.y_um)
    _, height, _ = even_axis(placement.y_um, placement.x_um)
    return abs(width), abs(height)
