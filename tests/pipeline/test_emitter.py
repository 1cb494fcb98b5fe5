"""The documents of a derived run are valid bluesky documents and name the raw run."""

import event_model
import numpy as np

from phasecast.core.documents import DEFECTS, HEADER_KEY, LEDGER, PRIMARY, RAW_UID_KEY, SCORES
from phasecast.core.protocols import Reduced
from phasecast.core.record import CapturePosition
from phasecast.core.result import ColumnSpec, ResultHeader
from phasecast.pipeline.desk import ticket_of
from phasecast.pipeline.emitter import DerivedRun
from phasecast.pipeline.fold import FoldRules, ScanFold
from phasecast.pipeline.join import JoinRule
from support.scans import UID, scan_start, scan_stop, series_start, tidy_scan

ROWS, COLUMNS = 2, 4


def header(start):
    return ResultHeader(
        result_uid="00000000-0000-0000-0000-000000000001",
        raw_uid=UID,
        scan_id=1,
        plan_name="grid_scan",
        started_s=start.time_s,
        axes=start.axes,
        shape=start.shape,
        snaking=start.snaking,
        expected_points=start.expected_points,
        horizontal_field="x",
        vertical_field="y",
        columns=(ColumnSpec(name="pattern", dtype="<f4", shape=(3,), axis="tth"),),
        point_columns=(ColumnSpec(name="i0", dtype="<f8"),),
        tth_deg=(10.0, 20.0, 30.0),
    )


def documents_of_a_scan():
    start = scan_start(ROWS, COLUMNS)
    place = lambda position: (position["x"], position["y"])  # noqa: E731
    fold = ScanFold(start, FoldRules(join=JoinRule(), place=place, scalar_fields={"i0": "i0"}))
    documents = []
    run = DerivedRun(header(start), lambda name, doc: documents.append((name, doc)), validate=True)
    run.start()
    fold.add_series(series_start(ROWS * COLUMNS))
    frames, points = tidy_scan(ROWS, COLUMNS, counters=True)
    for frame, point in zip(frames[:-1], points, strict=False):
        fold.add_frame(ticket_of(frame), Reduced(columns={"pattern": np.arange(3.0)}))
        fold.add_point(point)
        run.emit(fold.take_turn(), fold, CapturePosition(segment="a", offset=7))
    fold.add_point(points[-1])
    fold.set_stop(scan_stop(ROWS * COLUMNS, 2000.0))
    fold.close(now_s=2000.0)
    run.emit(fold.take_turn(), fold, CapturePosition(segment="a", offset=9))
    run.stop(exit_status="success", reason="", counters={"ledger": fold.ledger.sums()})
    return documents


def test_every_document_fits_its_schema():
    documents = documents_of_a_scan()
    for name, doc in documents:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
    assert {name for name, _ in documents} == {"start", "descriptor", "event_page", "stop"}


def test_a_run_says_what_it_was_derived_from_and_how_it_ended():
    documents = documents_of_a_scan()
    start, stop = documents[0][1], documents[-1][1]
    assert start[RAW_UID_KEY] == UID
    assert ResultHeader.from_dict(start[HEADER_KEY]) == header(scan_start(ROWS, COLUMNS))
    assert stop[HEADER_KEY]["ledger"] == {
        "pending": 0, "received": 0, "done": 7, "rejected": 0, "lost_upstream": 1,
        "dropped_by_us": 0, "not_measured": 0, "superseded": 0,
    }  # fmt: skip


def test_the_ledger_page_of_a_turn_comes_after_its_results():
    documents = documents_of_a_scan()
    streams = {doc["uid"]: doc["name"] for name, doc in documents if name == "descriptor"}
    assert set(streams.values()) == {PRIMARY, SCORES, LEDGER, DEFECTS}
    scored = set()
    for doc in (doc for name, doc in documents if name == "event_page"):
        data = doc["data"]
        if streams[doc["descriptor"]] == PRIMARY:
            scored.update(data["point_index"].tolist())
        elif streams[doc["descriptor"]] == LEDGER:
            done = data["point_index"][data["state"] == 2]
            assert scored.issuperset(done.tolist())
            assert (data["capture_segment"] == "a").all()
    assert len(scored) == 7
