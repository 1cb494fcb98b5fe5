"""No file and no record of a file ends the process, hangs it, or makes it allocate what the file claims."""

import os
import resource
from pathlib import Path

import pytest

from phasecast.core.frame import Frame
from phasecast.core.scan import Defect
from phasecast.sources.file_decoder import FileDecoder
from phasecast.sources.file_record import encode_file
from phasecast.sources.folder_watch import FolderWatch
from support import hostile_files
from support.frame_files import cbf_bytes, small_image
from support.simplon_wire import record

RECORDS = hostile_files.frame_records()


def test_hostile_files_are_one_defect_each_and_good_ones_beside_them_are_read(tmp_path: Path) -> None:
    contents = hostile_files.hostile_files()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (1e9, 1e9))
    (tmp_path / "zz_00001.cbf").write_bytes(cbf_bytes(small_image(0, (20, 30)), "Exposure_time 0.1 s"))
    watch, decoder = FolderWatch(tmp_path, timeout_s=5.0, max_bytes=64 << 20), FileDecoder()
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = [one for now_s in (0.0, 3.0, 6.0, 9.0, 20.0) for one in watch.look(now_s)]
    messages = [message for one in found for message in decoder.decode(record(encode_file(one), channel="files"))]
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    defects = [message for message in messages if isinstance(message, Defect)]
    assert sorted(Path(one.name).name for one in found) == sorted([*contents, "zz_00001.cbf"])
    assert len(defects) == len(contents)
    assert [message.number for message in messages if isinstance(message, Frame)] == [1]
    assert grown_kb < 4 * (64 << 10)


@pytest.mark.parametrize("name", RECORDS)
def test_hostile_records_of_frames_in_files_become_defects(name: str) -> None:
    (defect,) = FileDecoder().decode(record(RECORDS[name], channel="files"))
    assert isinstance(defect, Defect)
