"""Applies the matrix of one geometry to frames, on the CPU."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from phasecast.xrd import kernels
from phasecast.xrd.matrix import StackedMatrix
from phasecast.xrd.patterns import AxisPatterns, Patterns
from phasecast.xrd.screening import reading_of
from phasecast.xrd.spottiness import SpottinessMeter


class Engine(Protocol):
    """What applies a matrix."""

    @property
    def matrix(self) -> StackedMatrix:
        """The geometry."""
        ...

    def integrate(self, stack: NDArray[np.integer]) -> Patterns:
        """Integrate frames, shape (n, pixels), in native byte order."""
        ...

    def twin(self) -> "Engine":
        """Return an engine on the same matrix that another thread may use at the same time."""
        ...


class Results:
    """Arrays to be filled for n frames, and the patterns they make.

    Parameters
    ----------
    matrix
        The geometry.
    n
        Number of frames.
    """

    def __init__(self, matrix: StackedMatrix, n: int) -> None:
        self._matrix = matrix
        bins = matrix.norm.size
        self.intensity = np.empty((n, bins), dtype=np.float32)
        self.sigma = np.empty((n, bins), dtype=np.float32)
        self.norm = np.empty((n, bins), dtype=np.float32)
        self.total_counts = np.empty(n, dtype=np.int64)
        self.saturated = np.empty(n, dtype=np.int64)
        self.masked = np.empty(n, dtype=np.int64)
        self.spottiness = np.full(n, np.nan, dtype=np.float32)
        self.spot_excess = self.spottiness.copy()

    def patterns(self) -> Patterns:
        """Return them cut into axes."""
        matrix = self._matrix
        return Patterns(
            axes=tuple(
                AxisPatterns(
                    axis=axis,
                    tth_deg=centres_deg,
                    intensity=self.intensity[:, rows],
                    sigma=self.sigma[:, rows],
                    norm=self.norm[:, rows],
                )
                for axis, centres_deg, rows in zip(matrix.axes, matrix.centres_deg, matrix.rows, strict=True)
            ),
            geometry_id=matrix.geometry_id,
            total_counts=self.total_counts,
            saturated_pixels=self.saturated,
            masked_pixels=self.masked,
            spottiness=self.spottiness,
            spot_excess=self.spot_excess,
        )


def spottiness_meter(matrix: StackedMatrix) -> SpottinessMeter:
    """Return the meter for the archive axis of a geometry."""
    return SpottinessMeter(
        matrix.tth_deg,
        ~matrix.static_mask,
        matrix.axes[0],
        mean_weight=matrix.mean_weight,
        mean_dark=matrix.mean_dark,
    )


class CpuEngine:
    """One frame after the other, so that results do not depend on how frames are stacked.

    It keeps its work space between calls.

    Parameters
    ----------
    matrix
        The geometry.
    count_limit
        Counts at which the detector's counters end.
    measure_spots
        Whether to compute spottiness.
    """

    def __init__(self, matrix: StackedMatrix, *, count_limit: int, measure_spots: bool) -> None:
        self._matrix = matrix
        self._count_limit = count_limit
        self._measure_spots = measure_spots
        self._meter = spottiness_meter(matrix) if measure_spots else None
        self._static_pixels = np.flatnonzero(matrix.static_mask).astype(np.uint32)
        self._counts = np.empty(matrix.static_mask.size, dtype=np.float32)
        self._excluded = np.empty(matrix.static_mask.size, dtype=np.uint32)
        self._signal, self._variance, self._norm = np.empty((3, matrix.norm.size))
        self._population = np.empty_like(matrix.population)
        self._largest = np.empty(self._meter.starts.size - 1 if self._meter else 0, dtype=np.float32)

    @property
    def matrix(self) -> StackedMatrix:
        """The geometry."""
        return self._matrix

    def integrate(self, stack: NDArray[np.integer]) -> Patterns:
        """Integrate frames, shape (n, pixels), in native byte order."""
        matrix = self._matrix
        results, archive = Results(matrix, len(stack)), matrix.rows[0]
        reading = reading_of(stack.dtype, self._count_limit)
        for index, frame in enumerate(stack.view(reading.unsigned)):
            total, excluded, saturated = kernels.screen(
                frame, reading.limit, reading.gap, matrix.static_mask, self._static_pixels, self._counts, self._excluded
            )
            results.total_counts[index], results.masked[index], results.saturated[index] = total, excluded, saturated
            self._sum()
            norm = matrix.norm if excluded == 0 else self._norm_without(self._excluded[:excluded])
            kernels.divide(
                self._signal,
                self._variance,
                norm,
                results.intensity[index],
                results.sigma[index],
                results.norm[index],
            )
            if self._meter is not None:
                kernels.largest_counts(self._meter.starts, self._meter.pixels, self._counts, self._largest)
                results.spottiness[index], results.spot_excess[index] = self._meter.summarise(
                    self._largest, results.intensity[index, archive], results.norm[index, archive]
                )
        return results.patterns()

    def twin(self) -> "CpuEngine":
        """Return an engine on the same matrix, with a work space of its own."""
        return CpuEngine(self._matrix, count_limit=self._count_limit, measure_spots=self._measure_spots)

    def _sum(self) -> None:
        entries, dark = self._matrix.by_bin, self._matrix.dark
        if dark is None:
            kernels.sum_counts(
                entries.starts, entries.indices, entries.shares, self._counts, self._signal, self._variance
            )
        else:
            kernels.sum_counts_above_dark(
                entries.starts, entries.indices, entries.shares, self._counts, dark, self._signal, self._variance
            )

    def _norm_without(self, excluded: NDArray[np.uint32]) -> NDArray[np.float64]:
        matrix, entries = self._matrix, self._matrix.by_pixel
        kernels.norm_without(
            excluded,
            entries.starts,
            entries.indices,
            entries.shares,
            matrix.weight,
            matrix.norm,
            matrix.population,
            self._norm,
            self._population,
        )
        return self._norm
