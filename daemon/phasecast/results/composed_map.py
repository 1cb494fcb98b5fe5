"""Several results of one map, read as one: an interrupted scan and its continuation, tiles, a fine scan over a coarse.

Closed files are never written: what counts is decided each time they are read together.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from phasecast.core.frame import FrameReference
from phasecast.core.ledger import PointState
from phasecast.core.result import ColumnSpec, ModelStamp, UsedModel
from phasecast.results import layout
from phasecast.results.composed_header import added_counters, header_of, must_fit
from phasecast.results.grid import Floats, Placement
from phasecast.results.growing_part import GrowingPart
from phasecast.results.labelled import joined
from phasecast.results.live_counting import LiveCounting
from phasecast.results.lock import is_being_written
from phasecast.results.map_identity import map_name_of, planned_places
from phasecast.results.map_part import MapPart, Offsets, cells_of, quality_of, step_of
from phasecast.results.reader import Result, open_result
from phasecast.results.rows import Rows, StackedRows
from phasecast.results.same_place import MapPoints, union_raster

if TYPE_CHECKING:
    import xarray as xr


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
    that counts. Points that a running scan has yet to measure are pending and leave others as they are.

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
            parts.append(MapPart(result=result, first=first, offset_um=offset, step_um=step_of(result)))
            first += result.points
        self.parts = tuple(parts)
        places = [planned_places(part.result) for part in parts]
        self.places_um: Floats = np.concatenate(
            [np.column_stack(place) + part.offset_um for place, part in zip(places, parts, strict=True)]
        )
        """Where every point was measured or planned, x and y, (n, 2); NaN where nothing tells."""
        self._own_state = np.concatenate([result._state for result in self._results])
        self._known = np.concatenate([result._known for result in self._results])
        self.part_of = np.repeat(np.arange(len(parts)), [part.result.points for part in parts])
        """Which part each point belongs to, (n,)."""
        self._growing = {
            k: GrowingPart(part.result, part.offset_um, part.step_um)
            for k, part in enumerate(parts)
            if not part.result.is_closed and is_being_written(part.result.path)
        }
        self._cells = np.concatenate([cells_of(result) for result in self._results])
        flags = np.concatenate([result.ledger["flags"].values for result in self._results])
        awaited = self._awaited
        self._counting = LiveCounting(
            MapPoints(
                places_um=np.where(awaited[:, None], np.nan, self.places_um),
                quality=quality_of(self._own_state, flags),
                part=self.part_of.copy(),
                cell=np.where(awaited, -1, self._cells),
                steps_um=self.steps_um,
            )
        )
        self._hidden = self._counting.instead >= 0
        self._state = np.where(self._hidden, np.uint8(PointState.SUPERSEDED), self._own_state)
        self._done = self._state == PointState.DONE
        self._grown_since = False
        self._placement = self._union()

    def _union(self) -> Placement | None:
        quality = np.zeros(self.part_of.size, dtype=np.int64)
        return union_raster(
            MapPoints(
                places_um=self.places_um, quality=quality, part=self.part_of, cell=self._cells, steps_um=self.steps_um
            )
        )

    @property
    def steps_um(self) -> Floats:
        """Width and height of the cells of each scan, (scans, 2)."""
        return np.array([part.step_um for part in self.parts])

    @property
    def running(self) -> tuple[MapPart, ...]:
        """Scans that a process still writes, or wrote when they were last put together."""
        return tuple(self.parts[k] for k in sorted(self._growing))

    @property
    def counting_points(self) -> dict[int, int]:
        """First row of each scan to the number of its points that count."""
        return {part.first: int(np.count_nonzero(self._done[part.rows])) for part in self.parts}

    @property
    def counts_instead(self) -> NDArray[np.int64]:
        """For every point the one at its place that counts instead, (n,); -1 where it counts itself."""
        return self._counting.instead

    @property
    def _awaited(self) -> NDArray[np.bool_]:
        """Points that a running scan has yet to measure: they are no one's rivals until it does, (n,)."""
        return np.asarray(np.isin(self.part_of, list(self._growing)) & (self._own_state == PointState.PENDING))

    def near(self, low_um: Floats, high_um: Floats) -> NDArray[np.int64]:
        """Return the points in boxes, and some around them, ascending; low and high corners are (boxes, 2)."""
        return self._counting.near(low_um, high_um)

    @property
    def file(self) -> h5py.File:
        """The file of the newest scan."""
        return self._results[-1].file

    def refresh(self) -> NDArray[np.int64]:
        """Look again at what growing files hold; return the rows that may have changed.

        What new points change is decided around them. All is put together anew, and all rows returned, when the steps
        of a growing scan become known better, or another scan than the newest got more points than it announced.
        """
        changed = []
        for k, part in enumerate(self.parts):
            if part.result.is_closed:
                continue
            known = part.result.points
            rows = part.result.refresh()
            more = part.result.points - known
            if not (rows.size or more):
                continue
            growing = self._growing.get(k)
            if growing is None or (more and k + 1 < len(self.parts)) or growing.update(rows):
                for result in self._results:
                    result.refresh()
                self._combine()
                return np.arange(self.points)
            self._lengthen_last(more)
            changed.append(self._take(part, growing, rows))
        return np.unique(np.concatenate(changed)) if changed else np.zeros(0, dtype=np.int64)

    def _take(self, part: MapPart, growing: GrowingPart, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take in what changed in a scan that grows; return all rows of the map that may show something else."""
        at = rows + part.first
        self._own_state[at], self._known[at] = part.result._state[rows], part.result._known[rows]
        places = growing.places_um(rows)
        known = np.isfinite(places).all(axis=1)
        self.places_um[at[known]] = places[known]
        self._cells[at] = cells = growing.cells(rows, self._cells[at])
        awaited = self._own_state[at] == PointState.PENDING
        affected = self._counting.update(
            at,
            np.where(awaited[:, None], np.nan, self.places_um[at]),
            quality_of(self._own_state[at], growing.flags[rows]),
            np.where(awaited, -1, cells),
        )
        self._hidden[affected] = hidden = self._counting.instead[affected] >= 0
        self._state[affected] = state = np.where(hidden, np.uint8(PointState.SUPERSEDED), self._own_state[affected])
        self._done[affected] = state == PointState.DONE
        self._grown_since = True
        return affected

    def _lengthen_last(self, more: int) -> None:
        if more <= 0:
            return
        self._lengthen(self.points + more)
        self._counting.lengthen(more)
        self._hidden = np.concatenate([self._hidden, np.zeros(more, dtype=np.bool_)])
        self._own_state = np.concatenate([self._own_state, np.full(more, PointState.PENDING, dtype=np.uint8)])
        self.part_of = np.concatenate([self.part_of, np.full(more, len(self.parts) - 1)])
        self.places_um = np.concatenate([self.places_um, np.full((more, 2), np.nan)])
        self._cells = np.concatenate([self._cells, np.full(more, -1, dtype=np.int64)])

    def close(self) -> None:
        """Close all files. Idempotent."""
        for result in self._results:
            result.close()

    @property
    def models(self) -> tuple[UsedModel, ...]:
        """Models that gave confidences of any scan, each once, in order of time."""
        found: dict[ModelStamp, UsedModel] = {}
        for model in sorted((one for part in self._results for one in part.models), key=lambda one: one.since_s):
            found.setdefault(model.stamp, model)
        return tuple(found.values())

    @property
    def model_of_points(self) -> NDArray[np.int16]:
        """Which of `models` gave the confidences of each point, shape (n,); -1 where there are none."""
        numbers = {model.stamp: k for k, model in enumerate(self.models)}
        parts = []
        for part in self._results:
            own = np.array([*(numbers[model.stamp] for model in part.models), -1], np.int16)
            parts.append(own[np.where(part.model_of_points < len(own) - 1, part.model_of_points, -1)])
        return np.concatenate(parts)

    @property
    def placement(self) -> Placement | None:
        """Cells of all points; None unless all scans lie on one raster that they fill."""
        if self._grown_since:
            self._placement, self._grown_since = self._union(), False
        return self._placement

    @property
    def cell_sizes_um(self) -> Floats | None:
        """Width and height of the cell of each point, (n, 2)."""
        return self.steps_um[self.part_of]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Places without a result: points neither done, nor superseded, nor still to come in a running scan, (n,)."""
        return ~self._done & ~self._hidden & ~self._awaited

    @property
    def has_one_step(self) -> bool:
        """Whether the cells of all scans are alike, so that shares of points are shares of area."""
        steps = self.steps_um
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
    def defects(self) -> "xr.Dataset":
        """Everything that could not be used, scan by scan."""
        return joined([result.defects for result in self._results], "defect")

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
        end = self.points if end is None else end
        added = {layout.ledger_dataset(name): axis for axis, name in enumerate(("x_um", "y_um"))}
        pieces: list[NDArray[Any]] = []
        for k, part in enumerate(self.parts):
            start, stop = max(first, part.first), min(end, part.rows.stop)
            # also from none of the rows, if it is the only way to learn what they are
            if start < stop or (k + 1 == len(self.parts) and not pieces):
                piece = part.result._believed(path, max(start - part.first, 0), max(stop - part.first, 0))
                pieces.append(piece + part.offset_um[added[path]] if path in added else piece)
        values = np.concatenate(pieces)
        return self._reasons(values, first) if path == layout.ledger_dataset("reason") else values

    def _reasons(self, reasons: NDArray[Any], first: int) -> NDArray[Any]:
        texts = reasons.astype("U128")
        for place in np.flatnonzero(self._hidden[first : first + texts.size]):
            row = first + int(place)
            other = int(self.counts_instead[row])
            part = self.parts[int(self.part_of[other])]
            how = "measured again" if other > row else "measured before and accepted"
            texts[place] = f"{how}: point {other - part.first} of {part.result.path.stem}"[:128]
        return texts
