"""Positions from the scan tables of beamlines: SRS of Diamond, SPEC, and CSV, measured ones where there are."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from silx.io.specfile import SpecFile

from phasecast.core.frame import counter_key, file_key
from phasecast.core.scan import Defect, PointMeasured
from phasecast.profiles import LogAxis, PositionLog
from phasecast.sources.file_decoder import FileDecoder
from phasecast.sources.file_record import FoundFile, encode_file
from phasecast.sources.position_log import RowNote, encode_row
from phasecast.sources.position_log_decoder import LogDecoder
from support.simplon_wire import record

SPEC = """#F map.spec
#E 1764000000
#D Mon Nov 24 16:00:00 2025
#O0 Theta  Two Theta  samx  samy
#O1 table height  slit

#S 1 ascan Theta 0 1 1 1
#D Mon Nov 24 16:00:10 2025
#P0 0.1 25.4 1.5 -2.25
#P1 10 0.05
#N 3
#L Theta  Seconds  Ion Ch 0
0 1 1000
1 1 1010

#S 2 ascan samx 1 2 2 1
#D Mon Nov 24 16:01:10 2025
#P0 0.1 25.4 1 -2.25
#P1 10 0.05
#N 4
#L samx  Seconds  Ion Ch 0  MCA total
1 1 1001 7
@A 1 2 3\\
 4 5
1.5 1 -1.002e3 8
#C Mon Nov 24 16:01:20 2025.  Scan aborted after 2 points.

#S 3 mesh samx 1 2 1 samy 3 4 1
#P0 0.1 25.4 9 9
#P1 10 0.05
#N 3
#L samx  samy  Ion Ch 0
1 3 1
2 3 2
2 4 3
"""
MM = {"unit": "mm"}


def messages(rules: PositionLog, lines: Iterable[bytes]) -> list[PointMeasured | Defect]:
    decoder = LogDecoder(rules)
    found: list[PointMeasured | Defect] = []
    for number, line in enumerate(lines, 1):
        found.extend(decoder.decode(record(encode_row(RowNote(name="table", row=number), line), channel="log")))
    return found


def points(found: list[PointMeasured | Defect]) -> list[PointMeasured]:
    return [message for message in found if isinstance(message, PointMeasured)]


def test_a_spec_file_of_several_scans_is_read_as_silx_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "map.spec"
    path.write_text(SPEC)
    rules = PositionLog(
        x=LogAxis(column="samx", **MM), y=LogAxis(column="samy", sign=-1, **MM), scalars={"i0": "Ion Ch 0"}
    )
    found = messages(rules, path.read_bytes().splitlines(keepends=True))
    expected = []
    for scan in SpecFile(str(path)):
        if "samx" not in scan.labels:
            continue
        x, i0 = scan.data_column_by_name("samx"), scan.data_column_by_name("Ion Ch 0")
        at_rest = scan.motor_position_by_name("samy")
        y = scan.data_column_by_name("samy") if "samy" in scan.labels else np.full_like(x, at_rest)
        expected += zip(1000 * x, -1000 * y, i0, strict=True)
    read = [(point.position["x_um"], point.position["y_um"], point.scalars["i0"]) for point in points(found)]
    np.testing.assert_allclose(read, expected)
    assert len(read) == 5
    (defect,) = [message for message in found if isinstance(message, Defect)]
    assert "'1 ascan Theta 0 1 1 1' has no samx, samy" in defect.detail
    assert defect.number is None


def test_a_spec_file_is_read_the_same_line_by_line_as_it_grows_from_the_middle_of_a_scan() -> None:
    lines = SPEC.encode().splitlines(keepends=True)
    rules = PositionLog(x=LogAxis(column="samx", **MM), y=LogAxis(column="samy", **MM))
    assert len(points(messages(rules, lines[:19]))) == 0
    assert len(points(messages(rules, lines[:24]))) == 1


def test_the_measured_srs_table_names_the_frames_of_its_scan(measured_data: Path) -> None:
    folder = measured_data / "pilatus100k_scan_tiff"
    table = folder / "refl_5.dat"
    rules = PositionLog(
        x=LogAxis(column="qdcd", unit="pulse", factor=1.0),
        y=LogAxis(column="diff1y", unit="mm"),
        file="file",
        scalars={"i0": "d5i", "roi": "roi1_sum"},
    )
    found = messages(rules, table.read_bytes().splitlines(keepends=True))
    rows = points(found)
    assert len(rows) == len(found) == 16
    np.testing.assert_allclose([row.position["x_um"] for row in rows], 0.30 + 0.02 * np.arange(16), atol=2e-5)
    assert [row.position["y_um"] for row in rows] == pytest.approx([9.2] * 16), "a motor at rest stands in the head"
    assert rows[0].scalars == {"i0": 15.521, "roi": 1469353.0}
    decoder, joined = FileDecoder(), []
    for path in sorted(folder.glob("*.tif.gz")):
        note = FoundFile(path=str(path), name=path.name, size=0, mtime_s=0.0, sha256="", problem="not read here")
        (frame,) = decoder.decode(record(encode_file(note), channel="files"))
        joined += [row.index for row in rows if set(row.frame_keys) & set(frame.frame_keys)]
    first = rows[0].index
    assert joined == list(range(first, first + 8))
    assert rows[0].frame_keys == (file_key("p100kImage_380408_5886011.tif"),)


def test_the_measured_csv_of_an_arm_scan_names_the_frames_by_number(measured_data: Path) -> None:
    table = measured_data / "pilatus300kw_lab6_arm_scan" / "Lab6_thtth_rightside_scan2.csv"
    rules = PositionLog(
        x=LogAxis(column="th", unit="pulse", factor=1.0),
        y=LogAxis(column="tth", unit="pulse", factor=1.0),
        number="#",
        scalars={"i0": "Monitor"},
    )
    found = messages(rules, table.read_bytes().splitlines(keepends=True))
    rows = points(found)
    assert len(rows) > 40
    for number, row in enumerate(rows):
        assert row.frame_keys == (counter_key(number),)
        assert row.position["y_um"] == pytest.approx(2 * row.position["x_um"], abs=0.02)
