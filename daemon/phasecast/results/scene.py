"""What the picture of a result shows, before anything is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.result import PhaseClass
from phasecast.results.grid import Floats, Placement
from phasecast.results.layout import THRESHOLD
from phasecast.results.reader import Result

_UNEVEN = 0.1
"""Axes whose steps differ by more than this from their mean are drawn cell by cell, not as a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is drawn: points with their place, size and values.

    Parameters
    ----------
    x_um, y_um
        Place of each point, (n,).
    width_um, height_um
        Size of the cell or square that stands for a point.
    placement
        Cells of the points where they form an even raster.
    state, doubtful
        Ledger state, and whether the position is doubtful, (n,).
    confidence
        (n, classes).
    classes
        The classes.
    x_label, y_label
        Labels of the axes.
    sizes_um
        Width and height of each point where they differ, (n, 2); only without a placement.
    """

    x_um: Floats
    y_um: Floats
    width_um: float
    height_um: float
    placement: Placement | None
    state: NDArray[np.uint8]
    doubtful: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    classes: Sequence[PhaseClass]
    x_label: str = "x (µm)"
    y_label: str = "y (µm)"
    sizes_um: Floats | None = None

    def size_of(self, point: int) -> tuple[float, float]:
        """Width and height of the cell that stands for a point, um."""
        if self.sizes_um is None:
            return self.width_um, self.height_um
        return float(self.sizes_um[point, 0]), float(self.sizes_um[point, 1])

    @property
    def done(self) -> NDArray[np.bool_]:
        """Points with something to show."""
        return np.asarray(self.state == PointState.DONE)

    @property
    def classified(self) -> NDArray[np.bool_]:
        """Points with something to show that a model spoke of, (n,); all of them where there are no classes."""
        spoken = np.isfinite(self.confidence).any(axis=1) | (self.confidence.shape[1] == 0)
        return np.asarray(self.done & spoken)

    def present(self, threshold: float = THRESHOLD) -> NDArray[np.bool_]:
        """Classes at or above the threshold, (n, classes)."""
        return np.asarray(np.nan_to_num(self.confidence) >= threshold)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, low and high edge, um."""
        x, y = (self.x_um, self.y_um) if self.placement is None else (self.placement.x_um, self.placement.y_um)
        half_x, half_y = self.width_um / 2, self.height_um / 2
        return (
            float(np.nanmin(x)) - half_x, float(np.nanmax(x)) + half_x,
            float(np.nanmin(y)) - half_y, float(np.nanmax(y)) + half_y,
        )  # fmt: skip

    @property
    def ratio(self) -> float:
        """Width over height."""
        left, right, low, high = self.extent
        return (right - left) / (high - low)


def scene_of(result: Result) -> Scene:
    """Return what the picture of a result shows."""
    ledger = result.ledger
    x, y = ledger["x_um"].values, ledger["y_um"].values
    common: dict[str, Any] = {
        "state": ledger["state"].values,
        "doubtful": (ledger["flags"].values & int(PointFlag.POSITION_DOUBTFUL)) > 0,
        "confidence": result.confidences.values,
        "classes": result.header.classes,
    }
    placement = result.placement
    if placement is not None:
        x_axis, dx, x_even = even_axis(placement.x_um, placement.y_um)
        y_axis, dy, y_even = even_axis(placement.y_um, placement.x_um)
        if x_even and y_even:
            even = Placement(rows=placement.rows, columns=placement.columns, x_um=x_axis, y_um=y_axis)
            return Scene(x_um=x, y_um=y, width_um=dx, height_um=dy, placement=even, **common)
    labels: dict[str, Any] = {}
    if not np.any(np.isfinite(x) & np.isfinite(y)):
        # Without a single position the order of measurement is all there is.
        x, y = np.arange(x.size, dtype=np.float64), np.zeros(x.size)
        labels = {"x_label": "point (no positions)", "y_label": ""}
    size = spacing_um(x, y)
    sizes = result.cell_sizes_um
    if sizes is not None and not labels:
        width, height = np.max(sizes, axis=0).tolist()
        return Scene(
            x_um=x, y_um=y, width_um=width, height_um=height, placement=None, sizes_um=sizes, **labels, **common
        )
    return Scene(x_um=x, y_um=y, width_um=size, height_um=size, placement=None, **labels, **common)


def even_axis(centres: Floats, other: Floats) -> tuple[Floats, float, bool]:
    """Axis for drawing, its step, and whether the steps are even; unknown ones borrow the other axis' step."""
    known = np.flatnonzero(np.isfinite(centres))
    steps = np.diff(centres)
    if known.size == centres.size and centres.size > 1:
        step = float(np.mean(steps))
        return centres, step, bool(np.all(np.abs(steps - step) <= _UNEVEN * abs(step)))
    others = np.abs(np.diff(other[np.isfinite(other)]))
    step = float(np.median(others)) if others.size and np.median(others) > 0 else 1.0
    start = float(centres[known[0]]) - step * float(known[0]) if known.size else 0.0
    return start + step * np.arange(centres.size, dtype=np.float64), step, True


def spacing_um(x: Floats, y: Floats) -> float:
    """Side of the square drawn for a scattered point: the median distance to the nearest neighbour."""
    places = np.unique(np.column_stack([x, y])[np.isfinite(x) & np.isfinite(y)], axis=0)
    if len(places) < 2:
        return 1.0
    distance, _ = cKDTree(places).query(places, k=2)
    return float(np.median(distance[:, 1])) * 0.9
