"""The line along the surface of the steel while a person edits it."""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from phasecast.records.surfaces import Surface as SavedSurface
from phasecast.results.partition import STEEL, Surface, propose_surface
from phasecast.web.regions_measure import Ground

Vertex = tuple[float, float]


class Origin(StrEnum):
    """Where the line on the map comes from; the values name entries of the catalogue."""

    NONE = "line_none"
    PROPOSED = "line_proposed"
    EDITED = "line_edited"
    UNCONFIRMED = "line_unconfirmed"
    CONFIRMED = "line_confirmed"
    DECLINED = "line_declined"


class SurfaceLine:
    """Proposed, saved or edited: what a person edits stays until it is saved or dropped."""

    def __init__(self) -> None:
        self.vertices_um: tuple[Vertex, ...] = ()
        self.origin = Origin.NONE
        self.who = ""
        self._proposed_from: tuple[Ground, NDArray[np.str_]] | None = None

    def take(self, ground: Ground, parts: NDArray[np.str_], saved: SavedSurface | None) -> None:
        """Follow what is saved, else what the program proposes for the scan as it is now."""
        if self.origin is Origin.EDITED:
            return
        self.who = saved.who if saved is not None else ""
        if saved is not None:
            self._proposed_from = None
            self.vertices_um = saved.vertices_um
            self.origin = Origin.CONFIRMED if saved.confirmed else Origin.UNCONFIRMED
            if not saved.vertices_um:
                self.origin = Origin.DECLINED
            return
        before = self._proposed_from
        if before is None or before[0] is not ground or not np.array_equal(before[1], parts):
            self._proposed_from = ground, parts.copy()
            self.propose(ground, parts)

    def propose(self, ground: Ground, parts: NDArray[np.str_]) -> None:
        """Take the line that the program proposes; none where nothing parts steel from the rest."""
        line = propose_surface(parts, ground.x_um, ground.y_um)
        self.vertices_um = line.vertices_um if line is not None else ()
        self.origin = Origin.PROPOSED if line is not None else Origin.NONE
        self.who = ""

    def edit(self, vertices_um: Sequence[Vertex]) -> None:
        """Take corners as a person left them: one more than before is put where it lies along the line."""
        corners = [(float(x), float(y)) for x, y in vertices_um]
        if len(corners) == len(self.vertices_um) + 1 > 1:
            corners = insert_corner(corners[:-1], corners[-1])
        self.vertices_um = tuple(corners)
        self.origin = Origin.EDITED

    def remove(self, number: int) -> None:
        """Remove a corner."""
        self.edit([corner for k, corner in enumerate(self.vertices_um) if k != number])

    def forget(self) -> None:
        """Drop what was edited."""
        self.vertices_um, self.origin, self.who = (), Origin.NONE, ""
        self._proposed_from = None

    def surface(self, ground: Ground, parts: NDArray[np.str_]) -> Surface | None:
        """Return the surface with the steel inside, whichever way the line was drawn; None without a line."""
        corners = [
            corner for k, corner in enumerate(self.vertices_um) if k == 0 or corner != self.vertices_um[k - 1]
        ]  # fmt: skip
        if len(corners) < 2 or not np.any(parts == STEEL):
            return None
        return Surface.beside(corners, parts, ground.x_um, ground.y_um)


def insert_corner(corners: Sequence[Vertex], new: Vertex) -> list[Vertex]:
    """Return an open line with one corner more, where it makes the line least longer."""
    line = np.asarray(corners, dtype=np.float64)
    distance = np.hypot(line[:, 0] - new[0], line[:, 1] - new[1])
    pieces = np.hypot(*np.diff(line, axis=0).T) if len(line) > 1 else np.zeros(0)
    longer = np.concatenate([distance[:1], distance[:-1] + distance[1:] - pieces, distance[-1:]])
    place = int(np.argmin(longer))
    return [*corners[:place], new, *corners[place:]]
