"""A blind check is written down once, scored when it is finished, and never teaches a model."""

import numpy as np
import pytest

from phasecast.core.errors import RequestError
from phasecast.core.model_requests import BlindAnswer, BlindDraw
from phasecast.core.requests import LabelPoints
from phasecast.records.blind import BlindBook, blind_path, scores_of
from phasecast.records.clerk import Clerk
from phasecast.records.conflicts import ClaimBook
from phasecast.records.journal import append, read_journal
from phasecast.records.labels import all_labels, label_path
from phasecast.records.mailbox import Mailbox
from phasecast.records.notes import read_notes
from phasecast.results import open_result
from phasecast.services.page_models import draw_points, score_blind

DRAWN = (9, 2, 17, 5)
DRAW = BlindDraw(
    scan_raw_uid="raw-1", result="a.nxs", points=DRAWN, strata=(0, 0, 1, 1), weights=(4.0, 4.0, 5.0, 5.0), who="森"
)


@pytest.fixture
def clerk(scanned):
    clerk = Clerk(scanned, score_blind=score_blind)
    yield clerk
    clerk.close()


@pytest.fixture
def ask(scanned, clerk):
    def asked(request):
        mailbox = Mailbox(scanned.requests)
        request_id = mailbox.submit(request)
        clerk.step()
        return mailbox.answer(request_id), request_id

    return asked


def answered(check, point, classes, who="森", **more):
    return BlindAnswer(scan_raw_uid="raw-1", check=check, point=point, classes=classes, who=who, **more)


def book_of(directory):
    book = BlindBook(blind_path(directory, "raw-1"))
    book.refresh()
    return book


def test_a_finished_check_has_scores_in_the_journal_and_beside_the_result(scanned, ask):
    with open_result(scanned.results / "a.nxs") as result:
        confidences, ids = result.confidences.to_numpy(), [phase.id for phase in result.header.classes]
    _, check_id = ask(DRAW)
    (check,) = book_of(scanned).checks
    assert check.next_point == 9
    assert np.allclose(check.confidences, confidences[list(DRAWN)], atol=1e-6)
    for place, point in enumerate(DRAWN):
        assert read_notes(scanned.results / "a.nxs") == []
        # this person agrees with the model on everything
        answer, _ = ask(answered(check_id, point, tuple(np.array(ids)[confidences[point] >= 0.5].tolist())))
        assert answer.ok, answer.detail
        assert answer.values.get("done", 4) == place + 1
    assert answer.key == "answer.blind_done"
    (check,) = book_of(scanned).checks
    assert {score.class_id: (score.said, score.seen) for score in check.scores} == {
        name: (count, count) for name, count in zip(ids, (confidences[list(DRAWN)] >= 0.5).sum(axis=0), strict=True)
    }
    for score in check.scores:
        assert score.precision_low <= score.precision <= score.precision_high or score.said == 0
        assert score.precision == 1.0 or score.said == 0
    (note,) = read_notes(scanned.results / "a.nxs")
    assert note["what"] == "blind_check"
    assert [score.class_id for score in scores_of(note["scores"])] == ids
    assert note["models"][0]["name"] == "bl16xu-rust"


def test_who_cannot_tell_says_so_and_is_counted_as_asked(scanned, ask):
    _, check_id = ask(DRAW)
    ask(answered(check_id, 9, (), cannot_tell=True))
    ask(answered(check_id, 2, ("goethite",)))
    ask(answered(check_id, 17, (), cannot_tell=True))
    (check,) = book_of(scanned).checks
    assert check.next_point == 5
    answer, _ = ask(answered(check_id, 5, ()))
    assert answer.key == "answer.blind_done", "a point that cannot be told is not asked for again"
    (check,) = book_of(scanned).checks
    assert check.untold.tolist() == [True, False, True, False]
    told = check.confidences[~check.untold] >= 0.5
    assert [score.said for score in check.scores] == told.sum(axis=0).tolist()
    assert [score.untold for score in check.scores] == (check.confidences[check.untold] >= 0.5).sum(axis=0).tolist()
    assert sum(score.seen for score in check.scores) == 1
    (note,) = read_notes(scanned.results / "a.nxs")
    assert (note["points"], note["untold"]) == (4, 2)
    assert scores_of(note["scores"])[1].seen == 1
    with pytest.raises(RequestError, match="nothing can be told"):
        answered(check_id, 9, ("goethite",), cannot_tell=True)


