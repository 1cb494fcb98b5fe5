"""What lies in a region: points, area, fractions of the classes, and how these change with distance from the steel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phasecast.core.errors import RequestError
from phasecast.core.ledger import PointState
from phasecast.core.region_requests import Definition, Points
from phasecast.core.requests import TOTAL_INTENSITY_LAYER, UNSURE_LAYER
from phasecast.core.result import PhaseClass
from phasecast.records.regions import Region, region_mask
from phasecast.results.fractions import Fraction, area_fraction
from phasecast.results.grid import Floats, Placement
from phasecast.results.partition import PARTS, STEEL, UNKNOWN, Surface, propose_parts
from phasecast.results.scene import spacing_um
from phasecast.web.canvas import RasterCanvas
from phasecast.web.layers import UNSURE_LIMITS
from phasecast.web.live_scan import LiveScan

Mask = NDArray[np.bool_]
MOST_BINS = 40
_LEAST_IN_BIN = 3
_DRAWN_SHARE = 0.9
"""Part of the distance to its neighbour that the square of a scattered point takes up, as in `spacing_um`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """The points of a scan at one moment, as regions see them.

    Parameters
    ----------
    raw_uid
        The scan.
    classes
        Its classes.
    version
        Version of the scan that this was taken from.
    x_um, y_um
        Places, (n,); NaN where unknown.
    done
        Points with a result, (n,).
    confidence
        (n, classes).
    layers
        What thresholds apply to: id of a layer to (n,), NaN where a point is not done.
    placement
        Cells of a raster; None for scattered points.
    cell_um
        Width and height of the area that a point stands for; None where no position tells it.
    """

    raw_uid: str
    classes: tuple[PhaseClass, ...]
    version: int
    x_um: Floats
    y_um: Floats
    done: Mask
    confidence: NDArray[np.float32]
    layers: Mapping[str, NDArray[Any]]
    placement: Placement | None
    cell_um: tuple[float, float] | None

    @property
    def area_um2(self) -> float:
        """Area that a point stands for; NaN where no position tells it."""
        return self.cell_um[0] * self.cell_um[1] if self.cell_um is not None else float("nan")


def ground_of(scan: LiveScan) -> Ground:
    """Return the points of a scan as they are now."""
    columns, header = scan.columns, scan.header
    done = np.asarray(columns.state == PointState.DONE)
    confidence = columns.confidence
    layers: dict[str, NDArray[Any]] = {
        phase.id: np.where(done, confidence[:, k], np.nan) for k, phase in enumerate(header.classes)
    }
    layers[TOTAL_INTENSITY_LAYER] = columns.total
    low, high = UNSURE_LIMITS
    if header.classes:
        layers[UNSURE_LAYER] = np.where(done, ((confidence > low) & (confidence < high)).sum(axis=1), np.nan)
    grid = columns.result.grid
    raster = grid is not None and isinstance(scan.canvas, RasterCanvas)
    return Ground(
        raw_uid=header.raw_uid,
        classes=header.classes,
        version=scan.version,
        x_um=columns.x_um,
        y_um=columns.y_um,
        done=done,
        confidence=confidence,
        layers=layers,
        placement=grid.place(columns.x_um, columns.y_um) if grid is not None and raster else None,
        cell_um=_cell_um(scan, raster=raster),
    )


def mask_of(ground: Ground, region: Region | Definition) -> Mask:
    """Return which points belong to a region, (n,); none where it speaks of a layer that this scan does not have."""
    try:
        return region_mask(region, raw_uid=ground.raw_uid, x_um=ground.x_um, y_um=ground.y_um, layers=ground.layers)
    except RequestError:
        return np.zeros(ground.done.size, dtype=np.bool_)


def applies_to(region: Region, raw_uid: str) -> bool:
    """Whether a region can hold points of a scan: single points belong to the scan they were chosen on."""
    return not isinstance(region.definition, Points) or region.definition.scan_raw_uid == raw_uid


