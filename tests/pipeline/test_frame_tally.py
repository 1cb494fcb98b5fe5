"""Frames lost, doubled, out of order and broken, counted by the detector's own numbers."""

from dataclasses import replace

import numpy as np
import pytest

from phasecast.core.frame import Frame, FrameId, FrameReference, counter_key
from phasecast.core.scan import Defect, SeriesEnd, SeriesStart
from phasecast.pipeline.frame_tally import FrameTally
from phasecast.pipeline.rearmed import RearmedSeries
from phasecast.pipeline.tickets import ticket_of


def start(series: str = "1", expected: int | None = 10) -> SeriesStart:
    return SeriesStart(series=series, received_s=0.0, expected_frames=expected)


def end(series: str = "1") -> SeriesEnd:
    return SeriesEnd(series=series, received_s=0.0)


def frame(number: int, series: str = "1", *, store: str = "capture") -> Frame:
    return Frame(
        frame_id=FrameId(f"{series}/{number}"),
        series=series,
        number=number,
        image=np.zeros((1, 1), "u4"),
        keys=(counter_key(number),),
        received_s=0.0,
        reference=FrameReference(store=store, path="a", offset=number, number=number),  # type: ignore[arg-type]
    )


def broken(number: int) -> Defect:
    good = frame(number)
    return Defect(
        reason="corrupt frame",
        detail="",
        channel="simplon",
        received_s=0.0,
        frame_id=good.frame_id,
        number=number,
        reference=good.reference,
    )


def count(*messages: object, over: bool = False) -> dict[str, int]:
    tally = FrameTally()
    for message in messages:
        tally.take(message)  # type: ignore[arg-type]
    return {name: value for name, value in tally.counts(over=over).items() if value}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([start(), *map(frame, range(10)), end()], {"frames": 10}),
        ([start(), *map(frame, (0, 1, 4, 5))], {"frames": 4, "lost_upstream": 2}),
        ([start(), *map(frame, (2, 3))], {"frames": 2, "lost_upstream": 2}),
        ([*map(frame, (2, 3, 5))], {"frames": 3, "lost_upstream": 1}),
        ([start(), *map(frame, (0, 2, 1, 1, 2))], {"frames": 5, "out_of_order": 1, "duplicates": 2}),
        ([start(), *map(frame, range(7)), end()], {"frames": 7, "missing_at_end": 3}),
        ([start(), *map(frame, range(7)), start("2"), frame(0, "2")], {"frames": 8}),
        ([start(), frame(0), broken(1), frame(2)], {"frames": 3, "decode_errors": 1}),
        ([start(expected=None), frame(0), end()], {"frames": 1}),
        ([start(), *map(frame, range(10)), start(), *map(frame, range(10)), end()], {"frames": 20}),
        ([frame(5, store="file"), frame(9, store="file"), frame(2, store="file")], {"frames": 3}),
        ([end(), end("7")], {}),
        ([Defect(reason="malformed message", detail="", channel="simplon", received_s=0.0)], {"decode_errors": 1}),
    ],
)
def test_counts(messages: list[object], expected: dict[str, int]) -> None:
    assert count(*messages) == expected


def test_a_scan_that_is_over_misses_what_its_series_announced() -> None:
    messages = [start(), *map(frame, range(7))]
    assert count(*messages) == {"frames": 7}
    assert count(*messages, over=True) == {"frames": 7, "missing_at_end": 3}


def test_ten_thousand_series_keep_their_sums() -> None:
    messages = [message for n in range(10_000) for message in (start(str(n), 3), frame(0, str(n)), frame(2, str(n)))]
    assert count(*messages) == {"frames": 20_000, "lost_upstream": 10_000}


def names(*steps: int | str) -> list[str]:
    series = RearmedSeries()
    found = []
    for step in steps:
        if isinstance(step, str):
            series.announce(step)
        else:
            ticket, begins = series.ticket(ticket_of(frame(step)))
            found.append(ticket.frame_id + ("!" if begins else ""))
    return found


def test_a_series_that_is_armed_again_under_its_name_is_another() -> None:
    assert names("1", 0, 1, "1", 0, 1, "1", 0) == ["1/0", "1/1", "1#2/0!", "1#2/1", "1#3/0!"]


def test_a_repeated_announcement_or_frame_is_no_other_series() -> None:
    assert names("1", "1", 0, "1", 1, 2, 1) == ["1/0", "1/1", "1/2", "1/1"]
    assert names(0, 0, 1) == ["1/0", "1/0", "1/1"]


def test_other_series_keep_their_names() -> None:
    series = RearmedSeries()
    series.announce("1")
    other = replace(ticket_of(frame(0)), series="2")
    assert series.ticket(other) == (other, False)
