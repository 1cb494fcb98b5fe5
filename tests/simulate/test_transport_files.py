"""Files as camserver writes them."""

import base64
import hashlib
import re
import threading

import fabio
import numpy as np
import pytest

from phasecast.simulate.errors import SimulationError
from phasecast.simulate.transport import Exposure
from phasecast.simulate.transport_files import FileTransport

STARTER = b"\x0c\x1a\x04\xd5"


def _exposure(counts, *, number=0, defect=""):
    return Exposure(counts=counts, series=1, number=number, start_ns=0, stop_ns=5, start_time=1.8e9, defect=defect)


@pytest.fixture
def counts():
    counts = np.random.default_rng(1).poisson(3.0, (195, 487)).astype(np.int32)
    counts[3, 4] = 2**20 - 1
    return counts


@pytest.fixture
def transport(tmp_path):
    transport = FileTransport(tmp_path / "ramdisk")
    transport.arm(1, frames=3, exposure_s=0.097)
    yield transport
    transport.close()


def _complete(blob):
    """The completeness check of a careful reader: size and MD5 of the binary section."""
    start = blob.find(STARTER)
    size = re.search(rb"X-Binary-Size:\s*(\d+)", blob[: max(start, 0)])
    if start < 0 or size is None or len(blob) < start + 4 + int(size[1]):
        return False
    stated = re.search(rb"Content-MD5:\s*(\S+)", blob[:start])
    digest = hashlib.md5(blob[start + 4 : start + 4 + int(size[1])]).digest()
    return base64.b64encode(digest) == stated[1]


def test_cbf_holds_the_frame_and_the_header(transport, tmp_path, counts):
    transport.send(_exposure(counts, number=12))
    (path,) = (tmp_path / "ramdisk").iterdir()
    assert path.name == "rust001_00012.cbf"
    assert _complete(path.read_bytes())
    image = fabio.open(path)
    np.testing.assert_array_equal(image.data, counts)
    assert image.pilatus_headers["Exposure_time"] == pytest.approx(0.097)
    assert image.pilatus_headers["Beam_xy"] == (243.5, 97.5)
    assert image.pilatus_headers["Threshold_setting"] == 5000
    assert image.pilatus_headers["Wavelength"] == pytest.approx(1.23984)


def test_tiff_holds_the_frame(tmp_path, counts):
    transport = FileTransport(tmp_path, file_format="tif")
    transport.send(_exposure(counts))
    transport.close()
    np.testing.assert_array_equal(fabio.open(tmp_path / "rust001_00000.tif").data, counts)


def test_files_are_visible_before_they_are_complete(tmp_path, counts):
    transport = FileTransport(tmp_path, pause_s=0.2)
    writer = threading.Thread(target=transport.send, args=(_exposure(counts),))
    writer.start()
    path = tmp_path / "rust001_00000.cbf"
    seen = set()
    while writer.is_alive():
        if path.exists():
            seen.add(_complete(path.read_bytes()))
    writer.join()
    transport.close()
    assert False in seen
    assert _complete(path.read_bytes())


@pytest.mark.parametrize("defect", ["truncated", "flipped"])
def test_defective_files_fail_the_completeness_check(transport, tmp_path, counts, defect):
    transport.send(_exposure(counts, defect=defect))
    assert not _complete((tmp_path / "ramdisk" / "rust001_00000.cbf").read_bytes())


def test_wrong_shape_is_a_whole_file_of_another_shape(transport, tmp_path, counts):
    transport.send(_exposure(counts, defect="wrong_shape"))
    path = tmp_path / "ramdisk" / "rust001_00000.cbf"
    assert _complete(path.read_bytes())
    assert fabio.open(path).data.shape == (195, 486)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SimulationError, match="cannot make the folder"):
        FileTransport(tmp_path / "file" / "ramdisk")
