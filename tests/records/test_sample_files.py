"""`sample.toml`, edited before, during and after a scan: what it says, from when on, and who said it."""

import getpass
import os

import numpy as np
import pytest

from phasecast.core.errors import RecordsError
from phasecast.records.clerk import Clerk
from phasecast.records.notes import read_notes
from phasecast.records.sample_files import SAMPLE_FILE, KnownScan, SampleFiles, read_sample_file
from phasecast.records.sample_scans import note_sample_files
from phasecast.records.samples import SampleBook, sample_for, sample_of, samples_path, take_form
from phasecast.results import open_result
from phasecast.sinks.nexus import NexusSink
from support.documents import raster_scan
from support.results import write_result


def write(path, text, *, time_s):
    path.write_text(text, encoding="utf-8")
    os.utime(path, (time_s, time_s))


def book_of(directory):
    book = SampleBook(samples_path(directory))
    book.refresh()
    return book


def result_with_frames(directory, folder):
    """A closed result whose frames lie in a folder of their own."""
    run = raster_scan((2, 2))
    sink = NexusSink(directory.results / "scan.nxs")
    for document in run.opening():
        sink(*document)
    sink(*run.points(np.arange(4)))
    sink(*run.ledger(np.arange(4), frame_store="file", frame_path=str(folder / "a_00001.cbf"), frame_sha256="cd" * 32))
    sink(*run.stop())
    return sink.path


def test_fields_go_by_their_names_in_either_language_and_the_rest_is_named(tmp_path):
    path = tmp_path / SAMPLE_FILE
    path.write_text(
        'who = "森"\nname = "A-3"\n"課題番号" = "2026A1234"\n"Section thickness (µm)" = 30\nthicknes_um = 3\n'
        "mounted_side = [1]\nexposure_duration = 2025-04-01\n",
        encoding="utf-8",
    )
    file = read_sample_file(path)
    assert file is not None
    assert dict(file.fields) == {
        "name": "A-3", "proposal": "2026A1234", "thickness_um": "30", "exposure_duration": "2025-04-01",
    }  # fmt: skip
    assert file.who == "森"
    assert len(file.ignored) == 2
    assert "did you mean thickness_um?" in file.ignored[0]
    assert "mounted_side" in file.ignored[1]
    path.write_text('name = "A-3"', encoding="utf-8")
    assert read_sample_file(path).who == getpass.getuser()
    assert read_sample_file(tmp_path / "absent.toml") is None
    path.write_text("name = A-3", encoding="utf-8")
    with pytest.raises(RecordsError, match=r"sample\.toml: is not valid TOML: .*line 1"):
        read_sample_file(path)


def test_in_the_data_directory_it_stands_for_scans_that_start_from_then_on(directory):
    path, files = directory.root / SAMPLE_FILE, SampleFiles(directory)
    assert files.look() == 0
    write(path, 'who = "森"\nname = "A"\ncomment = "first"', time_s=1000.0)
    assert files.look() == 1
    assert take_form(directory, "raw-1", time_s=1010.0)["fields"] == {"name": "A", "comment": "first"}
    assert files.look() == 0, "nothing changed"
    write(path, 'who = "青木"\nname = "B"', time_s=1020.0)
    assert SampleFiles(directory).look() == 1, "another process sees it as well, and writes it once"
    assert files.look() == 0
    form = take_form(directory, "raw-2", time_s=1030.0)
    assert (form["fields"], form["who"], form["time_s"]) == ({"name": "B"}, "青木", 1020.0)
    path.unlink()
    assert files.look() == 0
    assert book_of(directory).standing.fields == {"name": "B"}


def test_a_table_of_a_scan_and_a_file_beside_its_frames_speak_of_that_scan_at_any_time(directory, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    result = result_with_frames(directory, folder)
    with open_result(result) as opened:
        header = opened.header
    before = result.read_bytes()
    write(directory.root / SAMPLE_FILE, 'who = "森"\n[scan.scan]\ncomment = "row 3 is bent"\n', time_s=2000.0)
    write(folder / SAMPLE_FILE, 'who = "青木"\nthickness_um = 28\nmounted_side = "back"\n', time_s=2001.0)
    assert note_sample_files(directory, result) == ()
    sample = sample_for(directory, header.raw_uid, header)
    assert (sample["name"], sample["comment"], sample["thickness_um"]) == ("錆 A-3", "row 3 is bent", "28")
    assert sample["mounted_side"] == "back"
    # edited after the scan: the new word counts, what was taken out is taken back
    write(folder / SAMPLE_FILE, 'who = "青木"\nthickness_um = 30\n', time_s=2002.0)
    note_sample_files(directory, result)
    sample = sample_for(directory, header.raw_uid, header)
    assert sample["thickness_um"] == "30"
    assert "mounted_side" not in sample
    notes = read_notes(result)
    assert [(note["who"], note["time_s"], note["what"]) for note in notes] == [
        ("森", 2000.0, "sample"), ("青木", 2001.0, "sample"), ("青木", 2002.0, "sample"),
    ]  # fmt: skip
    assert notes[2]["fields"] == {"mounted_side": "", "thickness_um": "30"}
    assert result.read_bytes() == before
    note_sample_files(directory, result)
    assert len(read_notes(result)) == 3


def test_the_clerk_of_the_page_sees_edits_by_itself(directory):
    write_result(directory, "a.nxs")
    write(directory.root / SAMPLE_FILE, 'who = "森"\nname = "next"\n[scan.a]\nname = "this"\n', time_s=3000.0)
    clerk = Clerk(directory)
    clerk.step()
    clerk.close()
    book = book_of(directory)
    assert book.standing.fields == {"name": "next"}
    with open_result(directory.results / "a.nxs") as result:
        sample = sample_of(book, result.header.raw_uid, result.header)
    assert (sample.fields["name"], sample.origin["name"]) == ("this", "form")


def test_a_file_that_cannot_be_used_blocks_nothing_and_is_named(directory, tmp_path):
    (directory.root / "proposal.toml").write_text('id = "2026A1234"', encoding="utf-8")
    files = SampleFiles(directory)
    for text, word in (('proposal = "2026B0001"', "2026B0001"), ("name = ", "not valid TOML")):
        (directory.root / SAMPLE_FILE).write_text(text, encoding="utf-8")
        assert files.look([KnownScan(raw_uid="raw-1", result=tmp_path / "a.nxs", names=frozenset())]) == 0
        (problem,) = files.problems.values()
        assert word in problem
        assert "\n" not in problem
    (directory.root / SAMPLE_FILE).write_text('name = "A"', encoding="utf-8")
    assert files.look() == 1
    assert not files.problems
