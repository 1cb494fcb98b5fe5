"""Creates the classification in a result file: model, classes, confidences and maps.

Maps live under the process that made them: `NXdata` directly under the entry would count as further
integrated patterns, and NXazint1d calls that errors.
"""

import h5py
import numpy as np

import phasecast
from phasecast.core.result import ResultHeader
from phasecast.results import layout
from phasecast.results.grid import Grid
from phasecast.sinks.nexus_parts import fixed, iso_time, put_column, put_group, put_late, put_text


def create_classification(entry: h5py.Group, header: ResultHeader, rows: int, created_s: float) -> None:
    """Create classes, model, confidences and maps under the entry."""
    process = put_group(entry, "classification", "NXprocess")
    put_text(process, "program", "phasecast")
    put_text(process, "version", phasecast.__version__)
    put_text(process, "date", iso_time(created_s))
    process["sequence_index"] = 2
    model = header.model
    calibrated = f"calibrated on {model.calibrated_on}" if model else "not classified: no model applied"
    put_text(process, "note", f"{calibrated}. {layout.THRESHOLD_NOTE}.")
    process["threshold"] = layout.THRESHOLD
    process["threshold"].attrs["description"] = layout.THRESHOLD_NOTE
    put_text(process, "device", header.device)
    put_text(process, "device_note", header.device_note or "-")
    stamp = put_group(process, "model", "NXcollection")
    for name in ("name", "version", "sha256", "calibrated_on", "owner") if model else ():
        put_text(stamp, name, str(getattr(model, name)))
    classes = put_group(process, "classes", "NXcollection")
    for name in ("id", "name_en", "name_ja", "formula", "colour"):
        if header.classes:
            classes[name] = fixed([getattr(phase, name) for phase in header.classes])
    lines = [(k, *line) for k, phase in enumerate(header.classes) for line in phase.reference_lines]
    if lines:
        dataset = classes.create_dataset("reference_lines", data=np.array(lines, dtype=np.float64))
        dataset.attrs["columns"] = "index of the class, 2theta in deg, intensity relative to 100"
    if model:
        table = put_late(process, "models", layout.MODEL_DTYPE, (), rows=0)
        table.attrs["description"] = "models that gave confidences of this result, in the order in which they came"
    for column in header.columns:
        if column.axis in (layout.MODEL_AXIS, layout.SHARE_AXIS, layout.ALONE_AXIS):
            put_column(entry.file, layout.column_dataset(column.name, column.axis), column, rows)
        if column.axis == layout.CLASS_AXIS:
            group = put_group(process, "confidences", "NXdata", signal="confidence", interpretation="spectrum")
            group.attrs["axes"] = np.array([".", "class_index"], dtype=h5py.string_dtype())
            group["class_index"] = np.arange(len(header.classes))
            group["class_id"] = classes["id"]
            put_column(entry.file, layout.CONFIDENCES, column, rows).attrs["long_name"] = "confidence"
    _maps(process, header, rows)


def _maps(process: h5py.Group, header: ResultHeader, rows: int) -> None:
    maps = put_group(process, "maps", "NXcollection")
    maps.attrs["description"] = "sample coordinates, y up; NaN where no point is done"
    grid = Grid.from_header(header)
    titles = {phase.id: phase.formula or phase.name_en for phase in header.classes}
    titles |= {layout.TOTAL_MAP: "total intensity", layout.STATE_MAP: "ledger state"}
    for name, title in titles.items():
        signal = name if name in (layout.TOTAL_MAP, layout.STATE_MAP) else "confidence"
        group = put_group(maps, name, "NXdata", signal=signal)
        dtype = np.dtype("u1" if name == layout.STATE_MAP else "<f4")
        put_text(group, "title", title)
        if grid is None:
            # A scatter: one signal and two axes of one length each, which viewers draw as points.
            group.attrs["axes"] = np.array(["x", "y"], dtype=h5py.string_dtype())
            put_late(group, signal, dtype, (), rows=rows)
            group["x"] = process.file[layout.ledger_dataset("x_um")]
            group["y"] = process.file[layout.ledger_dataset("y_um")]
            continue
        group.attrs["axes"] = np.array(["y", "x"], dtype=h5py.string_dtype())
        group.attrs["interpretation"] = "image"
        dataset = group.create_dataset(
            signal,
            shape=grid.shape,
            dtype=dtype,
            fillvalue=layout.fill_value(dtype),
            chunks=(min(grid.shape[0], layout.chunk_rows(grid.shape[1] * dtype.itemsize)), grid.shape[1]),
        )
        dataset.attrs["long_name"] = title
        for axis, cells in (("y", grid.shape[0]), ("x", grid.shape[1])):
            centres = group.create_dataset(axis, shape=(cells,), dtype="<f8", chunks=(cells,), fillvalue=np.nan)
            centres.attrs.update({"units": "um", "long_name": f"{axis} (um)"})
