"""What people ask for is written down once and answered, whatever happens to the clerk."""

import hashlib
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from phasecast.core.region_requests import Points, Polygon, RemoveRegion, SaveRegion, SaveSurface
from phasecast.core.requests import Acknowledge, CloseScan, DescribeSample, LabelPoints, UndoLabel
from phasecast.core.words import words
from phasecast.records.clerk import Clerk
from phasecast.records.clerk_thread import ClerkThread
from phasecast.records.journal import read_journal
from phasecast.records.labels import all_labels, label_path, read_labels
from phasecast.records.mailbox import Mailbox, asked_s
from phasecast.records.notes import read_notes
from phasecast.records.regions import read_regions
from phasecast.records.surfaces import read_surface
from phasecast.results import open_result
from support.daemon import wait_until

LABEL = LabelPoints(
    scan_raw_uid="raw-1", result="a.nxs", points=(3, 0), classes=("goethite", "resin"), who="森", note="細い線"
)
SQUARE = Polygon(vertices_um=((0, 0), (1, 0), (1, 1), (0, 1)))


@pytest.fixture
def clerk(scanned):
    clerk = Clerk(scanned)
    yield clerk
    clerk.close()


@pytest.fixture
def ask(scanned, clerk):
    def asked(request):
        mailbox = Mailbox(scanned.requests)
        request_id = mailbox.submit(request)
        assert clerk.step() == 1
        return mailbox.answer(request_id), request_id

    return asked


class ClerkProcess:
    def __init__(self, directory, place):
        command = [sys.executable, "-m", "support.clerk_process", str(directory.root), place]
        self.process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)

    def line(self):
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def test_a_label_holds_all_that_is_needed_to_learn_from_it(scanned, ask):
    file_before = hashlib.sha256((scanned.results / "a.nxs").read_bytes()).hexdigest()
    answer, request_id = ask(LABEL)
    assert answer.ok
    assert answer.values == {"points": 2, "skipped": 0}
    assert words("ja")(answer.key, **answer.values) == "2 点にラベルを付けました"
    labels = {label.point: label for label in read_labels(scanned, "raw-1")}
    assert set(labels) == {0, 3}
    with open_result(scanned.results / "a.nxs") as result:
        for point, label in labels.items():
            assert label.classes == ("goethite", "resin")
            assert (label.who, label.note, label.time_s) == ("森", "細い線", asked_s(request_id))
            assert label.id == f"{request_id}/{point}"
            assert (label.raw_uid, label.result, label.result_uid) == ("raw-1", "a.nxs", "result-1")
            np.testing.assert_array_equal(label.tth_deg, result.header.tth_deg)
            np.testing.assert_array_equal(label.intensity, result.patterns[point].values)
            np.testing.assert_array_equal(label.sigma, result.sigma[point].values)
            assert label.intensity.dtype == np.float32
            assert list(label.confidences) == [phase.id for phase in result.header.classes]
            np.testing.assert_allclose(list(label.confidences.values()), result.confidences[point].values)
            assert label.x_um == result.ledger["x_um"][point].item()
            assert label.y_um == result.ledger["y_um"][point].item()
            assert label.model["sha256"] == "ab" * 32
    (note,) = read_notes(scanned.results / "a.nxs")
    assert (note["what"], note["points"], note["who"]) == ("labels", [0, 3], "森")
    assert hashlib.sha256((scanned.results / "a.nxs").read_bytes()).hexdigest() == file_before


def test_points_without_a_pattern_are_left_out_and_said_so(scanned, ask):
    answer, _ = ask(LabelPoints(scan_raw_uid="raw-1", result="a.nxs", points=(6, 7, 8), classes=("resin",), who="m"))
    assert answer.ok
    assert answer.values == {"points": 1, "skipped": 2}
    answer, _ = ask(LabelPoints(scan_raw_uid="raw-1", result="a.nxs", points=(7, 8), classes=("resin",), who="m"))
    assert not answer.ok
    assert [label.point for label in read_labels(scanned, "raw-1")] == [6]


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"classes": ("rust",)}, "no class rust"),
        ({"points": (20,)}, "no point 20"),
        ({"scan_raw_uid": "raw-2"}, "raw-2"),
        ({"result": "b.nxs"}, "no such file"),
    ],
)
def test_a_label_that_does_not_fit_its_result_is_denied_with_the_reason(scanned, ask, changes, said):
    fields = {name: getattr(LABEL, name) for name in ("scan_raw_uid", "result", "points", "classes", "who")}
    answer, _ = ask(LabelPoints(**fields | changes))
    assert not answer.ok
    assert said in answer.detail
    assert all_labels(scanned) == []


