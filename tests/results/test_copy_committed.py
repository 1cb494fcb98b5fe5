"""A copy of a result that is being written holds what was committed, and nothing half written."""

import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from phasecast.core.errors import ResultFileError
from phasecast.core.ledger import PointState
from phasecast.results import open_result
from phasecast.results.repair import copy_committed
from support.result_writer import WriterProcess, scan


def done_in(path: Path) -> int:
    """Points of a copy that are done; every one of them must be whole."""
    run = scan()
    with h5py.File(path, "r") as file:
        state = file["entry/ledger/state"][...]
        patterns = file["entry/data/I"][...]
    done = np.flatnonzero(state == PointState.DONE)
    np.testing.assert_array_equal(done, np.arange(done.size))
    np.testing.assert_array_equal(patterns[done], run.intensity(done))
    assert np.isnan(patterns[done.size :]).all()
    return int(done.size)


def test_copies_taken_while_it_grows_are_whole(tmp_path: Path) -> None:
    path, copy = tmp_path / "scan.nxs", tmp_path / "copy.nxs"
    counts = []
    with WriterProcess(path) as writer:
        reported = int(writer.ask("pages 2"))
        writer.tell("run")
        reader = threading.Thread(target=lambda: [writer.answer() for _ in range(99)])
        reader.start()
        while not counts or counts[-1] < len(scan().x_um):
            copy_committed(path, copy)
            counts.append(done_in(copy))
        reader.join()
        assert writer.ask("stop") == "stopped"
    assert counts[0] >= reported
    assert counts == sorted(counts)
    with open_result(copy) as result:
        assert result.is_closed
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["copy.nxs", "scan.nxs"]


def test_copy_of_what_a_killed_writer_left_leaves_out_the_torn_page(tmp_path: Path) -> None:
    path = tmp_path / "scan.nxs"
    with WriterProcess(path) as writer:
        done = int(writer.ask("pages 5"))
        writer.ask("torn")
        writer.kill()
    before = path.read_bytes()
    copy_committed(path, tmp_path / "copy.nxs")
    assert done_in(tmp_path / "copy.nxs") == done
    assert path.read_bytes() == before


def test_copy_of_no_result_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.nxs").write_text("a shopping list")
    with pytest.raises(ResultFileError):
        copy_committed(tmp_path / "a.nxs", tmp_path / "b.nxs")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.nxs"]
