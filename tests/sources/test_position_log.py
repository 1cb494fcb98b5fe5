"""A growing log of positions: recorded row by row as it came, and read whatever program wrote it."""

import os
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pytest

from phasecast.core.errors import SourceError
from phasecast.core.frame import counter_key, file_key
from phasecast.core.record import RawRecord
from phasecast.core.scan import Defect, PointMeasured
from phasecast.profiles import LogAxis, PositionLog
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.position_log import PositionLogReceiver, RowNote, decode_row, encode_row
from phasecast.sources.position_log_decoder import LogDecoder
from phasecast.sources.position_log_rows import BadRowError, RowReader
from phasecast.sources.uri import SourceOptions, open_source
from support.simplon_wire import record

PLAIN = PositionLog(x=LogAxis(column=1), y=LogAxis(column=2))


def rows_of(rules: PositionLog, *lines: bytes) -> list:
    reader = RowReader(rules)
    return [row for line in lines if (row := reader.read(line)) is not None]


def messages(rules: PositionLog, *lines: bytes, point_s: float = 10.0) -> list:
    decoder = LogDecoder(rules, point_s=point_s)
    records = [record(encode_row(RowNote(name="log", row=n), line), channel="log") for n, line in enumerate(lines, 1)]
    return [message for one in records for message in decoder.decode(one)]


class Growing:
    """A log that another program writes, and what of it is in the capture."""

    def __init__(self, folder: Path, name: str = "log.txt") -> None:
        self.path = folder / name
        self.writer = CaptureWriter(folder / "captures")
        self.reader = CaptureReader(folder / "captures")
        self.receiver = PositionLogReceiver(self.path, poll_s=0.01)
        self.records: list[RawRecord] = []

    def __enter__(self) -> "Growing":
        self.receiver.start(self.writer)
        return self

    def __exit__(self, *_: object) -> None:
        self.receiver.stop()
        self.reader.close()
        self.writer.close()

    def append(self, content: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(content)

    def await_rows(self, count: int) -> list[tuple[RowNote, bytes]]:
        while len(self.records) < count:
            assert self.writer.wait(20.0, self.reader.position), f"only {len(self.records)} of {count} rows came"
            self.records.extend(self.reader.read_available())
        return [decode_row(one) for one in self.records]


def test_a_row_is_recorded_verbatim_when_its_newline_is_there_and_never_before(tmp_path):
    with Growing(tmp_path) as log:
        log.append(b"1.0\t2.0\r\n3.0\t4")
        assert [line for _, line in log.await_rows(1)] == [b"1.0\t2.0\r\n"]
        log.append(b".5\r\n")
        assert log.await_rows(2)[1] == (RowNote(name="log.txt", row=2), b"3.0\t4.5\r\n")


def test_a_log_that_is_written_anew_as_a_whole_is_not_read_twice(tmp_path):
    with Growing(tmp_path) as log:
        log.append(b"1\t1\n2\t2\n")
        log.await_rows(2)
        draft = tmp_path / "draft"
        draft.write_bytes(b"1\t1\n2\t2\n3\t3\n")
        os.replace(draft, log.path)
        notes = log.await_rows(3)
    assert [line for _, line in notes] == [b"1\t1\n", b"2\t2\n", b"3\t3\n"]


def test_a_log_that_was_replaced_by_another_is_named_and_read_from_its_start(tmp_path):
    with Growing(tmp_path) as log:
        log.append(b"1\t1\n2\t2\n")
        log.await_rows(2)
        draft = tmp_path / "draft"
        draft.write_bytes(b"7\t7\n8\t8\n9\t9\n")
        os.replace(draft, log.path)
        notes = log.await_rows(6)
    assert "read anew" in notes[2][0].problem
    assert [(note.row, line) for note, line in notes[3:]] == [(1, b"7\t7\n"), (2, b"8\t8\n"), (3, b"9\t9\n")]


def test_what_never_ends_is_recorded_as_a_row_of_its_own_and_the_rows_after_it_are_whole(tmp_path):
    with Growing(tmp_path) as log:
        log.append(b"x" * 100_000)
        log.await_rows(1)
        log.append(b"\n1\t2\n")
        rest = [line for _, line in log.await_rows(3)[1:]]
    assert rest == [b"\n", b"1\t2\n"]


def test_the_log_is_only_read_also_where_it_must_not_be_written(tmp_path):
    with Growing(tmp_path) as log:
        log.append(b"1\t1\n")
        log.path.chmod(0o444)
        before = log.path.stat()
        log.await_rows(1)
        after = log.path.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)


@pytest.mark.parametrize("name", ["位置ログ.txt", unicodedata.normalize("NFD", "データ.csv"), "ＬＯＧ１.TXT"])
def test_a_uri_names_a_log_in_any_script(tmp_path, name):
    (tmp_path / name).write_bytes(b"1\t2\n")
    source = open_source(f"log://{tmp_path / name}", SourceOptions(log=PLAIN))
    with CaptureWriter(tmp_path / "c") as writer, CaptureReader(tmp_path / "c") as reader:
        source.receiver.start(writer)
        assert writer.wait(20.0, reader.position)
        (one,) = reader.read_available()
        source.receiver.stop()
    (point,) = source.decoder.decode(one)
    assert point.position == {"x_um": 1.0, "y_um": 2.0}


def test_a_log_whose_name_is_bytes_of_cp932_is_read(tmp_path):
    name = os.fsdecode("位置.txt".encode("cp932"))
    with Growing(tmp_path, name) as log:
        log.append(b"1\t2\n")
        assert log.await_rows(1)[0][0].name == "位置.txt"