def class_fractions(ground: Ground, chosen: Mask, threshold: float) -> list[Fraction]:
    """Return the area fraction of every class in the done points of a region, with its interval.

    A class that is nowhere or everywhere tells nothing of how alike neighbours are; the most alike of the other
    classes then speaks for it.
    """
    held = chosen & ground.done
    present = np.nan_to_num(ground.confidence) >= threshold

    def fraction(k: int, if_constant: float | None = None) -> Fraction:
        return area_fraction(
            present[:, k], ground.x_um, ground.y_um, ground.placement, ground.area_um2,
            select=held, effective_if_constant=if_constant,
        )  # fmt: skip

    found = [fraction(k) for k in range(len(ground.classes))]
    telling = [one.effective_points for one in found if 0.0 < one.value < 1.0]
    return [
        fraction(k, min(telling)) if telling and one.value in (0.0, 1.0) else one for k, one in enumerate(found)
    ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DistanceProfile:
    """Area fractions of the classes against the distance from the surface of the steel.

    Parameters
    ----------
    distance_um
        Middle of each bin, (bins,); negative in the steel.
    points
        Done points in each bin, (bins,).
    shares
        Area fractions, (bins, classes).
    width_um
        Width of a bin.
    """

    distance_um: Floats
    points: NDArray[np.int64]
    shares: Floats
    width_um: float


def distance_profile(ground: Ground, surface: Surface, threshold: float) -> DistanceProfile | None:
    """Return area fractions in bins of distance, normal to the surface; None where no bin holds enough points.

    Bins are as wide as a step, or wider so that there are no more than `MOST_BINS`. A border lies at distance 0: no
    bin holds points of both sides.
    """
    distance = surface.distance_um(ground.x_um, ground.y_um)
    known = np.flatnonzero(ground.done & np.isfinite(distance))
    if not known.size or not ground.classes:
        return None
    step = max(ground.cell_um) if ground.cell_um is not None else 1.0
    width = max(step, float(np.ptp(distance[known])) / (MOST_BINS - 1))
    present = (np.nan_to_num(ground.confidence[known]) >= threshold).astype(np.float64)
    number, place = np.unique(np.floor(distance[known] / width).astype(np.int64), return_inverse=True)
    points = np.bincount(place)
    sums = np.stack([np.bincount(place, weights=present[:, k]) for k in range(present.shape[1])], axis=1)
    enough = points >= _LEAST_IN_BIN
    if not enough.any():
        return None
    return DistanceProfile(
        distance_um=np.asarray((number[enough] + 0.5) * width, dtype=np.float64),
        points=points[enough],
        shares=sums[enough] / points[enough, None],
        width_um=width,
    )


def parts_of(ground: Ground, regions: Sequence[Region]) -> NDArray[np.str_]:
    """Return the part of the sample of every point, (n,): as people confirmed it, else as the program proposes."""
    parts = np.full(ground.done.size, UNKNOWN, dtype="U7")
    for region in regions:
        if region.role in PARTS and applies_to(region, ground.raw_uid):
            parts[mask_of(ground, region)] = region.role
    return parts if np.any(parts == STEEL) else proposed_parts(ground)


def proposed_parts(ground: Ground) -> NDArray[np.str_]:
    """Return the part of the sample that the program takes every point to belong to, (n,)."""
    confidence = np.where(ground.done[:, None], ground.confidence, np.nan)
    return propose_parts(ground.classes, confidence, ground.x_um, ground.y_um, ground.placement)


def near_stroke(ground: Ground, stroke_um: ArrayLike, radius_um: float) -> Mask:
    """Return which points lie within a distance of a stroke, (n,).

    Parameters
    ----------
    ground
        The points.
    stroke_um
        Corners of the stroke, (m, 2), m >= 1.
    radius_um
        The distance.
    """
    corners = np.asarray(stroke_um, dtype=np.float64).reshape(-1, 2)
    near = np.zeros(ground.done.size, dtype=np.bool_)
    if not len(corners):
        return near
    low, high = corners.min(axis=0) - radius_um, corners.max(axis=0) + radius_um
    x, y = ground.x_um, ground.y_um
    rows = np.flatnonzero((x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]))
    x, y = x[rows], y[rows]
    for (x0, y0), (x1, y1) in zip(corners, np.vstack([corners[1:], corners[-1:]]), strict=True):
        length2 = (x1 - x0) ** 2 + (y1 - y0) ** 2
        along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length2, 0, 1) if length2 > 0 else 0.0
        near[rows] |= np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)) <= radius_um
    return near


def _cell_um(scan: LiveScan, *, raster: bool) -> tuple[float, float] | None:
    x, y = scan.columns.x_um, scan.columns.y_um
    if np.count_nonzero(np.isfinite(x) & np.isfinite(y)) < 2:
        return None
    if raster:
        return scan.canvas.step_um
    side = spacing_um(x, y) / _DRAWN_SHARE
    return side, side
