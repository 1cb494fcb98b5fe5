"""A declared scan: frames and rows, in whatever order they come, end at the points that were declared or logged."""

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from phasecast.core.frame import Frame, FrameId, FrameReference, counter_key, file_key
from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.scan import Defect, Message, PointMeasured, PositionDoubt, ScanStart, ScanStop
from phasecast.pipeline.desk import ticket_of
from phasecast.pipeline.fold import FoldRules, ScanFold
from phasecast.pipeline.join import JoinRule
from phasecast.profiles import LogAxis, PositionLog, ScanDeclaration
from phasecast.sources.declared_scan import ScanDirector
from phasecast.sources.declared_wires import StageFields
from phasecast.sources.position_log import RowNote, encode_row
from phasecast.sources.position_log_decoder import LogDecoder
from support.simplon_wire import record

T0 = 1.8e9
RASTER = {"nx": 4, "ny": 3, "step_x_um": 2.0, "step_y_um": 3.0, "snake": True, "exposure_s": 0.1}
BY_FILE = PositionLog(x=LogAxis(column=2), y=LogAxis(column=3), file=1)
BY_ORDER = PositionLog(x=LogAxis(column=2), y=LogAxis(column=3))
BY_TIME = PositionLog(
    x=LogAxis(column=2), y=LogAxis(column=3), time=4, time_format="%s", time_zone="+09:00", join="time"
)


def frame(number: int, *, series: str = "run_a", name: str = "", time_s: float | None = None) -> Frame:
    base = name or f"{series.rpartition('/')[2]}_{number:05d}.cbf"
    path = f"{series.rpartition('/')[0]}/{base}".lstrip("/")
    return Frame(
        frame_id=FrameId(path),
        series=series,
        number=number,
        image=np.zeros((1, 1), np.int32),
        keys=(file_key(base), counter_key(number)),
        received_s=T0 + 0.1 * number,
        hardware_s=time_s,
        reference=FrameReference(store="file", path=path, offset=0, number=number, sha256=f"sha-{path}"),
    )


def declared(**changes: object) -> ScanDeclaration:
    return ScanDeclaration.model_validate(RASTER | changes)


class Scans:
    """A director and a fold for each scan that it opens, fed as the runner feeds them."""

    def __init__(self, declaration: ScanDeclaration, **options: object) -> None:
        self.declaration = declaration
        self.director = ScanDirector(declaration, StageFields(x="sx", y="sy"), **options)  # type: ignore[arg-type]
        self.decoder = LogDecoder(declaration.log, point_s=declaration.exposure_s) if declaration.log else None
        self.folds: dict[str, ScanFold] = {}
        self.defects: list[Defect] = []
        self.rows = 0
        log = declaration.log
        self.rules = FoldRules(
            join=JoinRule(
                align="time" if log is not None and log.joins_by == "time" else "order",
                skip_frames_per_row=declaration.lead_in_frames_per_row,
            ),
            place=lambda position: (position.get("sx", np.nan), position.get("sy", np.nan)),
        )
        self.newest: ScanFold | None = None

    def take(self, messages: Iterable[Message]) -> None:
        one = record([b""], channel="files")
        for given in messages:
            for message in self.director.direct(given, one):
                self._route(message)

    def row(self, text: str, row: int | None = None) -> None:
        self.rows = self.rows + 1 if row is None else row
        assert self.decoder is not None
        note = RowNote(name="log.txt", row=self.rows)
        one = record(encode_row(note, text.encode() + b"\r\n"), channel="log", received_s=T0)
        for decoded in self.decoder.decode(one):
            for message in self.director.direct(decoded, one):
                self._route(message)

    def _route(self, message: Message) -> None:
        match message:
            case ScanStart(uid=uid):
                self.newest = self.folds[uid] = ScanFold(message, self.rules)
            case PointMeasured(uid=uid):
                self.folds[uid].add_point(message)
            case PositionDoubt(uid=uid):
                self.folds[uid].add_doubt(message)
            case ScanStop(uid=uid):
                self.folds[uid].set_stop(message)
            case Defect():
                self.defects.append(message)
            case Frame():
                assert self.newest is not None
                self.newest.add_frame(ticket_of(message), None)

    @property
    def fold(self) -> ScanFold:
        (only,) = self.folds.values()
        return only

    @property
    def reasons(self) -> list[str]:
        return [defect.reason for defect in self.defects]

    def places(self, fold: ScanFold | None = None) -> list[tuple[int, float, float]]:
        """Number of the frame and place of each point that is done."""
        fold = fold or self.fold
        fold.close(now_s=T0 + 100)
        done = np.flatnonzero(fold.ledger.states == PointState.DONE).tolist()
        columns = fold.points.columns(done)
        names = ("frame_number", "x_um", "y_um")
        return list(zip(*(columns[name].tolist() for name in names), strict=True))


