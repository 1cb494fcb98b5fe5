"""Frame files: only whole ones are decoded, and none can hang the program."""

import base64
import gzip
import hashlib
import random
import re
from contextlib import suppress
from pathlib import Path

import fabio
import numpy as np
import pytest

from phasecast.core.errors import FrameError, SourceError
from phasecast.sources.frame_file import IncompleteFileError, read_frame_file, require_complete
from phasecast.sources.frame_header import compile_position_fields, parse_header
from phasecast.sources.frame_name import is_frame_name, parse_frame_name
from support.frame_files import cbf_bytes, edf_bytes, small_image


def test_a_cbf_is_read_with_its_header() -> None:
    image = small_image()
    content = read_frame_file("a_1.cbf", cbf_bytes(image, "Exposure_time 0.0970000 s"))
    np.testing.assert_array_equal(content.image, image)
    assert "# Exposure_time 0.0970000 s" in content.header


def test_a_cbf_cut_anywhere_is_incomplete_and_never_hangs() -> None:
    # fabio loops for ever on a file that ends between the section's marker and its starter.
    whole = cbf_bytes(small_image(shape=(20, 30)), "Exposure_time 1.0 s")
    starter = whole.index(b"\x0c\x1a\x04\xd5")
    size = int(re.search(rb"X-Binary-Size: (\d+)", whole)[1])  # type: ignore[index]
    for cut in range(starter + 4 + size):
        with pytest.raises(IncompleteFileError):
            read_frame_file("a_1.cbf", whole[:cut])
    assert read_frame_file("a_1.cbf", whole[: starter + 4 + size]).image.shape == (20, 30)


def test_a_cbf_whose_checksum_differs_is_refused_although_fabio_would_read_it() -> None:
    whole = bytearray(cbf_bytes(small_image()))
    whole[whole.index(b"\x0c\x1a\x04\xd5") + 5000] ^= 1
    with pytest.raises(IncompleteFileError, match="Content-MD5"):
        read_frame_file("a_1.cbf", bytes(whole))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (rb"X-Binary-Size: \d+", b"X-Binary-Sise: 1", "X-Binary-Size is missing"),
        (rb"X-Binary-Size-Fastest-Dimension: \d+", b"X-Binary-Size-Fastest-Dimension: 999999999", "cannot hold"),
        (rb"X-Binary-Number-of-Elements: \d+", b"X-Binary-Number-of-Elements: 12", "12 elements"),
    ],
)
def test_a_cbf_that_lies_about_its_size_is_refused(old: bytes, new: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        read_frame_file("a_1.cbf", re.sub(old, new, cbf_bytes(small_image())))


def test_damage_to_a_header_never_raises_anything_else() -> None:
    whole = cbf_bytes(small_image(shape=(20, 30)))
    end = whole.index(b"\x0c\x1a\x04\xd5") + 10
    draw = random.Random(3)
    read = 0
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(draw.randrange(1, 4)):
            content[draw.randrange(end)] = draw.randrange(256)
        with suppress(FrameError):
            read += read_frame_file("a_1.cbf", bytes(content)).image.size > 0
    assert 0 < read < 300


def test_an_edf_is_read_and_a_short_one_is_not_filled_with_zeros() -> None:
    image = small_image()
    whole = edf_bytes(image)
    np.testing.assert_array_equal(read_frame_file("a.edf", whole).image, image)
    for cut in (0, 10, 300, 600, len(whole) // 2, len(whole) - 1):
        with pytest.raises(IncompleteFileError):
            read_frame_file("a.edf", whole[:cut])


def test_bare_pixels_need_a_shape_and_the_exact_size() -> None:
    image = small_image()
    whole = image.astype("<i4").tobytes()
    np.testing.assert_array_equal(read_frame_file("a.raw", whole, raw_shape=(195, 487)).image, image)
    with pytest.raises(FrameError, match="needs the detector's shape"):
        read_frame_file("a.raw", whole)
    with pytest.raises(IncompleteFileError):
        read_frame_file("a.raw", whole[:-4], raw_shape=(195, 487))
    with pytest.raises(FrameError):
        read_frame_file("a.raw", whole + b"\x00" * 4, raw_shape=(195, 487))


def test_measured_tiffs_are_read_as_fabio_reads_them_and_cut_ones_are_not(measured_data: Path) -> None:
    for path in sorted((measured_data / "pilatus100k_scan_tiff").glob("*.tif.gz")):
        packed = path.read_bytes()
        content = read_frame_file(path.name, packed)
        assert content.image.shape == (195, 487)
        np.testing.assert_array_equal(content.image, fabio.open(str(path)).data)
        assert parse_header(content.header, {}).exposure_s == 1.0
        with pytest.raises(IncompleteFileError):
            require_complete(path.name, packed[:-20])
        whole = gzip.decompress(packed)
        for cut in (3, 100, 4000, 100_000, 4096 + 379_860 - 1):
            with pytest.raises(IncompleteFileError):
                require_complete(path.name.removesuffix(".gz"), whole[:cut])


def test_measured_cbfs_are_read_as_fabio_reads_them(measured_data: Path) -> None:
    paths = sorted(measured_data.glob("pilatus100k_*/*.cbf"))
    assert len(paths) >= 10
    for path in paths:
        np.testing.assert_array_equal(read_frame_file(path.name, path.read_bytes()).image, fabio.open(str(path)).data)


def test_a_full_beamline_header_is_understood(measured_data: Path) -> None:
    path = measured_data / "cbf" / "DLS_I03_smargon_0001.cbf.gz"
    content = read_frame_file(path.name, path.read_bytes())
    header = parse_header(content.header, {})
    assert content.image.shape == (2527, 2463)
    assert header.exposure_s == 0.009
    assert header.hardware_s is not None
    assert header.hardware_s % 60 == pytest.approx(41.880, abs=1e-3)


def test_a_gzip_that_unpacks_without_end_is_refused() -> None:
    bomb = gzip.compress(b"\x00" * 50_000_000)
    assert len(bomb) < 60_000
    with pytest.raises(FrameError, match="larger than"):
        read_frame_file("a.cbf.gz", bomb, max_bytes=1_000_000)


def test_pixels_that_are_no_counts_are_refused() -> None:
    with pytest.raises(FrameError, match="float32, not integer counts"):
        read_frame_file("flat.edf", edf_bytes(np.ones((4, 5), np.float32)))


@pytest.mark.parametrize(
    ("name", "number", "series"),
    [
        ("scan_00017.cbf", 17, "scan"),
        ("Fe3O4map_01_module_r2c1.cbf", 1, "Fe3O4map"),
        ("p100kImage_380408_5886011.tif.gz", 5886011, "p100kImage_380408"),
        ("test6.tif", 6, "test"),
        ("run-2-0005.EDF", 5, "run-2"),
        ("0003.cbf", 3, ""),
        ("dark.cbf", None, None),
    ],
)
def test_number_and_series_come_from_the_name(name: str, number: int | None, series: str | None) -> None:
    parsed = parse_frame_name(name)
    assert (parsed and parsed.number, parsed and parsed.series) == (number, series)


def test_a_pattern_of_its_own_finds_the_number() -> None:
    parsed = parse_frame_name("a_7_of_9.cbf", re.compile(r"_(\d+)_of"))
    assert parsed is not None
    assert (parsed.number, parsed.numbered(12)) == (7, "a_12_of_9.cbf")


def test_the_next_name_keeps_the_width() -> None:
    parsed = parse_frame_name("scan_00099.cbf")
    assert parsed is not None
    assert parsed.numbered(100) == "scan_00100.cbf"


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("a_1.cbf", True),
        ("a_1.CBF.GZ", True),
        ("alignment.tif", False),
        (".a_1.cbf", False),
        ("a_1.cbf.tmp", False),
        ("a_1.txt", False),
    ],
)
def test_only_finished_frames_count(name: str, counts: bool) -> None:
    assert is_frame_name(name) is counts


