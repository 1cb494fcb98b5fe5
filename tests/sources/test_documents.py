"""Bluesky documents: what a scan says of itself, and what must not be believed."""

import json
import os
import pickle  # noqa: TID251 - what a RunEngine sends by default
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgpack
import msgpack_numpy
import numpy as np
import pytest

from phasecast.core.frame import counter_key, datum_key, file_key
from phasecast.core.scan import Defect, Message, PointMeasured, ScanAxis, ScanStart, ScanStop
from phasecast.sources.document_codec import decode_document
from phasecast.sources.documents import DocumentDecoder
from support import hostile_wire
from support.simplon_wire import record

Serializer = Callable[[dict[str, Any]], bytes]

SERIALIZERS: dict[str, Serializer] = {
    **{f"pickle {version}": (lambda doc, version=version: pickle.dumps(doc, version)) for version in (2, 3, 4, 5)},
    "msgpack": lambda doc: bytes(msgpack.packb(doc, default=msgpack_numpy.encode)),
}


def to_record(name: str, doc: dict[str, Any], serialize: Serializer = pickle.dumps) -> Any:
    return record([b"bl16xu " + name.encode() + b" " + serialize(doc)], channel="bluesky")


def feed(
    decoder: DocumentDecoder, *documents: tuple[str, dict[str, Any]], serialize: Serializer = pickle.dumps
) -> list[Message]:
    return [message for name, doc in documents for message in decoder.decode(to_record(name, doc, serialize))]


def start_doc(**changes: Any) -> dict[str, Any]:
    return {
        "uid": "run-1",
        "time": 100.0,
        "scan_id": 12,
        "plan_name": "grid_scan",
        "motors": ("stage_y", "stage_x"),
        "shape": (2, 3),
        "extents": ([0, 1], [0, 2]),
        "snaking": (False, True),
        "num_points": 6,
        "hints": {
            "gridding": "rectilinear",
            "dimensions": [(["stage_y"], "primary"), (["stage_x_user_readback"], "primary")],
        },
        "sample": "rust",
    } | changes


def descriptor_doc(**changes: Any) -> dict[str, Any]:
    keys: dict[str, Any] = {key: {"dtype": "number"} for key in ("stage_y", "stage_x_user_readback", "i0", "count")}
    keys["image"] = {"dtype": "array", "external": "FILESTORE:", "shape": [195, 487]}
    return {"uid": "desc-1", "run_start": "run-1", "name": "primary", "data_keys": keys} | changes


def event_doc(seq: int, **changes: Any) -> dict[str, Any]:
    data = {"stage_y": 0.5, "stage_x_user_readback": np.float64(seq), "i0": 1e5, "count": seq + 10, "label": "a"}
    return {
        "descriptor": "desc-1",
        "uid": f"event-{seq}",
        "seq_num": seq,
        "time": 100.0 + seq,
        "data": data | changes,
        "timestamps": {},
        "filled": {},
    }


def stop_doc(events: int) -> dict[str, Any]:
    return {
        "uid": "stop",
        "run_start": "run-1",
        "time": 200.0,
        "exit_status": "success",
        "num_events": {"primary": events},
    }


@pytest.mark.parametrize("name", SERIALIZERS)
def test_every_serialiser_gives_the_same_messages(name: str) -> None:
    decoder = DocumentDecoder(counter_field="count")
    start, point, stop = feed(
        decoder,
        ("start", start_doc()),
        ("descriptor", descriptor_doc()),
        ("event", event_doc(1)),
        ("stop", stop_doc(1)),
        serialize=SERIALIZERS[name],
    )
    assert isinstance(start, ScanStart)
    assert (start.uid, start.scan_id, start.time_s, start.plan_name) == ("run-1", 12, 100.0, "grid_scan")
    assert (start.shape, start.snaking, start.expected_points) == ((2, 3), (False, True), 6)
    assert start.metadata["sample"] == "rust"
    json.dumps(dict(start.metadata))
    assert isinstance(point, PointMeasured)
    assert (point.uid, point.index, point.time_s) == ("run-1", 0, 101.0)
    assert point.position == {"stage_y": 0.5, "stage_x_user_readback": 1.0}
    assert point.scalars == {"i0": 1e5, "count": 11.0}
    assert point.frame_keys == (counter_key(11),)
    assert stop == ScanStop(uid=start.uid, time_s=200.0, exit_status="success", measured_points=1)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6).reshape(2, 3),
        np.arange(6.0).reshape(2, 3).T,
        np.array(["a", "bc"]),
        np.array([True, False]),
        np.arange(4, dtype=">u2"),
        np.array(3.5),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", SERIALIZERS)
def test_arrays_survive_every_serialiser(name: str, value: np.ndarray[Any, Any]) -> None:
    decoded = decode_document(SERIALIZERS[name]({"value": value}))["value"]
    np.testing.assert_array_equal(decoded, value)


