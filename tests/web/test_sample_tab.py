"""The sample form against a real clerk, without a browser."""

import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.records.alarm_book import AlarmBook
from phasecast.records.clerk import Clerk
from phasecast.records.results_list import list_results
from phasecast.services.page import page_tools
from phasecast.web.hub import Hub
from phasecast.web.sample_tab import SampleTab
from phasecast.web.session import Session
from support.results import write_result


@pytest.fixture
def directory(tmp_path):
    return DataDirectory(tmp_path).create()


def open_tab(directory, language="en", who="Aoki"):
    session = Session({"lang": language})
    session.view.who = who
    hub = Hub(directory, page_tools(directory), AlarmBook(directory))
    return hub, SampleTab(hub, session)


def save(tab, directory, scan, **fields):
    for name, text in fields.items():
        tab._fields[name].param.update(value=text, value_input=text)
    tab._save.clicks += 1
    clerk = Clerk(directory)
    clerk.step()
    clerk.close()
    tab.show(scan)
    return tab._asking.line.object


def test_form_before_any_scan_holds_for_the_scans_to_come(directory):
    _, tab = open_tab(directory)
    tab.show(None)
    said = save(tab, directory, None, name="錆 <b>7</b>", comment="one\ntwo")
    assert "saved for the scans to come" in said
    assert "錆 &lt;b&gt;7&lt;/b&gt;" in tab._history.object
    assert "Aoki" in tab._history.object
    # somebody else opens the page, in Japanese
    _, other = open_tab(directory, "ja")
    other.show(None)
    assert other._fields["name"].value == "錆 <b>7</b>"
    assert other._fields["comment"].value == "one\ntwo"


def test_form_after_a_scan_corrects_what_the_scan_says(directory):
    write_result(directory, "a.nxs")
    hub, tab = open_tab(directory)
    scan = hub.scan("a.nxs")
    tab.show(scan)
    assert tab._fields["name"].value == "錆 A-3"
    assert "from the scan" in tab._fields["name"].label
    assert "M. Mori" in tab._metadata.object
    said = save(tab, directory, scan, name="錆 A-4", operator="")
    assert "saved for this scan" in said
    (entry,) = list_results(directory)
    assert entry.sample == "錆 A-4"
    assert tab._fields["operator"].value == ""
    assert "(cleared)" in tab._history.object


def test_nothing_is_asked_without_a_name_or_a_change(directory):
    _, tab = open_tab(directory, who="")
    tab.show(None)
    tab._save.clicks += 1
    assert "Nothing has been changed" in tab._asking.line.object
    tab._fields["name"].value_input = "coupon"
    tab._save.clicks += 1
    assert "your name" in tab._asking.line.object
    assert list(directory.requests.glob("*.json")) == []
