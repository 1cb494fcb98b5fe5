"""What is known of one point, or of the mean of many: read from the file when somebody asks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.result import PhaseClass
from phasecast.results.explain import Peak, find_pattern_peaks, leading_classes, lines_of, unexplained_of
from phasecast.results.layout import INTENSITY_COLUMN, SIGMA_COLUMN
from phasecast.results.quality import rows_of
from phasecast.web.live_scan import LiveScan

Floats = NDArray[np.floating]

_MOST_ROWS = 1000
"""A mean over more points than this is taken over evenly chosen ones: nobody waits for a gigabyte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A pattern and what the classes make of it.

    Parameters
    ----------
    points
        Rows it stands for; one, or the points of a mean.
    averaged
        How many of them the mean was taken over.
    tth_deg, intensity, sigma
        The pattern, (bins,); NaN where there is none.
    confidence
        One value a class; the mean for several points.
    leading
        The classes whose sticks are drawn, surest first.
    peaks
        All peaks, most significant first.
    unexplained
        Those that no leading class explains.
    """

    points: NDArray[np.int64]
    averaged: int
    tth_deg: Floats
    intensity: Floats
    sigma: Floats
    confidence: Floats
    leading: tuple[PhaseClass, ...]
    peaks: tuple[Peak, ...]
    unexplained: tuple[Peak, ...]


def show_points(scan: LiveScan, points: NDArray[np.int64], threshold: float) -> Shown:
    """Return the pattern of a point, or the mean of those of several that are done.

    The mean weighs every point alike, and its sigma is that of a mean of independent patterns,
    sqrt(sum(sigma^2)) / n.
    """
    columns, header = scan.columns, scan.header
    done = points[columns.state[points] == PointState.DONE]
    chosen = done if done.size <= _MOST_ROWS else done[np.linspace(0, done.size - 1, _MOST_ROWS).astype(np.int64)]
    tth = np.asarray(header.tth_deg)
    intensity, sigma = np.full(tth.size, np.nan), np.full(tth.size, np.nan)
    confidence = np.full(len(header.classes), np.nan)
    if chosen.size:
        patterns = rows_of(columns.result, INTENSITY_COLUMN, chosen)
        errors = rows_of(columns.result, SIGMA_COLUMN, chosen)
        known = np.isfinite(patterns)
        count = np.maximum(known.sum(axis=0), 1)
        empty = ~known.any(axis=0)
        intensity = np.where(empty, np.nan, np.where(known, patterns, 0).sum(axis=0) / count)
        variance = np.where(known, errors.astype(np.float64) ** 2, 0).sum(axis=0)
        sigma = np.where(empty, np.nan, np.sqrt(variance) / count)
        confidence = columns.confidence[done].mean(axis=0, dtype=np.float64)
    leading = tuple(leading_classes(confidence, header.classes, threshold))
    peaks = tuple(find_pattern_peaks(tth, intensity, sigma)) if chosen.size else ()
    return Shown(
        points=points,
        averaged=int(chosen.size),
        tth_deg=tth,
        intensity=intensity,
        sigma=sigma,
        confidence=confidence,
        leading=leading,
        peaks=peaks,
        unexplained=tuple(unexplained_of(peaks, lines_of(leading))),
    )


def flags_of(scan: LiveScan, point: int) -> list[str]:
    """Names of the flags of a point."""
    return PointFlag(int(scan.columns.flags[point])).labels()
