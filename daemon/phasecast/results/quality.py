"""How well beam and geometry held still during a scan, told from the data themselves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phasecast.core.result import ResultHeader
from phasecast.results.grid import Floats
from phasecast.results.layout import THRESHOLD, UNSURE
from phasecast.results.reader import Result

_APART_DEG = 1.0
_STRONG, _FAINT = 30.0, 3.0
"""Relative intensities: of a line worth following, and below which a neighbour does not matter."""
WINDOW_DEG = 0.6
"""Half width of the window in which a line is looked for; it holds the line and some background on both sides."""
_EDGE = 0.25
"""Part of the window at each end that tells the background."""
_LEAST_SIGNIFICANCE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLine:
    """A line whose place is known.

    Parameters
    ----------
    class_index
        Column of the class it belongs to.
    tth_deg
        Its 2theta by the reference.
    """

    class_index: int
    tth_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a quantity changed over a scan.

    Parameters
    ----------
    time_s, value, sigma
        The points looked at, (n,); sigma is NaN where it is not known.
    slope_per_h, slope_sigma_per_h
        Straight line through them; its uncertainty is taken from the scatter of the points.
    mean, scatter
        Mean of the values, and standard deviation about the straight line.
    """

    time_s: Floats
    value: Floats
    sigma: Floats
    slope_per_h: float
    slope_sigma_per_h: float
    mean: float
    scatter: float

    @property
    def is_significant(self) -> bool:
        """Whether the slope differs from none by more than three sigma."""
        return abs(self.slope_per_h) > 3 * self.slope_sigma_per_h

    @property
    def change(self) -> float:
        """What the straight line changes by from the first to the last point."""
        return self.slope_per_h * float(np.ptp(self.time_s)) / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDrift:
    """How a known line moved; see `Drift` for the numbers, in deg."""

    line: KnownLine
    drift: Drift


def line_positions(
    tth_deg: ArrayLike,
    intensity: ArrayLike,
    sigma: ArrayLike,
    line_tth_deg: float,
    window_deg: float = WINDOW_DEG,
) -> tuple[Floats, Floats]:
    """Return the centroid of a line and its standard error in each pattern.

    The background is a straight line through the outer quarters of the window. The error is propagated through
    background and centroid alike: for net = L I it is sqrt(sum_k (L^T (x - c))_k^2 sigma_k^2) / sum(net).

    Parameters
    ----------
    tth_deg
        Bin centres, (bins,).
    intensity, sigma
        Patterns (n, bins) or one (bins,).
    line_tth_deg
        Where the line is expected.
    window_deg
        Half width of the window.

    Returns
    -------
    centroid_deg, sigma_deg
        Shape (n,); NaN where the line is not at least five sigma strong or any bin of the window is unknown.
    """
    tth = np.asarray(tth_deg, dtype=np.float64)
    inside = np.abs(tth - line_tth_deg) <= window_deg
    counts = np.atleast_2d(np.asarray(intensity, dtype=np.float64))[:, inside]
    error = np.atleast_2d(np.asarray(sigma, dtype=np.float64))[:, inside]
    nothing = np.full(len(counts), np.nan)
    x = tth[inside]
    edges = np.abs(x - line_tth_deg) > (1 - 2 * _EDGE) * window_deg
    if x.size < 6 or np.count_nonzero(edges) < 4 or np.all(x[edges] > line_tth_deg) or np.all(x[edges] < line_tth_deg):
        return nothing, nothing.copy()
    design = np.column_stack([np.ones(x.size), x - line_tth_deg])
    line = np.eye(x.size)
    line[:, edges] -= design @ np.linalg.pinv(design[edges])
    line[edges] = 0.0
    net = counts @ line.T
    with np.errstate(invalid="ignore", divide="ignore"):
        total = net.sum(axis=1)
        total_sigma = np.sqrt(error**2 @ line.sum(axis=0) ** 2)
        centroid = net @ x / total
        spread = np.sqrt(np.sum(((x - centroid[:, None]) @ line) ** 2 * error**2, axis=1)) / total
        # the net counts of noise can lie anywhere: a centroid outside the window's middle is none
        seen = (total > _LEAST_SIGNIFICANCE * total_sigma) & (np.abs(centroid - line_tth_deg) < window_deg)
    return np.where(seen, centroid, np.nan), np.where(seen, spread, np.nan)


def known_line(header: ResultHeader, confidence: ArrayLike, threshold: float = THRESHOLD) -> KnownLine | None:
    """Return the line that most points show undisturbed, a strong one of its class; None if no point has one.

    A line beside another one of its own class tells no position and is left out.

    Parameters
    ----------
    header
        The result's.
    confidence
        (n, classes).
    threshold
        Least confidence.
    """
    values = np.atleast_2d(np.asarray(confidence, dtype=np.float64))
    if not header.classes or values.shape[1] != len(header.classes):
        return None
    low, high = (min(header.tth_deg), max(header.tth_deg)) if header.tth_deg else (0.0, 0.0)
    best, most = None, (0, 0.0)
    for index, phase in enumerate(header.classes):
        for tth_deg, strength in phase.reference_lines:
            beside = sum(
                abs(other - tth_deg) < _APART_DEG for other, height in phase.reference_lines if height > _FAINT
            )
            if strength < _STRONG or beside > 1 or not low + WINDOW_DEG < tth_deg < high - WINDOW_DEG:
                continue
            line = KnownLine(class_index=index, tth_deg=tth_deg)
            points = int(np.count_nonzero(shows_line(header, values, line, threshold)))
            if (points, strength) > most and points:
                best, most = line, (points, strength)
    return best


