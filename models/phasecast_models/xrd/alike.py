"""Crystals that no powder pattern on an axis tells apart."""

import numpy as np

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.made_up import LineSet, structure_lines
from phasecast_models.xrd.structures import Structure

_APART_DEG = 0.15
_STRONG, _THERE = 0.15, 0.03


def same_lines(first: Structure, second: Structure, axis: PatternAxis) -> bool:
    """Return whether every strong line of either crystal is a line of the other, within 0.15 deg."""
    one, other = structure_lines(first, axis, reach_deg=0), structure_lines(second, axis, reach_deg=0)
    return _holds(one, other) and _holds(other, one)


def _holds(lines: LineSet, wanted: LineSet) -> bool:
    strong = wanted.tth_deg[wanted.intensity > _STRONG]
    there = lines.tth_deg[lines.intensity > _THERE]
    if not len(strong) or not len(there):
        return False
    return bool((np.abs(strong[:, None] - there[None, :]).min(axis=1) < _APART_DEG).all())
