"""Whether the heights of a result's patterns can be compared, that is whether the incident flux was known."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.result import ResultHeader

I0_SCALAR = "i0"
"""Scalar of the incident flux."""
NORMALISED_COLUMN = "intensity_normalised"
"""Column of the patterns for one and the same I0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """What is known of the incident flux.

    Parameters
    ----------
    has_monitor
        Whether the scan has an incident monitor at all.
    points
        Points that are done.
    without
        Those of them without a usable I0.
    """

    has_monitor: bool
    points: int
    without: int

    @property
    def is_missing(self) -> bool:
        """Whether no point of the result can be normalised."""
        return not self.has_monitor or (self.points > 0 and self.without == self.points)


def i0_offset(header: ResultHeader) -> float:
    """Return what the incident monitor reads without beam, in its unit, as the profile of the result declares it."""
    monitors = header.profile.get("monitors")
    named = monitors.get("named") if isinstance(monitors, Mapping) else None
    found = (one for one in named or () if isinstance(one, Mapping) and one.get("name") == I0_SCALAR)
    return float(next(found, {}).get("offset") or 0.0)


def normalisation(header: ResultHeader, state: NDArray[np.uint8], flags: NDArray[np.uint32]) -> Normalisation:
    """Return what is known of the incident flux of a result.

    Parameters
    ----------
    header
        Its header.
    state, flags
        Of its ledger, shape (n,).
    """
    done = state == PointState.DONE
    without = done & ((flags & np.uint32(PointFlag.NOT_NORMALISED)) > 0)
    return Normalisation(
        has_monitor=any(column.name == I0_SCALAR for column in header.point_columns),
        points=int(np.count_nonzero(done)),
        without=int(np.count_nonzero(without)),
    )