def shows_line(
    header: ResultHeader, confidence: ArrayLike, line: KnownLine, threshold: float = THRESHOLD
) -> NDArray[np.bool_]:
    """Return which points hold a line's class and no other class with a line beside it, (n,).

    A neighbour moves the centroid where the composition changes: the (110) of ferrite under a line of cementite
    0.2 deg away looked like a shift of 0.06 deg on sound data.
    """
    values = np.nan_to_num(np.atleast_2d(np.asarray(confidence, dtype=np.float64)))
    held = values[:, line.class_index] >= threshold
    for index, phase in enumerate(header.classes):
        near = any(
            abs(other - line.tth_deg) < _APART_DEG and height > _FAINT for other, height in phase.reference_lines
        )
        if index != line.class_index and near:
            held &= values[:, index] < UNSURE[0]
    return np.asarray(held)


def drift_of(time_s: ArrayLike, value: ArrayLike, sigma: ArrayLike | None = None) -> Drift | None:
    """Return how a quantity changed with time; None with fewer than three known values.

    Parameters
    ----------
    time_s, value, sigma
        One a point, (n,); NaN where unknown. Sigma weighs the points; its scale does not matter.
    """
    time, values = np.asarray(time_s, dtype=np.float64), np.asarray(value, dtype=np.float64)
    error = np.full(values.shape, np.nan) if sigma is None else np.asarray(sigma, dtype=np.float64)
    known = np.isfinite(time) & np.isfinite(values)
    if sigma is not None:
        known &= np.isfinite(error) & (error > 0)
    if np.count_nonzero(known) < 3:
        return None
    time, values, error = time[known], values[known], error[known]
    weight = np.ones(values.size) if sigma is None else 1 / error**2
    hours = (time - time[0]) / 3600
    centre = float(np.average(hours, weights=weight))
    mean = float(np.average(values, weights=weight))
    lever = float(np.sum(weight * (hours - centre) ** 2))
    slope = float(np.sum(weight * (hours - centre) * (values - mean)) / lever) if lever > 0 else 0.0
    rest = values - mean - slope * (hours - centre)
    variance = float(np.sum(weight * rest**2)) / (values.size - 2)
    return Drift(
        time_s=time,
        value=values,
        sigma=error,
        slope_per_h=slope,
        slope_sigma_per_h=float(np.sqrt(variance / lever)) if lever > 0 else 0.0,
        mean=mean,
        scatter=float(np.std(rest)),
    )


def intensity_drift(result: Result, name: str = "i0") -> Drift | None:
    """Return how a monitor of the scan, or a result column such as ``total_counts``, changed; None if it has none."""
    ledger = result.ledger
    if name in ledger:
        values = ledger[name].values
    elif any(column.name == name and not column.shape for column in result.header.columns):
        values = result.column(name).values.astype(np.float64)
    else:
        return None
    time_s = ledger["time_s"].values[: values.size]
    return drift_of(time_s[result.done[: values.size]], values[result.done[: values.size]])


def line_drift(result: Result, max_points: int = 2000) -> LineDrift | None:
    """Return how the known line of a result moved with time; None where no line is seen often enough.

    Parameters
    ----------
    result
        Open, growing or closed.
    max_points
        Most points to read, evenly chosen of those that hold the class.
    """
    confidence = result.confidences.values
    line = known_line(result.header, confidence[result.done[: len(confidence)]])
    if line is None:
        return None
    holds = np.flatnonzero(result.done & shows_line(result.header, confidence, line))
    chosen = holds if holds.size <= max_points else holds[np.linspace(0, holds.size - 1, max_points).astype(np.int64)]
    intensity, sigma = rows_of(result, "intensity", chosen), rows_of(result, "sigma", chosen)
    centroid, error = line_positions(result.header.tth_deg, intensity, sigma, line.tth_deg)
    drift = drift_of(result.ledger["time_s"].values[chosen], _without_strangers(centroid), error)
    return None if drift is None else LineDrift(line=line, drift=drift)


def _without_strangers(centroid_deg: Floats) -> Floats:
    """Centroids without those that another phase's line has pulled away: beyond five robust deviations."""
    known = centroid_deg[np.isfinite(centroid_deg)]
    if known.size < 3:
        return centroid_deg
    middle = float(np.median(known))
    deviation = 1.4826 * float(np.median(np.abs(known - middle)))
    return np.where(np.abs(centroid_deg - middle) <= max(5 * deviation, 1e-4), centroid_deg, np.nan)


def rows_of(result: Result, column: str, rows: NDArray[np.int64]) -> Floats:
    """Return some rows of a pattern column, (rows, bins), read one by one so that memory stays small."""
    values = result.column(column).variable
    bins = values.shape[1]
    out = np.full((rows.size, bins), np.nan)
    for place, row in enumerate(rows):
        out[place] = values[int(row)].values
    return out
