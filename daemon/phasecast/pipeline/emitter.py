"""Documents of one derived run, made from the turns of its fold."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import event_model
import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import (
    DEFECT_COLUMNS,
    DEFECTS,
    HEADER_KEY,
    LEDGER,
    LEDGER_COLUMNS,
    PRIMARY,
    RAW_UID_KEY,
)
from phasecast.core.protocols import Document
from phasecast.core.record import CapturePosition
from phasecast.core.result import ColumnSpec, ResultHeader
from phasecast.core.scan import Defect
from phasecast.pipeline.fold import ScanFold, Scored, Turn

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
    validate
        Whether documents are validated against their schemas; costs 2 ms a row, so only in tests.
    """

    def __init__(
        self,
        header: ResultHeader,
        publish: Publish,
        *,
        restored_states: NDArray[np.uint8] | None = None,
        validate: bool = False,
    ) -> None:
        self.header = header
        self.restored_states = restored_states
        self._publish = publish
        self._validate = validate
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
        primary = (
            ColumnSpec(name="point_index", dtype="<i8", description="index of the scan point"),
            ColumnSpec(name="revision", dtype="<i8", description="0 for the first score of a point"),
            *self.header.columns,
        )
        ledger = tuple(ColumnSpec(name=name, dtype=dtype) for name, dtype in LEDGER_COLUMNS.items())
        defects = tuple(ColumnSpec(name=name, dtype=dtype) for name, dtype in DEFECT_COLUMNS.items())
        self._describe(PRIMARY, primary)
        self._describe(LEDGER, (*ledger, *self.header.point_columns))
        self._describe(DEFECTS, defects)

    def emit(self, turn: Turn, fold: ScanFold, position: CapturePosition | None) -> None:
        """Publish what one turn changed; `position` is the newest record that was worked off."""
        if turn.scored:
            self._page(PRIMARY, self._primary_columns(turn.scored))
        if turn.defects:
            self._page(DEFECTS, _defect_columns(turn.defects))
        if turn.changed:
            self._page(LEDGER, _ledger_columns(turn.changed, fold, position))

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

    def _primary_columns(self, scored: Sequence[Scored]) -> dict[str, NDArray[Any]]:
        columns: dict[str, NDArray[Any]] = {
            "point_index": np.array([point.index for point in scored], np.int64),
            "revision": np.array([point.revision for point in scored], np.int64),
        }
        for spec in self.header.columns:
            columns[spec.name] = np.stack([point.reduced.columns[spec.name] for point in scored]).astype(
                spec.dtype, copy=False
            )
        return columns

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


def _ledger_columns(
    indices: Sequence[int], fold: ScanFold, position: CapturePosition | None
) -> dict[str, NDArray[Any]]:
    ledger, n = fold.ledger, len(indices)
    fold.points.grow(len(ledger))
    columns = fold.points.columns(indices)
    columns["point_index"] = np.array(indices, np.int64)
    columns["state"] = np.array([ledger.state(index) for index in indices], np.uint8)
    columns["flags"] = np.array([ledger.flags(index) for index in indices], np.uint32)
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
