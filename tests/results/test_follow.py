"""A follower reads what changed and nothing else, and agrees with a reader that reads everything."""

from pathlib import Path

import numpy as np
import pytest

from phasecast.core.errors import ResultFileError
from phasecast.results import open_result, repair
from phasecast.results.follow import ResultFollower, spans_of
from phasecast.sinks.nexus import NexusSink
from support.documents import raster_scan
from support.result_writer import PAGE, WriterProcess
from support.result_writer import scan as written_scan


def assert_agrees(follower: ResultFollower) -> None:
    """Everything a follower holds is what a fresh reader finds."""
    with open_result(follower.path) as fresh:
        ledger = fresh.ledger
        np.testing.assert_array_equal(follower.state, ledger["state"])
        for name in ("flags", "x_um", "y_um", "time_s"):
            np.testing.assert_array_equal(getattr(follower, name), ledger[name], err_msg=name)
        np.testing.assert_array_equal(follower.scalars["i0"], ledger["i0"])
        np.testing.assert_array_equal(follower.confidence, fresh.confidences)
        np.testing.assert_array_equal(follower.total, fresh.column("total_counts"))
        assert follower.ledger_sums == fresh.ledger_sums
        assert sum(follower.ledger_sums.values()) == follower.points


def test_rows_come_page_by_page_from_another_process(tmp_path: Path) -> None:
    path = tmp_path / "scan.nxs"
    with WriterProcess(path) as writer:
        follower = ResultFollower(path)
        assert follower.points == len(written_scan().x_um)
        assert follower.is_growing
        seen: list[int] = []
        for _ in range(5):
            writer.ask("pages 2")
            rows, replaced = follower.advance()
            assert not replaced
            seen += rows.tolist()
            assert_agrees(follower)
        assert seen == list(range(5 * 2 * PAGE))
        assert follower.advance()[0].size == 0


def test_late_rows_rejections_and_revisions_are_named_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "scan.nxs"
    with WriterProcess(path) as writer:
        writer.ask("pages 50")
        follower = ResultFollower(path)
        writer.ask("reject 280")
        writer.ask("revise 3")
        rows, _ = follower.advance()
        assert rows.tolist() == [3, 280]
        assert follower.result.patterns[3, 0].item() == 1003.0
        assert_agrees(follower)
        assert writer.ask("stop") == "stopped"
        rows, replaced = follower.advance()
    assert replaced
    assert rows.size == 300
    assert not follower.is_growing
    assert_agrees(follower)


def test_points_that_nobody_announced_are_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "scan.nxs"
    with WriterProcess(path, scattered=True) as writer:
        follower = ResultFollower(path)
        assert follower.points == 0
        writer.ask("pages 3")
        assert follower.advance()[0].tolist() == list(range(3 * PAGE))
        assert_agrees(follower)


def test_a_killed_writers_file_is_followed_through_its_repair(tmp_path: Path) -> None:
    path = tmp_path / "scan.nxs"
    with WriterProcess(path) as writer:
        writer.ask("pages 3")
        follower = ResultFollower(path)
        writer.ask("torn")
        writer.kill()
    assert follower.advance()[0].size == 0
    repair(path)
    rows, replaced = follower.advance()
    assert replaced
    assert rows.size == follower.points
    assert follower.ledger_sums["done"] == 3 * PAGE
    assert_agrees(follower)


def test_a_file_that_went_away_is_one_clear_line(tmp_path: Path) -> None:
    run = raster_scan()
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in run.documents():
        sink(*document)
    follower = ResultFollower(sink.path)
    sink.path.unlink()
    with pytest.raises(ResultFileError, match="is gone"):
        follower.advance()
    assert follower.ledger_sums["done"] == 20


def test_long_stretches_between_changed_rows_are_not_read() -> None:
    assert spans_of(np.array([], dtype=np.int64)) == []
    assert spans_of(np.array([5, 6, 90, 100_000])) == [(5, 91), (100_000, 100_001)]
