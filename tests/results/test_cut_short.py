"""Files that were cut off within their committed rows are refused, never padded with zeros in silence."""

import shutil

import pytest

from phasecast.core.errors import ResultFileError
from phasecast.results import repair
from phasecast.results.access import missing_bytes
from support.result_writer import WriterProcess


def test_a_copy_that_lacks_committed_rows_is_refused_and_left_as_it_is(tmp_path):
    path, cut = tmp_path / "scan.nxs", tmp_path / "cut.nxs"
    with WriterProcess(path) as writer:
        writer.ask("pages 10")
        writer.kill()
    shutil.copyfile(path, cut)
    with cut.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    before = cut.read_bytes()
    assert missing_bytes(cut) > 0
    with pytest.raises(ResultFileError):
        repair(cut)
    assert cut.read_bytes() == before
    assert not (tmp_path / ".cut.nxs.padded").exists()
