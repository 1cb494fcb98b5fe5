"""Rows of the list of scans: what is said of each, and that no name of a file is more than text."""

import json
import os
from pathlib import Path

import h5py
import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.words import words
from phasecast.records.results_list import ResultsList
from phasecast.web.jobs import Job, Jobs
from phasecast.web.scans_tab import row_of
from phasecast.web.scans_table import file_link, printable
from support.results import write_result

HOSTILE = "<img src=x onerror=alert(1)> 太字 & 'q' \"#?%2e.nxs"


def texts(row):
    return [part.get("text", "") for cell in row["cells"] for part in cell]


def hooks(row):
    return {part["hook"]: part for cell in row["cells"] for part in cell if "hook" in part}


@pytest.fixture
def directory(tmp_path):
    return DataDirectory(tmp_path).create()


def rows(directory, language="en", job=None):
    return {
        entry.path.name: row_of(entry, words(language), job=job, chosen=False, address="?scan=x")
        for entry in ResultsList(directory).read()
    }


def test_every_file_has_a_row_and_those_that_cannot_be_opened_a_reason(directory):
    write_result(directory, "sound.nxs", missing=(3,))
    sound = (directory.results / "sound.nxs").read_bytes()
    (directory.results / "text.nxs").write_text("a shopping list")
    (directory.results / "empty.nxs").touch()
    (directory.results / "half.nxs").write_bytes(sound[: len(sound) // 2])
    with h5py.File(directory.results / "foreign.nxs", "w") as file:
        file["theirs"] = [1]
    os.symlink(directory.results / "nowhere", directory.results / "link.nxs")
    (directory.results / "folder.nxs").mkdir()
    os.mkfifo(directory.results / "pipe.nxs")
    Path(os.fsdecode(os.fsencode(directory.results) + b"/\xff.nxs")).write_bytes(sound)
    found = rows(directory)
    assert len(found) == 9
    assert "19 / 20" in texts(found["sound.nxs"])
    assert "pc-open" in hooks(found["sound.nxs"])
    for name in found.keys() - {"sound.nxs"}:
        shown = hooks(found[name])
        assert len(shown["pc-why"]["text"]) > 10
        assert not {"pc-open", "pc-make-report-en"} & shown.keys()
        # all of it can be sent to a browser
        json.dumps(found[name]).encode("ascii")
        "".join(texts(found[name])).encode("utf-8")


def test_names_of_files_are_text_and_their_links_lead_to_them(directory):
    write_result(directory, HOSTILE)
    (directory.reports / f"{HOSTILE.removesuffix('.nxs')}.html").write_text("report")
    (row,) = rows(directory).values()
    assert hooks(row)["pc-open"]["text"] == HOSTILE
    link = hooks(row)["pc-report"]["href"]
    assert not set("<>\"'#? ") & set(link)
    assert link.count("/") == 1
    assert file_link("results", "a/../b.nxs") == "results/a%2F..%2Fb.nxs"
    assert printable("a\udcffb") == "a?b"


@pytest.mark.parametrize(("language", "word"), [("en", "The report failed"), ("ja", "報告書を作成できませんでした")])
def test_failed_report_says_why(directory, language, word):
    write_result(directory, "a.nxs")
    (directory.reports / "a.failed.json").write_text(json.dumps({"what": "no room <b>"}))
    (row,) = rows(directory, language).values()
    said = hooks(row)["pc-report-failed"]["text"]
    assert word in said
    assert "no room <b>" in said
    (row,) = rows(directory, language, job=Job(number=1)).values()
    assert hooks(row)["pc-make-report-en"]["off"]


def test_job_is_done_once_at_a_time_and_a_failure_is_one_line():
    import threading

    jobs, go, calls = Jobs(), threading.Event(), []

    def work():
        calls.append(1)
        go.wait()
        raise ValueError("broken")

    first = jobs.start(("report", "a"), work)
    assert jobs.start(("report", "a"), work).number == first.number
    go.set()
    for thread in threading.enumerate():
        if thread.name == "job-report":
            thread.join()
    state = jobs.state(("report", "a"))
    assert state is not None
    assert not state.running
    assert state.failure == "ValueError: broken"
    assert len(calls) == 1
