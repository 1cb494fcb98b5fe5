"""Scans through fold, documents and file, with monitors as a test wants them: the whole way but for the wires."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from phasecast.core.protocols import Reduced
from phasecast.core.record import CapturePosition
from phasecast.core.scan import PointMeasured
from phasecast.pipeline.beam_columns import BeamColumns
from phasecast.pipeline.desk import reference_key, ticket_of
from phasecast.pipeline.emitter import DerivedRun
from phasecast.pipeline.fold import FoldRules, ScanFold
from phasecast.pipeline.join import JoinRule
from phasecast.profiles import Profile
from phasecast.services.derived_runs import UnfinishedResult
from phasecast.services.monitors import beam_rules, normalisation_of, point_columns, scalar_fields
from phasecast.sinks.nexus import NexusSink
from support.documents import make_header
from support.scans import scan_start, scan_stop, tidy_scan

ROWS, COLUMNS, BINS = 4, 8, 20
POINTS = ROWS * COLUMNS


def confidences_of(index: int) -> np.ndarray:
    return ((index * 7 + np.arange(9)) % 10 / 10).astype(np.float32)


def reduced(index: int) -> Reduced:
    intensity = (100 + index + np.arange(BINS)).astype(np.float32)
    return Reduced(
        columns={
            "intensity": intensity,
            "sigma": np.sqrt(intensity),
            "norm": np.full(BINS, 3.0, np.float32),
            "total_counts": np.float64(intensity.sum() * 3),
            "saturated_pixels": np.int32(0),
            "confidence": confidences_of(index),
        }
    )


@dataclass
class BeamScan:
    """A tidy scan of `POINTS` points whose events carry the given scalars.

    Parameters
    ----------
    profile
        Declares the monitors.
    scalars
        Point to event fields.
    beam_columns
        Columns computed from frame and monitors.
    """

    profile: Profile
    scalars: Sequence[Mapping[str, float]]
    beam_columns: BeamColumns | None = None

    def __post_init__(self) -> None:
        self.start = scan_start(ROWS, COLUMNS)
        self.rules = FoldRules(
            join=JoinRule(),
            place=lambda position: (position["x"], position["y"]),
            scalar_fields=scalar_fields(self.profile),
            beam=beam_rules(self.profile),
        )
        base = make_header(shape=(ROWS, COLUMNS), bins=BINS)
        columns = base.columns + (self.beam_columns.specs if self.beam_columns else ())
        self.header = replace(
            base,
            raw_uid=self.start.uid,
            horizontal_field="x",
            vertical_field="y",
            axes=self.start.axes,
            columns=columns,
            point_columns=point_columns(self.profile),
            profile=self.profile.model_dump(mode="json"),
            processing={
                "capture_start": {"segment": "a", "offset": 0},
                "normalisation": normalisation_of(self.profile),
            },
        )

    def messages(self, seed: int | None = None) -> list:
        frames, points = tidy_scan(ROWS, COLUMNS, counters=True)
        points = [replace(point, scalars=dict(given)) for point, given in zip(points, self.scalars, strict=True)]
        items = sorted([*frames, *points], key=lambda item: item.received_s)
        if seed is not None:
            random.Random(seed).shuffle(items)
        return items

    def run(
        self,
        path: Path,
        messages: Sequence,
        *,
        left: UnfinishedResult | None = None,
        stop: bool = True,
        turns: int | None = None,
    ) -> ScanFold:
        """Fold the messages into a file, a turn ending after each, or at random places chosen by a seed."""
        rng = random.Random(turns)
        sink = NexusSink(path) if left is None else NexusSink.resume(path)
        run = DerivedRun(
            self.header,
            sink,
            restored_states=left.states if left else None,
            restored_scores=left.scores if left else None,
            beam_columns=self.beam_columns,
            validate=True,
        )
        fold = ScanFold(self.start, self.rules)
        if left is not None:
            fold.ledger.restore(left.states)
        run.start()
        for item in messages:
            if isinstance(item, PointMeasured):
                fold.add_point(item)
            else:
                ticket = ticket_of(item)
                known = left is not None and reference_key(ticket.reference) in left.committed
                fold.add_frame(ticket, None if known else reduced(item.number), scalars=item.scalars)
            if turns is None or rng.random() < 0.2:
                run.emit(fold.take_turn(), fold, CapturePosition(segment="a", offset=7))
        if stop:
            fold.set_stop(scan_stop(POINTS, 2000.0))
            fold.close(now_s=2000.0)
        run.emit(fold.take_turn(), fold, CapturePosition(segment="a", offset=9))
        if stop:
            counters = {"ledger": fold.ledger.sums(), "counters": dict(fold.counters)}
            run.stop(exit_status="success", reason="", counters=counters)
        sink.close()
        return fold
