"""Which map a scan belongs to, in which coordinates, and where its points were planned."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from phasecast.core.result import ResultHeader
from phasecast.profiles.orientation import StageFrame
from phasecast.profiles.scanning import Positions
from phasecast.results.grid import Floats
from phasecast.results.reader import Result

MAP_KEY = "map"
"""Key of a start document or scan declaration: the name of the map, or a table with its ``name`` and ``frame``."""


_SAID_IN = ("sample_form", "sample_file", "sample_from_folder")
"""Keys of a result's metadata that hold ``fields`` of the sample."""


def map_name_of(header: ResultHeader) -> str:
    """Return the name of the map that a scan belongs to: as the scan says, else its sample; empty if it says neither.

    Scans of one sample belong to one map unless they say otherwise.
    """
    return _named(header.metadata.get(MAP_KEY)) or sample_name_of(header)


def sample_name_of(header: ResultHeader) -> str:
    """Return what the sample was called when the scan began: by its form, a file beside the frames, the scan, a folder.

    Empty if nobody said it.
    """
    metadata = header.metadata
    said = [_fields(metadata.get(key)) for key in _SAID_IN]
    names = [said[0], said[1], metadata.get("sample"), metadata.get("sample_name"), said[2]]
    return next(filter(None, map(_named, names)), "")


def frame_name_of(header: ResultHeader) -> str:
    """Return the name of the coordinate frame that the scan states; a remounted sample has another. Mostly empty."""
    given = header.metadata.get(MAP_KEY)
    return _named(given.get("frame")) if isinstance(given, Mapping) else ""


def stage_frame_of(header: ResultHeader) -> StageFrame | None:
    """Return how motors and sample lay to each other, as the profile of the result says; None if it does not."""
    try:
        return StageFrame.of(Positions.model_validate(header.profile.get("positions")))
    except ValidationError:
        return None


def planned_places(result: Result) -> tuple[Floats, Floats]:
    """Return x and y of every point in um: where it was measured, else where it was planned; NaN where nothing tells.

    A plan is known from the raster that the measured points form, or from the extents that the start document of a
    bluesky grid scan states.
    """
    ledger = result.ledger
    x, y = ledger["x_um"].values.astype(np.float64), ledger["y_um"].values.astype(np.float64)
    missing = ~(np.isfinite(x) & np.isfinite(y))
    if not missing.any():
        return x, y
    planned = _from_extents(result)
    placement = result.placement
    if planned is None and placement is not None:
        inside = placement.inside
        planned = np.full(x.size, np.nan), np.full(x.size, np.nan)
        planned[0][inside] = placement.x_um[placement.columns[inside]]
        planned[1][inside] = placement.y_um[placement.rows[inside]]
    if planned is not None:
        x[missing], y[missing] = planned[0][missing], planned[1][missing]
    return x, y


def _from_extents(result: Result) -> tuple[Floats, Floats] | None:
    """Places of a raster from the first and last reading of each motor, slow to fast, in the order of the plan."""
    header, frame = result.header, stage_frame_of(result.header)
    extents = header.metadata.get("extents")
    if frame is None or result.grid is None or header.shape is None or not isinstance(extents, list | tuple):
        return None
    try:
        readings = [
            np.linspace(float(first), float(last), cells)
            for (first, last), cells in zip(extents, header.shape, strict=True)
        ]
    except (TypeError, ValueError):
        return None
    order = np.arange(result.points)
    slow, fast = order // header.shape[1], order % header.shape[1]
    if result.grid.snaking:
        fast = np.where(slow % 2 == 1, header.shape[1] - 1 - fast, fast)
    planned = slow < header.shape[0]
    reading = {axis.field: np.full(result.points, np.nan) for axis in header.axes}
    for axis, values, index in zip(header.axes, readings, (slow, fast), strict=True):
        reading[axis.field][planned] = values[index[planned]]
    return (
        reading[frame.x_field] * frame.x_um_per_unit,
        reading[frame.y_field] * frame.y_um_per_unit,
    )


def _fields(given: Any) -> Any:
    return given.get("fields") if isinstance(given, Mapping) else None


def _named(given: Any) -> str:
    if isinstance(given, Mapping):
        given = given.get("name")
    return given.strip() if isinstance(given, str) else ""
