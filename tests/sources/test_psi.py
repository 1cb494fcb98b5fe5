"""PSI's and areaDetector's ZMQ streams: every trap of the format, and a bridge that sends over a real socket."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from phasecast.core.frame import Frame, counter_key, file_key
from phasecast.core.scan import Defect, Message
from phasecast.pipeline.frame_tally import FrameTally
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.psi import PsiDecoder, PsiReceiver
from support.hostile_streams import psi_frames, psi_messages
from support.simplon_wire import record
from support.stream_wires import EPICS_EPOCH_S, array, cbf, counts, pilatus

HEADER = "# 2026-01-01T10:00:00.123\r\n# Exposure_time 0.0970000 s\r\n# Map_horizontal -0.3280 mm\r\n# I0 1234.5"


def decode(*messages: list[bytes], **options: Any) -> list[Message]:
    decoder = PsiDecoder(**options)
    return [
        message
        for index, parts in enumerate(messages)
        for message in decoder.decode(record(parts, offset=index, received_s=1e9 + index))
    ]


def frame_of(parts: list[bytes], **options: Any) -> Frame:
    (frame,) = decode(parts, **options)
    assert isinstance(frame, Frame), frame
    return frame


def lost(messages: list[Message]) -> dict[str, int]:
    tally = FrameTally()
    for message in messages:
        tally.take(message)
    return {name: count for name, count in tally.counts().items() if count}


def test_a_whole_cbf_file_is_a_frame_with_what_its_header_says() -> None:
    frame = frame_of(
        pilatus("t_00001.cbf", cbf(counts(), HEADER)),
        position_fields={"x": "Map_horizontal"},
        number_fields=["I0"],
    )
    np.testing.assert_array_equal(frame.image, counts())
    assert (frame.series, frame.number) == ("run1/t", 1)
    assert frame.keys == (file_key("t_00001.cbf"), counter_key(1))
    assert frame.position_um == {"x": -328.0}
    assert frame.scalars == {"I0": 1234.5}
    assert frame.exposure_s == pytest.approx(0.097)
    assert frame.hardware_s is not None
    assert frame.reference.store == "capture"


@pytest.mark.parametrize("fields", [{}, {"endianness": "little"}, {"shape": [1, 195, 487]}])
def test_an_array_is_rows_of_columns_and_its_time_counts_from_1990(fields: dict[str, Any]) -> None:
    frame = frame_of(array(counts(), 7, **fields))
    np.testing.assert_array_equal(frame.image, counts())
    assert (frame.number, frame.keys) == (7, (counter_key(7),))
    assert frame.hardware_s == pytest.approx(1_164_165_348.46 + EPICS_EPOCH_S)


def test_an_old_plugin_writes_htype_as_a_list_and_the_width_first() -> None:
    frame = frame_of(array(counts(), 7, htype=["array-1.0"], shape=[487, 195]))
    np.testing.assert_array_equal(frame.image, counts())


def test_big_endian_counts_are_read_as_such() -> None:
    frame = frame_of(array(counts(), 7, endianness="big", blob=counts().astype(">i4").tobytes()))
    np.testing.assert_array_equal(frame.image, counts())


@pytest.mark.parametrize("attributes", ['{"I0":nan,"E":12.4}', r'{"path":"C:\data\x","E":12.4}', '{"note":"a "b" c"}'])
def test_attributes_that_are_no_json_cost_the_attributes_and_not_the_frame(attributes: str) -> None:
    np.testing.assert_array_equal(frame_of(array(counts(), 7, attributes=attributes)).image, counts())
    (defect,) = decode(array(counts(), 7, attributes=attributes), number_fields=["E"])
    assert isinstance(defect, Defect)
    assert (defect.number, defect.reason) == (7, "corrupt frame")


def test_attributes_that_are_asked_for_are_numbers_of_the_frame() -> None:
    parts = array(counts(), 7, attributes='{"E":12.4,"shutter":true,"name":"rust","I0":1e400}')
    assert frame_of(parts, number_fields=["E", "shutter", "name", "I0", "none"]).scalars == {"E": 12.4}


def test_gaps_are_losses_and_a_number_that_begins_anew_is_a_series_of_its_own() -> None:
    messages = decode(*[array(counts(), number) for number in (5, 6, 9, 9, 1, 2, 4)])
    assert lost(messages) == {"frames": 7, "lost_upstream": 3, "duplicates": 1}
    assert lost(decode(*[pilatus(f"t_{n:05d}.cbf", cbf(counts())) for n in (0, 1, 4)])) == {
        "frames": 3,
        "lost_upstream": 2,
    }


@pytest.mark.parametrize(("name", "parts"), psi_frames(), ids=[name for name, _ in psi_frames()])
def test_a_frame_that_cannot_be_used_is_named(name: str, parts: list[bytes]) -> None:
    defect, frame = decode(parts, array(counts(), 3))
    assert isinstance(defect, Defect)
    assert defect.reason == "corrupt frame"
    assert defect.frame_id is not None
    assert len(defect.detail) < 400
    assert isinstance(frame, Frame)


@pytest.mark.parametrize(("name", "parts"), psi_messages(), ids=[name for name, _ in psi_messages()])
def test_a_message_that_names_no_frame_is_one_defect(name: str, parts: list[bytes]) -> None:
    defect, frame = decode(parts, array(counts(), 3))
    assert isinstance(defect, Defect)
    assert defect.reason == "malformed message"
    assert len(defect.detail) < 400
    assert isinstance(frame, Frame)


@pytest.mark.parametrize("socket", ["sub", "pull", "bind"])
def test_every_way_to_connect_brings_the_frames(tmp_path: Path, socket: str) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sender = context.socket(zmq.PUB if socket == "sub" else zmq.PUSH)
    port = sender.bind_to_random_port("tcp://127.0.0.1")
    if socket == "bind":  # areaDetector's plugin as a PUSH connects, and we wait for it
        sender.unbind(f"tcp://127.0.0.1:{port}")
        sender.connect(f"tcp://127.0.0.1:{port}")
    receiver = PsiReceiver(f"tcp://127.0.0.1:{port}", socket=socket)
    with CaptureWriter(tmp_path) as writer, CaptureReader(tmp_path) as reader:
        receiver.start(writer)
        try:
            records = []
            for number in range(10_000):  # a PUB drops what it sends before the subscription has come
                sender.send_multipart(array(counts(), number))
                if writer.wait(0.02, reader.position):
                    records = list(reader.read_available())
                    break
        finally:
            receiver.stop()
            context.destroy(linger=0)
    assert isinstance(next(PsiDecoder().decode(records[0])), Frame)
