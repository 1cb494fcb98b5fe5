"""Closed scans are copied whole and proven; what grows is named; nothing of anybody is overwritten."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.records.journal import append
from phasecast.records.labels import label_path
from phasecast.records.notes import notes_path
from phasecast.records.results_list import list_results
from phasecast.results import open_result
from phasecast.services.archive import archive, verify
from phasecast.services.end_of_scan import finish_scan
from support.result_writer import WriterProcess
from support.results import write_result


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A data directory with one finished scan and all that belongs to it."""
    directory = DataDirectory(tmp_path_factory.mktemp("made") / "beamtime").create()
    write_result(directory, "錆_00001.nxs", missing=(3,))
    finish_scan(directory.results / "錆_00001.nxs")
    append(notes_path(directory.results / "錆_00001.nxs"), [{"who": "森", "what": "sample"}])
    append(label_path(directory, "raw-1"), [{"id": "x"}])
    append(directory.notebook / "regions.jsonl", [{"kind": "x"}])
    (directory.captures / "20260101T000000.000000Z-000.cborseq").write_bytes(b"raw")
    return directory


@pytest.fixture
def beamtime(measured, tmp_path):
    shutil.copytree(measured.root, tmp_path / "beamtime")
    return DataDirectory(tmp_path / "beamtime")


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def quiet(line):
    pass


def test_everything_of_a_scan_is_copied_and_sha256sum_agrees(beamtime, tmp_path):
    target = tmp_path / "server" / "2026A1234"
    report = archive(beamtime.root, target, say=quiet)
    assert not report.failed
    assert not report.skipped
    there = names(target)
    assert {
        "results/錆_00001.nxs", "results/錆_00001.png", "results/錆_00001.json", "results/錆_00001.nxs.notes.jsonl",
        "reports/錆_00001.html", "reports/錆_00001.json", "reports/錆_00001/points.csv", "labels/raw-1.jsonl",
        "notebook/regions.jsonl", "checksums.sha256",
    } <= there  # fmt: skip
    assert not any(name.startswith("captures/") for name in there)
    subprocess.run(["sha256sum", "--check", "--quiet", "checksums.sha256"], cwd=target, check=True)
    assert verify(target) == {}
    for name in there - {"checksums.sha256"}:
        assert (target / name).read_bytes() == (beamtime.root / name).read_bytes()
    # it is a data directory again
    (entry,) = list_results(DataDirectory(target))
    assert (entry.state, entry.report is not None) == ("closed", True)


def test_captures_come_along_if_asked(beamtime, tmp_path):
    archive(beamtime.results / "錆_00001.nxs", tmp_path / "a", captures=True, say=quiet)
    assert (tmp_path / "a" / "captures" / "20260101T000000.000000Z-000.cborseq").read_bytes() == b"raw"


def test_a_growing_scan_is_listed_and_alone_refused(beamtime, tmp_path):
    with WriterProcess(beamtime.results / "growing.nxs") as writer:
        writer.ask("pages 1")
        report = archive(beamtime.root, tmp_path / "a", say=quiet)
        assert list(report.skipped) == ["growing.nxs"]
        assert "still being written" in report.skipped["growing.nxs"]
        assert "results/錆_00001.nxs" in report.copied
        with pytest.raises(PhasecastError, match="still being written"):
            archive(beamtime.results / "growing.nxs", tmp_path / "b", say=quiet)
        writer.kill()
    assert not (tmp_path / "b").exists()
    with pytest.raises(PhasecastError, match="has not ended"):
        archive(beamtime.results / "growing.nxs", tmp_path / "b", say=quiet)


def test_again_copies_only_what_is_new_and_a_grown_journal_follows(beamtime, tmp_path):
    target = tmp_path / "a"
    first = archive(beamtime.root, target, say=quiet)
    append(label_path(beamtime, "raw-1"), [{"id": "y"}])
    write_result(beamtime, "later.nxs", raw_uid="raw-2")
    second = archive(beamtime.root, target, say=quiet)
    assert set(second.copied) == {"labels/raw-1.jsonl", "results/later.nxs"}
    assert set(second.kept) == set(first.copied) - {"labels/raw-1.jsonl"}
    assert verify(target) == {}


def test_what_was_changed_in_the_archive_is_never_replaced_and_said(beamtime, tmp_path):
    target = tmp_path / "a"
    archive(beamtime.root, target, say=quiet)
    result, labels = target / "results" / "錆_00001.nxs", target / "labels" / "raw-1.jsonl"
    content = bytearray(result.read_bytes())
    content[5000] ^= 1
    result.write_bytes(content)
    append(labels, [{"id": "made at home"}])
    assert set(verify(target)) == {"results/錆_00001.nxs", "labels/raw-1.jsonl"}
    report = archive(beamtime.root, target, say=quiet)
    assert set(report.failed) == {"results/錆_00001.nxs", "labels/raw-1.jsonl"}
    assert result.read_bytes() == content
    assert "made at home" in labels.read_text()


def test_a_torn_copy_of_an_earlier_try_is_no_copy(beamtime, tmp_path):
    torn = tmp_path / "a" / "results" / ".錆_00001.nxs.part"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"half")
    report = archive(beamtime.root, tmp_path / "a", say=quiet)
    assert "results/錆_00001.nxs" in report.copied
    assert not torn.exists()
    with open_result(tmp_path / "a" / "results" / "錆_00001.nxs") as result:
        assert int(np.count_nonzero(result.done)) == 19


def test_places_that_cannot_hold_it_are_refused_before_anything_is_copied(beamtime, tmp_path):
    with pytest.raises(PhasecastError, match="lies inside"):
        archive(beamtime.root, beamtime.root / "archive", say=quiet)
    with pytest.raises(PhasecastError, match="no such result"):
        archive(tmp_path / "absent.nxs", tmp_path / "a", say=quiet)
    with pytest.raises(PhasecastError, match="no checksums"):
        verify(tmp_path)
    with (beamtime.results / "錆_00001.png").open("wb") as huge:
        huge.truncate(1 << 42)
    with pytest.raises(PhasecastError, match="GB are free"):
        archive(beamtime.root, tmp_path / "a", say=quiet)
    assert not (tmp_path / "a").exists()


def test_the_command_prints_and_ends_as_promised(beamtime, tmp_path):
    def run(*words):
        command = [sys.executable, "-m", "phasecast.cli", "archive", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run(beamtime.root, tmp_path / "a", "--json")
    assert done.returncode == 0, done.stderr
    assert "results/錆_00001.nxs" in json.loads(done.stdout)["copied"]
    assert run(tmp_path / "a", "--verify").returncode == 0
    (tmp_path / "a" / "results" / "錆_00001.png").unlink()
    again = run(tmp_path / "a", "--verify")
    assert again.returncode == 1
    assert "錆_00001.png" in again.stderr
