"""Small parts that the structure of a result file is made of."""

import json
from datetime import UTC, datetime
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from phasecast.core.result import ColumnSpec
from phasecast.results import layout


def iso_time(time_s: float) -> str:
    """ISO 8601 time in UTC of a POSIX time."""
    return datetime.fromtimestamp(time_s, tz=UTC).isoformat(timespec="milliseconds")


def put_late(
    group: h5py.Group, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], *, rows: int, fill: Any = None
) -> h5py.Dataset:
    """Create a dataset that is written later: chunked, growing along its first axis, filled.

    Parameters
    ----------
    dtype
        As stored; bytes hold UTF-8.
    shape
        Shape of one row.
    rows
        Rows it starts with.
    fill
        Value of rows not written; chosen by `layout.fill_value` if None.
    """
    per_row = dtype.itemsize * int(np.prod(shape, dtype=int))
    budget = 262144 if shape else 65536
    text = dtype.kind == "S"
    return group.create_dataset(
        name,
        shape=(rows, *shape),
        maxshape=(None, *shape),
        chunks=(layout.chunk_rows(per_row, budget=budget, rows=rows), *shape),
        dtype=h5py.string_dtype("utf-8", dtype.itemsize) if text else dtype,
        fillvalue=None if text or dtype.names else (layout.fill_value(dtype) if fill is None else fill),
    )


def put_column(file: h5py.File, path: str, column: ColumnSpec, rows: int) -> h5py.Dataset:
    """Create the dataset of a column of the header."""
    parent, _, name = path.rpartition("/")
    dataset = put_late(file[parent], name, layout.stored_dtype(column.dtype), column.shape, rows=rows)
    if column.unit:
        dataset.attrs["units"] = column.unit
    if column.description:
        dataset.attrs["description"] = column.description
    if column.formula:
        dataset.attrs["formula"] = column.formula
    return dataset


def put_group(parent: h5py.Group, name: str, nx_class: str, **attributes: str) -> h5py.Group:
    """Create a group of a NeXus class."""
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    group.attrs.update(attributes)
    return group


def put_text(group: h5py.Group, name: str, value: str) -> h5py.Dataset:
    """Write a text once, as fixed-length UTF-8."""
    encoded = value.encode() or b" "
    return group.create_dataset(name, data=encoded, dtype=h5py.string_dtype("utf-8", len(encoded)))


def put_number(group: h5py.Group, name: str, value: float, unit: str) -> None:
    """Write a number with its unit."""
    group[name] = value
    group[name].attrs["units"] = unit


def fixed(values: list[str]) -> NDArray[Any]:
    """Texts as fixed-length UTF-8, for h5py."""
    encoded = [value.encode() for value in values]
    longest = max(map(len, encoded), default=0) or 1
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", longest))


def to_json(value: Any) -> str:
    """Compact JSON; things JSON cannot say become their text."""
    return json.dumps(value, ensure_ascii=False, default=str)
