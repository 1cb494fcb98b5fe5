"""How the simulated stage is mounted: which motor moves the sample along which axis, and in which direction."""

import re
from dataclasses import dataclass
from typing import Self

from phasecast.simulate.errors import SimulationError

_TERM = re.compile(r"^(?P<motor>[xy])=(?P<sign>-?)(?P<axis>[xy])$")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAxes:
    """What the two motors read: each the sample's x or y as the beam sees it, perhaps with the opposite sign.

    Parameters
    ----------
    exchanged
        Whether the motor ``stage_x`` moves along the sample's y, and ``stage_y`` along its x.
    x_sign, y_sign
        -1 where the motor ``stage_x`` or ``stage_y`` counts against its axis.
    """

    exchanged: bool = False
    x_sign: int = 1
    y_sign: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``x=-y,y=x``: the motor stage_x reads minus the sample's y, stage_y the sample's x.

        Raises
        ------
        SimulationError
            If the text does not give each motor an axis of its own.
        """
        terms = {match["motor"]: match for part in text.split(",") if (match := _TERM.match(part.strip()))}
        if set(terms) != {"x", "y"} or {match["axis"] for match in terms.values()} != {"x", "y"}:
            raise SimulationError(
                f"cannot read {text!r}", where="--stage", remedy="give both motors an axis, such as x=-y,y=x"
            )
        sign = {motor: -1 if match["sign"] else 1 for motor, match in terms.items()}
        return cls(exchanged=terms["x"]["axis"] == "y", x_sign=sign["x"], y_sign=sign["y"])

    def motors_at(self, x_um: float, y_um: float) -> tuple[float, float]:
        """Return what stage_x and stage_y read at a place of the sample, um."""
        along = (y_um, x_um) if self.exchanged else (x_um, y_um)
        return self.x_sign * along[0], self.y_sign * along[1]

    def sample_at(self, motor_x_um: float, motor_y_um: float) -> tuple[float, float]:
        """Return the place of the sample in um where the motors read this."""
        along = (self.x_sign * motor_x_um, self.y_sign * motor_y_um)
        return (along[1], along[0]) if self.exchanged else along
