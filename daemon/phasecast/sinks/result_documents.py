"""The documents of a closed result: a bluesky run whose patterns and confidences stay where they are, in its file."""

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import HEADER_KEY, PRIMARY, RAW_UID_KEY
from phasecast.core.errors import ResultFileError
from phasecast.core.ledger import PointState
from phasecast.core.protocols import Document
from phasecast.core.result import ColumnSpec
from phasecast.results import layout, open_result
from phasecast.results.reader import Result

FILE_KEY = "result_file"
"""Key of the start document with the name of the result file."""

_ROWS_A_PAGE = 1000
_SPLIT_URIS = frozenset("#?;")
_HDF5 = "application/x-hdf5"
_JSON_TYPES = {"U": "string", "u": "integer", "i": "integer", "f": "number", "b": "boolean"}
_DIMENSION_OF_AXIS = {layout.PATTERN_AXIS: "tth_deg", layout.CLASS_AXIS: "class_id", layout.ALONE_AXIS: "class_id"}
_LEDGER_KEYS = (
    ColumnSpec(name="point_index", dtype="<i8", description="index of the scan point"),
    ColumnSpec(name="state", dtype="<U16", description="ledger state"),
    ColumnSpec(name="flags", dtype="<i8", description="ledger flags"),
    ColumnSpec(name="reason", dtype="<U64", description="why it is in its state"),
    ColumnSpec(name="x_um", dtype="<f8", unit="um"),
    ColumnSpec(name="y_um", dtype="<f8", unit="um"),
)


def documents_of_result(path: Path) -> Iterator[tuple[str, Document]]:
    """Yield name and document of the run that a closed result is.

    Columns with one number a point are event data; columns with a row a point (patterns, uncertainties, confidences)
    are ``stream_resource`` and ``stream_datum`` that name the datasets of the file. The same file always gives the
    same documents, uids included. Points without an outcome are rows as well, with NaN, as they are in the file.

    Parameters
    ----------
    path
        The closed result; its absolute path goes into the documents.

    Raises
    ------
    ResultFileError
        If it cannot be read, has not been closed, or lies at a path that a catalog cannot follow.
    """
    with open_result(path) as result:
        if not result.is_closed or not result.end_time:
            raise ResultFileError("has not been closed", where=str(path), remedy="wait until its scan has ended")
        place = path.resolve()
        if not str(place).isprintable() or set(str(place)) & _SPLIT_URIS:
            raise ResultFileError(
                "its path holds one of # ? ; which no catalog can follow", where=str(path), remedy="rename the folder"
            )
        yield from _documents(result, place)


def _documents(result: Result, path: Path) -> Iterator[tuple[str, Document]]:
    header, counters = result.header, result.counters
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, f"phasecast:{header.result_uid}")

    def uid_of(name: str) -> str:
        return str(uuid.uuid5(namespace, name))

    end_s = datetime.fromisoformat(result.end_time).timestamp()
    yield (
        "start",
        {
            "uid": header.result_uid,
            "time": header.started_s,
            "plan_name": "phasecast",
            RAW_UID_KEY: header.raw_uid,
            FILE_KEY: path.name,
            HEADER_KEY: header.to_dict(),
            "hints": {"dimensions": [[[axis.name], PRIMARY] for axis in header.axes]},
        },
    )
    rows = [column for column in header.columns if column.shape]
    numbers = [column for column in header.columns if not column.shape]
    inner = (*_LEDGER_KEYS, *header.point_columns, *numbers)
    descriptor_uid = uid_of(PRIMARY)
    keys = {column.name: _data_key(column) for column in inner}
    keys |= {column.name: _data_key(column) | {"external": "STREAM:"} for column in rows}
    yield (
        "descriptor",
        {
            "uid": descriptor_uid,
            "run_start": header.result_uid,
            "time": header.started_s,
            "name": PRIMARY,
            "data_keys": keys,
            "object_keys": {"phasecast": list(keys)},
            "configuration": {"phasecast": _axes(result)},
            "hints": {},
        },
    )
    for column in rows:
        yield from _reference(column, result, path, uid_of, descriptor_uid)
    yield from _events(_columns(result, inner), end_s, uid_of, descriptor_uid)
    status = counters.get("exit_status", "fail")
    yield (
        "stop",
        {
            "uid": uid_of("stop"),
            "run_start": header.result_uid,
            "time": end_s,
            "exit_status": status if status in ("success", "abort", "fail") else "fail",
            "reason": str(counters.get("reason", "")),
            "num_events": {PRIMARY: result.points},
            HEADER_KEY: counters,
        },
    )


