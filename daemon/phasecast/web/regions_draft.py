"""What a person is about to save: a polygon, painted points or a threshold."""

from collections.abc import Sequence

import numpy as np

from phasecast.core.errors import RequestError
from phasecast.core.region_requests import Definition, Points, Polygon, Threshold
from phasecast.web.regions_line import Vertex
from phasecast.web.regions_measure import Ground, Mask, mask_of


class Draft:
    """One definition in the making; each way of drawing replaces the others, except that a brush adds to them."""

    def __init__(self) -> None:
        self.definition: Definition | None = None

    def enclose(self, vertices_um: Sequence[Vertex]) -> bool:
        """Take a closed line; return False where it encloses nothing."""
        corners = [(float(x), float(y)) for x, y in vertices_um]
        corners = [corner for k, corner in enumerate(corners) if corner != corners[k - 1]]
        try:
            self.definition = Polygon(vertices_um=tuple(corners))
        except RequestError:
            return False
        return True

    def limit(self, layer: str, low: float, high: float) -> None:
        """Take limits on a layer."""
        self.definition = Threshold(layer=layer, low=float(low), high=float(high))

    def paint(self, ground: Ground, near: Mask, *, erase: bool) -> None:
        """Add points to what is drawn, or take them away; the draft becomes one of single points."""
        chosen = self.mask(ground)
        chosen[near] = not erase
        rows = tuple(np.flatnonzero(chosen).tolist())
        self.definition = Points(scan_raw_uid=ground.raw_uid, rows=rows) if rows else None

    def clear(self) -> None:
        """Forget it."""
        self.definition = None

    def mask(self, ground: Ground) -> Mask:
        """Return its points, (n,)."""
        if self.definition is None:
            return np.zeros(ground.done.size, dtype=np.bool_)
        return mask_of(ground, self.definition).copy()
