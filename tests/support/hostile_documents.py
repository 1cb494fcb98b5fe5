"""Documents that are well formed and insane, or malformed in the parts that name frames in files."""

from typing import Any

Document = tuple[str, dict[str, Any]]

START = {"uid": "insane", "time": 1.8e9, "plan_name": "count", "hints": {}}
KEYS = {"det": {"dtype": "array", "shape": [1, 5, 7], "external": "STREAM:"}}
DESCRIPTOR = {"uid": "d-insane", "run_start": "insane", "name": "primary", "data_keys": KEYS}
RESOURCE = {
    "uid": "r-insane",
    "run_start": "insane",
    "data_key": "det",
    "mimetype": "application/x-hdf5",
    "uri": "file://localhost/etc/passwd",
    "parameters": {"dataset": "/entry/data/data"},
}


def _datum(**changes: Any) -> Document:
    ranges = {"indices": {"start": 0, "stop": 1}, "seq_nums": {"start": 1, "stop": 2}}
    return "stream_datum", {"stream_resource": "r-insane", "descriptor": "d-insane", "uid": "x"} | ranges | changes


def _resource(**changes: Any) -> Document:
    return "stream_resource", RESOURCE | changes


def starts() -> dict[str, dict[str, Any]]:
    """Start documents of scans that cannot be; each has its uid."""
    insane: dict[str, dict[str, Any]] = {
        "year 2200": {"time": 7.26e9},
        "year 10^11": {"time": 1e18},
        "time that is no number": {"time": float("nan")},
        "time before 1970": {"time": -1e12},
        "shape of 10^18": {"shape": [10**9, 10**9], "num_points": 10**18},
        "negative shape": {"shape": [-3, -4], "num_points": -12},
        "scan_id of 300 digits": {"scan_id": 2**63},
        "plan that climbs": {"plan_name": "../../../tmp/climbed"},
        "plan of 10,000 letters": {"plan_name": "p" * 10_000},
        "zero characters": {"plan_name": "a\0b", "sample": "a\0b", "k\0": {"\0": ["\0"]}},
        "dimensions that are none": {"hints": {"dimensions": [[["x"] * 1000, 7], None, "x"]}},
        "extents that are none": {"shape": [2, 2], "extents": [[None, "x"], 7], "hints": {"dimensions": 3}},
        "metadata under our own names": {"phasecast": 7, "raw_run_start": "x", "series": 5, "sample": {"name": [1]}},
    }
    return {name: START | {"uid": f"{name}-run"} | changes for name, changes in insane.items()}


def worst_start() -> dict[str, Any]:
    """All that is insane in one start document."""
    worst: dict[str, Any] = {}
    for start in starts().values():
        worst |= {key: value for key, value in start.items() if key not in START or START[key] != value}
    return worst | {"uid": "../worst\0run", "time": 1e18, "plan_name": "../../a\0b/" + "p" * 10_000}


def documents() -> dict[str, list[Document]]:
    """Documents after `START` and `DESCRIPTOR`; none of them gives a frame."""
    return {
        "event of 10^12": [("event", {"descriptor": "d-insane", "seq_num": 10**12, "time": 0, "data": {}})],
        "event of -1": [("event", {"descriptor": "d-insane", "seq_num": -1, "time": 0, "data": {}})],
        "10^9 frames": [_resource(), _datum(indices={"start": 0, "stop": 10**9}, seq_nums={"start": 1, "stop": 10**9})],
        "frames from 2^62": [_resource(), _datum(indices={"start": 2**62, "stop": 2**62 + 1})],
        "range backwards": [_resource(), _datum(indices={"start": 2, "stop": 1})],
        "ranges that differ": [_resource(), _datum(indices={"start": 0, "stop": 2})],
        "no ranges": [_resource(), _datum(indices=None, seq_nums=[1, 2])],
        "datum of nothing": [("stream_datum", {})],
        "datum of an unknown resource": [_datum(stream_resource="nobody")],
        "resource of nothing": [("stream_resource", {})],
        "resource with a number for uri": [_resource(uri=7)],
        "file outside": [_resource(), _datum()],
        "file that climbs": [_resource(uri="file://localhost/allowed/../etc/passwd"), _datum()],
        "file with a zero byte": [_resource(uri="file:///allowed/%00"), _datum()],
        "uri of another kind": [_resource(uri="http://[::1/x"), _datum()],
        "template that reaches into objects": [
            _resource(mimetype="multipart/related;type=image/tiff", parameters={"template": "{0.__class__}"}),
            _datum(),
        ],
        "template of 10^9 blanks": [
            _resource(mimetype="multipart/related", parameters={"template": "{:999999999d}.tif"}),
            _datum(),
        ],
        "template that climbs": [
            _resource(mimetype="multipart/related", parameters={"template": "../../{:d}.tif"}),
            _datum(),
        ],
        "unknown type of file": [_resource(mimetype="application/x-pickle"), _datum()],
        "dataset that is no text": [_resource(parameters={"dataset": 7}), _datum()],
        "descriptor that describes nonsense": [
            (
                "descriptor",
                DESCRIPTOR | {"uid": "d2", "data_keys": {"det": {"external": "STREAM:", "shape": [[1], -1]}}},
            ),
            _datum(descriptor="d2"),
        ],
    }
