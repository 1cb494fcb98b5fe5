"""Every file is listed, the growing one first, and what cannot be read says why."""

import os
import shutil
import subprocess
import sys
import time

import h5py
import numpy as np

from phasecast.core.requests import DescribeSample
from phasecast.records.clerk import Clerk
from phasecast.records.journal import append
from phasecast.records.mailbox import Mailbox
from phasecast.records.results_list import ResultsList, list_results
from phasecast.records.samples import form_entry, samples_path
from phasecast.results import open_result
from phasecast.results.lock import WriterLock
from phasecast.services.report_place import note_failure, report_path
from support.result_writer import PAGE, WriterProcess
from support.results import write_result

_PROBE = """
import sys
from pathlib import Path
from phasecast.results import is_being_written
print("ready", flush=True)
while True:
    is_being_written(Path(sys.argv[1]))
"""


def by_name(directory):
    return {entry.path.name: entry for entry in list_results(directory)}


def test_a_result_says_what_it_is(scanned):
    (entry,) = list_results(scanned)
    assert (entry.state, entry.reason) == ("closed", "")
    assert (entry.raw_uid, entry.result_uid, entry.scan_id, entry.plan) == ("raw-1", "result-1", 7, "grid_scan")
    assert (entry.points, entry.done, entry.shape) == (20, 18, (4, 5))
    assert (entry.sample, entry.model, entry.exit_status) == ("錆 A-3", "bl16xu-rust 1", "success")
    assert entry.started_s == 1.7e9
    assert entry.ended
    assert entry.size_bytes == entry.path.stat().st_size
    assert entry.report is None


def test_the_growing_one_comes_first_then_the_newest(directory):
    for day in (1, 3, 2):
        write_result(directory, f"day{day}.nxs", raw_uid=f"raw-{day}", started_s=1.7e9 + 86400 * day)
    with WriterProcess(directory.results / "old.nxs") as writer:
        writer.ask("pages 2")
        results = ResultsList(directory)
        entries = results.read()
        assert [entry.path.name for entry in entries] == ["old.nxs", "day3.nxs", "day2.nxs", "day1.nxs"]
        assert (entries[0].state, entries[0].done) == ("live", 2 * PAGE)
        writer.ask("pages 1")
        assert results.read()[0].done == 3 * PAGE
        writer.kill()
        killed = next(entry for entry in results.read() if entry.path.name == "old.nxs")
    assert killed.state == "unfinished"
    assert killed.done == 3 * PAGE
    assert "before the scan did" in killed.reason


def test_a_file_that_is_still_held_as_it_grew_is_listed_as_it_ended(directory):
    path = directory.results / "a.nxs"
    with WriterProcess(path) as writer:
        writer.ask("pages 2")
        with open_result(path) as held:
            writer.ask("pages 100")
            assert writer.ask("stop") == "stopped"
            (entry,) = list_results(directory)
            assert (entry.state, entry.reason, entry.done) == ("closed", "", held.points)
            with open_result(path) as again:
                assert again.is_closed
                assert again.points_done == again.points
                assert np.isfinite(again.patterns[-1].values).all()


