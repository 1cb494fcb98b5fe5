"""Rings of a standard on one frame: which lines are in the window, and points on those that can be seen."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pyFAI.calibrant import get_calibrant
from pyFAI.detectors import detector_factory
from pyFAI.geometryRefinement import GeometryRefinement
from pyFAI.goniometer import SingleGeometry
from scipy.ndimage import gaussian_filter, median_filter

from phasecast.core.errors import CalibrationError
from phasecast.xrd.geometry import DetectorGeometry

Standard = Literal["LaB6", "CeO2", "Si"]
STANDARDS: tuple[Standard, ...] = get_args(Standard)

PARAMETERS = ("dist", "poni1", "poni2", "rot1", "rot2", "rot3")
"""Order of pyFAI: metres and radians."""

MIN_POINTS = 8
"""Fewer points than this are no ring."""
MAX_SPREAD_DEG = 0.03
"""Points of a ring scatter by less than this or half a pixel; those in noise scatter over the gap between lines."""
NOISE_SIGMAS = 6.0
CLIP_SIGMAS = 4.0
MAX_CLIPPED = 0.25

BACKGROUND_PX = 15
"""Wider than a ring, narrower than what changes slowly over a frame."""

Parameters = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardLine:
    """One line of a standard.

    Parameters
    ----------
    index
        Place among the standard's lines, from 0.
    hkl
        Miller indices, such as ``(110)``.
    tth_deg
        2theta at the wavelength used.
    """

    index: int
    hkl: str
    tth_deg: float

    @property
    def label(self) -> str:
        """For people: ``(110) at 24.35 deg``."""
        return f"{self.hkl} at {self.tth_deg:.2f} deg"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationFrame:
    """A frame of a standard, prepared.

    Parameters
    ----------
    image
        Counts, shape (rows, cols), 0 where masked.
    mask
        True where a pixel is not used, shape (rows, cols).
    standard
        The standard on the sample's place.
    lines
        Its lines by rising 2theta.
    background
        Median of the surroundings of each pixel, shape (rows, cols).
    single
        pyFAI's workshop for one detector position; where the detector is comes with each call. It is kept because
        making one takes as long as all the rest.
    """

    image: NDArray[np.float64]
    mask: NDArray[np.bool_]
    standard: Standard
    lines: tuple[StandardLine, ...]
    background: NDArray[np.float64]
    single: SingleGeometry

    @property
    def pyfai(self) -> GeometryRefinement:
        """Geometry of pyFAI's; it answers for any parameters given to it."""
        return self.single.geometry_refinement

    def refinement(self, parameters: Parameters) -> GeometryRefinement:
        """Return pyFAI's refinement, set to the given geometry."""
        self.pyfai.set_param([float(value) for value in parameters])
        return self.pyfai

    def tth_deg(self, parameters: Parameters, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> Parameters:
        """Return 2theta of pixels."""
        along, up, across = self._positions(parameters, rows, cols)
        return np.asarray(np.rad2deg(np.arctan2(np.hypot(up, across), along)), dtype=np.float64)

    def _positions(
        self, parameters: Parameters, rows: NDArray[np.float64], cols: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return places in the laboratory: along the beam, along the slow and along the fast axis of the detector."""
        # pyFAI's compiled way starts a thread a core whatever OMP_NUM_THREADS says, and is slower for few pixels
        along, up, across = self.pyfai.calc_pos_zyx(d1=rows, d2=cols, param=parameters, use_cython=False)
        return along, up, across

    def window_deg(self, parameters: Parameters) -> tuple[float, float]:
        """Lowest and highest 2theta on the detector."""
        rows, cols = np.indices(self.image.shape, dtype=np.float64)
        tth_deg = self.tth_deg(parameters, rows.ravel(), cols.ravel())
        return float(tth_deg.min()), float(tth_deg.max())

    def lines_inside(self, window_deg: tuple[float, float], margin_deg: float = 0.0) -> tuple[StandardLine, ...]:
        """Lines that a window holds, which a margin widens on both sides."""
        low, high = window_deg[0] - margin_deg, window_deg[1] + margin_deg
        return tuple(line for line in self.lines if low <= line.tth_deg <= high)

    def extract(self, parameters: Parameters, *, points_per_deg: float = 5.0) -> NDArray[np.float64]:
        """Return points on rings that can be seen: columns row, col (pixels), index of the line; shape (n, 3).

        pyFAI looks for local maxima between a quarter of the gap below and above each line. A line that is not there
        yields maxima of noise, which scatter: rings whose points scatter too much, or of too few points, are left out.
        """
        single = self.single
        self.refinement(parameters)
        spread = 1.4826 * float(np.median(np.abs(single.image[~self.mask])))
        least = max(NOISE_SIGMAS * spread, 1.0)
        # pyFAI shuffles its candidates with numpy's global generator: the same frame must give the same geometry
        state = np.random.get_state()  # noqa: NPY002
        np.random.seed(20)  # noqa: NPY002
        try:
            found = np.asarray(single.extract_cp(pts_per_deg=points_per_deg, Imin=least).getList(), dtype=np.float64)
        finally:
            np.random.set_state(state)  # noqa: NPY002
        if not found.size:
            return np.empty((0, 3))
        rings = [self._clip(found[found[:, 2] == index], parameters) for index in np.unique(found[:, 2])]
        return np.concatenate(rings)

    def residuals_deg(self, parameters: Parameters, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """2theta of each point less that of its line."""
        lines_deg = np.array([line.tth_deg for line in self.lines], dtype=np.float64)
        stated_deg = lines_deg[points[:, 2].astype(np.intp)]
        return np.subtract(self.tth_deg(parameters, points[:, 0], points[:, 1]), stated_deg, dtype=np.float64)

    def azimuth_deg(self, parameters: Parameters, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Azimuth of each point about the beam, without a jump inside the detector."""
        rows, cols = (np.append(points[:, axis], (length - 1) / 2) for axis, length in enumerate(self.image.shape))
        _, up, across = self._positions(parameters, rows, cols)
        azimuth_rad = np.arctan2(up, across)
        turned_rad = azimuth_rad[:-1] - azimuth_rad[-1]
        return np.asarray(np.rad2deg(np.angle(np.exp(1j * turned_rad)) + azimuth_rad[-1]), dtype=np.float64)

    def clip(self, parameters: Parameters, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points without those that lie off the rest of their ring, and without rings that are none."""
        if not len(points):
            return points
        return np.concatenate(
            [self._clip(points[points[:, 2] == index], parameters) for index in np.unique(points[:, 2])]
        )

    def _clip(self, ring: NDArray[np.float64], parameters: Parameters) -> NDArray[np.float64]:
        residual = self.residuals_deg(parameters, ring)
        # a ring may lie askew before refinement: what counts is the scatter about a parabola along it
        azimuth_deg = self.azimuth_deg(parameters, ring)
        smooth = _robust_parabola(azimuth_deg - np.median(azimuth_deg), residual)
        off = np.abs(residual - smooth)
        spread = 1.4826 * float(np.median(off))
        pixel_deg = float(np.rad2deg(self.pyfai.detector.pixel1 / parameters[0]))
        kept = off <= max(CLIP_SIGMAS * spread, 0.25 * pixel_deg)
        is_ring = spread <= max(MAX_SPREAD_DEG, 0.5 * pixel_deg) and kept.sum() >= max(
            MIN_POINTS, (1 - MAX_CLIPPED) * len(ring)
        )
        return ring[kept] if is_ring else np.empty((0, 3))


def _robust_parabola(place: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares thrice, each time without what lies far off."""
    kept = np.ones(len(place), dtype=bool)
    smooth = np.full(len(place), np.median(value))
    for _ in range(3):
        off = np.abs(value - smooth)
        kept = off <= 3 * max(float(np.median(off)), 1e-6)
        if kept.sum() < MIN_POINTS:
            break
        smooth = np.polynomial.Polynomial.fit(place[kept], value[kept], 2)(place)
    return smooth


def calibration_frame(
    image: NDArray[np.integer], mask: NDArray[np.bool_], geometry: DetectorGeometry, standard: Standard
) -> CalibrationFrame:
    """Prepare a frame.

    Raises
    ------
    CalibrationError
        If nothing is left of the frame outside the mask.
    """
    if mask.all():
        raise CalibrationError("every pixel is masked", remedy="check the profile's mask and count_limit")
    calibrant = get_calibrant(standard, wavelength=geometry.wavelength_angstrom * 1e-10)
    tth_deg = np.rad2deg(calibrant.get_2th())
    lines = tuple(
        StandardLine(index=index, hkl=_cubic_name(reflection.hkl), tth_deg=float(value))
        for index, (value, reflection) in enumerate(zip(tth_deg, calibrant.config.reflections, strict=False))
    )
    counts = np.where(mask, 0, image).astype(np.float64)
    background = median_filter(counts, size=BACKGROUND_PX)
    # smoothed by a pixel, because maxima of noise would be taken for points of rings
    excess = gaussian_filter(np.where(mask, 0.0, counts - background), 1.0)
    detector = detector_factory(geometry.detector, config={"orientation": geometry.orientation})
    detector.mask = mask.astype(np.int8)
    nominal = dict(zip(PARAMETERS, parameters_of(geometry).tolist(), strict=True))
    single = SingleGeometry("frame", image=excess, calibrant=calibrant, detector=detector, geometry=nominal)
    # every new value would make pyFAI collect garbage, for longer than all else takes
    single.geometry_refinement.auto_gc = False
    return CalibrationFrame(
        image=counts,
        mask=mask,
        standard=standard,
        lines=lines,
        background=background,
        single=single,
    )


def _cubic_name(hkl: Iterable[int]) -> str:
    """All three standards are cubic, so the order of indices is free: the highest comes first."""
    indices = sorted((abs(int(index)) for index in hkl), reverse=True)
    return f"({('' if indices[0] < 10 else ' ').join(map(str, indices))})"


def parameters_of(geometry: DetectorGeometry) -> Parameters:
    """Geometry as pyFAI's six numbers, metres and radians."""
    lengths_m = [value * 1e-3 for value in (geometry.distance_mm, geometry.poni1_mm, geometry.poni2_mm)]
    angles_rad = np.deg2rad([geometry.rot1_deg, geometry.rot2_deg, geometry.rot3_deg])
    return np.array([*lengths_m, *angles_rad])
