"""The tab of the model in a real browser, with a real daemon that is asked, and the clerk of the page."""

import contextlib

import numpy as np
import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.model_requests import BlindAnswer
from phasecast.core.requests import LabelPoints
from phasecast.core.words import words
from phasecast.records.blind import BlindBook, blind_path
from phasecast.records.clerk import Clerk
from phasecast.records.labels import all_labels
from phasecast.records.mailbox import Mailbox
from phasecast.records.models import read_active
from phasecast.records.notes import read_notes
from phasecast.services.page_controls import open_tab
from phasecast_models.xrd.bundle import load_bundle
from support.browser import chromium_or_skip, page_server
from support.daemon import wait_until, watched_folder
from support.results import write_result
from support.shelf import put_model

pytestmark = pytest.mark.slow
SAY = words("en")
AXIS = tuple(np.linspace(10.05, 39.95, 300))
"""The bins of the shipped model."""


@pytest.fixture(scope="module")
def place(browser, tmp_path_factory):
    """A daemon that waits for frames, a scan of another day with contradicting labels, and the page."""
    chromium_or_skip()
    folder = tmp_path_factory.mktemp("model")
    with contextlib.ExitStack() as stack:
        setup = stack.enter_context(watched_folder(folder, "--device", "cpu", profile="bl16xu"))
        directory = DataDirectory(setup.data_dir)
        write_result(directory, "a.nxs", shape=(6, 8), bins=300, tth_deg=AXIS)
        put_model(directory)
        mailbox, clerk = Mailbox(directory.requests), Clerk(directory)
        for who, classes in (("A. Sato", ("goethite",)), ("森", ("resin",))):
            asked = mailbox.submit(
                LabelPoints(scan_raw_uid="raw-1", result="a.nxs", points=(5,), classes=classes, who=who)
            )
            clerk.step()
            assert mailbox.answer(asked).ok
        clerk.close()
        yield directory, stack.enter_context(page_server(setup.data_dir, folder))


def see(tab, css, text):
    tab.page.locator(css).get_by_text(text).first.wait_for()


def answer_all_but_one(directory):
    """Answer the open check as its person does elsewhere: nothing is seen in any point."""
    book, mailbox = BlindBook(blind_path(directory, "raw-1")), Mailbox(directory.requests)
    book.refresh()
    (check,) = book.checks
    for row in [row for row in check.points.tolist() if row not in check.answers][:-1]:
        mailbox.submit(BlindAnswer(scan_raw_uid="raw-1", check=check.id, point=row, classes=(), who=check.who))


def test_people_train_choose_and_go_back(place, tab):
    directory, server = place
    tab.open(server.url())
    open_tab(tab.page, "model.tab")
    find = tab.page.locator
    see(tab, ".pc-model-active", SAY("model.in_use_title", name=f"bl16xu-rust {load_bundle('bl16xu-rust').version}"))
    see(tab, ".pc-model-card", "0.90 (0.70–0.95)")
    card = tab.text(".pc-model-card")
    assert "0.50 (0.30–0.55)" in card
    assert SAY("model.card_by_sample", samples="B-1") in card
    study = load_bundle("bl16xu-rust").card["study"]["hidden"]
    see(tab, ".pc-reliability", SAY("model.reliability_stated", ece=f"{study['ece']:.4f}"))
    tab.wait("phasecastProbe.model('reliability-0-after').data.x.length === 10")
    tab.wait("phasecastProbe.pixels('reliability-0') !== null")
    inside = tab.page.evaluate("phasecastProbe.view('reliability-0').frame.bbox.width")
    assert inside > 200, "a figure that was laid out while it was hidden"
    assert tab.data("reliability-0-after")["true"] == [f"{value:.4f}" for value in study["reliability"]["frequency"]]
    assert tab.data("reliability-0-before")["x"] == []
    # nobody is anonymous
    find(".pc-model-use").click()
    see(tab, ".pc-model-answer", SAY("page.name_first"))
    find(".pc-who input").fill("森")
    find(".pc-who input").press("Tab")
    find(".pc-model-use").click()
    see(tab, ".pc-model-answer", SAY("answer.model_in_use", model="bl16xu-rust-1"))
    see(tab, ".pc-model-active", "Sato group")
    see(tab, ".pc-model-history", SAY("model.event_in_use"))
    see(tab, ".pc-reliability", SAY("model.reliability_before", ece="0.050"))
    see(tab, ".pc-reliability", SAY("model.reliability_after", ece="0.010"))
    tab.wait("phasecastProbe.model('reliability-0-before').data.x.length === 4")
    find(".pc-model-back button").click()
    see(tab, ".pc-model-answer", SAY("answer.model_in_use", model="bl16xu-rust"))
    see(tab, ".pc-model-active", SAY("model.nobody"))
    assert wait_until(lambda: read_active(directory), "the choice").who == "森"
    # two people contradict each other: the daemon says so instead of training
    find(".pc-train-go button").click()
    see(tab, ".pc-train-answer", "A. Sato says goethite")
    see(tab, ".pc-model-history", SAY("model.event_failed"))


