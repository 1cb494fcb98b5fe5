"""MAX IV's stream: every trap of the format."""

from typing import Any

import numpy as np
import pytest

from phasecast.core.frame import Frame, FrameKey, counter_key
from phasecast.core.scan import Defect, Message, SeriesEnd, SeriesStart
from phasecast.pipeline.frame_tally import FrameTally
from phasecast.sources.stins import StinsDecoder
from support.hostile_streams import stins_frames, stins_messages
from support.simplon_wire import record
from support.stream_wires import counts, stins_end, stins_header, stins_image


def decode(*messages: list[bytes], **options: Any) -> list[Message]:
    decoder = StinsDecoder(**options)
    return [message for index, parts in enumerate(messages) for message in decoder.decode(record(parts, offset=index))]


def lost(messages: list[Message]) -> dict[str, int]:
    tally = FrameTally()
    for message in messages:
        tally.take(message)
    return {name: count for name, count in tally.counts().items() if count}


@pytest.mark.parametrize("sample", ["i4", "u4", "u2", "u1"])
@pytest.mark.parametrize("compression", ["none", "bslz4", "headless"])
def test_every_compression_gives_the_image_back(compression: str, sample: str) -> None:
    image = (np.abs(counts()) % 200).astype(sample) if sample != "i4" else counts()
    (frame,) = decode(stins_image(12, 3, image, compression=compression))
    assert isinstance(frame, Frame)
    np.testing.assert_array_equal(frame.image, image)
    assert frame.image.dtype == image.dtype


def test_a_series_is_named_by_its_header_with_or_without_it() -> None:
    series = [stins_header(1_039_302, b'{"user":"me"}', extra=1), *_images(1_039_303, 3), stins_end(1_039_306)]
    start, *frames, end = decode(*series)
    assert isinstance(start, SeriesStart)
    assert start.series == "1039302"
    assert start.settings == {"filename": "/data/x.h5", "extra": 1, "user": "me"}
    assert isinstance(end, SeriesEnd)
    for after in range(1, 4):  # a listener that came late
        late = decode(*series[after:])
        assert [m.frame_id for m in late if isinstance(m, Frame)] == [
            m.frame_id for m in frames if isinstance(m, Frame)
        ][after - 1 :]
    assert isinstance(frames[2], Frame)
    assert frames[2].keys == (counter_key(2), FrameKey("series:1039302/2"))


def test_losses_are_counted_by_frame_in_each_series_although_messages_are_numbered_over_all() -> None:
    messages = decode(
        stins_header(100), *_images(101, 2), stins_image(105, 4, counts()), stins_end(106),
        stins_header(107), *_images(108, 2), stins_end(110),
    )  # fmt: skip
    assert lost(messages) == {"frames": 5, "lost_upstream": 2}


def test_a_header_and_an_end_that_never_came_are_said() -> None:
    messages = decode(stins_header(100), *_images(101, 2), *_images(105, 2), stins_end(107))
    defects = [message for message in messages if isinstance(message, Defect)]
    assert [defect.reason for defect in defects] == ["lost message"]
    assert defects[0].detail.startswith("2 messages before number 105")
    assert [message.series for message in messages if isinstance(message, Frame)] == ["100", "100", "104", "104"]


def test_a_frame_that_the_detector_lost_leaves_the_series_its_name() -> None:
    messages = decode(stins_header(100), stins_image(101, 0, counts()), stins_image(102, 2, counts()))
    assert [message.series for message in messages if isinstance(message, Frame)] == ["100", "100"]
    assert lost(messages) == {"frames": 2, "lost_upstream": 1}


def test_an_aborted_series_ends_with_the_next_header_and_a_restarted_sender_is_another() -> None:
    messages = decode(stins_header(100), *_images(101, 2), stins_header(103), stins_header(0), *_images(1, 2))
    assert [message.series for message in messages if isinstance(message, SeriesEnd)] == ["100", "103"]
    assert [message.series for message in messages if isinstance(message, Frame)] == ["100", "100", "0", "0"]


def test_a_second_part_of_the_header_that_is_no_json_costs_only_itself() -> None:
    defect, start = decode(stins_header(100, b"\xff\xd8"))
    assert isinstance(defect, Defect)
    assert isinstance(start, SeriesStart)


@pytest.mark.parametrize(("name", "parts"), stins_frames(), ids=[name for name, _ in stins_frames()])
def test_a_frame_that_cannot_be_used_is_named(name: str, parts: list[bytes]) -> None:
    defect, frame = decode(parts, stins_image(15, 4, counts()))
    assert isinstance(defect, Defect)
    assert (defect.reason, defect.frame_id, defect.number) == ("corrupt frame", "10/3", 3)
    assert len(defect.detail) < 400
    assert isinstance(frame, Frame)


@pytest.mark.parametrize(("name", "parts"), stins_messages(), ids=[name for name, _ in stins_messages()])
def test_a_message_that_names_no_frame_is_one_defect(name: str, parts: list[bytes]) -> None:
    defect, frame = decode(parts, stins_image(15, 4, counts()))
    assert isinstance(defect, Defect)
    assert defect.reason == "malformed message"
    assert len(defect.detail) < 400
    assert isinstance(frame, Frame)


def _images(message: int, count: int) -> list[list[bytes]]:
    return [stins_image(message + frame, frame, counts()) for frame in range(count)]