def test_what_cannot_be_read_is_listed_with_its_reason(scanned):
    folder = scanned.results
    whole = (folder / "a.nxs").read_bytes()
    (folder / "cut.nxs").write_bytes(whole[: len(whole) // 2])
    with WriterProcess(folder / "growing.nxs") as writer:
        writer.ask("pages 5")
        writer.kill()
    growing = (folder / "growing.nxs").read_bytes()
    (folder / "growing_cut.nxs").write_bytes(growing[: len(growing) // 2])
    (folder / "empty.nxs").write_bytes(b"")
    (folder / "text.nxs").write_text("hello\nworld\n" * 100)
    (folder / "folder.nxs").mkdir()
    (folder / "nowhere.nxs").symlink_to(folder / "gone.nxs")
    os.mkfifo(folder / "pipe.nxs")
    with h5py.File(folder / "foreign.nxs", "w") as file:
        file["/entry/data"] = [1, 2, 3]
    shutil.copy(folder / "a.nxs", folder / "header.nxs")
    with h5py.File(folder / "header.nxs", "r+") as file:
        del file["/entry/ledger/state"]
    (folder / "notes.txt").write_text("not a result")
    (folder / ".hidden.nxs").write_text("")
    entries = by_name(scanned)
    assert set(entries) == {path.name for path in folder.glob("[!.]*.nxs")}
    assert entries["a.nxs"].is_readable
    assert entries["growing.nxs"].state == "unfinished"
    said = {
        "cut.nxs": "cut short",
        "growing_cut.nxs": "cut short",
        "empty.nxs": "empty",
        "text.nxs": "not readable as HDF5",
        "folder.nxs": "not a plain file",
        "pipe.nxs": "not a plain file",
        "nowhere.nxs": "No such file",
        "foreign.nxs": "no phasecast result",
        "header.nxs": "damaged",
    }
    for name, words in said.items():
        assert entries[name].state == "unreadable", name
        assert words in entries[name].reason, entries[name].reason
        assert "\n" not in entries[name].reason


def test_a_file_that_has_not_changed_is_not_opened_again(scanned):
    write_result(scanned, "b.nxs", raw_uid="raw-2")
    results = ResultsList(scanned)
    first = results.read()
    assert results.opened == 2
    for _ in range(10):
        assert results.read() == first
    assert results.opened == 2
    (scanned.results / "a.nxs").unlink()
    write_result(scanned, "a.nxs", raw_uid="raw-3")
    assert {entry.raw_uid for entry in results.read()} == {"raw-2", "raw-3"}
    assert results.opened == 3
    (scanned.results / "b.nxs").unlink()
    assert [entry.raw_uid for entry in results.read()] == ["raw-3"]
    assert results.of_scan("raw-3")[0].path.name == "a.nxs"


def test_what_could_not_be_read_is_tried_again_ever_more_rarely(scanned):
    path = scanned.results / "a.nxs"
    whole, times = path.read_bytes(), path.stat()
    away = b"\0" * len(whole)
    path.write_bytes(away)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    results = ResultsList(scanned, retry_s=0.001)
    while results.opened < 5:
        assert not results.read()[0].is_readable
    patient = ResultsList(scanned)
    assert [patient.read()[0].is_readable for _ in range(10)] == [False] * 10
    assert patient.opened == 1
    path.write_bytes(whole)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    while not results.read()[0].is_readable:
        assert results.opened < 12
    opened = results.opened
    assert results.read()[0].state == "closed"
    assert results.opened == opened


def test_a_sample_that_is_named_later_is_named_in_the_list_without_opening_the_file(scanned):
    results = ResultsList(scanned)
    results.read()
    request = DescribeSample(scan_raw_uid="raw-1", fields={"name": "B-7"}, who="m")
    append(samples_path(scanned), [form_entry(request, "1", time_s=1.0)])
    assert [entry.sample for entry in results.read()] == ["B-7"]
    assert results.opened == 1


def test_reports_appear_when_they_are_there_and_failures_say_why(scanned):
    results = ResultsList(scanned)
    results.read()
    note_failure(scanned.results / "a.nxs", RuntimeError("no font"))
    assert results.read()[0].report_failure == "no font"
    report_path(scanned.results / "a.nxs").write_text("<html>")
    (entry,) = results.read()
    assert entry.report == scanned.reports / "a.html"
    assert entry.report_failure == ""
    assert results.opened == 1


def test_what_is_said_of_a_scan_is_noted_beside_every_result_of_it(scanned):
    write_result(scanned, "again.nxs", raw_uid="raw-1", result_uid="result-2")
    write_result(scanned, "other.nxs", raw_uid="raw-2")
    Mailbox(scanned.requests).submit(DescribeSample(scan_raw_uid="raw-1", fields={"name": "B"}, who="m"))
    clerk = Clerk(scanned)
    assert clerk.step() == 1
    clerk.close()
    noted = {path.name for path in scanned.results.glob("*.notes.jsonl")}
    assert noted == {"a.nxs.notes.jsonl", "again.nxs.notes.jsonl"}


def test_no_folder_is_an_empty_list(directory):
    directory.results.rmdir()
    assert list_results(directory) == []


def test_who_looks_whether_a_file_is_written_never_keeps_its_writer_out(tmp_path):
    path = tmp_path / "a.nxs"
    command = [sys.executable, "-c", _PROBE, str(path)]
    probes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for probe in probes:
            assert probe.stdout is not None
            assert probe.stdout.readline() == "ready\n"
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            WriterLock(path).release()
    finally:
        for probe in probes:
            probe.kill()
            probe.communicate()
