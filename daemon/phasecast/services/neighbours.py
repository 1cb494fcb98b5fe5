"""Where a profile asks for it: confidences of a raster that take each point's neighbours into account."""

import logging
from dataclasses import replace

import numpy as np

from phasecast.core.documents import ALONE_AXIS, CLASS_AXIS
from phasecast.core.result import ColumnSpec, ModelStamp, ResultHeader, with_neighbours
from phasecast.pipeline.neighbours import NeighbourRule, SecondPass
from phasecast.profiles import Profile
from phasecast.results.grid import Floats, Grid, Indices
from phasecast.results.live_placement import LivePlacement
from phasecast.xrd.stages import XrdStage

logger = logging.getLogger(__name__)

_COLUMN = "confidences_alone"
_ON = (
    "on: what models 'with neighbours' say of a point takes up to eight neighbours into account; "
    f"{_COLUMN} are the confidences of each point by itself"
)
_NO_PASS = "off: the model that the scan began with scores each point by itself"
_NO_RASTER = "off: the scan is no raster over x and y, so each point is scored by itself"


class RasterCells:
    """Cells of the points of a growing raster, and of a finished one for good; see `pipeline.neighbours.Cells`.

    Parameters
    ----------
    grid
        The raster.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._live = LivePlacement(grid)
        self._rows: Indices = self._live.rows
        self._columns: Indices = self._live.columns

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the raster."""
        return self._grid.shape

    def update(self, x_um: Floats, y_um: Floats, changed: Indices) -> bool:
        """Take in points that changed, ascending; return whether others moved too."""
        known = changed[np.isfinite(x_um[changed]) & np.isfinite(y_um[changed])]
        moved = self._live.update(x_um, y_um, known)
        if len(self._rows) < len(self._live.rows):
            more = np.full(len(self._live.rows) - len(self._rows), -1, np.int64)
            self._rows, self._columns = (np.concatenate([old, more]) for old in (self._rows, self._columns))
        taken = np.flatnonzero(np.isfinite(x_um) & np.isfinite(y_um)) if moved else known
        self._rows[taken], self._columns[taken] = self._live.rows[taken], self._live.columns[taken]
        return moved

    def settle(self, x_um: Floats, y_um: Floats) -> None:
        """Place all points anew, for good."""
        placement = self._grid.place(np.ascontiguousarray(x_um), np.ascontiguousarray(y_um))
        known = np.isfinite(x_um) & np.isfinite(y_um)
        self._rows = np.where(known, placement.rows, -1)
        self._columns = np.where(known, placement.columns, -1)

    def of(self, points: Indices) -> tuple[Indices, Indices]:
        """Return rows and columns of points; -1 for those without a cell or without a position."""
        rows, columns = self._rows[points], self._columns[points]
        return np.where(columns < 0, -1, rows), np.where(rows < 0, -1, columns)


class SecondPasses:
    """The second passes of the models that a stage was or is asked with.

    Parameters
    ----------
    stage
        Whose classifier changes.
    """

    def __init__(self, stage: XrdStage) -> None:
        self._stage = stage
        self._known: dict[str, SecondPass | None] = {}

    def __call__(self, stamp: ModelStamp) -> SecondPass | None:
        """Return the second pass of a model; None if it has none or was never in use in this process."""
        classifier = self._stage.classifier
        if classifier is not None and classifier.bundle.sha256 not in self._known:
            bundle = classifier.bundle
            self._known[bundle.sha256] = None if bundle.neighbours is None else bundle.neighbours.confidences
            if bundle.neighbours is None:
                logger.warning("model %s %s scores each point by itself: no second pass", bundle.name, bundle.version)
        return self._known.get(stamp.sha256)


def header_with_neighbours(header: ResultHeader, profile: Profile, passes: SecondPasses) -> ResultHeader:
    """Return a header that says how confidences take neighbours into account, where the profile asks for that."""
    own = next((column for column in header.columns if column.axis == CLASS_AXIS), None)
    if not profile.classification.neighbours or own is None or header.model is None:
        return header
    if Grid.from_header(header) is None:
        logger.warning("scan %s: neighbours are %s", header.raw_uid, _NO_RASTER)
        return replace(header, processing={**header.processing, "neighbours": _NO_RASTER})
    has_pass = passes(header.model) is not None
    # the column is there also if a model that uses it may yet come into use
    column = ColumnSpec(
        name=_COLUMN,
        dtype=own.dtype,
        shape=own.shape,
        axis=ALONE_AXIS,
        description="confidence per class of each point by itself, before neighbours and transmission had their say",
    )
    return replace(
        header,
        columns=(*header.columns, column),
        model=with_neighbours(header.model) if has_pass else header.model,
        processing={**header.processing, "neighbours": _ON if has_pass else _NO_PASS},
    )


def neighbour_rule(header: ResultHeader, passes: SecondPasses) -> NeighbourRule | None:
    """Return how the points of a result are said again after their neighbours; None where they are not."""
    grid = Grid.from_header(header)
    if grid is None or all(column.axis != ALONE_AXIS for column in header.columns):
        return None
    return NeighbourRule(cells=RasterCells(grid), second_pass_of=passes)
