"""One scan of a map: its rows, cells and steps."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointFlag, PointState
from phasecast.results.map_identity import planned_places
from phasecast.results.reader import Result
from phasecast.results.scene import even_axis, spacing_um

Offsets = Mapping[str, tuple[float, float]]
"""Raw uid to what is added to x and y of its points, um."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPart:
    """One result of a map.

    Parameters
    ----------
    result
        The open result.
    first
        Its first row in the map.
    offset_um
        What was added to its x and y, because somebody asked for it.
    step_um
        Width and height of its cells.
    """

    result: Result
    first: int
    offset_um: tuple[float, float]
    step_um: tuple[float, float]

    @property
    def rows(self) -> slice:
        """Its rows in the map."""
        return slice(self.first, self.first + self.result.points)


def cells_of(result: Result) -> NDArray[np.int64]:
    """A number for the cell of each point in the raster of its own scan; -1 where there is none."""
    placement = result.placement
    if placement is None:
        return np.full(result.points, -1, dtype=np.int64)
    return np.where(placement.inside, placement.rows * placement.x_um.size + placement.columns, -1)


def quality_of(state: NDArray[np.uint8], flags: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return 2 for points that are accepted, 1 for those that are done but doubtful, else 0, (n,)."""
    doubtful = (flags & int(PointFlag.POSITION_DOUBTFUL)) > 0
    return np.where(state == PointState.DONE, np.where(doubtful, 1, 2), 0)


def step_of(result: Result) -> tuple[float, float]:
    """Width and height of the cells of a result; a side that nothing tells is as long as the other."""
    placement = result.placement
    if placement is None:
        x, y = planned_places(result)
        side = spacing_um(x, y) / 0.9
        return side, side
    _, width, _ = even_axis(placement.x_um, placement.y_um)
    _, height, _ = even_axis(placement.y_um, placement.x_um)
    return abs(width), abs(height)
