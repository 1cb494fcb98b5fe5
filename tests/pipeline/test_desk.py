"""A person declares a scan over."""

from dataclasses import replace

import pytest

from phasecast.core.errors import ScanRefusedError
from phasecast.core.protocols import Reduced
from phasecast.core.record import CapturePosition, Channel, RawRecord
from phasecast.core.scan import ScanUid
from phasecast.pipeline.desk import DeskRules, ScanDesk
from phasecast.pipeline.emitter import DerivedRun
from phasecast.pipeline.fold import FoldRules
from phasecast.pipeline.join import JoinRule
from support.documents import make_header
from support.scans import UID, frame, point, scan_start, scan_stop, series_start

ROWS, COLUMNS = 3, 4


class Table:
    """A desk, and the documents it publishes."""

    def __init__(self, *, by_files=False):
        self.documents = []
        self._offset = 0
        self.desk = ScanDesk(
            fold_rules=FoldRules(
                join=JoinRule(), place=lambda where: (where.get("x", 0.0), 0.0), frames_place_themselves=by_files
            ),
            desk_rules=DeskRules(),
            open_run=self._open,
        )

    def _open(self, start, position):
        header = replace(make_header(shape=start.shape, expected=start.expected_points), columns=(), point_columns=())
        return DerivedRun(header, lambda name, doc: self.documents.append((name, doc)))

    def take(self, *messages):
        for message in messages:
            self._offset += 1
            record = RawRecord(
                position=CapturePosition(segment="s", offset=self._offset), received_s=1000.0,
                channel=Channel("test"), parts=(),
            )  # fmt: skip
            self.desk.take(message, Reduced(columns={}), record)

    @property
    def stop(self):
        return next(doc for name, doc in self.documents if name == "stop")


def points(count):
    times = [1000.0 + 0.1 * index for index in range(count)]
    for index, time_s in enumerate(times):
        yield frame(index, time_s)
        yield point(index, time_s, columns=COLUMNS, counter=index)


def test_what_was_measured_is_kept_the_rest_was_not_and_the_stop_says_by_whom():
    table = Table()
    table.take(scan_start(ROWS, COLUMNS), series_start(ROWS * COLUMNS), *points(5))
    assert table.desk.close_one(UID, 1001.0, None, who="M. Mori")
    assert table.stop["exit_status"] == "abort"
    assert table.stop["reason"] == "declared over by M. Mori"
    counters = table.stop["phasecast"]
    assert (counters["closed_by"], counters["exit_reason"]) == ("M. Mori", "declared over by M. Mori")
    assert (counters["ledger"]["done"], counters["ledger"]["not_measured"]) == (5, 7)
    assert table.desk.open_folds == []
    table.take(*list(points(7))[10:])
    assert table.desk.counters["frames_after_close"] == 2
    assert not table.desk.close_one(UID, 1002.0, None, who="M. Mori")


def test_a_scan_that_had_ended_by_itself_keeps_its_own_status():
    table = Table()
    table.take(scan_start(ROWS, COLUMNS), *points(5), scan_stop(5, 1001.0))
    assert table.desk.close_one(UID, 1001.0, None, who="m")
    assert table.stop["exit_status"] == "success"
    assert table.stop["phasecast"]["closed_by"] == "m"
    assert table.stop["phasecast"]["exit_reason"] == ""


