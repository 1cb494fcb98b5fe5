"""Regions: named parts of a sample, reusable over scans."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import RequestError
from phasecast.core.region_requests import Definition, Points, Polygon, Role, SaveRegion, Threshold
from phasecast.records.book import Book, stamp
from phasecast.records.journal import Entry
from phasecast.records.letter import to_jsonable

_DEFINITION: TypeAdapter[Definition] = TypeAdapter(
    Annotated[Definition, Field(discriminator="kind")], config=ConfigDict(extra="forbid", allow_inf_nan=False)
)
_ROLE: TypeAdapter[Role] = TypeAdapter(Role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A named part of the sample.

    Parameters
    ----------
    name, definition, role
        As the person gave them.
    scan_raw_uid
        The scan it was drawn on; empty if none.
    who, time_s
        Who saved it, and when (POSIX s).
    """

    name: str
    definition: Definition
    role: Role = ""
    scan_raw_uid: str = ""
    who: str = ""
    time_s: float = 0.0


class RegionBook(Book):
    """Regions of a data directory: `refresh` takes what is new, `regions` is what is in force."""

    @property
    def regions(self) -> list[Region]:
        """One region a name, in the order in which the names were first used."""
        return list(self._regions.values())

    def _clear(self) -> None:
        self._regions: dict[str, Region] = {}

    def _take(self, entry: Entry) -> None:
        match entry["kind"]:
            case "save":
                region = Region(
                    name=str(entry["name"]),
                    definition=_DEFINITION.validate_python(entry["definition"]),
                    role=_ROLE.validate_python(entry["role"]),
                    scan_raw_uid=str(entry["scan_raw_uid"]),
                    who=str(entry["who"]),
                    time_s=float(entry["time_s"]),
                )
                self._regions[region.name] = region
            case "remove":
                self._regions.pop(str(entry["name"]), None)


def regions_path(directory: DataDirectory) -> Path:
    """Return the journal of the regions."""
    return directory.notebook / "regions.jsonl"


def read_regions(directory: DataDirectory) -> list[Region]:
    """Return the regions in force.

    Raises
    ------
    RecordsError
        If they cannot be read.
    """
    book = RegionBook(regions_path(directory))
    book.refresh()
    return book.regions


def save_entry(request: SaveRegion, request_id: str, *, time_s: float) -> Entry:
    """Return the entry that saves a region."""
    return {
        **stamp(request_id, request.who, time_s),
        "kind": "save",
        "name": request.name,
        "definition": to_jsonable(request.definition),
        "role": request.role,
        "scan_raw_uid": request.scan_raw_uid,
    }


def remove_entry(name: str, request_id: str, who: str, *, time_s: float) -> Entry:
    """Return the entry that removes a region."""
    return {**stamp(request_id, who, time_s), "kind": "remove", "name": name}


def region_mask(
    region: Region | Definition,
    *,
    raw_uid: str,
    x_um: NDArray[np.float64],
    y_um: NDArray[np.float64],
    layers: Mapping[str, NDArray[Any]],
) -> NDArray[np.bool_]:
    """Return which points of a scan belong to a region, shape (n,).

    Parameters
    ----------
    region
        The region, or its definition alone.
    raw_uid
        The scan; points that were chosen on another one select nothing.
    x_um, y_um
        Places of the points, shape (n,); a point without a place lies in no polygon.
    layers
        Values that thresholds apply to: class id, ``total_intensity`` or ``unsure`` to an array of shape (n,). NaN
        lies between no limits.

    Raises
    ------
    RequestError
        If a threshold names a layer that the scan does not have.
    """
    definition = region.definition if isinstance(region, Region) else region
    match definition:
        case Polygon(vertices_um=vertices):
            return inside_polygon(np.asarray(vertices, dtype=np.float64), x_um, y_um)
        case Points(scan_raw_uid=uid, rows=rows):
            chosen = np.zeros(len(x_um), dtype=bool)
            if uid == raw_uid:
                here = np.asarray(rows)
                chosen[here[here < chosen.size]] = True
            return chosen
        case Threshold(layer=layer, low=low, high=high):
            if layer not in layers:
                names = ", ".join(layers) or "none"
                raise RequestError(f"this scan has no layer {layer!r}", remedy=f"choose one of {names}")
            values = np.asarray(layers[layer], dtype=np.float64)
            return np.asarray((values >= low) & (values <= high))


def inside_polygon(
    vertices_um: NDArray[np.float64], x_um: NDArray[np.float64], y_um: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which points lie inside a closed line by the even-odd rule, shape (n,).

    A point exactly on an edge belongs to the polygon that lies to the right of the edge, or above it, so that two
    polygons that share an edge never share a point (half-open crossing
    rule: Hormann & Agathos, Comput. Geom. 20 (2001) 131).

    Parameters
    ----------
    vertices_um
        Corners, shape (m, 2), m >= 3.
    x_um, y_um
        Places, shape (n,); NaN lies outside.
    """
    inside = np.zeros(len(x_um), dtype=bool)
    low, high = vertices_um.min(axis=0), vertices_um.max(axis=0)
    near = np.flatnonzero((x_um >= low[0]) & (x_um <= high[0]) & (y_um >= low[1]) & (y_um <= high[1]))
    x, y = x_um[near], y_um[near]
    odd = np.zeros(near.size, dtype=bool)
    for (x0, y0), (x1, y1) in zip(vertices_um, np.roll(vertices_um, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        if y0 > y1:
            # both neighbours of an edge compute the same crossing, to the bit
            x0, y0, x1, y1 = x1, y1, x0, y0
        crosses = (y0 <= y) != (y1 <= y)
        odd ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    inside[near] = odd
    return inside