@pytest.mark.parametrize(
    ("line", "um"),
    [
        ("# Map_x -0.3280 mm", -328.0),
        ("# Map_x = 12.5 um", 12.5),
        ("# Map_x: 1e-3 m", 1000.0),
        ("# Map_x 500 nm", 0.5),
        ("# Map_x 3 furlong", None),
        ("# Map_x", None),
    ],
)
def test_a_position_is_read_with_its_unit(line: str, um: float | None) -> None:
    header = parse_header(f"# Something 1 s\r\n{line}\r\n", compile_position_fields({"x": "Map_x"}))
    assert header.position_um == ({} if um is None else {"x": pytest.approx(um)})


def test_a_position_expression_without_its_groups_is_refused() -> None:
    with pytest.raises(SourceError, match="lacks the groups value and unit"):
        compile_position_fields({"x": r"Map_x (\d+)"})
    with pytest.raises(SourceError, match="no regular expression"):
        compile_position_fields({"x": "("})


def test_pixels_that_end_early_are_refused_although_size_and_checksum_agree() -> None:
    """A stream that ends in the middle of a long step makes fabio's decoder read beyond its end."""
    whole = cbf_bytes(small_image(0, (20, 30)), "Exposure_time 0.1 s")
    size = int(whole.split(b"X-Binary-Size: ")[1].split()[0])
    for ending in (b"\x80", b"\x80\x00", b"\x80\x00\x80", b"\x80\x00\x80\x01", b"\x01"):
        short = b"\x80\x01\x00" * 250 + b"\x00" * 340 + ending
        lying = whole.replace(b"X-Binary-Size: %d" % size, b"X-Binary-Size: %d" % len(short), 1)
        stated = lying.split(b"Content-MD5: ")[1].split()[0]
        digest = base64.b64encode(hashlib.md5(short, usedforsecurity=False).digest())
        lying = lying.replace(stated, digest, 1)
        place = lying.index(b"\x0c\x1a\x04\xd5") + 4
        with pytest.raises(FrameError, match="pixels end before"):
            read_frame_file("a.cbf", lying[:place] + short)


def test_forms_of_cbf_that_camserver_does_not_write_are_read_as_fabio_reads_them() -> None:
    whole = cbf_bytes(small_image(0, (20, 30))).replace(b"_array_data.header_contents", b"_array_data.other_contents_")
    read = read_frame_file("a.cbf", whole)
    np.testing.assert_array_equal(read.image, small_image(0, (20, 30)))