def test_files_have_no_other_end_so_closing_them_is_no_abort():
    table = Table(by_files=True)
    table.take(frame(0, 1000.0), frame(1, 1000.1))
    (fold,) = table.desk.open_folds
    assert fold.frames == 2
    assert fold.last_position_s is None
    assert table.desk.close_one(fold.start.uid, 1001.0, None, who="m")
    assert table.stop["exit_status"] == "success"
    assert table.stop["reason"] == "declared over by m"


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "still open"])
@pytest.mark.parametrize("first", ["documents", "detector"])
def test_a_series_that_a_restarted_detector_numbers_as_the_one_before_is_the_next_scans(first, closed):
    """The two wires differ in delay: the next scan's start document comes before or after its series is armed."""
    table, uid = Table(), ScanUid("next")
    table.take(scan_start(ROWS, COLUMNS), series_start(ROWS * COLUMNS), *points(5), scan_stop(5, 1000.9))
    if closed:
        assert table.desk.close_one(UID, 1001.0, None, who="m")
    both = [scan_start(ROWS, COLUMNS, uid=uid), series_start(ROWS * COLUMNS)]
    table.take(*both if first == "documents" else reversed(both))
    for index in range(3):
        table.take(frame(index, 1002.0), point(index, 1002.0, columns=COLUMNS, counter=index, uid=uid))
    *before, fold = table.desk.open_folds
    assert (fold.start.uid, fold.frames, fold.ledger.sums()["done"]) == (uid, 3, 3)
    assert [earlier.frames for earlier in before] == ([] if closed else [5])
    assert table.desk.counters["frames_after_close"] == 0


@pytest.mark.parametrize("uid", ["", "nobody"])
def test_only_open_scans_can_be_closed(uid):
    table = Table()
    table.take(scan_start(ROWS, COLUMNS))
    assert not table.desk.close_one(ScanUid(uid), 1001.0, None, who="m")
    assert len(table.desk.open_folds) == 1


class Refusing(Table):
    """A desk of a data directory that is kept for one proposal."""

    def _open(self, start, position):
        theirs = start.metadata.get("proposal") == "theirs" or start.metadata.get("series", "").startswith("theirs/")
        if theirs:
            raise ScanRefusedError("proposal theirs, but this data directory is kept for ours")
        return super()._open(start, position)


def test_nothing_of_a_refused_scan_is_kept_nor_goes_into_the_next_one():
    """Its frames come before, during and after its documents; the next scan follows at once."""
    table, uid = Refusing(), ScanUid("theirs")
    start = replace(scan_start(ROWS, COLUMNS, uid=uid), metadata={"proposal": "theirs"})
    table.take(series_start(3), *[frame(index, 1000.0) for index in range(3)], start)
    table.take(series_start(3, series="2"), *[frame(index, 1000.0, series="2") for index in range(3)])
    table.take(point(0, 1000.0, columns=COLUMNS, uid=uid), scan_stop(3, 1000.5, uid=uid))
    assert not table.documents
    table.take(series_start(2, series="3"), scan_start(ROWS, COLUMNS))
    for index in range(2):
        table.take(frame(index, 1000.1, series="3"), point(index, 1000.1, columns=COLUMNS, counter=index))
    table.take(frame(3, 1000.2, series="2"))
    (fold,) = table.desk.open_folds
    assert fold.frames == 2
    assert table.desk.counters["refused_scans"] == 1
    assert table.desk.counters["frames_of_refused_scans"] == 7


def test_a_detector_that_restarts_after_a_refused_scan_is_heard_again():
    table, uid = Refusing(), ScanUid("theirs")
    start = replace(scan_start(ROWS, COLUMNS, uid=uid), metadata={"proposal": "theirs"})
    table.take(start, series_start(3), frame(0, 1000.0), scan_stop(1, 1000.5, uid=uid))
    table.take(scan_start(ROWS, COLUMNS), series_start(3), frame(0, 1001.0), point(0, 1001.0, columns=COLUMNS))
    (fold,) = table.desk.open_folds
    assert fold.frames == 1
    assert table.desk.counters["frames_of_refused_scans"] == 1


def test_files_of_a_refused_folder_are_refused_once_and_the_next_folder_is_a_scan():
    table = Refusing(by_files=True)
    table.take(*[frame(index, 1000.0, series="theirs/a") for index in range(5)])
    assert not table.documents
    assert table.desk.counters["refused_scans"] == 1
    assert table.desk.counters["frames_of_refused_scans"] == 5
    table.take(*[frame(index, 1000.0, series="ours/a") for index in range(2)])
    (fold,) = table.desk.open_folds
    assert fold.frames == 2
