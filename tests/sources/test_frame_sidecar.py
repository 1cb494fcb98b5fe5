"""Numbers beside a frame: read from real sidecars, waited for, and never guessed."""

import hashlib
import os
import re
from dataclasses import asdict
from pathlib import Path

import cbor2
import pytest

from phasecast.core.frame import Frame
from phasecast.core.scan import Defect
from phasecast.sources.file_decoder import FileDecoder
from phasecast.sources.file_record import FoundFile
from phasecast.sources.folder_watch import FolderWatch
from phasecast.sources.frame_file import read_frame_file
from phasecast.sources.frame_sidecar import ContradictionError, numbers_in, sidecar_path, stated_numbers
from support.frame_files import cbf_bytes, small_image
from support.simplon_wire import record

FIELDS = ("tth", "gamma")


@pytest.mark.parametrize(
    ("frame", "template", "sidecar"),
    [
        ("a_01.tif.gz", "{stem}.txt", "a_01.txt"),
        ("a_01.tif", "{stem}.txt", "a_01.txt"),
        ("b_0009.raw.gz", "{name}.pdi", "b_0009.raw.pdi"),
        ("b_0009.RAW", "{name}.pdi", "b_0009.RAW.pdi"),
    ],
)
def test_where_the_sidecar_lies(frame: str, template: str, sidecar: str) -> None:
    assert sidecar_path(Path("/data/run") / frame, template) == Path("/data/run") / sidecar


def test_motors_of_a_camserver_sidecar(measured_data: Path) -> None:
    stated = {}
    for path in sorted((measured_data / "pilatus300kw_lab6_arm_scan").glob("*.pdi")):
        numbers = numbers_in(path.read_text(), ("2Theta", "Theta"), where=path.name)
        # theta-two-theta scan: a Theta that was read out of "2Theta" would not be half of it
        assert numbers["Theta"] == pytest.approx(numbers["2Theta"] / 2, abs=0.011)
        stated[path.name[-12:-8]] = numbers["2Theta"]
    assert stated["0009"] == 11.12
    assert stated["0050"] == 39.0
    assert len(set(stated.values())) == 11


def test_motors_of_a_beamline_metadata_file(measured_data: Path) -> None:
    for path in sorted((measured_data / "pilatus100k_scan_tiff").glob("*.txt")):
        numbers = numbers_in(path.read_text(), ("diff1vdelta", "diff1vgamma"), where=path.name)
        match = re.search(r"^diff1vdelta=(.*)$", path.read_text(), re.MULTILINE)
        assert match is not None
        assert numbers["diff1vdelta"] == float(match[1])
        assert numbers["diff1vgamma"] == pytest.approx(-9.6, abs=0.1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("tth=1.5\n", 1.5),
        ("# tth 1.5 deg.\n", 1.5),
        ("a = 3; tth = -1.5e0 ; b = 2\n", -1.5),
        ("tth: '1.5'\n", 1.5),
        ("TTH=1.5\nmy_tth=2\ntth2=3\n2tth=4\ntth_offset=5\n", None),
        ("tth=1.5", None),  # the text may end before its digits do
        ("tth=\n1.5\n", None),
        ("tth=nan\n", None),
        ("tth=1.5mrad\n", None),
    ],
)
def test_what_counts_as_a_statement(text: str, value: float | None) -> None:
    assert numbers_in(text, ("tth",), where="x") == ({} if value is None else {"tth": value})


def test_two_values_of_one_field_are_both_named() -> None:
    with pytest.raises(ContradictionError, match=r"tth 1\.5 and 1\.6"):
        numbers_in("tth=1.5\ntth=1.6\n", ("tth",), where="x")
    with pytest.raises(ContradictionError, match=r"tth is 1\.5 in the header and 1\.6 in the sidecar"):
        stated_numbers("# tth 1.5 deg.", b"tth=1.6\n", ("tth",), where="x")
    assert stated_numbers("# tth 1.5 deg.", b"tth=1.502\ngamma=2\n", FIELDS, where="x") == {"tth": 1.502, "gamma": 2.0}


def test_a_zero_that_nobody_set_is_no_angle(measured_data: Path) -> None:
    for path in sorted((measured_data / "pilatus100k_scan_tiff").glob("*.tif.gz")):
        header = read_frame_file(path.name, path.read_bytes()).header
        assert "Detector_2theta 0.0000 deg." in header
        assert stated_numbers(header, b"", ("Detector_2theta",), where=path.name) == {}
    assert stated_numbers("# Detector_2theta 25.1000 deg.", b"", ("Detector_2theta",), where="x") == {
        "Detector_2theta": 25.1
    }
    assert stated_numbers("# nu 0.0 deg.", b"Detector_2theta=0.0\n", ("Detector_2theta", "nu"), where="x") == {
        "Detector_2theta": 0.0,
        "nu": 0.0,
    }


