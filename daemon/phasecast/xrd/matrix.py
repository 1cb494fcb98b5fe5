"""The sparse matrices of one geometry: built once by pyFAI, then applied to every frame.

With A the shares of pixels in bins, w the product of flat, solid angle and polarisation of each pixel, x counts
and d dark, pyFAI's ``integrate1d`` with ``error_model="poisson"`` gives

    intensity = A (x - d) / A w          sigma = sqrt(A**2 max(x, 1)) / A w      (squares element by element)

where excluded pixels leave all three sums. Coarser axes whose edges are edges of the archive axis follow from its
sums before division, plus a sparse remainder (pixels that cross an inner edge, squared shares).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

from phasecast.core.errors import GeometryError
from phasecast.profiles import Corrections, PatternAxis
from phasecast.xrd.corrections import PixelCorrections
from phasecast.xrd.device import sparse_csr

Vector = NDArray[np.float64]

NEGLIGIBLE_SHARE = 3e-7
"""Relative rounding of pyFAI's float32 shares; relative, as a pixel with a tiny share may hold a million counts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AxisMatrix:
    """Static sums of one axis and what is needed to take pixels out of them.

    Parameters
    ----------
    axis
        The axis.
    norm
        A w with all usable pixels, shape (bins,).
    population
        Pixels with a share in each bin, shape (bins,).
    weighted
        A w by pixel: compressed columns, shape (bins, pixels).
    fold
        How many archive bins make one of this axis; 0 where its edges are not edges of the archive axis.
    rows
        Where its remainder lies in the stacked ones.
    """

    axis: PatternAxis
    norm: Vector
    population: NDArray[np.int64]
    weighted: sp.csc_matrix
    fold: int
    rows: slice

    def norm_without(self, excluded: NDArray[np.intp]) -> Vector:
        """Return the norm without some pixels, exactly 0 in bins that lose them all."""
        first, last = self.weighted.indptr[excluded], self.weighted.indptr[excluded + 1]
        lengths = last - first
        entries = np.repeat(first - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
        bins = self.weighted.indices[entries]
        lost = np.bincount(bins, weights=self.weighted.data[entries], minlength=self.norm.size)
        left = self.population - np.bincount(bins, minlength=self.norm.size)
        return np.where(left > 0, self.norm - lost, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StackedMatrix:
    """All matrices of one geometry.

    Parameters
    ----------
    geometry_id
        Hash of everything that shaped them.
    shape
        Rows and columns of a frame.
    axes
        First the archive axis.
    shares, squares
        Shares of pixels in archive bins and their squares; sparse tensors of shape (bins, pixels) that have their
        indices in common, because less memory to stream is less time.
    share_rest, square_rest
        What further axes need beyond the archive bins, stacked; shape (rows, pixels), None without such axes.
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
    axes: tuple[AxisMatrix, ...]
    shares: torch.Tensor
    squares: torch.Tensor
    share_rest: torch.Tensor | None
    square_rest: torch.Tensor | None
    dark: torch.Tensor | None
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
    device: torch.device,
) -> StackedMatrix:
    """Let pyFAI build the matrices of a geometry and stack them for one pass over each frame.

    Raises
    ------
    GeometryError
        If no usable pixel lies on an axis.
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

    all_shares = [_pixel_shares(pyfai, axis, corrections.pixel_splitting, mask) for axis in axes]
    archive = all_shares[0]
    share_rests: list[sp.csr_matrix] = []
    square_rests: list[sp.csr_matrix] = []
    parts: list[AxisMatrix] = []
    start = 0
    for axis, share in zip(axes, all_shares, strict=True):
        fold, rows = 1, slice(0, 0)
        if share is not archive:
            fold = _fold(axes[0], axis)
            rests = _remainders(archive, share, fold)
            rows = slice(start, start + axis.bins)
            start = rows.stop
            share_rests.append(rests[0])
            square_rests.append(rests[1])
        parts.append(
            AxisMatrix(
                axis=axis,
                norm=share @ weight,
                population=np.diff(share.indptr).astype(np.int64),
                weighted=sp.csc_matrix(share @ sp.diags(weight)),
                fold=fold,
                rows=rows,
            )
        )
    # Differences of large sums need double precision; without a dark image all terms are positive.
    dtype = torch.float32 if dark is None else torch.float64
    shares_tensor = _tensor(archive, dtype, device)
    coverage = np.maximum(np.asarray(archive.sum(axis=1)).ravel(), 1e-30)
    return StackedMatrix(
        geometry_id=geometry_id,
        shape=(shape[0], shape[1]),
        axes=tuple(parts),
        shares=shares_tensor,
        squares=sparse_csr(
            shares_tensor.crow_indices(),
            shares_tensor.col_indices(),
            shares_tensor.values() ** 2,
            (archive.shape[0], archive.shape[1]),
        ),
        share_rest=_tensor(sp.vstack(share_rests), dtype, device) if share_rests else None,
        square_rest=_tensor(sp.vstack(square_rests), dtype, device) if square_rests else None,
        dark=None if dark is None else torch.from_numpy(dark).to(dtype),
        static_mask=mask.ravel(),
        tth_deg=np.rad2deg(pyfai.center_array(shape, unit="2th_rad", scale=False)).ravel(),
        mean_weight=parts[0].norm / coverage,
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
    if share.nnz == 0:
        raise GeometryError(
            f"no usable pixel lies between {axis.tth_min_deg} and {axis.tth_max_deg} deg of 2theta",
            remedy="check the axis of the profile, the mask and the .poni file against each other",
        )
    return share


def _fold(archive: PatternAxis, axis: PatternAxis) -> int:
    """Return how many archive bins make one bin of an axis, 0 if edges do not coincide."""
    same_range = (archive.tth_min_deg, archive.tth_max_deg) == (axis.tth_min_deg, axis.tth_max_deg)
    return archive.bins // axis.bins if same_range and archive.bins % axis.bins == 0 else 0


def _remainders(archive: sp.csr_matrix, share: sp.csr_matrix, fold: int) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """Return what summing archive bins lacks of the shares and of their squares."""
    squares = share.multiply(share).tocsr()
    if fold == 0:
        return share, squares
    bins = share.shape[0]
    folding = sp.csr_matrix(
        (np.ones(bins * fold), np.arange(bins * fold), np.arange(bins + 1) * fold), shape=(bins, bins * fold)
    )
    return (
        _difference(share, folding @ archive),
        _difference(squares, folding @ archive.multiply(archive)),
    )


def _difference(exact: sp.csr_matrix, folded: sp.csr_matrix) -> sp.csr_matrix:
    """Return what `folded` lacks of `exact`, without what rounding left."""
    rest = sp.csr_matrix(exact - folded)
    rest = sp.csr_matrix(rest.multiply(abs(rest) > NEGLIGIBLE_SHARE * exact))
    rest.eliminate_zeros()
    return rest


def _tensor(matrix: sp.csr_matrix, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    matrix = sp.csr_matrix(matrix)
    matrix.sort_indices()
    # 32-bit indices halve the time of a product on the CPU.
    return sparse_csr(
        torch.from_numpy(matrix.indptr.astype(np.int32)),
        torch.from_numpy(matrix.indices.astype(np.int32)),
        torch.from_numpy(matrix.data).to(dtype),
        matrix.shape,
    ).to(device)
