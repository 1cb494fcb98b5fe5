"""The map of what changed between two results, patched as they grow."""

import numpy as np
from bokeh.models import ColumnDataSource

from phasecast.core.ledger import PointState
from phasecast.web.colours import CLEAR, pixels
from phasecast.web.compare_changes import Change, Changes, Rows
from phasecast.web.layers import LayerKey
from phasecast.web.live_scan import Picture

CHANGE_COLOURS: dict[Change, str] = {
    Change.UNCHANGED: "#D4D7DB",
    Change.KEPT: "#8A9099",
    Change.GAINED: "#0077BB",
    Change.LOST: "#EE7733",
    Change.EXCHANGED: "#AA3377",
}
"""Apart for colour-blind eyes (after P. Tol's vibrant scheme); points that are not compared stay clear."""

_PIXELS = np.concatenate([[CLEAR], pixels(list(CHANGE_COLOURS.values()))])


class ChangePicture:
    """One picture in a browser, in the cells of result A.

    Parameters
    ----------
    name
        Name of the Bokeh data source.
    """

    def __init__(self, name: str) -> None:
        self.source = ColumnDataSource(name=name, data={"image": [], "x": [], "y": [], "dw": [], "dh": []})
        self._picture: Picture | None = None
        self._state: tuple[object, ...] = ()

    def show(self, changes: Changes, class_id: str, fresh: Rows | None) -> None:
        """Bring the browser up to date.

        Parameters
        ----------
        changes
            The two results, updated.
        class_id
            Class whose changes are shown; empty for all.
        fresh
            Rows that changed since the last call, None for all.
        """
        scan = changes.a
        state = (changes, class_id, scan.epoch, scan.canvas.extent_um)
        if self._picture is None or state != self._state or fresh is None:
            self._state = state
            side = scan.canvas.side(fine=False)
            self._picture = Picture(LayerKey("changes"), np.full(scan.canvas.shape(side), CLEAR), side, 0)
            self._paint(self._picture, changes, class_id, np.arange(changes.points))
            left, low, width, height = scan.canvas.extent_um
            self.source.data = {
                "image": [self._picture.pixels], "x": [left], "y": [low], "dw": [width], "dh": [height],
            }  # fmt: skip
        elif fresh.size:
            self._paint(self._picture, changes, class_id, fresh)
            self._send(self._picture, changes, fresh)

    def clear(self) -> None:
        """Show nothing."""
        self._picture = None
        if self.source.data["image"]:
            self.source.data = {"image": [], "x": [], "y": [], "dw": [], "dh": []}

    def _paint(self, picture: Picture, changes: Changes, class_id: str, rows: Rows) -> None:
        rows = rows[changes.a.columns.state[rows] != PointState.SUPERSEDED]
        points, cells = changes.a.canvas.cells(rows, picture.side)
        inner = np.arange(picture.side)
        picture.pixels[
            cells.top[:, None, None] + inner[None, :, None], cells.left[:, None, None] + inner[None, None, :]
        ] = _PIXELS[changes.kinds(points, class_id)][:, None, None]

    def _send(self, picture: Picture, changes: Changes, rows: Rows) -> None:
        patches = [
            (
                (0, slice(patch.row, patch.row + patch.pixels.shape[0]),
                 slice(patch.column, patch.column + patch.pixels.shape[1])),
                np.ascontiguousarray(patch.pixels).ravel(),
            )
            for patch in changes.a.patches(picture, rows)
        ]  # fmt: skip
        if patches:
            self.source.patch({"image": patches})
