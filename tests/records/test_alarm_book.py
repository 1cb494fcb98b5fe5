"""An alarm is one occurrence: acknowledging holds until it clears and comes again, also over a restart."""

from dataclasses import replace

import pytest

from phasecast.core.requests import Acknowledge
from phasecast.records.alarm_book import AlarmBook, alarms_path, gravest
from phasecast.records.alarms import AlarmInputs
from phasecast.records.clerk import Clerk
from phasecast.records.mailbox import Mailbox

FINE = AlarmInputs(
    now_s=1000.0, daemon_state="running", scan_uid="raw-1", scan_age_s=100.0, since_frame_s=0.1, since_position_s=0.1
)
DARK = replace(FINE, i0_ratio=0.1)


@pytest.fixture
def acknowledge(directory):
    clerk = Clerk(directory)
    mailbox = Mailbox(directory.requests)

    def by(who, alarm):
        request_id = mailbox.submit(Acknowledge(alarm_id=alarm.id, who=who))
        clerk.step()
        assert mailbox.answer(request_id).ok

    yield by
    clerk.close()


def test_acknowledging_holds_until_the_alarm_clears_and_comes_again(directory, acknowledge):
    book = AlarmBook(directory)
    (new,) = book.step(DARK)
    assert book.step(replace(DARK, now_s=1001.0)) == [], "new only once"
    assert gravest(book.alarms) == new
    acknowledge("森", new)
    book.step(replace(DARK, now_s=1002.0, i0_ratio=0.7))
    (seen,) = book.alarms
    assert (seen.id, seen.acknowledged_by) == (new.id, "森")
    assert seen.acknowledged_s is not None
    assert book.unacknowledged == []
    book.step(replace(FINE, now_s=1003.0, i0_ratio=1.0))
    assert book.alarms == []
    (again,) = book.step(replace(DARK, now_s=1004.0))
    assert again.id != new.id
    assert book.unacknowledged == [again]


def test_another_scan_is_another_occurrence(directory, acknowledge):
    book = AlarmBook(directory)
    (first,) = book.step(DARK)
    acknowledge("m", first)
    (second,) = book.step(replace(DARK, now_s=1010.0, scan_uid="raw-2"))
    assert book.unacknowledged == [second]
    assert [alarm.scan_uid for alarm in book.alarms] == ["raw-2"]


def test_a_restarted_page_and_a_second_one_know_the_same_alarms(directory, acknowledge):
    book = AlarmBook(directory)
    (alarm,) = book.step(DARK)
    acknowledge("m", alarm)
    watching = AlarmBook(directory)
    watching.refresh()
    assert [(one.id, one.acknowledged_by) for one in watching.alarms] == [(alarm.id, "m")]
    restarted = AlarmBook(directory)
    assert restarted.step(replace(DARK, now_s=1020.0)) == []
    assert [(one.id, one.acknowledged_by) for one in restarted.alarms] == [(alarm.id, "m")]
    restarted.step(replace(FINE, now_s=1030.0))
    watching.refresh()
    assert watching.alarms == []


def test_alarms_stand_also_when_their_journal_cannot_be_written(directory):
    alarms_path(directory).mkdir()
    book = AlarmBook(directory)
    (alarm,) = book.step(replace(FINE, disk_free_bytes=1e6))
    assert book.error
    assert book.step(replace(FINE, now_s=1001.0, disk_free_bytes=1e6)) == []
    assert [one.id for one in book.alarms] == [alarm.id]
    alarms_path(directory).rmdir()
    book.step(replace(FINE, now_s=1002.0, disk_free_bytes=1e6))
    assert book.error == ""
    watching = AlarmBook(directory)
    watching.refresh()
    assert [one.id for one in watching.alarms] == [alarm.id]


def test_the_banner_shows_the_gravest_that_nobody_has_seen(directory, acknowledge):
    book = AlarmBook(directory)
    book.step(replace(DARK, disk_free_bytes=1e6))
    assert [alarm.kind for alarm in book.alarms] == ["disk_low", "i0_down"]
    acknowledge("m", book.alarms[0])
    book.refresh()
    assert gravest(book.alarms).kind == "i0_down"
    acknowledge("m", book.alarms[1])
    book.refresh()
    assert gravest(book.alarms).kind == "disk_low"
    assert gravest([]) is None
