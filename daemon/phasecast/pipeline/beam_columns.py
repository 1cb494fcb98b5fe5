"""Patterns that take frame and monitors together: divided by I0, and with the empty beam taken away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.protocols import Reduced
from phasecast.core.result import ColumnSpec
from phasecast.pipeline.beam_points import BeamPoints

_INTENSITY, _SIGMA = "intensity", "sigma"
NORMALISED = "intensity_normalised"
SUBTRACTED = "intensity_subtracted"
SUBTRACTED_SIGMA = "sigma_subtracted"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmptyBeam:
    """Pattern of the empty beam.

    Parameters
    ----------
    intensity, sigma
        On the archive axis, shape (bins,); NaN in bins without pixels.
    """

    intensity: NDArray[np.floating[Any]]
    sigma: NDArray[np.floating[Any]]


class BeamColumns:
    """Computes the columns for which a point's monitors must be known, when frame and event have met.

    Parameters
    ----------
    bins
        Bins of the patterns.
    i0_reference
        I0 that normalised patterns are scaled to, its offset subtracted; None where there is no I0.
    i0_text
        How I0 is written in formulas, such as ``(i0 - 120)``.
    empty
        Pattern of the empty beam; None where none is subtracted.
    """

    def __init__(
        self, *, bins: int, i0_reference: float | None = None, i0_text: str = "i0", empty: EmptyBeam | None = None
    ) -> None:
        self._reference = i0_reference
        self._empty = empty
        self._specs: list[ColumnSpec] = []
        if i0_reference is not None:
            self._specs.append(
                _pattern(
                    NORMALISED,
                    bins,
                    "intensity for one and the same I0; NaN without I0. Its sigma scales alike, without the "
                    "uncertainty of I0 itself",
                    f"intensity * {i0_reference:g} / {i0_text}",
                )
            )
        if empty is not None:
            scale = f"s = {i0_text} / I0empty * transmission"
            note = "NaN where I0 or transmission are unknown"
            self._specs += [
                _pattern(
                    SUBTRACTED,
                    bins,
                    f"intensity without that of the empty beam; {note}",
                    f"intensity - s * empty; {scale}",
                ),
                _pattern(
                    SUBTRACTED_SIGMA,
                    bins,
                    f"standard error of {SUBTRACTED}; {note}",
                    f"sqrt(sigma**2 + s**2 * sigma_empty**2); {scale}",
                ),
            ]

    @property
    def specs(self) -> tuple[ColumnSpec, ...]:
        """The columns."""
        return tuple(self._specs)

    def compute(self, points: Sequence[tuple[int, Reduced]], beam: BeamPoints) -> dict[str, NDArray[Any]]:
        """Return the columns of some points, each of shape (points, bins).

        Parameters
        ----------
        points
            Index and reduced frame of each.
        beam
            The monitors of the scan.
        """
        columns: dict[str, NDArray[Any]] = {}
        if not self._specs or not points:
            return columns
        intensity = np.stack([reduced.columns[_INTENSITY] for _, reduced in points])
        if self._reference is not None:
            i0 = np.array([beam.i0(index) for index, _ in points])
            factor = np.divide(self._reference, i0, out=np.full(i0.shape, np.nan), where=i0 > 0)
            columns[NORMALISED] = intensity * factor[:, None]
        if self._empty is not None:
            sigma = np.stack([reduced.columns[_SIGMA] for _, reduced in points]).astype(np.float64)
            scale = np.array([beam.empty_scale(index) for index, _ in points])[:, None]
            columns[SUBTRACTED] = intensity - scale * self._empty.intensity
            columns[SUBTRACTED_SIGMA] = np.hypot(sigma, scale * self._empty.sigma)
        return columns


def _pattern(name: str, bins: int, description: str, formula: str) -> ColumnSpec:
    return ColumnSpec(
        name=name,
        dtype="<f4",
        shape=(bins,),
        unit="arbitrary units",
        description=description,
        axis="tth",
        formula=formula,
    )
