"""How motors and the sample lie to each other: unit, sign, exchanged axes, and from which side one looks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from phasecast.profiles.scanning import Positions


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFrame:
    """The way from motor readbacks to sample coordinates and back.

    Sample coordinates are um, x to the right and y up as the beam sees the sample. Which motor is which axis is
    said by naming its field, so that exchanged axes need nothing else.

    Parameters
    ----------
    x_field, y_field
        Event fields that hold the motors of the sample's x and y.
    x_um_per_unit, y_um_per_unit
        Signed um of sample coordinate per unit of the motor; never 0.
    """

    x_field: str
    y_field: str
    x_um_per_unit: float
    y_um_per_unit: float

    @classmethod
    def of(cls, positions: Positions) -> Self:
        """Return the frame that a profile's ``[positions]`` describes."""
        horizontal, vertical = positions.horizontal, positions.vertical
        return cls(
            x_field=horizontal.field,
            y_field=vertical.field,
            x_um_per_unit=horizontal.factor_to_um * horizontal.sign * positions.x_sign_of_view,
            y_um_per_unit=vertical.factor_to_um * vertical.sign,
        )

    def to_sample(self, position: Mapping[str, float]) -> tuple[float, float]:
        """Return x and y in um of motor readbacks in their own units; NaN for a motor that is missing."""
        return (
            position.get(self.x_field, math.nan) * self.x_um_per_unit,
            position.get(self.y_field, math.nan) * self.y_um_per_unit,
        )

    def to_stage(self, x_um: float, y_um: float) -> dict[str, float]:
        """Return what the motors read, in their own units, when the beam is at a place of the sample."""
        return {self.x_field: x_um / self.x_um_per_unit, self.y_field: y_um / self.y_um_per_unit}
