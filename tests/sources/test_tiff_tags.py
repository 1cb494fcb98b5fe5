"""Positions and monitors that areaDetector writes into TIFF tags, and those of a text file beside the frame."""

import gzip
import hashlib
import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from phasecast.core.frame import Frame
from phasecast.sources.file_decoder import FileDecoder
from phasecast.sources.file_record import FoundFile, encode_file
from phasecast.sources.tiff_tags import attribute_lines
from support.frame_files import small_image
from support.simplon_wire import record


def area_detector_tiff(*attributes: str) -> bytes:
    """A TIFF with the tags that NDFileTIFF writes, by an independent writer."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, kind, value in ((65000, 12, 1164165341.25), (65001, 4, 17), (65002, 4, 1164165341), (65003, 4, 250000000)):
        tags.tagtype[tag], tags[tag] = kind, value
    for number, attribute in enumerate(attributes):
        tags.tagtype[65010 + number], tags[65010 + number] = 2, attribute
    buffer = io.BytesIO()
    Image.fromarray(small_image(0, (20, 30))).save(buffer, format="TIFF", tiffinfo=tags)
    return buffer.getvalue()


def decoded(name: str, content: bytes, decoder: FileDecoder, sidecar: bytes = b"") -> Frame:
    found = FoundFile(
        path=f"/{name}",
        name=name,
        size=len(content),
        mtime_s=0.0,
        sha256=hashlib.sha256(content).hexdigest(),
        sidecar=sidecar,
        content=content,
    )
    (frame,) = decoder.decode(record(encode_file(found), channel="files"))
    assert isinstance(frame, Frame), frame
    return frame


def test_attributes_of_area_detector_become_position_and_monitors() -> None:
    content = area_detector_tiff("SampleX:1.25", "SampleY:-3.5e-1", "IonChamber0:81234", "ColorMode:Mono", "x:")
    decoder = FileDecoder(
        position_fields={"x": "SampleX", "y": "SampleY"},
        um_per_number={"x": 1000.0, "y": 1000.0},
        number_fields=("IonChamber0", "NDUniqueId"),
    )
    frame = decoded("a_00003.tif", content, decoder)
    assert frame.position_um == {"x": 1250.0, "y": -350.0}
    assert frame.scalars == {"IonChamber0": 81234.0, "NDUniqueId": 17.0}
    assert frame.number == 3
    assert frame.hardware_s is None, "old releases give every frame of a series one time"
    np.testing.assert_array_equal(frame.image, small_image(0, (20, 30)))


def test_count_and_times_of_the_array_are_read_too() -> None:
    assert attribute_lines(area_detector_tiff("SampleX:1.25")).splitlines() == [
        "# NDTimeStamp: 1164165341.25",
        "# NDUniqueId: 17",
        "# EPICSTSSec: 1164165341",
        "# EPICSTSNsec: 250000000",
        "# SampleX: 1.25",
    ]


def test_an_attribute_cannot_pass_for_another_by_a_line_break() -> None:
    content = area_detector_tiff("Comment:x\n# SampleX: 5", "SampleX:1")
    decoder = FileDecoder(position_fields={"x": "SampleX"}, um_per_number={"x": 1.0})
    assert decoded("a_1.tif", content, decoder).position_um == {"x": 1.0}


def test_a_position_without_its_unit_is_none_unless_the_profile_says_one() -> None:
    content = area_detector_tiff("SampleX:1.25")
    assert decoded("a_1.tif", content, FileDecoder(position_fields={"x": "SampleX"})).position_um == {}


def test_damage_to_tags_never_raises() -> None:
    content = area_detector_tiff("SampleX:1.25", "SampleY:2")
    chance = random.Random(0)
    for _ in range(2000):
        damaged = bytearray(content)
        for _ in range(4):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        attribute_lines(bytes(damaged[: chance.randrange(len(damaged))]))
        attribute_lines(bytes(damaged))


def test_tags_of_camserver_itself_are_no_attributes(measured_data: Path) -> None:
    for path in (measured_data / "pilatus100k_scan_tiff").glob("*.tif.gz"):
        assert attribute_lines(gzip.decompress(path.read_bytes())) == ""


@pytest.mark.parametrize("number", range(5886011, 5886019))
def test_positions_of_a_measured_sidecar(measured_data: Path, number: int) -> None:
    base = measured_data / "pilatus100k_scan_tiff" / f"p100kImage_380408_{number}"
    decoder = FileDecoder(
        position_fields={"x": "hex2x", "y": "hex2y"},
        um_per_number={"x": 1000.0, "y": 1000.0},
        position_in_sidecar=True,
    )
    content, sidecar = base.with_suffix(".tif.gz").read_bytes(), base.with_suffix(".txt").read_bytes()
    frame = decoded(f"{base.name}.tif.gz", content, decoder, sidecar)
    assert frame.position_um == {"x": pytest.approx(925.0, abs=1.0), "y": pytest.approx(400.0, abs=1.0)}
