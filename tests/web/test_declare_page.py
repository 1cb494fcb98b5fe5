"""A scan declared in a real browser, to a real daemon that watches a real folder: refused, taken, and running."""

import pytest

from phasecast.core.words import words
from support.browser import page_server
from support.daemon import watched_folder
from support.frame_files import cbf_bytes, small_image

pytestmark = pytest.mark.slow

FIELDS = {"name": "錆の断面", "nx": "4", "ny": "３", "step_x_um": "2", "step_y_um": "-2.5", "exposure_s": "0"}


def fill(tab, name, text):
    tab.page.locator(f".pc-declare-{name} input").fill(text)
    tab.page.locator(f".pc-declare-{name} input").press("Tab")


@pytest.fixture
def watching(tmp_path):
    """A daemon that watches a folder, and the page beside it."""
    with (
        watched_folder(tmp_path, "--device", "cpu", profile="bl16xu") as setup,
        page_server(setup.data_dir, tmp_path) as server,
    ):
        yield setup, server


def test_form_names_what_is_wrong_and_shows_what_the_daemon_answers(watching, tab):
    (setup, server), say, find = watching, words("en"), tab.page.locator
    tab.open(server.url())
    tab.page.locator(".bk-tab").get_by_text(say("declare.tab"), exact=True).click()
    find(".pc-declare-state").get_by_text(say("declare.state_none")).wait_for()
    find(".pc-who input").fill("森")
    find(".pc-who input").press("Tab")
    for name, text in FIELDS.items():
        fill(tab, name, text)
    find(".pc-declare-exposure_s-error").get_by_text("must be more than 0", exact=True).wait_for()
    find(".pc-declare-go button").click()
    find(".pc-declare-answer").get_by_text(say("declare.correct")).wait_for()
    fill(tab, "exposure_s", "0.5")
    find(".pc-declare-sums").get_by_text("12 points (12 frames), 6 × 5 µm, at least 0:00:06").wait_for()
    find(".pc-declare-go button").click()
    find(".pc-declare-answer").get_by_text("Kept as").wait_for()
    find(".pc-declare-state").get_by_text("its first frame has not come yet").wait_for()
    frame = setup.folder / "frames" / "map_00001.cbf"
    frame.write_bytes(cbf_bytes(small_image(1)))
    find(".pc-declare-state").get_by_text("frames map").wait_for()
    # the scan is open: no second one is taken; what was declared can be filled in again
    fill(tab, "nx", "7")
    find(".pc-declare-go button").click()
    find(".pc-declare-answer").get_by_text("the scan “錆の断面” is still open").wait_for()
    (kept,) = (setup.data_dir / "scans").glob("*.toml")
    find(".pc-declare-earlier select").select_option(label=kept.stem)
    find(".pc-declare-sums").get_by_text("12 points").wait_for()
    assert find(".pc-declare-nx input").input_value() == "4"
