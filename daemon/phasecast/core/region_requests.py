"""What people can ask for parts of a sample: regions of a map and the surface of the sample."""

import math
from dataclasses import dataclass
from typing import Literal

from phasecast.core.errors import RequestError
from phasecast.core.request_rules import check_name, check_rows, check_vertices

Role = Literal["", "steel", "rust", "outside"]
"""Part of the sample that a region stands for; empty for none."""
MAX_REGION_ROWS = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Polygon:
    """Everything inside a closed line; it means the same place on every scan of the sample.

    Parameters
    ----------
    vertices_um
        Corners (x, y) in sample coordinates, at least three; the last is joined to the first.
    """

    vertices_um: tuple[tuple[float, float], ...]
    kind: Literal["polygon"] = "polygon"

    def __post_init__(self) -> None:
        check_vertices(self.vertices_um, at_least=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Points of one scan, as a brush or lasso chose them.

    Parameters
    ----------
    scan_raw_uid
        The scan; on any other the region is empty.
    rows
        Rows of its result, at least one.
    """

    scan_raw_uid: str
    rows: tuple[int, ...]
    kind: Literal["points"] = "points"

    def __post_init__(self) -> None:
        check_name(self.scan_raw_uid, "scan_raw_uid")
        check_rows(self.rows, "rows", at_most=MAX_REGION_ROWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """All points of a scan whose value in a layer lies in [low, high].

    Parameters
    ----------
    layer
        Id of a class (its confidence), ``total_intensity`` or ``unsure``.
    low, high
        Limits in the unit of the layer, both inclusive.
    """

    layer: str
    low: float
    high: float
    kind: Literal["threshold"] = "threshold"

    def __post_init__(self) -> None:
        check_name(self.layer, "layer")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise RequestError(f"limits {self.low} to {self.high} hold nothing", remedy="give low <= high")


Definition = Polygon | Points | Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveRegion:
    """A person names a region; a region of the same name is replaced.

    Parameters
    ----------
    name
        Its name.
    definition
        What belongs to it.
    role
        Part of the sample it stands for.
    scan_raw_uid
        The scan it was drawn on; empty if none. It applies to others too.
    who
        The person.
    """

    name: str
    definition: Definition
    role: Role = ""
    scan_raw_uid: str = ""
    who: str
    kind: Literal["save_region"] = "save_region"

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        check_name(self.scan_raw_uid, "scan_raw_uid", empty=True)
        check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRegion:
    """A person removes a named region; what was said before stays in the notebook."""

    name: str
    who: str
    kind: Literal["remove_region"] = "remove_region"

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveSurface:
    """The line from which distances into rust and steel are measured.

    Parameters
    ----------
    scan_raw_uid
        The scan.
    vertices_um
        Corners (x, y) of the open line, at least two; none where a person says there is no steel surface.
    confirmed
        Whether a person has looked at it; False for what the program proposes.
    who
        The person.
    """

    scan_raw_uid: str
    vertices_um: tuple[tuple[float, float], ...]
    confirmed: bool
    who: str
    kind: Literal["save_surface"] = "save_surface"

    def __post_init__(self) -> None:
        check_name(self.scan_raw_uid, "scan_raw_uid")
        check_vertices(self.vertices_um, at_least=2 if self.vertices_um else 0)
        check_name(self.who, "who")
