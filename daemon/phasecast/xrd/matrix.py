"""The sparse matrix of one geometry: built once by pyFAI, then applied to every frame.

With A the shares of pixels in bins, w the product of flat, solid angle and polarisation of each pixel, x counts
and d dark, pyFAI's ``integrate1d`` with ``error_model="poisson"`` gives

    intensity = A (x - d) / A w          sigma = sqrt(A**2 max(x, 1)) / A w      (squares element by element)

where excluded pixels leave all three sums. The bins of all axes are rows of one matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

from phasecast.core.errors import GeometryError
from phasecast.profiles import Corrections, PatternAxis
from phasecast.xrd.corrections import PixelCorrections
from phasecast.xrd.patterns import bin_centres_deg

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sparse:
    """Shares of pixels in bins in a compressed layout.

    Parameters
    ----------
    starts
        Where each row (or column) begins, and the end of the last one.
    indices
        Column (or row) of each entry.
    shares
        Value of each entry; pyFAI itself gives them in this precision.
    """

    starts: NDArray[np.uint32]
    indices: NDArray[np.uint32]
    shares: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StackedMatrix:
    """What is to know of one geometry; rows are the bins of all axes, one axis after the other.

    Parameters
    ----------
    geometry_id
        Hash of everything that shaped it.
    shape
        Rows and columns of a frame.
    axes
        First the archive axis.
    centres_deg
        2theta of the bins of each axis.
    rows
        Where each axis lies.
    by_bin
        A in compressed rows.
    by_pixel
        A in compressed columns.
    weight
        w, shape (pixels,).
    norm
        A w with all usable pixels, shape (rows,).
    population
        Pixels with a share in each bin, shape (rows,).
    dark
        Dark counts, shape (pixels,); None for none.
    static_mask
        Pixels that are never used, shape (pixels,).
    tth_deg
        2theta of pixel centres, shape (pixels,).
    mean_weight, mean_dark
        Per archive bin, what turns intensity back into raw counts per pixel, shape (bins,).
    """

    geometry_id: str
    shape: tuple[int, int]
    axes: tuple[PatternAxis, ...]
    centres_deg: tuple[Vector, ...]
    rows: tuple[slice, ...]
    by_bin: Sparse
    by_pixel: Sparse
    weight: Vector
    norm: Vector
    population: NDArray[np.int64]
    dark: Vector | None
    static_mask: NDArray[np.bool_]
    tth_deg: Vector
    mean_weight: Vector
    mean_dark: Vector


def build_matrix(
    *,
    geometry_id: str,
    pyfai: AzimuthalIntegrator,
    corrections: Corrections,
    polarisation_factor: float | None,
    pixels: PixelCorrections,
    axes: Sequence[PatternAxis],
) -> StackedMatrix:
    """Let pyFAI build the matrices of a geometry and stack their rows.

    Raises
    ------
    GeometryError
        If no usable pixel lies on the archive axis; the bins of a further axis may all be empty.
    """
    shape = tuple(pyfai.detector.shape)
    weight = np.ones(shape, dtype=np.float64)
    if corrections.solid_angle:
        weight *= pyfai.solidAngleArray(shape)
    if polarisation_factor is not None:
        weight *= pyfai.polarization(shape, polarisation_factor)
    if pixels.flat is not None:
        weight *= pixels.flat
    # As in pyFAI, a pixel whose weight is zero or whose correction is not a number has no say.
    mask = ~np.isfinite(weight) | (weight == 0)
    for image in (pyfai.detector.mask, pixels.mask):
        if image is not None:
            mask |= np.asarray(image, dtype=bool)
    if pixels.dark is not None:
        mask |= ~np.isfinite(pixels.dark)
    weight = np.where(mask, 0.0, weight).ravel()
    dark = None if pixels.dark is None else np.where(mask, 0.0, pixels.dark).ravel()

    parts = [_pixel_shares(pyfai, axis, corrections.pixel_splitting, mask) for axis in axes]
    if parts[0].nnz == 0:
        raise GeometryError(
            f"no usable pixel lies between {axes[0].tth_min_deg} and {axes[0].tth_max_deg} deg of 2theta",
            remedy="check the axis of the profile, the mask and the .poni file against each other",
        )
    ends = np.cumsum([axis.bins for axis in axes])
    rows = tuple(slice(int(end) - axis.bins, int(end)) for axis, end in zip(axes, ends, strict=True))
    stacked = sp.csr_matrix(sp.vstack(parts))
    norm = stacked @ weight
    archive = parts[0]
    coverage = np.maximum(np.asarray(archive.sum(axis=1)).ravel(), 1e-30)
    return StackedMatrix(
        geometry_id=geometry_id,
        shape=(shape[0], shape[1]),
        axes=tuple(axes),
        centres_deg=tuple(bin_centres_deg(axis) for axis in axes),
        rows=rows,
        by_bin=_sparse(stacked),
        by_pixel=_sparse(sp.csc_matrix(stacked)),
        weight=weight,
        norm=norm,
        population=np.diff(stacked.indptr).astype(np.int64),
        dark=dark,
        static_mask=mask.ravel(),
        tth_deg=np.rad2deg(pyfai.center_array(shape, unit="2th_rad", scale=False)).ravel(),
        mean_weight=norm[rows[0]] / coverage,
        mean_dark=np.zeros(archive.shape[0]) if dark is None else (archive @ dark) / coverage,
    )


def _pixel_shares(
    pyfai: AzimuthalIntegrator, axis: PatternAxis, splitting: str, mask: NDArray[np.bool_]
) -> sp.csr_matrix:
    """Return pyFAI's shares of pixels in bins, shape (bins, pixels)."""
    pyfai.reset()
    pyfai.integrate1d(
        np.ones(mask.shape, dtype=np.float32),
        axis.bins,
        unit="2th_deg",
        radial_range=(axis.tth_min_deg, axis.tth_max_deg),
        method=(splitting, "csr", "cython"),
        mask=mask if mask.any() else None,
        correctSolidAngle=False,
    )
    (engine,) = pyfai.engines.values()
    values, indices, indptr = engine.engine.lut
    share = sp.csr_matrix((values.astype(np.float64), indices, indptr), shape=(axis.bins, mask.size))
    share.sum_duplicates()
    return share


def _sparse(matrix: sp.csr_matrix | sp.csc_matrix) -> Sparse:
    matrix.sort_indices()
    return Sparse(
        starts=matrix.indptr.astype(np.uint32),
        indices=matrix.indices.astype(np.uint32),
        shares=matrix.data.astype(np.float32),
    )