def test_without_a_declaration_a_log_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(SourceError, match=r"--scan scan\.toml"):
        open_source(f"log://{tmp_path}/log.txt")


HEADER = "番号\tファイル名\t日時\tＸ[pulse]\tY[mm]\tI0\r\n"
ROW = "17\tD:\\試料１\\錆_00017.cbf\t2026/11/26 00:49:44.118\t-40\t0.002\t1.5e6\r\n"
JAPANESE = PositionLog(
    x=LogAxis(column="X[pulse]", unit="pulse", factor=0.05, sign=-1),
    y=LogAxis(column="Y[mm]", unit="mm"),
    file="ファイル名",
    number="番号",
    number_offset=-1,
    time="日時",
    time_zone="Asia/Tokyo",
    scalars={"i0": "I0"},
)


@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "utf-8-sig"])
def test_header_units_signs_time_and_scalars_are_read_in_either_encoding(encoding):
    lines = [HEADER.encode(encoding), ROW.encode(encoding.removesuffix("-sig"))]
    (row,) = rows_of(JAPANESE, *lines)
    assert (row.x_um, row.y_um) == pytest.approx((2.0, 2.0))
    assert row.file == "錆_00017.cbf"
    assert row.number == 16
    assert row.scalars == {"i0": 1.5e6}
    assert row.time_s == datetime(2026, 11, 25, 15, 49, 44, 118000, tzinfo=UTC).timestamp()
    assert row.resolution_s == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("delimiter", "line"),
    [("auto", b"1.5,2.5\n"), ("auto", b"1.5;2.5\n"), ("auto", b"1.5  2.5\n"), ("comma", b'"1.5", "2.5"\r\n')],
)
def test_csv_semicolons_and_blanks_separate_too(delimiter, line):
    (row,) = rows_of(PLAIN.model_copy(update={"delimiter": delimiter}), line)
    assert (row.x_um, row.y_um) == (1.5, 2.5)


def test_titles_comments_and_empty_lines_are_no_rows_and_no_faults():
    found = messages(
        PLAIN, "測定日 2026\r\n".encode("cp932"), b"x\ty\n", b"\n", b"# pause\n", b"1\t2\n", b"", b"3\t4\n"
    )
    assert [message.index for message in found if isinstance(message, PointMeasured)] == [5, 7]
    assert not [message for message in found if isinstance(message, Defect)]


@pytest.mark.parametrize(
    ("line", "says", "is_point"),
    [
        (b"12\n", "1 columns, 2 needed", True),
        (b"12\tabc\n", "column 2: 'abc' is no number", True),
        (b"12\tnan\n", "is no number", True),
        (b"stopped by user\n", "'stopped' is no number", False),
        (b"\xff\xff\xff\n", "neither utf-8 nor cp932", True),
    ],
)
def test_a_bad_row_is_named_with_file_and_row_and_keeps_its_place_if_it_was_a_point(line, says, is_point):
    found = messages(PLAIN, b"1\t2\n", line, b"3\t4\n")
    (fault,) = [message for message in found if isinstance(message, Defect)]
    assert fault.detail.startswith("log, row 2: ")
    assert says in fault.detail
    assert (fault.number == 2) is is_point
    assert [message.index for message in found if isinstance(message, PointMeasured)] == [1, 3]


def test_a_header_without_the_declared_columns_is_named_with_what_it_has():
    reader = RowReader(JAPANESE)
    with pytest.raises(BadRowError, match=r"no header with .*Y\[mm\].*first row: 番号"):
        reader.read(HEADER.replace("Y[mm]", "Y").encode())


def test_frames_are_named_by_file_or_number_and_composed_letters_are_the_same():
    decomposed = unicodedata.normalize("NFD", ROW.replace("錆", "ガ"))
    (by_file,) = messages(JAPANESE, HEADER.encode(), decomposed.encode())
    assert by_file.frame_keys == (file_key("ガ_00017.cbf"),)
    assert file_key(unicodedata.normalize("NFD", "ガ_00017.cbf")) == file_key("ガ_00017.cbf")
    (by_number,) = messages(JAPANESE.model_copy(update={"join": "number"}), HEADER.encode(), ROW.encode())
    assert by_number.frame_keys == (counter_key(16),)


def test_a_clock_that_counts_whole_seconds_says_nothing_of_points_shorter_than_four():
    rules = PLAIN.model_copy(update={"time": 3, "time_zone": "+09:00"})
    row = b"1\t2\t2026-11-26 00:49:44\n"
    (short,) = messages(rules, row, point_s=3.9)
    (long,) = messages(rules, row, point_s=4.0)
    assert not short.time_is_measured
    assert long.time_is_measured
    assert short.time_s == long.time_s == datetime(2026, 11, 25, 15, 49, 44, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    ["2026年11月26日 0時49分44秒", "2026/11/26 00:49:44", "2026-11-26T00:49:44+09:00", "２０２６/11/26 00:49:44"],
)
def test_times_are_read_as_people_of_a_japanese_beamline_write_them(text):
    rules = PLAIN.model_copy(update={"time": 3, "time_zone": "Asia/Tokyo"})
    (row,) = rows_of(rules, f"1\t2\t{text}\r\n".encode("cp932"))
    assert row.time_s == datetime(2026, 11, 25, 15, 49, 44, tzinfo=UTC).timestamp()


def test_a_record_that_is_none_is_a_defect():
    decoder = LogDecoder(PLAIN)
    for parts in ([b""], [b"\xa1", b""], [b"\x01", b"1\t2\n"]):
        (fault,) = decoder.decode(record(parts, channel="log"))
        assert isinstance(fault, Defect)