@pytest.mark.parametrize(
    "value", [np.float32(1.5), np.int64(-7), np.bool_(True), np.str_("x"), 2**40, (1, [2, {"a": None}])]
)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numbers_and_containers_survive_pickle(protocol: int, value: Any) -> None:
    decoded = decode_document(pickle.dumps({"value": value}, protocol))["value"]
    assert decoded == (json.loads(json.dumps(value)) if isinstance(value, tuple) else value)
    assert not isinstance(decoded, np.generic)


def test_axes_follow_the_dimensions_and_not_the_motors() -> None:
    hints = {"gridding": "rectilinear", "dimensions": [(["stage_x"], "primary"), (["stage_y"], "primary")]}
    (start,) = feed(DocumentDecoder(), ("start", start_doc(hints=hints)))
    assert isinstance(start, ScanStart)
    assert [axis.field for axis in start.axes] == ["stage_x", "stage_y"]


def test_an_axis_is_called_after_its_motor() -> None:
    (start,) = feed(DocumentDecoder(), ("start", start_doc()))
    assert isinstance(start, ScanStart)
    assert start.axes[1] == ScanAxis(name="stage_x", field="stage_x_user_readback")


@pytest.mark.parametrize(
    ("changes", "shape", "snaking", "points"),
    [
        ({"snaking": None}, (2, 3), (False, False), 6),
        ({"num_points": None}, (2, 3), (False, True), 6),
        ({"shape": None, "num_points": None}, None, (False, False), None),
        ({"shape": (6,)}, None, (False, False), 6),
        ({"shape": (10**9, 10**9), "num_points": None}, None, (False, False), None),
        ({"hints": {"gridding": "rectilinear_nonsequential", "dimensions": start_doc()["hints"]["dimensions"]}},
         None, (False, False), 6),
        ({"snaking": None, "plan_pattern_args": {"snake_axes": True}}, (2, 3), (False, True), 6),
        ({"snaking": None, "plan_pattern_args": {"snake_axes": ["Motor(prefix='', name='stage_x', a=1)"]}},
         (2, 3), (False, True), 6),
        ({"snaking": None, "plan_pattern_args": {"snake_axes": ["who knows"]}}, None, (False, False), 6),
    ],
)  # fmt: skip
def test_a_shape_is_given_only_where_the_order_of_points_is_certain(
    changes: dict[str, Any], shape: Any, snaking: Any, points: Any
) -> None:
    (start,) = feed(DocumentDecoder(), ("start", start_doc(**changes)))
    assert isinstance(start, ScanStart)
    assert (start.shape, start.snaking, start.expected_points) == (shape, snaking, points)


def test_two_motors_moved_together_are_scattered_points_on_two_axes() -> None:
    hints = {"dimensions": [(["stage_x", "stage_y"], "primary")]}
    (start,) = feed(DocumentDecoder(), ("start", start_doc(hints=hints, shape=None, snaking=None)))
    assert isinstance(start, ScanStart)
    assert [axis.field for axis in start.axes] == ["stage_x", "stage_y"]
    assert start.shape is None


def test_pages_are_rows_of_events() -> None:
    page = {
        "descriptor": "desc-1",
        "seq_num": [1, 2, 3],
        "time": [1.0, 2.0, 3.0],
        "data": {"stage_y": [0, 0, 0], "stage_x_user_readback": np.arange(3.0), "i0": [5, 6, 7]},
    }
    _, *points = feed(DocumentDecoder(), ("start", start_doc()), ("descriptor", descriptor_doc()), ("event_page", page))
    assert [point.index for point in points if isinstance(point, PointMeasured)] == [0, 1, 2]
    assert [point.scalars["i0"] for point in points if isinstance(point, PointMeasured)] == [5.0, 6.0, 7.0]


def test_events_of_other_streams_are_no_points() -> None:
    messages = feed(
        DocumentDecoder(),
        ("start", start_doc()),
        ("descriptor", descriptor_doc(uid="base", name="baseline")),
        ("event", event_doc(1) | {"descriptor": "base"}),
    )
    assert [type(message) for message in messages] == [ScanStart]


def test_lost_documents_are_reported_where_they_are_missed() -> None:
    decoder = DocumentDecoder()
    messages = feed(
        decoder,
        ("start", start_doc()),
        ("descriptor", descriptor_doc()),
        ("event", event_doc(2)),
        ("event", event_doc(5)),
        ("stop", stop_doc(7)),
    )
    details = [message.detail for message in messages if isinstance(message, Defect)]
    assert details == [
        "event 1 of run run-1 never arrived",
        "event 3 to 4 of run run-1 never arrived",
        "the last 2 of 7 events of run run-1 never arrived",
    ]
    assert {message.reason for message in messages if isinstance(message, Defect)} == {"lost document"}


