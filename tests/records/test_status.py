"""The status file never ends the service that writes it, nor the page that reads it."""

import pytest

from phasecast.records.status import StatusFile, read_status


def test_what_was_written_is_read_with_time_and_process(tmp_path):
    path = tmp_path / "live.json"
    StatusFile(path).write(lambda: {"state": "running"})
    status = read_status(path)
    assert status is not None
    assert status["state"] == "running"
    assert status["pid"] > 0
    assert status["time_s"] > 1.7e9


def test_it_is_written_when_due_and_not_more_often(tmp_path):
    now_s, path = [0.0], tmp_path / "live.json"
    status = StatusFile(path, clock=lambda: now_s[0], interval_s=1.0)
    for number, second in enumerate((0.0, 0.5, 1.1, 1.2)):
        now_s[0] = second
        status.write(lambda number=number: {"number": number})
        assert read_status(path)["number"] == (0 if second < 1 else 2)
    status.write(lambda: {"number": 9}, now=True)
    assert read_status(path)["number"] == 9


def test_a_disk_without_room_is_counted_and_ends_nothing(tmp_path):
    folder = tmp_path / "status"
    folder.write_text("in the way")
    status = StatusFile(folder / "live.json", interval_s=0.0)
    status.write(lambda: {"state": "running"})
    assert status.failures == 1
    folder.unlink()
    folder.mkdir()
    status.write(lambda: {"state": "running"})
    read = read_status(folder / "live.json")
    assert read is not None
    assert read["status_failures"] == 1


@pytest.mark.parametrize("content", [b"", b'{"state": "run', b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_no_status_is_none(tmp_path, content):
    path = tmp_path / "live.json"
    path.write_bytes(content)
    assert read_status(path) is None
    assert read_status(tmp_path / "missing.json") is None
    assert read_status(tmp_path) is None
