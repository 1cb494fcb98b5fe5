"""The sample form before, during and after a scan."""

import pytest

from phasecast.core.requests import DescribeSample
from phasecast.core.words import LANGUAGES, words
from phasecast.records.journal import append
from phasecast.records.samples import (
    FIELDS,
    FORM_KEY,
    SampleBook,
    form_entry,
    sample_for,
    sample_of,
    samples_path,
    take_form,
)
from support.documents import make_header


@pytest.fixture
def describe(directory):
    count = iter(range(100))

    def filled_in(time_s, raw_uid="", **fields):
        request = DescribeSample(scan_raw_uid=raw_uid, fields=fields, who="森")
        append(samples_path(directory), [form_entry(request, f"request-{next(count)}", time_s=time_s)])

    return filled_in


def header(directory, raw_uid, *, started_s, **metadata):
    """Header as the daemon makes it: with the form that stands then."""
    form = take_form(directory, raw_uid, time_s=started_s)
    return make_header(
        raw_uid=raw_uid,
        started_s=started_s,
        processing={"created_s": started_s},
        metadata=metadata | ({FORM_KEY: form} if form else {}),
    )


def test_the_later_word_counts_scan_then_form_before_then_form_about_it(directory, describe):
    describe(10.0, name="from the form", operator="森")
    scan = header(directory, "raw-1", started_s=20.0, sample={"name": "from the scan", "id": "S-1"}, proposal="2026A")
    assert sample_for(directory, "raw-1", scan) == {
        "name": "from the form",
        "sample_id": "S-1",
        "operator": "森",
        "proposal": "2026A",
    }
    describe(30.0, "raw-1", name="during", thickness_um="30")
    describe(40.0, "raw-1", thickness_um="28", operator="")
    sample = sample_for(directory, "raw-1", scan)
    assert (sample["name"], sample["thickness_um"]) == ("during", "28")
    assert "operator" not in sample, "an empty text clears a field"
    book = SampleBook(samples_path(directory))
    book.refresh()
    assert dict(sample_of(book, "raw-1", scan).origin) == {
        "name": "form",
        "sample_id": "scan",
        "proposal": "scan",
        "thickness_um": "form",
    }


def test_a_form_before_the_scan_holds_for_all_that_follow_until_it_is_changed_and_says_so(directory, describe):
    describe(10.0, name="A")
    first = header(directory, "raw-1", started_s=20.0)
    second = header(directory, "raw-2", started_s=30.0)
    describe(35.0, name="B")
    third = header(directory, "raw-3", started_s=40.0)
    names = [sample_for(directory, one.raw_uid, one)["name"] for one in (first, second, third)]
    assert names == ["A", "A", "B"]
    assert [one.metadata[FORM_KEY]["scans_before"] for one in (first, second, third)] == [0, 1, 0]
    # a daemon that starts again with the same scan has not used it twice
    assert header(directory, "raw-3", started_s=40.0).metadata[FORM_KEY]["scans_before"] == 0


def test_a_form_sent_before_the_start_and_written_after_it_is_still_that_scans(directory, describe):
    scan = header(directory, "raw-1", started_s=20.0)
    assert FORM_KEY not in scan.metadata
    describe(19.9, name="just in time")
    describe(20.1, name="for the next")
    assert sample_for(directory, "raw-1", scan)["name"] == "just in time"


@pytest.mark.parametrize(
    "metadata, name",
    [
        ({"sample": "plate"}, "plate"),
        ({"sample_name": "plate"}, "plate"),
        ({"sample": {"name": "plate", "weight": 3, "material": ["a"]}}, "plate"),
        ({"sample": 7, "sample_form": "nonsense"}, None),
        ({"sample_form": {"fields": 5}}, None),
        ({}, None),
    ],
)
def test_scans_say_their_sample_in_many_ways(directory, metadata, name):
    scan = make_header(metadata=metadata)
    assert sample_for(directory, "raw-1", scan).get("name") == name


def test_a_scan_without_a_result_yet_can_be_described(directory, describe):
    describe(10.0, "raw-1", name="A")
    assert sample_for(directory, "raw-1", None) == {"name": "A"}


def test_no_form_is_no_form(directory):
    assert take_form(directory, "raw-1", time_s=1.0) == {}
    assert not samples_path(directory).exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_has_a_label(language):
    labels = [words(language)(f"sample.{name}") for name in FIELDS]
    assert len(set(labels)) == len(FIELDS)


def test_an_old_scan_that_is_worked_off_again_does_not_take_the_form_of_today(directory, describe):
    describe(100.0, name="today")
    again = make_header(raw_uid="raw-1", started_s=20.0, processing={"created_s": 200.0}, metadata={"sample": "then"})
    assert sample_for(directory, "raw-1", again)["name"] == "then"
