"""One scan as all sessions of the page see it: written in one place, read by version."""

import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointState
from phasecast.core.result import ModelStamp, ResultHeader
from phasecast.records.regions import inside_polygon
from phasecast.results.follow import ResultFollower, Rows
from phasecast.results.grid import Floats
from phasecast.results.reader import Result
from phasecast.web.canvas import Canvas, canvas_for
from phasecast.web.colours import CLEAR, STATE_COLOURS, Pixels, pixel
from phasecast.web.layers import COMPOSITE, LEDGER, UNSURE, Cells, LayerKey, paint
from phasecast.web.tally import Tally

_POLL_S = 0.2
_PICTURES = 24
_TALLIES = 8
_REMEMBERED = 256
_LIMIT_MARGIN = 1.25


@dataclass(slots=True)
class Picture:
    """The pixels of one layer, (rows, columns), row 0 at the lowest y, and the version that they show."""

    key: LayerKey
    pixels: Pixels
    side: int
    version: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where a point is from: the open result of its scan, and its row there."""

    result: Result
    point: int


@dataclass(frozen=True, slots=True)
class Patch:
    """A rectangle of a picture that changed: first row, first column, and its pixels."""

    row: int
    column: int
    pixels: Pixels


class LiveScan:
    """A result file that is followed, with the pictures of its layers.

    Nothing here knows of sessions: each asks for what changed since the version it shows. Everything runs in the
    thread of the server's loop, so that one writer and many readers need no lock.

    Parameters
    ----------
    path
        The result file.

    Attributes
    ----------
    columns
        The followed file.
    canvas
        Where its points lie.
    version
        Grows with every change.
    epoch
        Grows when everything must be drawn anew.
    disagreement
        How much a second opinion contradicts the confidences, (n,) or shorter; NaN where it is not known.

    Raises
    ------
    ResultFileError
        If it cannot be opened.
    """

    is_map = False
    """Whether several scans are seen as one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._follow()
        self.version = 1
        self.epoch = 1
        self._changes: deque[tuple[int, Rows]] = deque(maxlen=_REMEMBERED)
        self._pictures: OrderedDict[LayerKey, Picture] = OrderedDict()
        self._tallies: OrderedDict[float, tuple[int, Tally]] = OrderedDict()
        self._polled_s = time.monotonic()
        self._model: tuple[ModelStamp | None, bool] = (None, False)
        self._model_at = 0
        self.disagreement = np.zeros(0, dtype=np.float32)
        self._arrange()

    @property
    def header(self) -> ResultHeader:
        """Header of the result."""
        return self.columns.result.header

    @property
    def model(self) -> tuple[ModelStamp | None, bool]:
        """The model behind most points, and whether there are others; looked at again when points changed."""
        if self._model_at != self.version:
            result = self.columns.result
            self._model_at = self.version
            models = result.models
            if len(models) > 1:  # else there is no need to look at the points
                shares = result.model_shares
                self._model = (shares[0][0] if shares else models[-1].stamp, len(shares) > 1)
            else:
                self._model = (models[0].stamp if models else None, False)
        return self._model

    @property
    def paths(self) -> tuple[Path, ...]:
        """The result files."""
        return (self.path,)

    @property
    def written_name(self) -> str:
        """File name of the result that a daemon may be writing."""
        return self.path.name

    @property
    def address(self) -> str:
        """What the address of the page calls it."""
        return self.path.name

    def source_of(self, point: int) -> Source:
        """Return the scan that a point is from."""
        return Source(result=self.columns.result, point=point)

    def sizes_um(self, points: Rows) -> tuple[Floats, Floats]:
        """Width and height of the cells of some points, (m,) each."""
        width, height = self.canvas.step_um
        return np.full(points.size, width), np.full(points.size, height)

    def close(self) -> None:
        """Close the file."""
        self.columns.close()

    def poll(self) -> None:
        """Look at the file again, at most five times a second however many sessions ask.

        Raises
        ------
        ResultFileError
            If the file cannot be read any more.
        """
        now_s = time.monotonic()
        if now_s - self._polled_s < _POLL_S:
            return
        self._polled_s = now_s
        rows, replaced = self.columns.advance()
        if replaced:
            self._arrange()
            self._begin_epoch()
        elif rows.size:
            self.version += 1
            self._changes.append((self.version, rows))
            largest = float(np.nanmax(self.columns.total[rows], initial=0.0))
            if self.canvas.update(rows) or largest > self._total_limit:
                self._choose_total_limit()
                self._begin_epoch()

    def set_disagreement(self, rows: Rows, values: NDArray[np.floating]) -> None:
        """Take over how much a second opinion contradicts the confidences of some points, ascending rows, (m,) each."""
        more = self.columns.points - self.disagreement.size
        if more > 0:
            self.disagreement = np.concatenate([self.disagreement, np.full(more, np.nan, dtype=np.float32)])
        fresh = np.asarray(values, dtype=np.float32)
        differ = ~((self.disagreement[rows] == fresh) | (np.isnan(self.disagreement[rows]) & np.isnan(fresh)))
        self.disagreement[rows] = fresh
        if differ.any():
            self.version += 1
            self._changes.append((self.version, rows[differ]))

    def changes_since(self, version: int) -> Rows | None:
        """Return the points that changed after a version, ascending; None if that is too long ago to know."""
        if version == self.version:
            return np.zeros(0, dtype=np.int64)
        if not self._changes or self._changes[0][0] > version + 1:
            return None
        return np.unique(np.concatenate([rows for number, rows in self._changes if number > version]))

    def picture(self, key: LayerKey) -> Picture:
        """Return the picture of a layer as it is now; only what changed since it was last asked for is painted."""
        picture = self._pictures.get(key)
        rows = self.changes_since(picture.version) if picture is not None else None
        if picture is None or rows is None:
            picture = self._paint_all(key)
            self._pictures[key] = picture
            while len(self._pictures) > _PICTURES:
                self._pictures.popitem(last=False)
        elif rows.size:
            self._paint(picture, rows)
        picture.version = self.version
        self._pictures.move_to_end(key)
        return picture

    def tally(self, threshold: float) -> Tally:
        """Return how many points hold each class at a threshold."""
        version, tally = self._tallies.get(threshold, (0, None))
        rows = self.changes_since(version) if tally is not None else None
        if tally is None or rows is None:
            tally = Tally(self.columns, threshold)
        else:
            tally.update(rows)
        self._tallies[threshold] = self.version, tally
        self._tallies.move_to_end(threshold)
        while len(self._tallies) > _TALLIES:
            self._tallies.popitem(last=False)
        return tally

    def patches(self, picture: Picture, rows: Rows) -> list[Patch]:
        """Return rectangles of a picture that is up to date, few and small, that hold some points."""
        _, cells = self.canvas.cells(rows, picture.side)
        return [
            Patch(top, left, picture.pixels[top:bottom, left:right]) for top, bottom, left, right in boxes_of(cells)
        ]

    def nearest(self, x_um: float, y_um: float) -> int | None:
        """Return the point nearest to a place; None if none lies within a step and a half."""
        columns, (dx, dy) = self.columns, self.canvas.step_um
        distance = np.hypot((columns.x_um - x_um) / dx, (columns.y_um - y_um) / dy)
        distance[(columns.state == PointState.SUPERSEDED) | ~np.isfinite(distance)] = np.inf
        if distance.size == 0 or not np.min(distance) <= 1.5:
            return None
        return int(np.argmin(distance))

    def neighbour(self, point: int, right: int, up: int) -> int | None:
        """Return the next point in a direction; None at the edge."""
        dx, dy = self.canvas.step_um
        x, y = self.columns.x_um[point] + right * dx, self.columns.y_um[point] + up * dy
        found = self.nearest(float(x), float(y))
        return None if found == point else found

    def inside(self, geometry: Mapping[str, Any]) -> Rows:
        """Return the points inside a selection that the browser describes: a rectangle or a polygon in um."""
        x, y = self.columns.x_um, self.columns.y_um
        if geometry.get("type") == "rect":
            low_x, high_x = sorted((geometry["x0"], geometry["x1"]))
            low_y, high_y = sorted((geometry["y0"], geometry["y1"]))
            held = (x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y)
        elif geometry.get("type") == "poly":
            corners = np.column_stack([geometry["x"], geometry["y"]]).astype(np.float64)
            held = inside_polygon(corners, x, y)
        else:
            held = np.zeros(x.size, dtype=np.bool_)
        return np.flatnonzero(held & (self.columns.state != PointState.SUPERSEDED))

    @property
    def total_limit(self) -> float:
        """Counts of a frame that take the brightest colour."""
        return self._total_limit

    def _follow(self) -> None:
        self.columns = ResultFollower(self.path)

    def _make_canvas(self) -> Canvas:
        return canvas_for(self.columns)

    def _arrange(self) -> None:
        self.canvas: Canvas = self._make_canvas()
        self._choose_total_limit()

    def _choose_total_limit(self) -> None:
        largest = float(np.nanmax(self.columns.total, initial=0.0))
        self._total_limit = max(largest, 1.0) * (_LIMIT_MARGIN if self.columns.is_growing else 1.0)

    def _begin_epoch(self) -> None:
        self.version += 1
        self.epoch += 1
        self._changes.clear()
        self._pictures.clear()
        self._tallies.clear()

    def _disagreement_of_all(self) -> NDArray[np.float32]:
        missing = self.columns.points - self.disagreement.size
        return np.pad(self.disagreement, (0, max(missing, 0)), constant_values=np.nan)

    def _paint_all(self, key: LayerKey) -> Picture:
        side = self.canvas.side(fine=key.name in (COMPOSITE, LEDGER, UNSURE))
        picture = Picture(key, np.full(self.canvas.shape(side), bare_pixel(key)), side, self.version)
        self._paint(picture, np.arange(self.columns.points))
        return picture

    def _paint(self, picture: Picture, rows: Rows) -> None:
        # Of several points in a cell the later one shows, and never one that was measured again.
        state = self.columns.state[rows]
        shown = (state != PointState.SUPERSEDED) & (state != PointState.PENDING)
        points, cells = self.canvas.cells(rows[shown], picture.side)
        if points.size == 0:
            return
        blocks = paint(picture.key, self.columns, points, cells, self._total_limit, self._disagreement_of_all())
        inner = np.arange(picture.side)
        picture.pixels[
            cells.top[:, None, None] + inner[None, :, None], cells.left[:, None, None] + inner[None, None, :]
        ] = blocks


def bare_pixel(key: LayerKey) -> np.uint32:
    """Pixel of a layer where nothing was measured yet."""
    return pixel(STATE_COLOURS[PointState.PENDING]) if key.name == LEDGER else CLEAR


def boxes_of(cells: Cells) -> list[tuple[int, int, int, int]]:
    """Return top, bottom, left and right of rectangles that cover all cells: one, or one a line of cells."""
    if cells.top.size == 0:
        return []
    whole = _box(cells.top, cells.left, cells.side)
    area = (whole[1] - whole[0]) * (whole[3] - whole[2])
    if area <= 8 * cells.top.size * cells.side**2 or cells.top.size == 1:
        return [whole]
    by_row = np.unique(cells.top).size <= np.unique(cells.left).size
    lines = cells.top if by_row else cells.left
    boxes = []
    for line in np.unique(lines):
        chosen = lines == line
        boxes.append(_box(cells.top[chosen], cells.left[chosen], cells.side))
    return boxes


def _box(top: Rows, left: Rows, side: int) -> tuple[int, int, int, int]:
    return int(top.min()), int(top.max()) + side, int(left.min()), int(left.max()) + side
