"""What a journal has taken stays, whoever is killed while writing."""

import json
import os
import resource
import signal
import subprocess
import sys

import pytest

from phasecast.core.errors import RecordsError
from phasecast.records.journal import JournalReader, append, read_journal

_WRITE_FOREVER = """
import sys
from pathlib import Path
from phasecast.records.journal import append
k = 0
while True:
    append(Path(sys.argv[1]), [{"k": k, "text": "x" * 300}, {"k": k + 1}])
    k += 2
    print(k, flush=True)
"""


_APPEND_MANY = """
import sys
from pathlib import Path
from phasecast.records.journal import append
for k in range(50):
    append(Path(sys.argv[1]), [{"who": int(sys.argv[2]), "k": k}])
"""


def test_entries_come_back_in_order_and_only_once(tmp_path):
    path = tmp_path / "notes" / "a.jsonl"
    reader = JournalReader(path)
    assert reader.read() == []
    append(path, [{"k": 0, "name": "錆"}])
    assert reader.read() == [{"k": 0, "name": "錆"}]
    assert reader.read() == []
    append(path, [{"k": 1}, {"k": 2}])
    assert [entry["k"] for entry in reader.read()] == [1, 2]
    assert [entry["k"] for entry in read_journal(path)] == [0, 1, 2]
    append(path, [])
    assert reader.read() == []


def test_what_a_killed_writer_reported_is_there_and_the_next_goes_on(tmp_path):
    path = tmp_path / "a.jsonl"
    process = subprocess.Popen([sys.executable, "-c", _WRITE_FOREVER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 40:
            break
    process.kill()
    reported = [int(line) for line in process.communicate()[0].splitlines()]
    written = max([40, *reported])
    assert [entry["k"] for entry in read_journal(path)][:written] == list(range(written))
    append(path, [{"k": "next"}])
    assert read_journal(path)[-1] == {"k": "next"}
    json.loads("[" + ",".join(path.read_text().splitlines()) + "]")


@pytest.mark.parametrize("torn", [b'{"k": 1', b'{"k": 1}', b"\x00" * 100, b"x" * 200_000])
def test_a_torn_last_line_was_never_said(tmp_path, torn):
    path = tmp_path / "a.jsonl"
    append(path, [{"k": 0}])
    with path.open("ab") as file:
        file.write(torn)
    reader = JournalReader(path)
    assert reader.read() == [{"k": 0}]
    append(path, [{"k": 2}])
    assert reader.read() == [{"k": 2}]
    assert reader.defects == 0
    assert read_journal(path) == [{"k": 0}, {"k": 2}]


def test_lines_that_are_no_entries_are_counted_and_passed_over(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"k": 0}\nnonsense\n[1]\n\xff\xfe\n\n"text"\n' + b"[" * 50_000 + b'\n{"k": 1}\n')
    reader = JournalReader(path)
    assert reader.read() == [{"k": 0}, {"k": 1}]
    assert reader.defects == 6


def test_several_processes_write_without_tearing_each_other(tmp_path):
    path = tmp_path / "a.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", _APPEND_MANY, str(path), str(who)]) for who in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    entries = read_journal(path)
    for who in range(3):
        assert [entry["k"] for entry in entries if entry["who"] == who] == list(range(50))


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    path = tmp_path / "a.jsonl"
    append(path, [{"k": 0}])
    before = path.read_bytes()
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
        with pytest.raises(RecordsError, match=r"a\.jsonl.*free space"):
            append(path, [{"text": "x" * 1000}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    append(path, [{"k": 1}])
    assert read_journal(path) == [{"k": 0}, {"k": 1}]


def test_a_reader_sees_that_the_file_was_replaced_or_cut(tmp_path):
    path = tmp_path / "a.jsonl"
    append(path, [{"k": 0}, {"k": 1}])
    reader = JournalReader(path)
    reader.read()
    other = tmp_path / "b.jsonl"
    append(other, [{"k": 5}])
    os.replace(other, path)
    assert reader.read() == [{"k": 5}]
    assert reader.restarts == 1
    path.unlink()
    assert reader.read() == []
    append(path, [{"k": 6}])
    assert reader.read() == [{"k": 6}]


def test_what_cannot_be_read_or_written_is_said_in_one_line(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(RecordsError, match=r"a\.jsonl: cannot write"):
        append(tmp_path / "a.jsonl", [{}])
    with pytest.raises(RecordsError, match=r"a\.jsonl: cannot read"):
        read_journal(tmp_path / "a.jsonl")
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordsError):
        append(link, [{}])
    assert not (tmp_path / "elsewhere").exists()
