"""One scan of several over the same sample: where it lies, and what changed before it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from phasecast.simulate.errors import SimulationError
from phasecast.simulate.faults import Faults, parse_faults


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPass:
    """One scan over a part of the sample.

    Parameters
    ----------
    shape
        Rows and columns, along y and x of the sample.
    step_um
        Step of the scan.
    origin_um
        x and y of its lowest corner, as planned.
    wait_s
        What the simulated clock moves on before it; nobody waits for it.
    flux
        Factor on the flux, from here on.
    offset_um
        Where the beam really is minus where the stage says it is, x and y, from here on.
    faults
        What goes wrong; points are numbered from 0 in each scan.
    """

    shape: tuple[int, int]
    step_um: float
    origin_um: tuple[float, float] = (0.0, 0.0)
    wait_s: float = 0.0
    flux: float = 1.0
    offset_um: tuple[float, float] = (0.0, 0.0)
    faults: Faults = field(default_factory=Faults)

    @property
    def end_um(self) -> tuple[float, float]:
        """Place of its highest corner, x and y."""
        rows, cols = self.shape
        return self.origin_um[0] + (cols - 1) * self.step_um, self.origin_um[1] + (rows - 1) * self.step_um


@dataclass(slots=True, kw_only=True)
class Conditions:
    """What an interruption changed; the plan changes it, stage, beam and clocks read it.

    Parameters
    ----------
    ahead_s
        Seconds that the simulated clocks of detector and documents are ahead of the real one.
    flux
        Factor on the flux.
    offset_um
        Where the beam really is minus where the stage says it is, x and y.
    """

    ahead_s: float = 0.0
    flux: float = 1.0
    offset_um: tuple[float, float] = (0.0, 0.0)

    def begin(self, scan: MapPass) -> None:
        """Take over what a scan says of its conditions."""
        self.ahead_s += scan.wait_s
        self.flux, self.offset_um = scan.flux, scan.offset_um

    def beam_returns(self, faults: Faults) -> None:
        """The beam was away, and comes back a little weaker and beside where it was."""
        self.ahead_s += faults.beam_lost_s
        self.flux, self.offset_um = self.flux * faults.i0_after, faults.offset_after_um


def parse_pass(text: str, *, default: MapPass) -> MapPass:
    """Read a scan such as ``shape=12x32 origin=0,20 wait-s=600 flux=0.95 offset=3,0 abort=100``.

    What is not said is as in `default`, without its faults. Words that are none of these are faults.

    Raises
    ------
    SimulationError
        If a word cannot be read.
    """
    fields: dict[str, Any] = {"faults": Faults()}
    faults: list[str] = []
    for word in text.split():
        name, _, value = word.partition("=")
        try:
            match name:
                case "shape":
                    fields["shape"] = _pair(value, "x", int)
                case "origin" | "offset":
                    fields[f"{name}_um"] = _pair(value, ",", float)
                case "step" | "flux" | "wait-s":
                    key = {"step": "step_um", "wait-s": "wait_s"}.get(name, name)
                    fields[key] = float(value)
                case _:
                    faults.append(word)
        except ValueError as error:
            raise SimulationError(
                f"cannot read {word!r}", where="--pass", remedy="write it as shape=12x32 origin=0,20"
            ) from error
    return replace(default, **fields | {"faults": parse_faults(faults)})


def _pair(text: str, between: str, kind: type) -> tuple[Any, Any]:
    first, second = text.split(between)
    return kind(first), kind(second)


def points_of(scans: Iterable[MapPass]) -> int:
    """Points that the scans plan together."""
    return sum(scan.shape[0] * scan.shape[1] for scan in scans)
