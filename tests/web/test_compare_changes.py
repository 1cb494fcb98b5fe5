"""What changed between two results, by counting; and the same while both grow."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from phasecast.core.ledger import PointState
from phasecast.records.results_list import ResultEntry
from phasecast.sinks.nexus import NexusSink
from phasecast.web import live_scan
from phasecast.web.colours import CLEAR, pixel
from phasecast.web.compare_changes import Change, Changes
from phasecast.web.compare_picture import CHANGE_COLOURS, ChangePicture
from phasecast.web.compare_tab import candidates
from phasecast.web.live_scan import LiveScan
from support.documents import Scan, make_header, raster
from support.result_writer import WriterProcess, scan


@pytest.fixture(autouse=True)
def _without_pause(monkeypatch):
    monkeypatch.setattr(live_scan, "_POLL_S", 0.0)


def write(path: Path, confidence: np.ndarray, *, shape=(2, 3), lost=(), **header) -> LiveScan:
    run = Scan(make_header(shape=shape, **header), *raster(shape), confidence=confidence)
    with NexusSink(path) as sink:
        rows = np.setdiff1d(np.arange(run.x_um.size), lost)
        for document in (*run.opening(), run.points(rows), run.ledger(rows)):
            sink(*document)
        if len(lost):
            sink(*run.ledger(np.array(lost), PointState.LOST_UPSTREAM))
        sink(*run.stop())
    return LiveScan(path)


def only(*held: tuple[int, ...]) -> np.ndarray:
    """Confidences of points that surely hold these classes and no other."""
    confidence = np.full((len(held), 9), 0.1)
    for point, classes in enumerate(held):
        confidence[point, list(classes)] = 0.9
    return confidence


A = only((0,), (0,), (0,), (1,), (1, 2), ())
B = only((0,), (1,), (0, 1), (), (1, 2), (8,))


def test_points_that_came_and_went_are_counted_by_class(tmp_path):
    changes = Changes(write(tmp_path / "a.nxs", A, lost=(5,)), write(tmp_path / "b.nxs", B), 0.5)
    assert (changes.points, changes.compared, changes.changed) == (6, 5, 3)
    assert changes.kinds(np.arange(6)).tolist() == [
        Change.UNCHANGED, Change.EXCHANGED, Change.GAINED, Change.LOST, Change.UNCHANGED, Change.NOT_COMPARED,
    ]  # fmt: skip
    assert changes.in_a[:3].tolist() == [3, 2, 1]
    assert changes.in_b[:3].tolist() == [2, 3, 1]
    assert changes.gained[:3].tolist() == [0, 2, 0]
    assert changes.lost[:3].tolist() == [1, 1, 0]
    np.testing.assert_array_equal(changes.in_b, changes.in_a + changes.gained - changes.lost)
    first = changes.classes[0].id
    assert changes.kinds(np.arange(3), first).tolist() == [Change.KEPT, Change.LOST, Change.KEPT]


def test_nothing_counts_at_a_threshold_that_no_class_reaches(tmp_path):
    changes = Changes(write(tmp_path / "a.nxs", A), write(tmp_path / "b.nxs", B), 0.95)
    assert (changes.compared, changes.changed) == (6, 0)


def test_classes_are_paired_by_their_id_not_by_their_place(tmp_path):
    a = write(tmp_path / "a.nxs", A)
    order = [3, 2, 1, 0, 4, 5, 6, 7]
    header = make_header()
    classes = (*(header.classes[k] for k in order), replace(header.classes[8], id="new_phase"))
    b = write(tmp_path / "b.nxs", A[:, [*order, 8]], classes=classes)
    changes = Changes(a, b, 0.5)
    assert changes.changed == 0
    assert [phase.id for phase in changes.unshared] == [header.classes[8].id, "new_phase"]


def test_growing_results_are_followed_row_by_row(tmp_path: Path) -> None:
    run = scan()
    rng = np.random.default_rng(5)
    whole = Scan(run.header, run.x_um, run.y_um, confidence=rng.random((run.x_um.size, 9)))
    with NexusSink(tmp_path / "a.nxs") as sink:
        for document in whole.documents(50):
            sink(*document)
    a = LiveScan(tmp_path / "a.nxs")
    with WriterProcess(tmp_path / "b.nxs") as writer:
        writer.ask("pages 2")
        b = LiveScan(tmp_path / "b.nxs")
        changes, picture, patched = Changes(a, b, 0.5), ChangePicture("changes"), 0
        picture.show(changes, "", None)
        for command in ("pages 9", "revise 4", "pages 30", "pages 60", "reject 200"):
            writer.ask(command)
            b.poll()
            fresh = changes.update()
            patched += fresh is not None and fresh.size > 0
            picture.show(changes, "", fresh)
            anew, painted = Changes(a, b, 0.5), ChangePicture("anew")
            painted.show(anew, "", None)
            for name in ("in_a", "in_b", "gained", "lost", "compared", "changed"):
                np.testing.assert_array_equal(getattr(changes, name), getattr(anew, name))
            np.testing.assert_array_equal(picture.source.data["image"][0], painted.source.data["image"][0])
    assert patched
    assert changes.compared == 299
    shown = picture.source.data["image"][0]
    assert set(np.unique(shown)) <= {CLEAR, *map(pixel, CHANGE_COLOURS.values())}
    assert np.count_nonzero(shown == CLEAR) == shown.size // 300


def test_other_results_of_the_scan_are_offered_apart_from_those_of_other_scans(tmp_path):
    a = write(tmp_path / "a.nxs", A, raw_uid="one")

    def entry(name, raw_uid, shape=(2, 3), state="closed"):
        return ResultEntry(path=tmp_path / name, state=state, raw_uid=raw_uid, shape=shape, points=6)

    entries = [entry("a.nxs", "one"), entry("b.nxs", "one"), entry("c.nxs", "two"), entry("d.nxs", "two", (3, 2)),
               entry("e.nxs", "one", state="unreadable")]  # fmt: skip
    same, similar = candidates(entries, a)
    assert [one.path.name for one in same] == ["b.nxs"]
    assert [one.path.name for one in similar] == ["c.nxs"]
