"""The pattern of a standard's frame with a given geometry, and peaks in it that are none of the standard's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.signal import find_peaks

from phasecast.xrd.calibration_rings import CalibrationFrame, Parameters

STRANGE_SHARE = 0.05
"""A peak of this share of the strongest line's height, where the standard has no line, is another substance."""

_MIN_SIGMAS = 8.0
_BACKGROUND_DEG = 1.5
_NEAR_PIXELS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RadialPattern:
    """Counts against 2theta, in bins as wide as a pixel; only bins that hold pixels.

    Parameters
    ----------
    tth_deg
        Middles of bins, shape (n,).
    mean
        Mean counts of a pixel, shape (n,).
    sigma
        Poisson uncertainty of the mean, shape (n,).
    pixel_deg
        Width of a pixel that faces the sample.
    """

    tth_deg: NDArray[np.float64]
    mean: NDArray[np.float64]
    sigma: NDArray[np.float64]
    pixel_deg: float


def radial_pattern(frame: CalibrationFrame, parameters: Parameters) -> RadialPattern:
    """Return the pattern of the unmasked pixels, without corrections: places of peaks are all that it is for."""
    rows, cols = (axis.astype(np.float64) for axis in np.nonzero(~frame.mask))
    tth_deg = frame.tth_deg(parameters, rows, cols)
    counts = frame.image[~frame.mask]
    pixel_deg = float(np.rad2deg(frame.pyfai.detector.pixel1 / parameters[0]))
    edges = np.arange(tth_deg.min(), tth_deg.max() + pixel_deg, pixel_deg)
    total, _ = np.histogram(tth_deg, edges, weights=counts)
    number, _ = np.histogram(tth_deg, edges)
    held = number > 0
    return RadialPattern(
        tth_deg=((edges[1:] + edges[:-1]) / 2)[held],
        mean=total[held] / number[held],
        sigma=np.sqrt(np.maximum(total[held], 1.0)) / number[held],
        pixel_deg=pixel_deg,
    )


def strange_peaks_deg(frame: CalibrationFrame, parameters: Parameters) -> tuple[float, ...]:
    """Return 2theta of strong peaks that lie three pixels or more from every line of the standard."""
    pattern = radial_pattern(frame, parameters)
    size = max(5, round(_BACKGROUND_DEG / pattern.pixel_deg))
    height = pattern.mean - median_filter(pattern.mean, size=min(size, len(pattern.mean)), mode="nearest")
    lines_deg = np.array([line.tth_deg for line in frame.lines])
    off_deg = np.abs(pattern.tth_deg[:, None] - lines_deg).min(axis=1)
    near = off_deg <= _NEAR_PIXELS * pattern.pixel_deg
    if not near.any():
        return ()
    strongest = float(height[near].max())
    least = np.maximum(STRANGE_SHARE * strongest, _MIN_SIGMAS * pattern.sigma)
    # a ripple on the foot of a strong line is no peak: it has to stand out of its own surroundings as well
    peaks, _ = find_peaks(height, height=least, prominence=least)
    return tuple(float(pattern.tth_deg[peak]) for peak in peaks if not near[peak])
