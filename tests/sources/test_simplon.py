"""SIMPLON V1: every trap of the format, on messages as detectors send them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from phasecast.core.frame import Frame, FrameKey, counter_key
from phasecast.core.scan import Defect, Message, SeriesEnd, SeriesStart
from phasecast.sources.simplon import SimplonDecoder
from support import hostile_wire
from support.simplon_wire import end_parts, header_parts, image_parts, record, to_json


def decode(*messages: list[bytes], **options: Any) -> list[Message]:
    decoder = SimplonDecoder(**options)
    return [message for index, parts in enumerate(messages) for message in decoder.decode(record(parts, offset=index))]


def poisson(dtype: str, shape: tuple[int, int] = (195, 487)) -> NDArray[Any]:
    return np.random.default_rng(5).poisson(20.0, shape).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "encoding"),
    [
        (dtype, encoding)
        for dtype in ("uint8", "uint16", "uint32", "int32")
        for encoding in ("<", ">", "lz4<", "lz4>", *(f"bs{8 * np.dtype(dtype).itemsize}-lz4{order}" for order in "<>"))
    ],
)
def test_every_encoding_gives_the_image_back(dtype: str, encoding: str) -> None:
    image = poisson(dtype)
    (frame,) = decode(image_parts(14, 2, image, encoding=encoding))
    assert isinstance(frame, Frame)
    assert frame.image.dtype == np.dtype(dtype)
    assert frame.image.dtype.isnative
    np.testing.assert_array_equal(frame.image, image)


def test_shape_on_the_wire_is_width_then_height() -> None:
    image = poisson("uint32", (3, 5))
    parts = image_parts(1, 0, image, encoding="<")
    assert b'"shape": [5, 3]' in parts[1]
    (frame,) = decode(parts)
    assert isinstance(frame, Frame)
    np.testing.assert_array_equal(frame.image, image)


def test_a_frame_says_who_it_is_and_where_it_lies() -> None:
    decoder = SimplonDecoder()
    (frame,) = decoder.decode(record(image_parts(14, 2, poisson("uint16"), start_ns=1_500_000_000), offset=77))
    assert isinstance(frame, Frame)
    assert (frame.frame_id, frame.series, frame.number) == ("14/2", "14", 2)
    assert frame.keys == (counter_key(2), FrameKey("series:14/2"))
    assert frame.hardware_s == 1.5
    assert frame.exposure_s == 0.1
    assert frame.received_s == 1e9
    assert (frame.reference.store, frame.reference.offset, frame.reference.number) == ("capture", 77, 2)


@pytest.mark.parametrize("detail", ["basic", "all"])
def test_the_header_announces_images_times_triggers(detail: str) -> None:
    (start,) = decode(header_parts(14, detail=detail, appendix=b'{"sample": "rust"}'))
    assert isinstance(start, SeriesStart)
    assert start.series == "14"
    assert start.expected_frames == 12
    assert start.settings["photon_energy"] == 10000.0
    assert start.settings["header_appendix"] == '{"sample": "rust"}'


def test_a_header_without_details_still_opens_the_series() -> None:
    (start,) = decode(header_parts(14, detail="none", appendix=b"free text"))
    assert isinstance(start, SeriesStart)
    assert start.expected_frames is None
    assert start.settings == {"header_appendix": "free text"}


def test_a_corrupt_header_opens_the_series_and_is_reported() -> None:
    parts = header_parts(14)
    parts[1] = b"{broken"
    defect, start = decode(parts)
    assert isinstance(defect, Defect)
    assert defect.reason == "corrupt header"
    assert isinstance(start, SeriesStart)


def test_a_series_whose_end_never_came_ends_with_the_next_header() -> None:
    first, end, second, last = decode(header_parts(14), header_parts(15), end_parts(15))
    assert isinstance(first, SeriesStart)
    assert isinstance(end, SeriesEnd)
    assert end.series == "14"
    assert isinstance(second, SeriesStart)
    assert isinstance(last, SeriesEnd)
    assert last.series == "15"


def test_the_late_end_of_an_aborted_series_ends_no_other() -> None:
    messages = decode(header_parts(14), header_parts(15), end_parts(14), header_parts(16))
    assert [message.series for message in messages if isinstance(message, SeriesEnd)] == ["14", "14", "15"]


def test_frames_before_any_header_and_twice_are_passed_on() -> None:
    parts = image_parts(3, 9, poisson("uint8"))
    first, second = decode(parts, parts)
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert first.frame_id == second.frame_id == "3/9"


def test_an_image_appendix_and_missing_times_are_tolerated() -> None:
    parts = image_parts(3, 9, poisson("uint8"))
    with_appendix, without_times = decode([*parts, b"{}"], [*parts[:3], to_json({"htype": "dconfig-1.0"})])
    assert isinstance(with_appendix, Frame)
    assert isinstance(without_times, Frame)
    assert without_times.hardware_s is None


@pytest.mark.parametrize("name", hostile_wire.simplon_frames())
def test_a_frame_that_cannot_be_used_is_named_and_costs_only_itself(name: str) -> None:
    parts = hostile_wire.simplon_frames()[name]
    defect, *after = decode(parts, *hostile_wire.good_simplon_series())
    assert isinstance(defect, Defect)
    assert defect.reason == "corrupt frame"
    assert (defect.frame_id, defect.number) == ("7/3", 3)
    assert defect.frame_keys == (counter_key(3), FrameKey("series:7/3"))
    assert defect.reference is not None
    assert "7/3" in defect.detail
    assert "\n" not in defect.detail
    if len(parts) > 3:
        assert defect.hardware_s == pytest.approx(4843.21380696)
    start, frame, end = after
    assert isinstance(start, SeriesStart)
    assert isinstance(frame, Frame)
    np.testing.assert_array_equal(frame.image, hostile_wire.IMAGE)
    assert isinstance(end, SeriesEnd)


@pytest.mark.parametrize("name", hostile_wire.simplon_messages())
def test_a_message_that_names_no_frame_is_one_defect(name: str) -> None:
    defect, *after = decode(hostile_wire.simplon_messages()[name], *hostile_wire.good_simplon_series())
    assert isinstance(defect, Defect)
    assert defect.reason == "malformed message"
    assert [type(message) for message in after] == [SeriesStart, Frame, SeriesEnd]


def test_random_damage_to_a_blob_never_raises() -> None:
    whole = image_parts(1, 0, poisson("uint32"))
    draw = np.random.default_rng(11)
    decoder = SimplonDecoder()
    outcomes = set()
    for _ in range(300):
        blob = bytearray(whole[2])
        for place in draw.integers(0, len(blob), 4):
            blob[place] = draw.integers(256)
        cut = int(draw.integers(0, len(blob) + 1)) if draw.random() < 0.3 else len(blob)
        parts = [whole[0], whole[1].replace(str(len(blob)).encode(), str(cut).encode()), bytes(blob[:cut]), whole[3]]
        (message,) = decoder.decode(record(parts))
        outcomes.add(type(message))
    assert outcomes <= {Frame, Defect}
    assert Defect in outcomes


def test_an_image_above_the_limit_is_refused_before_it_is_decoded() -> None:
    (defect,) = decode(image_parts(1, 0, poisson("uint32")), max_image_bytes=1000)
    assert isinstance(defect, Defect)
    assert "larger than 1000 bytes" in defect.detail
