"""Second look at a point together with its eight neighbours.

Grains are larger than the beam: what one point shows often tells what the next one hides. The first pass gives
logits; a small learned model scores each point again from its own and its neighbours'. Neighbours across an edge of
composition count less, for steel says nothing of the rust beside it. ``fit_spatial`` learns one.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from phasecast_models.xrd.axis import CLASSES

Floats = NDArray[np.float64]

LIMIT = 8.0
"""Logits are limited to +-8, both ways."""
AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""The neighbours of a point in the order in which they are summed: rows down, columns right."""

# What a point is made of, as groups of classes of which the largest confidence counts: edges lie where it changes.
_MATTER = (
    ("magnetite", "goethite", "lepidocrocite"),
    ("ferrite", "austenite", "cementite", "peakless_iron"),
    ("resin",),
    ("other",),
)
_GROUPS = tuple([CLASSES.index(name) for name in names] for names in _MATTER)
_ROWS_AT_ONCE = 4096
_TENSORS = ("edge", "first", "first_bias", "second", "second_bias")
_PREFIX = "neighbours."


class SpatialError(ValueError):
    """Logits that are not a map, or maps that nothing can be learned from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialPass:
    """A fitted second pass: two layers of weights, and how sharply edges are respected."""

    edge: float
    first: Floats
    first_bias: Floats
    second: Floats
    second_bias: Floats

    @property
    def parameters(self) -> int:
        """Number of learned numbers."""
        return 1 + self.first.size + self.first_bias.size + self.second.size + self.second_bias.size

    def apply(self, logits: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return calibrated logits of the second pass, (rows, columns, classes); see ``neighbour_logits``."""
        return neighbour_logits(logits, self)

    def confidences(self, own: NDArray[np.floating], around: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return confidences of the second pass, shape (n, classes); NaN where those of the first are.

        Parameters
        ----------
        own
            Confidences of the first pass, shape (n, classes).
        around
            Those of the eight neighbours in the order of ``AROUND``, shape (n, 8, classes); NaN where there is none.

        Raises
        ------
        SpatialError
            If the shapes do not fit each other or the pass.
        """
        classes = len(self.second_bias)
        if own.ndim != 2 or own.shape[1] != classes or around.shape != (len(own), len(AROUND), classes):
            raise SpatialError(
                f"confidences have shapes {own.shape} and {around.shape}, expected (n, {classes}) and "
                f"(n, {len(AROUND)}, {classes})"
            )
        said = np.full(own.shape, np.nan, np.float32)
        for start in range(0, len(own), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            said[rows] = expit(_scored(logits_of(own[rows]), logits_of(around[rows]), self))
        return said

    def tensors(self) -> dict[str, Tensor]:
        """Return what stands for this in a file of weights."""
        arrays = {name: np.array(getattr(self, name), np.float64, ndmin=1) for name in _TENSORS}
        return {_PREFIX + name: torch.from_numpy(array).contiguous() for name, array in arrays.items()}


def take_spatial(tensors: dict[str, Tensor]) -> SpatialPass | None:
    """Take a second pass out of the tensors of a file, None where there is none.

    Raises
    ------
    ValueError
        If only a part of it is there or the shapes do not fit each other.
    """
    found = {name: tensors.pop(_PREFIX + name).numpy() for name in _TENSORS if _PREFIX + name in tensors}
    if not found:
        return None
    if len(found) < len(_TENSORS):
        raise ValueError(f"the second pass has only {', '.join(found)}")
    edge, first, first_bias, second, second_bias = (found[name] for name in _TENSORS)
    hidden, classes = len(first_bias), len(second_bias)
    shapes = (edge.shape, first.shape, second.shape)
    if classes != len(CLASSES) or shapes != ((1,), (3 * classes + 1, hidden), (hidden, classes)):
        raise ValueError("the layers of the second pass do not fit each other")
    return SpatialPass(edge=float(edge[0]), first=first, first_bias=first_bias, second=second, second_bias=second_bias)


def logits_of(confidences: NDArray[np.floating]) -> Floats:
    """Return logits of confidences, any shape, limited to +-``LIMIT``; NaN stays."""
    share = np.asarray(confidences, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(np.clip(np.log(share) - np.log1p(-share), -LIMIT, LIMIT), dtype=np.float64)


def neighbour_logits(logits: NDArray[np.floating], second_pass: SpatialPass) -> NDArray[np.float32]:
    """Score every point again from its own logits and those of the neighbours that are there.

    A point depends on the first-pass logits of its 3 x 3 surroundings alone, bit for bit: not on the order of
    arrival, on the size of the map, or on other points.

    Parameters
    ----------
    logits
        Shape (rows, columns, classes); NaN where not measured, which stays NaN.
    second_pass
        From ``fit_spatial``.

    Raises
    ------
    SpatialError
        If the shape is not that of a map of the pass's classes.
    """
    values = checked_map(logits)
    if values.shape[2] != len(second_pass.second_bias):
        raise SpatialError(f"the map has {values.shape[2]} classes, the pass {len(second_pass.second_bias)}")
    own = values.reshape(-1, values.shape[2])
    scored = np.full(own.shape, np.nan, np.float32)
    for start in range(0, len(own), _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(own)))
        scored[rows] = _scored(own[rows], _around(values, rows), second_pass)
    return scored.reshape(values.shape)


def surroundings(logits: NDArray[np.floating], edge: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what the second pass sees of each measured point, (points, 3 classes + 1), and which those are.

    Own logits over 8, limited to +-1; mean logits of the neighbours, likewise; their largest confidence, class by
    class; and how many neighbours count, over eight. A neighbour weighs exp(-edge d) where d is the sum of
    absolute differences in what both are made of (oxide, metal, resin, other).
    """
    values = checked_map(logits)
    measured = np.asarray(np.isfinite(values).all(axis=2), dtype=np.bool_)
    rows = np.flatnonzero(measured.reshape(-1))
    own = values.reshape(-1, values.shape[2])[rows]
    return _seen(own, _around(values, rows), edge), measured


def checked_map(logits: NDArray[np.floating]) -> Floats:
    """Return logits as a map in double precision.

    Raises
    ------
    SpatialError
        If the shape is not (rows, columns, classes).
    """
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim != 3 or values.shape[2] != len(CLASSES):
        raise SpatialError(f"logits have shape {np.shape(logits)}, expected (rows, columns, {len(CLASSES)})")
    return values


def _around(values: Floats, points: NDArray[np.int64]) -> Floats:
    """Return the logits of the neighbours of points of a map, counted row by row, (points, 8, classes)."""
    rows, columns, classes = values.shape
    padded = np.full((rows + 2, columns + 2, classes), np.nan)
    padded[1:-1, 1:-1] = values
    row, column = np.divmod(points, columns)
    return np.stack([padded[row + 1 + down, column + 1 + right] for down, right in AROUND], axis=1)


def _seen(own: Floats, around: Floats, edge: float) -> Floats:
    """See ``surroundings``; logits of n points, (n, classes), and of their neighbours, (n, 8, classes)."""
    clipped, _, matter = _limited(own)
    there = np.asarray(np.isfinite(around).all(axis=2), dtype=np.bool_)
    mean, top, weight_sum = np.zeros_like(clipped), np.zeros_like(clipped), np.zeros((len(own), 1))
    for number in range(len(AROUND)):
        here = there[:, number]
        other, other_confidence, other_matter = _limited(np.where(here[:, None], around[:, number], 0))
        unlike = np.abs(other_matter - matter).sum(axis=1)
        weight = ((np.exp(-edge * unlike) if np.isfinite(edge) else 0.0) * here)[:, None]
        mean += weight * other
        top = np.maximum(top, weight * other_confidence)
        weight_sum += weight
    mean /= np.maximum(weight_sum, 1e-6)
    return np.concatenate([clipped / LIMIT, mean / LIMIT, top, weight_sum / len(AROUND)], axis=1)


def _limited(logits: Floats) -> tuple[Floats, Floats, Floats]:
    """Return limited logits, the confidences they stand for, and what the points are made of, (n, groups)."""
    clipped = np.clip(logits, -LIMIT, LIMIT)
    confidence = 1 / (1 + np.exp(-clipped))
    return clipped, confidence, np.stack([confidence[:, group].max(axis=1) for group in _GROUPS], axis=1)


def _scored(own: Floats, around: Floats, second_pass: SpatialPass) -> NDArray[np.float32]:
    """Return logits of the second pass, (n, classes); NaN where the own ones are."""
    measured = np.isfinite(own).all(axis=1)
    inputs = _seen(own[measured], around[measured], second_pass.edge)
    # Sums in one fixed order for each row: a matrix product rounds differently with the number of rows.
    inner = np.tile(second_pass.first_bias, (len(inputs), 1))
    for column, weights in enumerate(second_pass.first):
        inner += inputs[:, column, None] * weights
    inner = np.tanh(inner)
    out = inputs[:, : own.shape[1]] * LIMIT + second_pass.second_bias
    for column, weights in enumerate(second_pass.second):
        out += inner[:, column, None] * weights
    scored = np.full(own.shape, np.nan, np.float32)
    scored[measured] = out
    return scored
