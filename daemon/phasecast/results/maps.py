"""What the maps of a result show, computed from per-point columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointState
from phasecast.results.grid import Floats, Grid
from phasecast.results.layout import STATE_MAP, TOTAL_MAP


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """All maps of a scan at one moment.

    Parameters
    ----------
    x_um, y_um
        Centres of columns and rows of a raster; for scattered points the position of each point.
    values
        Class id, ``total_intensity`` or ``ledger_state`` to (rows, columns) of a raster, to (n,) of scattered
        points. NaN where no point is done.
    """

    x_um: Floats
    y_um: Floats
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def draw_maps(
    grid: Grid | None,
    class_ids: tuple[str, ...],
    *,
    x_um: Floats,
    y_um: Floats,
    state: NDArray[np.uint8],
    confidence: NDArray[np.float32],
    total: NDArray[np.float32],
) -> Maps:
    """Return the maps of every class, of the total intensity and of the ledger.

    Parameters
    ----------
    grid
        The raster; None for scattered points.
    class_ids
        Names of the confidence columns.
    x_um, y_um, state, total
        One value a point, shape (n,).
    confidence
        Shape (n, classes).
    """
    done = state == PointState.DONE
    columns: dict[str, NDArray[Any]] = {name: confidence[:, k] for k, name in enumerate(class_ids)}
    columns[TOTAL_MAP] = total
    if grid is None:
        values: dict[str, NDArray[Any]] = {
            name: np.where(done, column, np.nan).astype(np.float32) for name, column in columns.items()
        }
        values[STATE_MAP] = state
        return Maps(x_um=x_um, y_um=y_um, values=values)
    placement = grid.place(x_um, y_um)
    values = {name: placement.paint(column, select=done, fill=np.float32(np.nan)) for name, column in columns.items()}
    superseded = state == PointState.SUPERSEDED
    states = placement.paint(state, select=superseded, fill=np.uint8(PointState.PENDING))
    chosen = np.flatnonzero(placement.inside & ~superseded)
    states[placement.rows[chosen], placement.columns[chosen]] = state[chosen]
    values[STATE_MAP] = states
    return Maps(x_um=placement.x_um, y_um=placement.y_um, values=values)
