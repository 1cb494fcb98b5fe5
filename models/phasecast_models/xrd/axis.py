"""The scattering-angle axis a model was trained on, and the class ids it speaks of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

CLASSES = (
    "magnetite",
    "goethite",
    "lepidocrocite",
    "ferrite",
    "austenite",
    "cementite",
    "resin",
    "peakless_iron",
    "other",
)
"""Class ids of the BL16XU rust maps, in the order of every confidence array."""


class AxisMismatchError(ValueError):
    """Patterns on another axis than the one a model was trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternAxis:
    """Equal bins of scattering angle at one photon energy; angles are bin edges of the whole range."""

    tth_min_deg: float
    tth_max_deg: float
    bins: int
    energy_kev: float

    @property
    def step_deg(self) -> float:
        """Width of one bin."""
        return (self.tth_max_deg - self.tth_min_deg) / self.bins

    @property
    def edges_deg(self) -> NDArray[np.float64]:
        """Bin edges, shape (bins + 1,)."""
        return np.linspace(self.tth_min_deg, self.tth_max_deg, self.bins + 1)

    @property
    def tth_deg(self) -> NDArray[np.float64]:
        """Bin centres, shape (bins,)."""
        edges = self.edges_deg
        return (edges[:-1] + edges[1:]) / 2

    def __str__(self) -> str:
        return (
            f"{self.tth_min_deg:g}-{self.tth_max_deg:g} deg in {self.bins} bins of {self.step_deg:g} deg "
            f"at {self.energy_kev:g} keV"
        )

    def require(self, tth_deg: ArrayLike) -> None:
        """Check that bin centres are those of this axis, within a twentieth of a bin.

        Raises
        ------
        AxisMismatchError
            Naming both axes.
        """
        given = np.asarray(tth_deg, dtype=np.float64)
        if given.shape == (self.bins,) and np.all(np.abs(given - self.tth_deg) < self.step_deg / 20):
            return
        if given.ndim == 1 and given.size > 1:
            found = f"{given.size} bin centres from {given[0]:g} to {given[-1]:g} deg"
        else:
            found = f"an array of shape {given.shape}"
        raise AxisMismatchError(
            f"the patterns have {found}, the model was trained on {self} (centres {self.tth_deg[0]:g} to "
            f"{self.tth_deg[-1]:g} deg) - integrate or rebin to that axis"
        )


BL16XU_AXIS = PatternAxis(tth_min_deg=10.0, tth_max_deg=40.0, bins=300, energy_kev=10.0)
"""Axis of the shipped bundle."""