class Watched:
    """A folder whose frames need a sidecar, looked at when the test says; sidecars are as old as it says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watch = FolderWatch(folder, number_fields=FIELDS, sidecar="{stem}.txt", timeout_s=5.0)
        self.decoder = FileDecoder(number_fields=FIELDS, needs_sidecar=True)
        self.now_s = 0.0

    def frame(self, number: int) -> None:
        (self.folder / f"scan_{number:05d}.cbf").write_bytes(cbf_bytes(small_image(number, (20, 30))))

    def sidecar(self, number: int, text: str, age_s: float = 60.0) -> None:
        path = self.folder / f"scan_{number:05d}.txt"
        path.write_text(text)
        changed_s = path.stat().st_mtime - age_s
        os.utime(path, (changed_s, changed_s))

    def look(self, after_s: float = 1.1) -> list[Frame | Defect]:
        self.now_s += after_s
        return [self._decode(found) for found in self.watch.look(self.now_s)]

    def _decode(self, found: FoundFile) -> Frame | Defect:
        (message,) = self.decoder.decode(record([cbor2.dumps(asdict(found))], channel="files"))
        assert isinstance(message, Frame | Defect)
        return message


def test_a_frame_brings_the_numbers_of_its_sidecar(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.frame(1)
    watched.sidecar(1, "tth=11.12\ngamma=0.5\n")
    (frame,) = watched.look()
    assert isinstance(frame, Frame)
    assert frame.scalars == {"tth": 11.12, "gamma": 0.5}


def test_a_frame_waits_for_its_sidecar(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.frame(1)
    assert watched.look() == []
    watched.sidecar(1, "tth=11.12\n")  # another field is still to be written
    assert watched.look() == []
    watched.sidecar(1, "tth=11.12\ngamma=0.5\n", age_s=0.0)
    assert watched.look(0.1) == []  # it has just changed
    (frame,) = watched.look(1.0)
    assert isinstance(frame, Frame)


def test_a_sidecar_that_never_comes_is_named_and_may_come_late(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.frame(1)
    assert watched.look() == []
    (defect,) = watched.look(6.0)
    assert isinstance(defect, Defect)
    assert defect.reason == "no usable sidecar"
    assert "scan_00001.txt" in defect.detail
    assert defect.number == 1
    assert defect.reference is not None
    watched.sidecar(1, "tth=11.12\ngamma=0.5\n")
    (frame,) = watched.look()
    assert isinstance(frame, Frame)
    assert frame.frame_id == defect.frame_id


def test_a_frame_is_not_read_while_its_sidecar_is_waited_for(tmp_path: Path) -> None:
    """Its time of last reading stays; only when it is given up is it read, to be found again by its hash."""
    watched = Watched(tmp_path)
    watched.frame(1)
    path = tmp_path / "scan_00001.cbf"
    os.utime(path, (1e9, path.stat().st_mtime))
    for _ in range(4):
        assert watched.look(1.1) == []
    if path.stat().st_atime == 1e9:
        path.read_bytes()
        if path.stat().st_atime == 1e9:
            pytest.skip("this file system keeps no time of last reading")
    else:
        pytest.fail("the frame was read although its sidecar is not there")
    (defect,) = watched.look(6.0)
    assert isinstance(defect, Defect)
    assert defect.reference is not None
    assert defect.reference.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("tth=11.12\n", "gamma"),
        ("tth=11.12\ngamma=0.5\ntth=13.5\n", "11.12 and 13.5"),
        ("x" * 70_000, "larger"),
        ("", "states no tth, gamma"),
    ],
)
def test_a_sidecar_that_cannot_be_used_is_named(tmp_path: Path, text: str, named: str) -> None:
    watched = Watched(tmp_path)
    watched.frame(1)
    watched.sidecar(1, text)
    assert watched.look() == []
    (defect,) = watched.look(6.0)
    assert isinstance(defect, Defect)
    assert named in defect.detail


def test_a_header_that_contradicts_the_sidecar_is_a_defect(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    (tmp_path / "scan_00001.cbf").write_bytes(cbf_bytes(small_image(1, (20, 30)), "tth 12.00 deg."))
    watched.sidecar(1, "tth=11.12\ngamma=0.5\n")
    (defect,) = watched.look()
    assert isinstance(defect, Defect)
    assert defect.reason == "contradicting headers"
    assert "12 in the header and 11.12 in the sidecar" in defect.detail