def truth(declaration: ScanDeclaration, skip: Sequence[int] = ()) -> list[tuple[int, float, float]]:
    return [(n, *declaration.position_um(n)) for n in range(declaration.points) if n not in skip]


def logged(declaration: ScanDeclaration, index: int, number: int | None = None) -> str:
    x_um, y_um = declaration.position_um(index)
    return f"run_a_{index if number is None else number:05d}.cbf\t{x_um}\t{y_um}\t{T0 + 5 + 0.1 * index:.3f}"


def test_without_a_log_every_frame_stands_where_its_number_says():
    scans = Scans(declared())
    scans.take(frame(n) for n in range(12))
    assert scans.fold.stop is not None
    assert scans.fold.stop.exit_status == "success"
    assert scans.places() == truth(scans.declaration)
    assert not scans.defects


def test_a_frame_lost_on_the_way_moves_no_other_and_is_named():
    scans = Scans(declared())
    scans.take(frame(n) for n in range(12) if n != 5)
    assert scans.places() == truth(scans.declaration, skip=[5])
    assert PointState(scans.fold.ledger.state(5)) is PointState.LOST_UPSTREAM


def test_lead_in_frames_are_counted_and_belong_to_no_point():
    scans = Scans(declared(lead_in_frames_per_row=2))
    scans.take(frame(n) for n in range(18))
    assert [number for number, *_ in scans.places()] == [2, 3, 4, 5, 8, 9, 10, 11, 14, 15, 16, 17]
    assert [place for _, *place in scans.places()] == [place for _, *place in truth(scans.declaration)]
    assert scans.reasons == ["lead-in frame"] * 6


def test_a_first_number_that_is_declared_holds_although_the_first_frame_is_lost():
    scans = Scans(declared(first_number=1))
    scans.take(frame(n) for n in range(2, 13))
    assert scans.places() == [(n + 1, x, y) for n, x, y in truth(scans.declaration, skip=[0])]


def test_an_unusual_first_number_is_named_and_an_earlier_one_after_it_doubts_all():
    scans = Scans(declared())
    scans.take(frame(n) for n in range(5, 9))
    assert scans.reasons == ["first frame number"]
    scans.take([frame(4)])
    assert scans.fold.doubt is not None
    assert scans.fold.doubt.from_index == 0


def test_a_number_far_beyond_the_scan_is_named_as_surplus_and_gives_no_points():
    scans = Scans(declared())
    scans.take([frame(0), frame(1), frame(99_999)])
    assert scans.reasons == ["surplus frame"]
    assert len(scans.places()) == 2


def test_two_frames_with_one_number_are_named_and_the_first_counts():
    scans = Scans(declared())
    scans.take([frame(0), frame(1), frame(1, name="run_a_00001.tif")])
    assert scans.reasons == ["doubled frame number"]
    assert "run_a_00001.cbf and run_a_00001.tif have one number, 1" in scans.defects[0].detail
    assert len(scans.places()) == 2


