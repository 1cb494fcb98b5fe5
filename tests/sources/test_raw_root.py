"""Raw frames are found where their tree lies now, by as much of their old path as is there."""

import hashlib
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from phasecast.core.errors import FrameError
from phasecast.core.frame import FrameReference
from phasecast.sources.frame_store import CaptureFrameStore
from phasecast.sources.raw_root import places_below
from support.frame_files import cbf_bytes, small_image


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def reference(path: str, content: bytes) -> FrameReference:
    return FrameReference(store="file", path=path, offset=0, number=1, sha256=hashlib.sha256(content).hexdigest())


def test_the_longest_tail_wins_over_another_file_of_the_same_name(tmp_path: Path) -> None:
    """Every run of a detector holds a 00001.cbf: the folder above it tells them apart."""
    first, second = (cbf_bytes(small_image(seed)) for seed in (1, 2))
    written(tmp_path / "home" / "run1" / "p_00001.cbf", first)
    written(tmp_path / "home" / "run2" / "p_00001.cbf", second)
    written(tmp_path / "home" / "p_00001.cbf", second)
    store = CaptureFrameStore(tmp_path, [tmp_path / "home"])
    for run, seed, content in (("run1", 1, first), ("run2", 2, second)):
        image = store.read(reference(f"/ramdisk/2026A1234/{run}/p_00001.cbf", content))
        np.testing.assert_array_equal(image, small_image(seed))


def test_places_come_from_the_longest_tail_to_the_bare_name() -> None:
    found = list(places_below("/ramdisk/a/b.cbf", [Path("/home")]))
    assert found == [Path("/home/ramdisk/a/b.cbf"), Path("/home/a/b.cbf"), Path("/home/b.cbf")]
    windows = list(places_below("D:\\data\\b.cbf", [Path("/home")]))
    assert windows == [Path("/home/data/b.cbf"), Path("/home/b.cbf")]
    assert list(places_below("/a/../etc/passwd", [Path("/home")])) == [Path("/home/passwd")]
    assert list(places_below("/a/..", [Path("/home")])) == []


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_that_another_system_wrote_in_another_unicode_form_is_found(tmp_path: Path, form: str) -> None:
    content = cbf_bytes(small_image(3))
    name = unicodedata.normalize(form, "がさび・Ａ１_00001.cbf")
    written(tmp_path / "home" / name, content)
    other = unicodedata.normalize("NFD" if form == "NFC" else "NFC", f"/frames/{name}")
    image = CaptureFrameStore(tmp_path, [tmp_path / "home"]).read(reference(other, content))
    np.testing.assert_array_equal(image, small_image(3))


def test_other_bytes_are_never_taken_for_the_frame(tmp_path: Path) -> None:
    content = cbf_bytes(small_image(4))
    written(tmp_path / "home" / "p_00001.cbf", cbf_bytes(small_image(5)))
    store = CaptureFrameStore(tmp_path, [tmp_path / "home"])
    with pytest.raises(FrameError, match="has changed"):
        store.read(reference("/ramdisk/p_00001.cbf", content))
    with pytest.raises(FrameError, match=r"is gone.*--raw-root"):
        store.read(reference("/ramdisk/q_00001.cbf", content))
