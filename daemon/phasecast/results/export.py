"""Maps and patterns of a result as files that other programs open: TIFF, CSV and .xye."""

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, TiffImagePlugin

from phasecast.core.ledger import PointFlag, PointState
from phasecast.results import layout
from phasecast.results.grid import Floats
from phasecast.results.reader import Result

_DESCRIPTION = 270
"""Tag ImageDescription of TIFF 6.0."""


def write_map_tiff(path: str | os.PathLike[str], picture: ArrayLike, x_um: ArrayLike, y_um: ArrayLike) -> None:
    """Write a map as a float32 TIFF, one pixel a cell.

    The first row of the file is the highest y, so that the picture stands upright in every viewer. The tag
    ImageDescription holds JSON with the centres of the first and last column and row.

    Parameters
    ----------
    path
        The file; replaced in one step.
    picture
        (rows, columns), first row at the lowest y; NaN where nothing is known.
    x_um, y_um
        Centres of columns and rows.
    """
    values = np.ascontiguousarray(np.asarray(picture, dtype=np.float32)[::-1])
    x, y = np.asarray(x_um, dtype=np.float64), np.asarray(y_um, dtype=np.float64)
    place = {"unit": "um", "x_first": _number(x[0]), "x_last": _number(x[-1]),
             "y_first": _number(y[-1]), "y_last": _number(y[0])}  # fmt: skip
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[_DESCRIPTION] = json.dumps(place)
    partial = f"{os.fspath(path)}.part"
    Image.fromarray(values).save(partial, format="TIFF", tiffinfo=tags)
    os.replace(partial, path)


def write_maps(result: Result, folder: Path) -> list[Path]:
    """Write the confidence map of every class, total counts and ledger states as float32 TIFF.

    Returns
    -------
    list
        The files; none where the scan is not a raster (its points are in the CSV).
    """
    placement = result.placement
    if placement is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    confidence, state = result.confidences.values, result.ledger["state"].values
    maps: dict[str, NDArray[np.floating]] = {
        f"confidence_{phase.id}": placement.paint(confidence[:, k], select=result.done, fill=np.float32(np.nan))
        for k, phase in enumerate(result.header.classes)
    }
    if any(column.name == layout.TOTAL_COLUMN for column in result.header.columns):
        total = result.column(layout.TOTAL_COLUMN).values.astype(np.float32)
        maps[layout.TOTAL_COLUMN] = placement.paint(total, select=result.done, fill=np.float32(np.nan))
    known = np.asarray(state != PointState.SUPERSEDED)
    maps["ledger_state"] = placement.paint(state.astype(np.float32), select=known, fill=np.float32(0))
    paths = []
    for name, picture in maps.items():
        paths.append(folder / f"{name}.tif")
        write_map_tiff(paths[-1], picture, placement.x_um, placement.y_um)
    return paths


def write_points_csv(result: Result, path: str | os.PathLike[str]) -> None:
    """Write one row a point: position, time, ledger state, flags, confidences, total counts, monitors.

    The file is UTF-8 with a byte order mark, which Japanese Excel needs to see that it is. Unknown values are
    empty cells.
    """
    ledger = result.ledger
    confidence = result.confidences.values
    state_names = np.array([state.label for state in PointState])
    flags = ledger["flags"].values
    flag_names = {int(value): "|".join(PointFlag(int(value)).labels()) for value in np.unique(flags)}
    columns: dict[str, list[str]] = {
        "point": [str(k) for k in range(result.points)],
        "x_um": _cells(ledger["x_um"].values, 10),
        "y_um": _cells(ledger["y_um"].values, 10),
        "time": np.where(np.isfinite(ledger["time_s"].values), _iso(ledger["time_s"].values), "").tolist(),
        "state": state_names[ledger["state"].values].tolist(),
        "flags": [flag_names[int(value)] for value in flags],
        "reason": ledger["reason"].values.tolist(),
    }
    for k, phase in enumerate(result.header.classes):
        columns[f"confidence_{phase.id}"] = _cells(confidence[:, k], 4)
    names = {column.name for column in result.header.columns}
    if layout.TOTAL_COLUMN in names:
        total = result.column(layout.TOTAL_COLUMN).values.astype(np.float64)
        columns[layout.TOTAL_COLUMN] = _cells(np.where(result.done[: total.size], total, np.nan), 12)
    for column in result.header.point_columns:
        columns[column.name] = _cells(ledger[column.name].values, 10)
    partial = f"{os.fspath(path)}.part"
    with open(partial, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    os.replace(partial, path)


def write_pattern_xye(
    path: str | os.PathLike[str],
    tth_deg: ArrayLike,
    intensity: ArrayLike,
    sigma: ArrayLike,
    *,
    about: Mapping[str, object] | None = None,
) -> None:
    """Write a pattern as three columns: 2theta in deg, intensity, sigma. Unknown bins are left out.

    Parameters
    ----------
    path
        The file; replaced in one step.
    tth_deg, intensity, sigma
        (bins,).
    about
        Lines of the head, each as ``# key: value``.
    """
    rows = np.column_stack([np.asarray(part, dtype=np.float64) for part in (tth_deg, intensity, sigma)])
    rows = rows[np.isfinite(rows).all(axis=1)]
    head = "".join(f"# {key}: {' '.join(str(value).split())}\n" for key, value in (about or {}).items())
    body = "".join(f"{x:.5f} {y:.7g} {e:.7g}\n" for x, y, e in rows)
    partial = f"{os.fspath(path)}.part"
    Path(partial).write_text(f"{head}# 2theta_deg intensity sigma\n{body}", encoding="utf-8")
    os.replace(partial, path)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _cells(values: NDArray[np.floating] | Floats, digits: int) -> list[str]:
    return [f"{value:.{digits}g}" if value == value else "" for value in values.tolist()]


def _iso(time_s: Floats) -> NDArray[np.str_]:
    known = np.where(np.isfinite(time_s), time_s, 0.0)
    stamps = (known * 1000).round().astype("int64").astype("datetime64[ms]")
    return np.char.add(np.datetime_as_string(stamps), "+00:00")