def test_the_newest_label_of_a_point_counts_and_taking_it_back_brings_back_the_one_before(scanned, ask):
    _, first = ask(LABEL)
    answer, second = ask(LabelPoints(scan_raw_uid="raw-1", result="a.nxs", points=(3,), classes=("ferrite",), who="k"))
    assert {label.point: label.classes for label in all_labels(scanned)}[3] == ("ferrite",)
    answer, _ = ask(UndoLabel(label_id=f"{second}/3", who="k"))
    assert answer.ok
    assert {label.point: label.classes for label in all_labels(scanned)}[3] == ("goethite", "resin")
    answer, _ = ask(UndoLabel(label_id=first, who="k"))
    assert answer.values == {"points": 2}
    assert all_labels(scanned) == []
    answer, _ = ask(UndoLabel(label_id=first, who="k"))
    assert not answer.ok, "there is nothing left to take back"
    kinds = [entry["kind"] for entry in read_journal(label_path(scanned, "raw-1"))]
    assert kinds == ["label", "label", "label", "undo", "undo"], "nothing is ever erased"


def test_regions_and_surfaces_are_replaced_by_later_ones_and_noted_beside_the_result(scanned, ask):
    assert ask(SaveRegion(name="steel 1", definition=SQUARE, role="steel", scan_raw_uid="raw-1", who="m"))[0].ok
    assert ask(SaveRegion(name="b", definition=SQUARE, who="m"))[0].ok
    brush = Points(scan_raw_uid="raw-1", rows=(1, 2))
    assert ask(SaveRegion(name="steel 1", definition=brush, role="steel", who="k"))[0].ok
    assert [(region.name, region.definition, region.who) for region in read_regions(scanned)] == [
        ("steel 1", brush, "k"),
        ("b", SQUARE, "m"),
    ]
    assert ask(RemoveRegion(name="b", who="m"))[0].ok
    assert not ask(RemoveRegion(name="b", who="m"))[0].ok
    assert [region.name for region in read_regions(scanned)] == ["steel 1"]
    assert ask(SaveSurface(scan_raw_uid="raw-1", vertices_um=((0, 0), (5, 1)), confirmed=False, who="program"))[0].ok
    assert ask(SaveSurface(scan_raw_uid="raw-1", vertices_um=((0, 0), (5, 2)), confirmed=True, who="m"))[0].ok
    surface = read_surface(scanned, "raw-1")
    assert surface.vertices_um == ((0, 0), (5, 2))
    assert surface.confirmed
    assert read_surface(scanned, "raw-2") is None
    assert [note["what"] for note in read_notes(scanned.results / "a.nxs")] == ["region", "surface", "surface"]


def test_a_field_that_the_form_does_not_have_is_denied(ask):
    answer, _ = ask(DescribeSample(scan_raw_uid="", fields={"name": "a", "weight": "1"}, who="m"))
    assert not answer.ok
    assert "weight" in answer.detail


def test_closing_a_scan_is_left_to_the_daemon(scanned, clerk):
    mailbox = Mailbox(scanned.requests)
    request_id = mailbox.submit(CloseScan(scan_uid="raw-1", who="m"))
    assert clerk.step() == 0
    assert mailbox.answer(request_id) is None


@pytest.mark.parametrize(
    "request_",
    [
        LABEL,
        SaveRegion(name="a", definition=SQUARE, scan_raw_uid="raw-1", who="m"),
        SaveSurface(scan_raw_uid="raw-1", vertices_um=(), confirmed=True, who="m"),
        DescribeSample(scan_raw_uid="raw-1", fields={"name": "a"}, who="m"),
        Acknowledge(alarm_id="no_frames-1", who="m"),
    ],
    ids=lambda request: request.kind,
)
def test_a_clerk_killed_between_writing_and_answering_has_written_once(scanned, request_):
    mailbox = Mailbox(scanned.requests)
    request_id = mailbox.submit(request_)
    with ClerkProcess(scanned, "answer") as killed:
        assert killed.line() == "would answer True"
    assert mailbox.answer(request_id) is None
    journals = [*scanned.labels.glob("*.jsonl"), *scanned.notebook.glob("*.jsonl"), *scanned.results.glob("*.jsonl")]
    before = {path: path.read_bytes() for path in journals}
    assert sum(map(len, before.values())) > 0
    clerk = Clerk(scanned)
    assert clerk.step() == 1
    assert mailbox.answer(request_id).ok
    assert clerk.step() == 0
    clerk.close()
    assert {path: path.read_bytes() for path in journals} == before


def test_an_undo_answered_by_the_next_clerk_takes_nothing_else_back(scanned, ask, clerk):
    ask(LABEL)
    _, second = ask(LabelPoints(scan_raw_uid="raw-1", result="a.nxs", points=(3,), classes=("ferrite",), who="k"))
    clerk.close()
    mailbox = Mailbox(scanned.requests)
    request_id = mailbox.submit(UndoLabel(label_id=second, who="k"))
    with ClerkProcess(scanned, "answer") as killed:
        assert killed.line() == "would answer True"
    successor = Clerk(scanned)
    assert successor.step() == 1
    successor.close()
    assert mailbox.answer(request_id).values == {"points": 1}
    assert sorted(label.point for label in read_labels(scanned, "raw-1")) == [0, 3]


