"""Labelled patterns: what people said of measured patterns, as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class LabelError(ValueError):
    """Labels that nothing can be learned from; its one line says what is wrong and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Patterns and what is in them, one row each.

    Parameters
    ----------
    intensity, sigma
        Shape (n, bins), on the axis and in the units that a bundle's ``confidences`` takes.
    labels
        1 where a person saw the class, else 0; shape (n, classes), classes in the order of the bundle.
    samples
        Sample each pattern was measured on, shape (n,); patterns of one sample resemble each other.

    Raises
    ------
    LabelError
        If the arrays do not fit each other.
    """

    intensity: Floats
    sigma: Floats
    labels: Floats
    samples: NDArray[np.str_]

    def __post_init__(self) -> None:
        count = len(self.labels)
        shapes = (self.intensity.shape, self.sigma.shape, self.labels.shape, self.samples.shape)
        if (
            self.intensity.ndim != 2
            or self.intensity.shape != self.sigma.shape
            or self.labels.ndim != 2
            or not len(self.intensity) == count == len(self.samples)
            or self.samples.ndim != 1
        ):
            raise LabelError(
                f"intensity, sigma, labels and samples have shapes {', '.join(map(str, shapes))}, expected "
                "(n, bins) twice, (n, classes) and (n,) - give one row per labelled pattern"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Examples":
        """Return some rows, in the given order."""
        return Examples(
            intensity=self.intensity[rows],
            sigma=self.sigma[rows],
            labels=self.labels[rows],
            samples=self.samples[rows],
        )
