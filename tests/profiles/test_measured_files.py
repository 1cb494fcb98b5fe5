"""Shipped profiles recognise, number and place the measured files they were written for."""

import gzip
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from phasecast.profiles import load_profile


@pytest.mark.parametrize(
    ("name", "folder", "suffix", "numbers"),
    [
        ("gsecars-map", "pilatus100k_map", ".cbf", [1, 2, 3, 6, 7, 8]),
        ("ssrl-lab6", "pilatus100k_lab6", ".cbf", [11, 20, 25, 26]),
        ("i07-scan", "pilatus100k_scan_tiff", ".gz", list(range(5886011, 5886019))),
        ("ssrl-lab6-arm", "pilatus300kw_lab6_arm_scan", ".gz", [9, 10, 20, 23, 25, 30, 32, 40, 43, 45, 50]),
    ],
)
def test_frames_are_recognised_and_numbered(
    measured_data: Path, name: str, folder: str, suffix: str, numbers: list[int]
) -> None:
    rules = load_profile(name).frame_files
    files = sorted(path.name for path in (measured_data / folder).iterdir())
    frames = [file for file in files if any(fnmatch(file, pattern) for pattern in rules.patterns)]
    assert all(frame.endswith(suffix) for frame in frames)
    found = [re.search(rules.number_regex, frame) for frame in frames]
    assert [int(match[1]) for match in found if match] == numbers


def test_default_number_rule_reads_camserver_names() -> None:
    rule = load_profile("bl16xu").frame_files.number_regex
    for name, number in (("run1_00017.cbf", 17), ("test6_014.tif", 14), ("a2_0003.tif.gz", 3)):
        match = re.search(rule, name)
        assert match is not None
        assert int(match[1]) == number


def test_scan_files_state_the_count_limit_of_their_profile(measured_data: Path) -> None:
    detector = load_profile("i07-scan").detector
    for path in sorted((measured_data / "pilatus100k_scan_tiff").glob("*.tif.gz")):
        header = gzip.decompress(path.read_bytes())[:2000].decode("latin-1")
        match = re.search(r"Count_cutoff (\d+) counts", header)
        assert match is not None
        assert int(match[1]) == detector.count_limit