def test_a_label_torn_by_a_kill_is_completed_not_doubled(scanned, ask, clerk):
    _, request_id = ask(LABEL)
    path = label_path(scanned, "raw-1")
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:50])
    answered = Mailbox(scanned.requests).folder / f"{request_id}.json"
    answered.unlink()
    clerk.close()
    # the same request again, as its file was before the answer
    content = Mailbox(scanned.requests)
    again = content.submit(LABEL)
    (content.folder / f"{again}.json").rename(answered)
    successor = Clerk(scanned)
    assert successor.step() == 1
    successor.close()
    assert path.read_bytes() == first + second


def test_of_several_clerks_one_works_and_another_takes_over_when_it_dies(scanned):
    mailbox = Mailbox(scanned.requests)
    with ClerkProcess(scanned, "work") as first, ClerkProcess(scanned, "work") as second:
        states = {clerk: clerk.line() for clerk in (first, second)}
        assert sorted(states.values()) == ["working False", "working True"]
        worker = next(clerk for clerk, state in states.items() if state == "working True")
        other = second if worker is first else first
        ids = [mailbox.submit(Acknowledge(alarm_id=f"a-{k}", who="m")) for k in range(5)]
        wait_until(lambda: all(mailbox.answer(request_id) for request_id in ids), "answers", timeout_s=20)
        worker.process.kill()
        worker.process.wait()
        last = mailbox.submit(Acknowledge(alarm_id="last", who="m"))
        assert other.line() == "1"
        assert mailbox.answer(last).ok
    entries = read_journal(scanned.notebook / "acknowledgements.jsonl")
    assert [entry["alarm_id"] for entry in entries] == [*(f"a-{k}" for k in range(5)), "last"]


def test_what_cannot_be_written_waits_and_then_is_written(scanned, clerk):
    mailbox = Mailbox(scanned.requests)
    journal = scanned.notebook / "acknowledgements.jsonl"
    journal.mkdir()
    request_id = mailbox.submit(Acknowledge(alarm_id="a", who="m"))
    assert clerk.step() == 0
    assert mailbox.answer(request_id) is None
    assert clerk.counters["postponed"] == 1
    journal.rmdir()
    assert clerk.step() == 1
    assert mailbox.answer(request_id).ok


def test_who_asks_hears_of_it_when_it_cannot_be_written_for_long_and_others_are_served(scanned):
    clerk = Clerk(scanned, patience_s=0.0)
    mailbox = Mailbox(scanned.requests)
    (scanned.notebook / "acknowledgements.jsonl").mkdir()
    stuck = mailbox.submit(Acknowledge(alarm_id="a", who="m"))
    fine = mailbox.submit(SaveRegion(name="a", definition=SQUARE, who="m"))
    assert clerk.step() == 2
    clerk.close()
    assert not mailbox.answer(stuck).ok
    assert "cannot" in mailbox.answer(stuck).detail
    assert mailbox.answer(fine).ok


def test_a_full_disk_denies_nothing_that_was_written(scanned, clerk):
    mailbox = Mailbox(scanned.requests)
    request_id = mailbox.submit(LABEL)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        assert clerk.step() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert mailbox.answer(request_id) is None
    assert all_labels(scanned) == []
    assert clerk.step() == 1
    assert mailbox.answer(request_id).ok
    assert len(all_labels(scanned)) == 2


def test_a_scan_uid_that_is_no_file_name_is_kept_inside_the_folder(directory):
    for uid in ("../../escape", "a/b", ".hidden", "", "x" * 500, "スキャン"):
        assert label_path(directory, uid).parent == directory.labels
        assert label_path(directory, uid).name[0] not in "./"
    assert label_path(directory, "a/b") != label_path(directory, "a/c")


def test_in_the_background_it_serves_what_comes_and_survives_trouble(scanned):
    mailbox = Mailbox(scanned.requests)
    with ClerkThread(Clerk(scanned), interval_s=0.005) as thread:
        first = mailbox.submit(Acknowledge(alarm_id="a", who="m"))
        wait_until(lambda: mailbox.answer(first), "the first answer", timeout_s=20)
        moved = scanned.root / "away"
        scanned.requests.rename(moved)
        scanned.requests.write_text("no folder")
        wait_until(lambda: thread.failures > 0, "trouble", timeout_s=20)
        scanned.requests.unlink()
        moved.rename(scanned.requests)
        second = mailbox.submit(Acknowledge(alarm_id="b", who="m"))
        wait_until(lambda: mailbox.answer(second), "the second answer", timeout_s=20)
    assert thread.error == ""
