"""SIMPLON V2: every trap of the format, on messages as detectors send them."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import cbor2
import numpy as np
import pytest
from numpy.typing import NDArray

from phasecast.core.frame import Frame, FrameKey, counter_key
from phasecast.core.record import Channel
from phasecast.core.scan import Defect, Message, SeriesEnd, SeriesStart
from phasecast.sources import simplon_cbor
from phasecast.sources.simplon import SimplonDecoder
from phasecast.sources.simplon2 import Simplon2Decoder
from phasecast.sources.uri import SourceOptions, make_decoder, open_source
from support.hostile_simplon2 import IMAGE, good_simplon2_series, simplon2_frames, simplon2_messages
from support.simplon2_wire import TAGS, UNIQUE_ID, end2, image2, image_tag, start2
from support.simplon_wire import end_parts, header_parts, image_parts, record

SERIES = f"14.{UNIQUE_ID}"


def decode(*messages: list[bytes], **options: Any) -> list[Message]:
    decoder = Simplon2Decoder(**options)
    return [message for index, parts in enumerate(messages) for message in decoder.decode(record(parts, offset=index))]


def frame_of(*messages: list[bytes], **options: Any) -> Frame:
    (frame,) = decode(*messages, **options)
    assert isinstance(frame, Frame), frame
    return frame


def defect_of(*messages: list[bytes], **options: Any) -> Defect:
    (defect,) = decode(*messages, **options)
    assert isinstance(defect, Defect)
    assert "\n" not in defect.detail
    return defect


def poisson(sample: str = "<u4", shape: tuple[int, int] = (195, 487)) -> NDArray[Any]:
    return np.random.default_rng(5).poisson(20.0, shape).astype(sample)


@pytest.mark.parametrize("sample", [*TAGS])
def test_every_typed_array_gives_the_image_back(sample: str) -> None:
    image = poisson(sample, (20, 24))
    for compression in ("", "bslz4", "lz4") if "f2" not in sample else ("", "lz4"):
        tag = image_tag(image, sample=sample, compression=compression)
        frame = frame_of(image2(14, 2, {"threshold_1": tag}))
        assert frame.image.dtype == np.dtype(sample).newbyteorder("=")
        np.testing.assert_array_equal(frame.image, image)


def test_shape_is_rows_then_columns_and_tag_1040_lies_in_columns() -> None:
    image = poisson("<u2", (3, 5))
    clamped = image_tag(image.astype("u1"), tag=68)
    for tag in (image_tag(image), image_tag(image, by_columns=True), image_tag(image, compression=""), clamped):
        frame = frame_of(image2(1, 0, {"a": tag}))
        np.testing.assert_array_equal(frame.image, image)
        assert frame.image.flags.c_contiguous
        assert not frame.image.flags.writeable


def test_a_frame_says_who_it_is_and_where_it_lies() -> None:
    (frame,) = Simplon2Decoder().decode(record(image2(14, 2, {"threshold_1": poisson()}), offset=77))
    assert isinstance(frame, Frame)
    assert (frame.frame_id, frame.series, frame.number) == (f"{SERIES}/2", SERIES, 2)
    assert frame.keys == (counter_key(2), FrameKey("series:14/2"))
    assert (frame.hardware_s, frame.exposure_s, frame.received_s) == (0.2, 0.1, 1e9)
    assert (frame.reference.store, frame.reference.offset, frame.reference.number) == ("capture", 77, 2)


def test_times_that_are_none_cost_the_time_and_not_the_frame() -> None:
    for times in ([1, 0], [-1, 5], "soon", None, [1]):
        frame = frame_of(image2(1, 0, {"a": poisson()}, start_time=times, real_time=times))
        assert frame.hardware_s is frame.exposure_s is None


def test_a_start_without_image_dtype_and_user_data_announces_the_series() -> None:
    (start,) = decode(start2(14))
    assert isinstance(start, SeriesStart)
    assert (start.series, start.expected_frames) == (SERIES, 12)
    assert start.settings["incident_energy"] == 10000.0
    assert start.settings["image_channel"] == "threshold_1"
    assert "countrate_correction_lookup_table" not in start.settings
    json.dumps(start.settings)
    (full,) = decode(
        start2(14, image_dtype="uint32", user_data={"sample": "rust"}, goniometer={"omega": {"start": 0.5}})
    )
    assert isinstance(full, SeriesStart)
    assert full.settings["user_data"] == {"sample": "rust"}
    (bare,) = decode(start2(14, number_of_images=None, channels=None, arm_date=None))
    assert isinstance(bare, SeriesStart)
    assert bare.expected_frames is None


def test_user_data_of_an_image_and_a_missing_mark_are_tolerated() -> None:
    parts = image2(14, 0, {"threshold_1": poisson()}, user_data={"point": [1, 2], "note": "x" * 1000})
    assert frame_of(parts).number == 0
    assert frame_of([parts[0].removeprefix(b"\xd9\xd9\xf7")]).number == 0


def test_the_chosen_threshold_is_taken_and_a_missing_one_is_named() -> None:
    images = {"threshold_1": poisson(), "threshold_2": poisson() // 2}
    parts = image2(14, 0, images)
    np.testing.assert_array_equal(frame_of(parts, image_channel="threshold_2").image, images["threshold_2"])
    missing = defect_of(parts, image_channel="threshold_3")
    assert "no channel 'threshold_3', the stream has 2 channels: threshold_1, threshold_2" in missing.detail
    assert "?channel=threshold_1" in defect_of(parts).detail
    # a channel that is not chosen may be broken
    np.testing.assert_array_equal(
        frame_of(image2(14, 0, images | {"threshold_1": 7}), image_channel="threshold_2").image, images["threshold_2"]
    )


@pytest.mark.parametrize(
    ("uri", "profile", "channel", "chosen"),
    [
        ("simplon2://dcu:31001", "", "simplon2", ""),
        ("simplon2://dcu:31001?channel=threshold_2", "threshold_1", "simplon2.threshold_2", "threshold_2"),
        ("simplon2://dcu:31001", "threshold_1", "simplon2.threshold_1", "threshold_1"),
        ("simplon2://dcu:31001?channel=simplon2.threshold_2.1", "", "simplon2.threshold_2.1", "threshold_2"),
        ("simplon2://dcu:31001?channel=simplon2.1", "", "simplon2.1", ""),
    ],
)
def test_the_name_of_the_wire_keeps_the_choice_for_restart_and_replay(
    uri: str, profile: str, channel: str, chosen: str
) -> None:
    source = open_source(uri, SourceOptions(image_channel=profile))
    assert source.channel == channel
    parts = image2(14, 0, {"threshold_1": poisson(), "threshold_2": poisson() // 2})
    (message,) = make_decoder(Channel(channel)).decode(record(parts, channel=channel))
    if chosen:
        assert isinstance(message, Frame)
        assert message.image.sum() == (poisson() // (2 if chosen == "threshold_2" else 1)).sum()
    else:
        assert isinstance(message, Defect)


def test_a_series_whose_end_never_came_ends_with_the_next_start_and_a_late_end_ends_no_other() -> None:
    messages = decode(start2(14), start2(15), end2(14), start2(16), end2(16))
    ends = [message.series for message in messages if isinstance(message, SeriesEnd)]
    assert ends == [f"{number}.{UNIQUE_ID}" for number in (14, 14, 15, 16)]


def test_a_restarted_detector_counts_series_anew_under_other_names() -> None:
    first, second = (frame_of(image2(1, 0, {"a": poisson()}, unique=unique)) for unique in ("A", "B"))
    assert first.frame_id != second.frame_id
    assert first.keys == second.keys
    assert frame_of(image2(1, 0, {"a": poisson()}, unique="")).series == "1"


def test_the_other_version_of_the_stream_is_named_in_one_line() -> None:
    for parts in (header_parts(1), image_parts(1, 0, poisson()), end_parts(1)):
        assert defect_of(parts).detail.endswith("write simplon://")
    for parts in good_simplon2_series():
        (defect,) = SimplonDecoder().decode(record(parts))
        assert isinstance(defect, Defect)
        assert defect.detail.endswith("write simplon2://")


@pytest.mark.parametrize(("name", "parts"), simplon2_frames(), ids=[name for name, _ in simplon2_frames()])
def test_a_frame_that_cannot_be_used_is_named_and_costs_only_itself(name: str, parts: list[bytes]) -> None:
    defect, *after = decode(parts, *good_simplon2_series())
    assert isinstance(defect, Defect)
    assert defect.reason == "corrupt frame"
    assert (defect.frame_id, defect.number) == (f"7.{UNIQUE_ID}/3", 3)
    assert defect.frame_keys == (counter_key(3), FrameKey("series:7/3"))
    assert defect.hardware_s == pytest.approx(0.3)
    start, frame, end = after
    assert isinstance(start, SeriesStart)
    assert isinstance(frame, Frame)
    np.testing.assert_array_equal(frame.image, IMAGE)
    assert isinstance(end, SeriesEnd)


@pytest.mark.parametrize(("name", "parts"), simplon2_messages(), ids=[name for name, _ in simplon2_messages()])
def test_a_message_that_names_no_frame_is_one_defect(name: str, parts: list[bytes]) -> None:
    defect, *after = decode(parts, *good_simplon2_series())
    assert isinstance(defect, Defect)
    assert defect.reason == "malformed message"
    assert len(defect.detail) < 400
    assert [type(message) for message in after] == [SeriesStart, Frame, SeriesEnd]


def test_no_hostile_message_takes_memory(tmp_path: Path) -> None:
    program = (
        "import resource\n"
        "from support.hostile_simplon2 import simplon2_frames, simplon2_messages\n"
        "from support.simplon_wire import record\n"
        "from phasecast.sources.simplon2 import Simplon2Decoder\n"
        "corpus = simplon2_frames() + simplon2_messages()\n"
        "corpus.append(('64 MiB of lists', [b'\\xa1\\x64type\\x9a\\x03\\xff\\xff\\xff' + b'\\x80' * (64 << 20)]))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for _, parts in corpus:\n"
        "    list(Simplon2Decoder().decode(record(parts)))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=limit,
    )
    assert int(done.stdout) < 200_000, "kB"


def test_random_damage_never_raises() -> None:
    (whole,) = image2(1, 0, {"threshold_1": poisson(shape=(40, 40))})
    draw = np.random.default_rng(11)
    decoder = Simplon2Decoder()
    outcomes = set()
    for turn in range(600):
        content = bytearray(whole)
        for place in draw.integers(0, min(len(content), 400) if turn % 2 else len(content), 3):
            content[place] = draw.integers(256)
        cut = int(draw.integers(0, len(content) + 1)) if draw.random() < 0.3 else len(content)
        outcomes |= {type(message) for message in decoder.decode(record([bytes(content[:cut])]))}
    assert outcomes <= {Frame, Defect, SeriesStart, SeriesEnd}
    assert outcomes >= {Frame, Defect}


def test_an_image_above_the_limit_is_refused_before_it_is_decoded() -> None:
    assert "larger than 1000 bytes" in defect_of(image2(1, 0, {"a": poisson()}), max_image_bytes=1000).detail


def test_both_generations_of_cbor2_call_the_hook_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    tag = cbor2.CBORTag(70, b"1234")
    for arguments in ((object(), tag), (tag, True)):
        assert simplon_cbor._on_tag(*arguments) == simplon_cbor.TypedArray(70, b"1234")