def test_answers_and_scores_from_before_anybody_could_say_so_are_read(scanned, ask):
    _, check_id = ask(DRAW)
    ask(answered(check_id, 9, ("goethite",)))
    path = blind_path(scanned, "raw-1")
    entries = [{key: value for key, value in entry.items() if key != "cannot_tell"} for entry in read_journal(path)]
    path.unlink()
    append(path, entries)
    (check,) = book_of(scanned).checks
    assert check.answers == {9: ("goethite",)}
    assert not check.untold.any()
    old = {"class_id": "a", "said": 1, "seen": 1} | {
        f"{what}{end}": 1.0 for what in ("precision", "recall") for end in ("", "_low", "_high")
    }
    assert scores_of([old])[0].untold == 0


def test_blind_answers_never_teach(scanned, ask):
    _, check_id = ask(DRAW)
    ask(answered(check_id, 9, ("goethite",)))
    assert all_labels(scanned) == []
    assert list(scanned.labels.glob("*.jsonl")) == []


def test_only_who_began_a_check_answers_it_and_the_later_word_counts(scanned, ask):
    _, check_id = ask(DRAW)
    refused, _ = ask(answered(check_id, 9, (), who="A. Sato"))
    assert "this check is 森's" in refused.detail
    assert "point 3 was not drawn" in ask(answered(check_id, 3, ()))[0].detail
    assert "no class rutile" in ask(answered(check_id, 9, ("rutile",)))[0].detail
    assert "no blind check" in ask(answered("nothing", 9, ()))[0].detail
    assert ask(answered(check_id, 9, ("goethite",)))[0].ok
    assert ask(answered(check_id, 9, ()))[0].ok, "no class is an answer"
    (check,) = book_of(scanned).checks
    assert check.answers == {9: ()}
    assert check.next_point == 2


def test_points_without_confidences_cannot_be_drawn(ask):
    refused, _ = ask(
        BlindDraw(scan_raw_uid="raw-1", result="a.nxs", points=(7,), strata=(0,), weights=(1.0,), who="森")
    )
    assert "not classified" in refused.detail


@pytest.mark.parametrize(
    "changes", [{"weights": (1.0,)}, {"weights": (0.0, 1, 1, 1)}, {"points": ()}, {"points": (1, 1, 2, 3)}], ids=str
)
def test_a_draw_that_makes_no_sense_cannot_be_asked_for(changes):
    fields = {name: getattr(DRAW, name) for name in ("scan_raw_uid", "result", "points", "strata", "weights", "who")}
    with pytest.raises(RequestError):
        BlindDraw(**fields | changes)


def test_a_check_survives_a_journal_with_foreign_lines(scanned, ask):
    _, check_id = ask(DRAW)
    append(blind_path(scanned, "raw-1"), [{"kind": "answer", "check": "other", "point": 1, "classes": []}, {"a": 1}])
    ask(answered(check_id, 9, ("goethite",)))
    book = book_of(scanned)
    assert book.defects == 2
    assert book.checks[0].answers == {9: ("goethite",)}


def test_a_draw_leaves_out_what_was_labelled():
    confidences = np.random.default_rng(1).random((300, 9))
    confidences[7] = np.nan
    drawn = draw_points(confidences, 45, 3, range(100))
    assert drawn.rows.size == 45
    assert drawn.rows.min() >= 100
    assert drawn.weights.sum() == pytest.approx(200)


def test_what_people_say_differently_of_a_point_is_kept_and_named(scanned, ask):
    def label(points, classes, who):
        answer, request_id = ask(
            LabelPoints(scan_raw_uid="raw-1", result="a.nxs", points=points, classes=classes, who=who)
        )
        assert answer.ok
        return request_id

    label((3, 4), ("goethite",), "森")
    label((3,), ("resin",), "A. Sato")
    label((4,), ("goethite",), "A. Sato")
    book = ClaimBook(label_path(scanned, "raw-1"))
    book.refresh()
    ((first, second),) = book.conflicts
    assert (first.point, first.who, first.classes) == (3, "森", ("goethite",))
    assert (second.who, second.classes) == ("A. Sato", ("resin",))
    label((3,), ("goethite",), "A. Sato")
    book.refresh()
    assert book.conflicts == []
    assert book.rows == {3, 4}
    assert len(read_journal(label_path(scanned, "raw-1"))) == 5
