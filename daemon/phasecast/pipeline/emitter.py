"""Documents of one derived run, made from the turns of its fold."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import event_model
import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import (
    ALONE_AXIS,
    CLASS_AXIS,
    DEFECT_COLUMNS,
    DEFECTS,
    HEADER_KEY,
    LEDGER,
    LEDGER_COLUMNS,
    MODEL_AXIS,
    MODEL_COLUMNS,
    MODELS,
    PRIMARY,
    RAW_UID_KEY,
    SCORES,
    SHARE_AXIS,
)
from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.protocols import Document
from phasecast.core.record import CapturePosition
from phasecast.core.result import ColumnSpec, ModelStamp, ResultHeader, UsedModel, with_neighbours
from phasecast.core.scan import Defect
from phasecast.pipeline.beam_columns import BeamColumns
from phasecast.pipeline.beam_points import TRANSMISSION
from phasecast.pipeline.fold import ScanFold
from phasecast.pipeline.model_table import ModelTable
from phasecast.pipeline.neighbours import Neighbourhood, NeighbourRule, Places, SecondPass
from phasecast.pipeline.scores import NO_MODEL, MetalRule, Scores
from phasecast.pipeline.turn import Scored, Turn

ExitStatus = Literal["success", "abort", "fail"]
Publish = Callable[[str, Document], None]
_JSON_TYPES = {"U": "string", "u": "integer", "i": "integer", "f": "number"}


class DerivedRun:
    """One derived bluesky run: composes its documents and hands them to the sinks.

    Parameters
    ----------
    header
        What is known when the scan starts.
    publish
        Takes every document, in order.
    restored_states
        States of the points whose outcome an earlier daemon left in the file; None for a new run.
    restored_remarks
        Flags and reason that reducing them gave, index of the point to both; None for a new run.
    restored_scores
        Their confidences and models, column to rows; None for a new run.
    restored_revisions
        How often what was said of them was replaced; None for a new run.
    models
        Models that gave confidences of the result so far, in order; with restored states the file names them
        already. That of the header if there are none.
    beam_columns
        Columns for which the monitors must be known; the header names them beside the stage's. None for none.
    metal
        What transmission does to the confidences; the header has a column for it. None: nothing.
    neighbours
        How confidences take neighbours into account; the header has a column for those that do not. None: not at all.
    validate
        Whether documents are validated against their schemas; costs 2 ms a row, so only in tests.
    """

    def __init__(
        self,
        header: ResultHeader,
        publish: Publish,
        *,
        restored_states: NDArray[np.uint8] | None = None,
        restored_remarks: Mapping[int, tuple[PointFlag, str]] | None = None,
        restored_scores: Mapping[str, NDArray[Any]] | None = None,
        restored_revisions: NDArray[np.int64] | None = None,
        models: Sequence[UsedModel] = (),
        beam_columns: BeamColumns | None = None,
        metal: MetalRule | None = None,
        neighbours: NeighbourRule | None = None,
        validate: bool = False,
    ) -> None:
        self.header = header
        self.restored_states = restored_states
        self.restored_remarks = restored_remarks
        self.restored_revisions = restored_revisions
        self._publish = publish
        self._validate = validate
        self._beam_columns = beam_columns
        self._scores = Scores(header.columns, header.expected_points or 0, restored_scores, metal=metal)
        self._neighbours = neighbours
        self._neighbourhood = Neighbourhood(neighbours.cells) if neighbours is not None else None
        first = () if header.model is None else (UsedModel(stamp=header.model, since_s=header.started_s),)
        self._models = ModelTable(models or first)
        dimensions = [[[name], PRIMARY] for name in (axis.name for axis in header.axes)]
        self._run = event_model.compose_run(
            uid=header.result_uid,
            metadata={
                "plan_name": "phasecast",
                RAW_UID_KEY: header.raw_uid,
                HEADER_KEY: header.to_dict(),
                "hints": {"dimensions": dimensions},
            },
            validate=False,
        )
        self._bundles: dict[str, Any] = {}
        self._sequence: dict[str, int] = {}

    def start(self) -> None:
        """Publish the start document and all descriptors."""
        self._publish("start", self._run.start_doc)
        identity = (
            ColumnSpec(name="point_index", dtype="<i8", description="index of the scan point"),
            ColumnSpec(name="revision", dtype="<i8", description="0 for the first score of a point"),
        )
        scores = tuple(column for column in self.header.columns if column.name in self._scores.names)
        ledger = tuple(ColumnSpec(name=name, dtype=dtype) for name, dtype in LEDGER_COLUMNS.items())
        defects = tuple(ColumnSpec(name=name, dtype=dtype) for name, dtype in DEFECT_COLUMNS.items())
        models = tuple(ColumnSpec(name=name, dtype=dtype) for name, dtype in MODEL_COLUMNS.items())
        self._describe(PRIMARY, (*identity, *self.header.columns))
        self._describe(SCORES, (*identity, *scores))
        self._describe(LEDGER, (*ledger, *self.header.point_columns))
        self._describe(DEFECTS, defects)
        if self._scores.names:
            self._describe(MODELS, models)
        if self._scores.names and len(self._models) and self.restored_states is None:
            self._page(MODELS, self._models.columns())

    def not_by(self, stamp: ModelStamp) -> NDArray[np.int64]:
        """Return the points whose confidences another model gave."""
        return self._scores.not_by(self._models.number_of(stamp))

    def replace_scores(
        self,
        indices: NDArray[np.int64],
        confidences: NDArray[np.float32],
        stamp: ModelStamp,
        *,
        drift: NDArray[np.float32],
    ) -> None:
        """Take what a model says of points that were scored before; published by the next turn that rejudges them.

        Shapes are (points,), (points, classes) and, of what it finds strange, (points,).
        """
        self._scores.keep_from(indices, confidences, drift, self._number_of(stamp))

    def emit(self, turn: Turn, fold: ScanFold, position: CapturePosition | None) -> NDArray[np.int64]:
        """Publish what one turn changed; `position` is the newest record that was worked off.

        Returns the other points of which their new neighbours say something else; the turn that rejudges them
        publishes it.
        """
        indices = np.array([point.index for point in turn.scored], np.int64)
        primary = self._primary_columns(turn.scored, fold) if turn.scored else {}
        self._scores.keep(indices, primary)
        again = self._look_around(turn, indices, fold)
        if turn.scored:
            scores = self._scores.take(indices, _without_beam(indices, fold), _transmission(indices, fold))
            self._page(PRIMARY, primary | scores)
        if turn.rejudged and self._scores.names:
            self._page(SCORES, self._score_columns(turn.rejudged, fold))
        if turn.defects:
            self._page(DEFECTS, _defect_columns(turn.defects))
        if turn.changed:
            self._page(LEDGER, _ledger_columns(turn.changed, fold, position))
        return again

    def settle(self, fold: ScanFold) -> NDArray[np.int64]:
        """Return the points of which something else is to be said now that the scan is over, as `emit` does.

        What is said in the end does not depend on the order in which things came.
        """
        places = _places(fold)
        said = self._scores.said(len(places.done))
        if self._neighbourhood is None or said is None:
            return np.zeros(0, np.int64)
        changed, confidences = self._neighbourhood.settle(places, said, self._second_pass_of)
        self._scores.keep_together(changed, confidences)
        return changed

    def _look_around(self, turn: Turn, scored: NDArray[np.int64], fold: ScanFold) -> NDArray[np.int64]:
        if self._neighbourhood is None or not (turn.scored or turn.rejudged or turn.changed):
            return np.zeros(0, np.int64)
        places = _places(fold)
        said = self._scores.said(len(places.done))
        if said is None:
            return np.zeros(0, np.int64)
        own = np.union1d(scored, np.array(turn.rejudged, np.int64))
        placed = np.array(turn.changed, np.int64)
        changed, confidences = self._neighbourhood.look(own, placed, places, said, self._second_pass_of)
        self._scores.keep_together(changed, confidences)
        return np.setdiff1d(changed, own)

    def _second_pass_of(self, number: int) -> SecondPass | None:
        if self._neighbours is None or not 0 <= number < len(self._models):
            return None
        return self._neighbours.second_pass_of(self._models[number].stamp)

    def stop(self, *, exit_status: ExitStatus, reason: str, counters: Mapping[str, Any]) -> None:
        """Publish the stop document with the final counters."""
        doc = self._run.compose_stop(exit_status=exit_status, reason=reason, validate=False)
        self._publish("stop", {**doc, HEADER_KEY: dict(counters)})

    def _describe(self, stream: str, columns: Sequence[ColumnSpec]) -> None:
        data_keys = {
            column.name: {
                "source": "phasecast",
                "dtype": "array" if column.shape else _JSON_TYPES[np.dtype(column.dtype).kind],
                "dtype_numpy": np.dtype(column.dtype).str,
                "shape": list(column.shape),
                "units": column.unit,
            }
            for column in columns
        }
        bundle = self._run.compose_descriptor(name=stream, data_keys=data_keys, validate=self._validate)
        self._bundles[stream] = bundle
        self._sequence[stream] = 1
        self._publish("descriptor", bundle.descriptor_doc)

    def _primary_columns(self, scored: Sequence[Scored], fold: ScanFold) -> dict[str, NDArray[Any]]:
        indices = np.array([point.index for point in scored], np.int64)
        columns: dict[str, NDArray[Any]] = {
            "point_index": indices,
            "revision": np.array([point.revision for point in scored], np.int64),
        }
        computed: dict[str, NDArray[Any]] = {}
        if self._beam_columns is not None:
            computed = self._beam_columns.compute([(point.index, point.reduced) for point in scored], fold.beam)
        for spec in self.header.columns:
            rows = computed.get(spec.name)
            if rows is None and spec.axis == SHARE_AXIS:
                rows = np.array([point.reduced.columns.get(spec.name, np.nan) for point in scored])
            if rows is None and spec.axis == ALONE_AXIS:
                rows = np.stack([point.reduced.columns.get(spec.name, self._alone(point)) for point in scored])
            if rows is None and spec.axis == MODEL_AXIS:
                rows = np.array([self._number_for(spec.name, point) for point in scored])
            if rows is None:
                rows = np.stack([point.reduced.columns[spec.name] for point in scored])
            columns[spec.name] = rows.astype(spec.dtype, copy=False)
        return columns

    def _alone(self, point: Scored) -> NDArray[Any]:
        name = next(spec.name for spec in self.header.columns if spec.axis == CLASS_AXIS)
        return point.reduced.columns[name]

    def _number_for(self, name: str, point: Scored) -> int:
        if name in point.reduced.columns:  # of a result that is written anew
            return int(point.reduced.columns[name])
        return NO_MODEL if point.reduced.model is None else self._number_of(point.reduced.model)

    def _number_of(self, stamp: ModelStamp) -> int:
        """Return the row of a model in the table, after adding it if it is new."""
        number = self._models.number_of(stamp)
        if number == len(self._models):
            if self._neighbours is not None and self._neighbours.second_pass_of(stamp) is not None:
                stamp = with_neighbours(stamp)
            self._models.add(UsedModel(stamp=stamp, since_s=time.time()))
            self._page(MODELS, self._models.columns(number))
        return number

    def _score_columns(self, rejudged: Sequence[int], fold: ScanFold) -> dict[str, NDArray[Any]]:
        indices = np.array(rejudged, np.int64)
        columns: dict[str, NDArray[Any]] = {
            "point_index": indices,
            "revision": np.array([fold.revision(index) for index in rejudged], np.int64),
        }
        return columns | self._scores.take(indices, _without_beam(indices, fold), _transmission(indices, fold))

    def _page(self, stream: str, columns: Mapping[str, NDArray[Any]]) -> None:
        n = len(next(iter(columns.values())))
        first = self._sequence[stream]
        self._sequence[stream] += n
        now = [time.time()] * n
        page = self._bundles[stream].compose_event_page(
            data=dict(columns),
            timestamps=dict.fromkeys(columns, now),
            seq_num=list(range(first, first + n)),
            time=now,
            validate=self._validate,
        )
        self._publish("event_page", page)


def _places(fold: ScanFold) -> Places:
    fold.points.grow(len(fold.ledger))
    x_um, y_um = fold.points.places_um()
    points = len(x_um)
    done = np.zeros(points, np.bool_)
    done[: len(fold.ledger)] = fold.ledger.states == PointState.DONE
    return Places(x_um=x_um, y_um=y_um, done=done)


def _without_beam(indices: NDArray[np.int64], fold: ScanFold) -> NDArray[np.bool_]:
    """Whose confidences are withheld: a frame that was taken without beam shows nothing of the sample."""
    fold.ledger.grow(int(indices.max(initial=-1)) + 1)
    return np.asarray(fold.ledger.states[indices] == PointState.REJECTED, np.bool_)


def _transmission(indices: NDArray[np.int64], fold: ScanFold) -> NDArray[np.float64]:
    fold.points.grow(int(indices.max(initial=-1)) + 1)
    known = TRANSMISSION in fold.rules.scalars
    return fold.points.scalars(TRANSMISSION)[indices] if known else np.full(len(indices), np.nan)


def _ledger_columns(
    indices: Sequence[int], fold: ScanFold, position: CapturePosition | None
) -> dict[str, NDArray[Any]]:
    ledger, n = fold.ledger, len(indices)
    fold.points.grow(len(ledger))
    columns = fold.points.columns(indices)
    columns["point_index"] = np.array(indices, np.int64)
    columns["state"] = ledger.states[columns["point_index"]]
    columns["flags"] = ledger.all_flags[columns["point_index"]]
    columns["reason"] = np.array([ledger.reason(index) for index in indices], LEDGER_COLUMNS["reason"])
    columns["capture_segment"] = np.full(n, position.segment if position else "", LEDGER_COLUMNS["capture_segment"])
    columns["capture_offset"] = np.full(n, position.offset if position else -1, np.int64)
    return columns


def _defect_columns(defects: Sequence[Defect]) -> dict[str, NDArray[Any]]:
    return {
        "time_s": np.array([defect.received_s for defect in defects], np.float64),
        "channel": np.array([defect.channel for defect in defects], DEFECT_COLUMNS["channel"]),
        "reason": np.array([defect.reason for defect in defects], DEFECT_COLUMNS["reason"]),
        "detail": np.array([defect.detail for defect in defects], DEFECT_COLUMNS["detail"]),
        "frame_number": np.array([-1 if defect.number is None else defect.number for defect in defects], np.int64),
    }