def test_a_trigger_lost_without_a_trace_in_the_numbers_shows_at_the_turns_of_the_stage():
    scans = Scans(declared(nx=10, ny=8))
    times = [0.1 * n + 0.5 * (n // 10) for n in range(80)]
    del times[23]
    scans.take(frame(n, time_s=T0 + time_s) for n, time_s in enumerate(times))
    doubt = scans.fold.doubt
    assert doubt is not None
    assert "9 frames into rows 3 and 4" in doubt.reason
    assert doubt.from_index <= 23, "the row of the lost trigger and all later ones are in doubt"


def test_turns_at_the_declared_places_are_no_doubt_and_nor_is_one_pause_of_the_beam():
    scans = Scans(declared(nx=10, ny=8))
    times = [0.1 * n + 0.5 * (n // 10) + (600.0 if n > 34 else 0.0) for n in range(80)]
    scans.take(frame(n, time_s=T0 + time_s) for n, time_s in enumerate(times))
    assert scans.fold.doubt is None


def test_a_new_prefix_or_folder_opens_a_scan_and_the_one_before_it_is_over():
    scans = Scans(declared())
    scans.take(frame(n) for n in range(5))
    scans.take(frame(n, series="run_b") for n in range(12))
    scans.take(frame(n, series="２日目/試料＿Ａ") for n in range(12))
    aborted, second, third = scans.folds.values()
    assert aborted.stop is not None
    assert (aborted.stop.exit_status, aborted.stop.measured_points) == ("abort", 5)
    assert len(scans.places(second)) == len(scans.places(third)) == 12
    assert third.start.metadata["series"] == "２日目/試料＿Ａ"
    scans.take([frame(11)])
    assert scans.reasons == ["surplus frame"], "late frames of a closed scan go into no other"


def test_the_same_files_give_the_same_scan_however_often_they_are_recorded():
    once, again = Scans(declared()), Scans(declared())
    once.take([frame(0)])
    again.take([frame(0)])
    assert set(once.folds) == set(again.folds)


def test_later_positions_leave_points_without_a_place():
    scans = Scans(declared(positions="later"))
    scans.take(frame(n) for n in range(12))
    assert [number for number, *_ in scans.places()] == list(range(12))
    assert all(PointFlag.NO_POSITION in PointFlag(scans.fold.ledger.flags(n)) for n in range(12))


@pytest.mark.parametrize("order", ["rows first", "frames first", "together"])
@pytest.mark.parametrize("log", [BY_FILE, BY_ORDER, BY_TIME], ids=["file", "order", "time"])
def test_rows_and_frames_meet_in_whatever_order_they_come(order, log):
    scans = Scans(declared(log=log))
    frames = [frame(n, time_s=T0 + 0.1 * n + 0.02 * (n // 4)) for n in range(12)]
    rows = [logged(scans.declaration, n) for n in range(12)]
    if log is BY_TIME:
        # the clock of the log is five seconds ahead, and the stage turns after each row
        times = [T0 + 5 + 0.1 * n + 0.02 * (n // 4) for n in range(12)]
        rows = [row.rpartition("\t")[0] + f"\t{time_s:.3f}" for row, time_s in zip(rows, times, strict=True)]
    if order == "rows first":
        for row in rows:
            scans.row(row)
    if order == "together":
        for one, row in zip(frames, rows, strict=True):
            scans.row(row)
            scans.take([one])
    else:
        scans.take(frames)
    if order == "frames first":
        for row in rows:
            scans.row(row)
    assert scans.places() == truth(scans.declaration)
    assert scans.fold.stop is not None
    assert not scans.defects


def test_a_log_that_names_files_is_right_although_a_trigger_was_lost():
    scans = Scans(declared(log=BY_FILE))
    for n in range(12):
        scans.row(logged(scans.declaration, n, number=n if n <= 4 else n - 1))
    scans.take(frame(n) for n in range(11))
    expected = [(n if n <= 4 else n - 1, x, y) for n, x, y in truth(scans.declaration, skip=[5])]
    assert scans.places() == expected
    assert PointState(scans.fold.ledger.state(5)) is PointState.LOST_UPSTREAM


def test_a_row_that_cannot_be_read_keeps_its_place_in_the_order():
    scans = Scans(declared(log=BY_ORDER))
    for n in range(12):
        scans.row("run_a_00005.cbf\t1.0" if n == 5 else logged(scans.declaration, n))
    scans.take(frame(n) for n in range(12))
    assert scans.places() == truth(scans.declaration, skip=[5])
    assert [(defect.reason, defect.detail) for defect in scans.defects] == [
        ("unreadable row of the log", "log.txt, row 6: 2 columns, 3 needed")
    ]


def test_a_position_outside_the_declared_range_is_named_and_that_point_alone_is_doubtful():
    scans = Scans(declared(log=BY_FILE))
    scans.take([frame(0), frame(1), frame(2)])
    scans.row(logged(scans.declaration, 0))
    scans.row("run_a_00001.cbf\t5000\t0\t0")
    scans.row(logged(scans.declaration, 2))
    assert scans.reasons == ["position outside the declared range"]
    assert "row 2 of the log: (5000, 0) um" in scans.defects[0].detail
    scans.places()
    doubtful = [PointFlag.POSITION_DOUBTFUL in PointFlag(scans.fold.ledger.flags(n)) for n in range(3)]
    assert doubtful == [False, True, False]


def test_a_log_that_runs_ahead_stops_or_jumps_in_time_is_named_once():
    big = {"nx": 10, "ny": 10}
    ahead = Scans(declared(log=BY_FILE, **big))
    ahead.take([frame(0)])
    for n in range(60):
        ahead.row(logged(ahead.declaration, n))
    assert ahead.reasons == ["log runs ahead"]
    stopped = Scans(declared(log=BY_FILE, **big))
    stopped.take([frame(0)])
    stopped.row(logged(stopped.declaration, 0))
    stopped.take(frame(n) for n in range(1, 60))
    assert stopped.reasons == ["log has stopped"]
    timed = PositionLog(x=LogAxis(column=2), y=LogAxis(column=3), file=1, time=4, time_format="%s")
    jumping = Scans(declared(log=timed, **big))
    jumping.take([frame(n) for n in range(4)])
    for n, time_s in enumerate((T0, T0 + 0.1, T0 - 3600, T0 - 3599.9)):
        jumping.row(f"run_a_{n:05d}.cbf\t0\t0\t{time_s:.3f}")
    assert jumping.reasons == ["time jump in the log"]
    assert "row 3" in jumping.defects[0].detail
    assert "-3600 s" in jumping.defects[0].detail


def test_one_log_of_a_whole_day_serves_one_scan_after_another():
    by_order = Scans(declared(log=BY_ORDER))
    for series in ("run_a", "run_b"):
        by_order.take(frame(n, series=series) for n in range(12))
        for n in range(12):
            by_order.row(logged(by_order.declaration, n))
    for fold in by_order.folds.values():
        assert by_order.places(fold) == truth(by_order.declaration)
    by_file = Scans(declared(log=BY_FILE))
    for series in ("run_a", "run_b"):
        for n in range(12):
            by_file.row(logged(by_file.declaration, n).replace("run_a", series))
    for series in ("run_a", "run_b"):
        by_file.take(frame(n, series=series) for n in range(12))
    for fold in by_file.folds.values():
        assert by_file.places(fold) == truth(by_file.declaration)


def test_after_a_restart_the_log_is_recorded_again_and_no_row_counts_twice():
    scans = Scans(declared(log=BY_ORDER))
    scans.take(frame(n) for n in range(6))
    for n in range(6):
        scans.row(logged(scans.declaration, n))
    for n in range(12):
        scans.row(logged(scans.declaration, n), row=n + 1)
    scans.take(frame(n) for n in range(6, 12))
    assert scans.places() == truth(scans.declaration)


def test_rows_of_an_earlier_scan_stay_out_of_one_that_is_taken_up_again():
    first = Scans(declared(log=BY_ORDER))
    first.take([frame(0)])
    (uid,) = first.folds
    again = Scans(declared(log=BY_ORDER), first_rows={uid: 101})
    again.take(frame(n) for n in range(12))
    for n in range(100):
        again.row("x\t9999\t9999\t0", row=n + 1)
    for n in range(12):
        again.row(logged(again.declaration, n), row=n + 101)
    assert again.places() == truth(again.declaration)
    assert not again.defects


def test_frames_of_a_scan_that_a_person_closed_are_never_taken_for_those_of_the_next():
    scans = Scans(declared())
    scans.take([frame(0), frame(1)])
    one = record([b""], channel="files")
    (*_, late) = scans.director.direct(frame(2), one)
    point = [m for m in scans.director.direct(frame(2, series="run_b"), one) if isinstance(m, PointMeasured)]
    assert isinstance(late, Frame)
    assert not set(late.keys) & {key for measured in point for key in measured.frame_keys}


def test_files_of_finished_scans_that_are_seen_again_disturb_neither_a_scan_taken_up_nor_the_next():
    first = Scans(declared(log=BY_ORDER))
    first.take(frame(n) for n in range(12))
    first.take([frame(0, series="run_b")])
    done, taken_up = first.folds
    again = Scans(declared(log=BY_ORDER), first_rows={taken_up: 13}, finished={done})
    again.take(frame(n, series="run_b") for n in range(6))
    again.take(frame(n) for n in range(12))
    for n in range(24):
        again.row(logged(again.declaration, n % 12))
    again.take(frame(n, series="run_b") for n in range(6, 12))
    assert list(again.folds) == [taken_up]
    assert again.places() == truth(again.declaration)
    fresh = Scans(declared(log=BY_ORDER), finished={done})
    fresh.take(frame(n) for n in range(12))
    fresh.take(frame(n, series="run_c") for n in range(12))
    for n in range(24):
        fresh.row(logged(fresh.declaration, n % 12))
    assert fresh.places() == truth(fresh.declaration)


def test_rows_that_lag_over_the_start_of_the_next_scan_are_never_taken_for_its_own_in_silence():
    scans = Scans(declared(log=BY_ORDER))
    scans.take(frame(n) for n in range(12))
    for n in range(11):
        scans.row(logged(scans.declaration, n))
    scans.take(frame(n, series="run_b") for n in range(12))
    for n in range(11, 24):
        scans.row(logged(scans.declaration, n % 12))
    before, after = scans.folds.values()
    assert scans.places(before) == scans.places(after) == truth(scans.declaration)
    assert after.doubt is not None
    assert "run_a had 11 rows of the log for 12 frames" in after.doubt.reason