def test_queue_and_contradictions_lead_to_the_map(place, tab):
    _, server = place
    tab.open(server.url())
    open_tab(tab.page, "model.tab")
    see(tab, ".pc-conflicts-state", SAY("model.conflicts_title", count=1))
    said = tab.text(".pc-conflicts-table")
    assert "A. Sato: Goethite" in said
    assert "森: Resin only" in said
    tab.page.locator(".pc-queue-show").first.wait_for()
    assert tab.page.locator(".pc-queue-show").count() == 20
    first = tab.page.locator(".pc-queue-table tbody td").first.inner_text()
    assert first != "5", "a labelled point is not proposed"
    tab.page.locator(".pc-queue-show").first.click()
    see(tab, ".pc-point", f"point {first}")
    tab.page.locator(".pc-label-save button").wait_for()
    tab.open(server.url(point="5"))
    see(tab, ".pc-label-list", SAY("page.label_conflict", opinions="A. Sato: Goethite; 森: Resin only"))


def test_blind_check_hides_the_prediction_and_ends_with_scores(place, tab):
    directory, server = place
    tab.open(server.url())
    open_tab(tab.page, "model.tab")
    find = tab.page.locator
    find(".pc-blind-start button").click()
    see(tab, ".pc-blind-answer", SAY("page.name_first"))
    find(".pc-who input").fill("M. Mori")
    find(".pc-who input").press("Tab")
    find(".pc-blind-count select").select_option("30")
    find(".pc-blind-start button").click()
    see(tab, ".pc-blind-progress", SAY("model.blind_progress", number=1, points=30))
    tab.wait("phasecastProbe.pixels('blind') !== null")
    assert tab.data("blind-sticks")["x"] == []
    find(".pc-blind-classes").get_by_text("Goethite", exact=True).click()
    tab.wait("phasecastProbe.model('blind-sticks').data.x.length > 0")
    assert set(tab.data("blind-sticks")["name"]) == {"Goethite"}, "lines of what the person ticked, and nothing else"
    assert tab.data("blind-unexplained")["x"] == []
    find(".pc-blind-next button").click()
    see(tab, ".pc-blind-progress", SAY("model.blind_progress", number=2, points=30))
    assert tab.data("blind-sticks")["x"] == [], "the next one begins anew"
    find(".pc-blind-cannot-tell button").click()
    see(tab, ".pc-blind-progress", SAY("model.blind_progress", number=3, points=30))
    answer_all_but_one(directory)
    see(tab, ".pc-blind-progress", SAY("model.blind_progress", number=30, points=30))
    find(".pc-blind-next button").click()
    see(tab, ".pc-blind-scores", "30 points judged blindly by M. Mori")
    book = BlindBook(blind_path(directory, "raw-1"))
    book.refresh()
    (check,) = book.checks
    assert 5 not in check.points, "a labelled point is not drawn"
    seen = np.count_nonzero(check.seen.any(axis=1))
    assert seen == 1, "one answer was given, and the others are none"
    assert np.count_nonzero(check.untold) == 1
    see(tab, ".pc-blind-scores", SAY("model.blind_untold", untold=1, points=30))
    score, shown = check.scores[1], tab.text(".pc-blind-scores").split("\n")
    assert shown[shown.index("Goethite") + 1 :][:4] == [
        str(score.said), "1", str(score.untold),
        f"{score.precision:.2f} ({score.precision_low:.2f}–{score.precision_high:.2f})",
    ]  # fmt: skip
    assert any(note["what"] == "blind_check" for note in read_notes(directory.results / "a.nxs"))
    assert {label.who for label in all_labels(directory)} == {"森"}, "blind answers are no labels"


def test_disagreement_says_how_far_it_is_and_explains_a_point(place, tab):
    _, server = place
    tab.open(server.url(layer="disagreement", point="9"))
    see(tab, ".pc-opinion", SAY("page.opinion_done", points=48))
    tab.page.locator(".pc-why").get_by_text(SAY("page.opinion"), exact=True).wait_for()
    tab.page.locator(".pc-why").get_by_text("σ").first.wait_for()