def _data_key(column: ColumnSpec) -> dict[str, Any]:
    key: dict[str, Any] = {
        "source": "phasecast",
        "dtype": "array" if column.shape else _JSON_TYPES[np.dtype(column.dtype).kind],
        "dtype_numpy": np.dtype(column.dtype).str,
        "shape": list(column.shape),
        "units": column.unit,
    }
    dimension = _DIMENSION_OF_AXIS.get(column.axis)
    return key | {"dims": [dimension]} if dimension is not None and len(column.shape) == 1 else key


def _axes(result: Result) -> dict[str, Any]:
    """Configuration with what patterns and confidences run along."""
    header = result.header
    values: dict[str, list[Any]] = {
        "tth_deg": list(header.tth_deg),
        "class_id": [phase.id for phase in header.classes],
    }
    return {
        "data": values,
        "timestamps": dict.fromkeys(values, header.started_s),
        "data_keys": {
            name: {"source": "phasecast", "dtype": "array", "shape": [len(value)]} for name, value in values.items()
        },
    }


def _reference(
    column: ColumnSpec, result: Result, path: Path, uid_of: Any, descriptor_uid: str
) -> Iterator[tuple[str, Document]]:
    name = layout.column_dataset(column.name, column.axis)
    dataset = result.file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != (result.points, *column.shape):
        raise ResultFileError(
            f"{name} has not one row a point", where=str(path), remedy="check the file with `phasecast check`"
        )
    uid = uid_of(f"resource {column.name}")
    yield (
        "stream_resource",
        {
            "uid": uid,
            "run_start": result.header.result_uid,
            "data_key": column.name,
            "mimetype": _HDF5,
            # not percent-encoded: Tiled takes the path of a URI as it stands
            "uri": f"file://localhost{path}",
            # closed for good: no reader has to be let in, and none may lock it
            "parameters": {"dataset": name, "chunk_shape": list(dataset.chunks or ()), "swmr": False, "locking": False},
        },
    )
    yield (
        "stream_datum",
        {
            "uid": f"{uid}/0",
            "stream_resource": uid,
            "descriptor": descriptor_uid,
            "indices": {"start": 0, "stop": result.points},
            "seq_nums": {"start": 1, "stop": result.points + 1},
        },
    )


def _columns(result: Result, specs: tuple[ColumnSpec, ...]) -> dict[str, NDArray[Any]]:
    ledger = result.ledger
    labels = np.array([state.label for state in PointState])
    values: dict[str, NDArray[Any]] = {
        "point_index": np.arange(result.points),
        "state": labels[ledger["state"].to_numpy()],
        "time_s": ledger["time_s"].to_numpy(),
    }
    for spec in specs:
        if spec.name not in values:
            known = spec.name in ledger
            values[spec.name] = ledger[spec.name].to_numpy() if known else result.column(spec.name).to_numpy()
    return values


def _events(
    columns: Mapping[str, NDArray[Any]], end_s: float, uid_of: Any, descriptor_uid: str
) -> Iterator[tuple[str, Document]]:
    # a point that nobody measured has no time; event documents must have one
    times = np.where(np.isfinite(columns["time_s"]), columns["time_s"], end_s)
    data = {name: values for name, values in columns.items() if name != "time_s"}
    for first in range(0, times.size, _ROWS_A_PAGE):
        page = slice(first, min(first + _ROWS_A_PAGE, times.size))
        time_s = times[page].tolist()
        yield (
            "event_page",
            {
                "descriptor": descriptor_uid,
                "uid": [uid_of(f"event {row}") for row in range(page.start, page.stop)],
                "seq_num": list(range(page.start + 1, page.stop + 1)),
                "time": time_s,
                "data": {name: values[page].tolist() for name, values in data.items()},
                "timestamps": dict.fromkeys(data, time_s),
                "filled": {},
            },
        )