def test_a_point_measured_again_after_a_pause_is_passed_on() -> None:
    _, *points = feed(
        DocumentDecoder(),
        ("start", start_doc()),
        ("descriptor", descriptor_doc()),
        *[("event", event_doc(seq)) for seq in (1, 2, 2, 3)],
    )
    assert [point.index for point in points if isinstance(point, PointMeasured)] == [0, 1, 1, 2]


def test_a_position_that_is_missing_is_reported_and_the_point_kept() -> None:
    _, defect, point = feed(
        DocumentDecoder(),
        ("start", start_doc()),
        ("descriptor", descriptor_doc()),
        ("event", event_doc(1, stage_y=float("nan"))),
    )
    assert isinstance(defect, Defect)
    assert defect.reason == "position missing"
    assert "stage_y" in defect.detail
    assert isinstance(point, PointMeasured)
    assert point.position == {"stage_x_user_readback": 1.0}


def test_a_second_start_before_the_stop_is_a_scan_of_its_own() -> None:
    messages = feed(DocumentDecoder(), ("start", start_doc()), ("start", start_doc(uid="run-2")), ("stop", stop_doc(0)))
    assert [type(message) for message in messages] == [ScanStart, ScanStart, ScanStop]


@pytest.mark.parametrize(
    ("spec", "kwargs", "expected"),
    [
        ("AD_CBF", {"template": "%s%s_%05d.cbf", "initial_number": 7}, ["scan_00009.cbf"]),
        ("AD_CBF", {"template": "%s%s_%05d.cbf"}, ["scan_00003.cbf"]),
        ("AD_TIFF", {"template": "%s%s_%6.6d.tiff", "frame_per_point": 2}, ["scan_000004.tiff", "scan_000005.tiff"]),
        ("AD_TIFF", {"template": "%s%s_%999999999d.tiff"}, []),
        ("AD_TIFF", {"template": "%s%s%s%d"}, []),
        ("AD_TIFF", {"template": "%s%s_%d.tif", "frame_per_point": 10**9}, []),
        ("AD_HDF5", {"template": "%s%s_%d.h5"}, []),
    ],
)
def test_a_datum_names_its_frame_and_its_file(spec: str, kwargs: dict[str, Any], expected: list[str]) -> None:
    resource = {
        "uid": "res",
        "spec": spec,
        "root": "/",
        "resource_path": "data",
        "resource_kwargs": {"filename": "scan"} | kwargs,
    }
    datum = {"datum_id": "res/2", "resource": "res", "datum_kwargs": {"point_number": 2}}
    page = {"datum_id": ["res/2"], "resource": "res", "datum_kwargs": {"point_number": [2]}}
    for document in (("datum", datum), ("datum_page", page)):
        *_, point = feed(
            DocumentDecoder(),
            ("start", start_doc()),
            ("descriptor", descriptor_doc()),
            ("resource", resource),
            document,
            ("event", event_doc(1, image="res/2")),
        )
        assert isinstance(point, PointMeasured)
        assert point.frame_keys == (datum_key("res/2"), *map(file_key, expected))


@pytest.mark.parametrize("name", hostile_wire.document_messages())
def test_hostile_documents_become_defects_and_run_nothing(name: str) -> None:
    os.environ.pop(hostile_wire.EXPLOITED, None)
    decoder = DocumentDecoder()
    feed(decoder, ("start", start_doc()), ("descriptor", descriptor_doc()))
    messages = list(decoder.decode(record(hostile_wire.document_messages()[name], channel="bluesky")))
    assert messages
    assert all(isinstance(message, Defect) for message in messages)
    assert all(
        "\n" not in message.detail and len(message.detail) < 400 for message in messages if isinstance(message, Defect)
    )
    assert not hostile_wire.exploited()
    (point,) = feed(decoder, ("event", event_doc(1)))
    assert isinstance(point, PointMeasured)


def test_runs_that_never_end_do_not_fill_the_memory() -> None:
    decoder = DocumentDecoder()
    for index in range(1000):
        feed(decoder, ("start", start_doc(uid=f"run-{index}")), serialize=SERIALIZERS["msgpack"])
    (late,) = feed(decoder, ("descriptor", descriptor_doc(run_start="run-1")))
    assert isinstance(late, Defect)
    assert feed(decoder, ("descriptor", descriptor_doc(run_start="run-999"))) == []


def test_a_library_that_patches_msgpack_opens_no_hole():
    body = hostile_wire.document_messages()["msgpack object array"][0].split(b" ", 2)[2]
    code = f"""
import os, msgpack, msgpack_numpy
msgpack_numpy.patch()
from phasecast.core.errors import WireError
from phasecast.sources.document_codec import decode_document
try:
    decode_document({body!r})
except WireError as refused:
    print(refused, os.environ.get({hostile_wire.EXPLOITED!r}))
msgpack.unpackb({body!r})
print(os.environ.get({hostile_wire.EXPLOITED!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["array of objects refused None", "1"], "the patched one falls for it"
