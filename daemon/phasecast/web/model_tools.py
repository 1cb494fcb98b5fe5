"""What the page needs of models, from rooms that it must not know."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.records.models import ShelfModel
from phasecast.web.opinions import Disagree, Follow


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A point worth a label.

    Parameters
    ----------
    row
        Row of the point.
    unsure_of
        Ids of the classes that the model is unsure of, the least sure first.
    confidence
        Confidence of the first of them.
    stands_for
        Uncertain points of the same kind, this one included.
    """

    row: int
    unsure_of: tuple[str, ...]
    confidence: float
    stands_for: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Points of a blind check: rows in the order to show them, stratum and weight of each, (m,)."""

    rows: NDArray[np.int64]
    strata: NDArray[np.int64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTools:
    """Functions that are given to the page; those from `propose` on may be called from any thread.

    Parameters
    ----------
    shipped
        Returns the models that come with the program.
    propose
        From confidences (n, classes), ids of the classes and rows to leave out, the points to label next.
    draw
        From confidences (n, classes), a count, a seed and rows to leave out, the points of a blind check.
    follow_opinion, disagree
        Give second opinions on all points of a result, and say where they contradict confidences; see `opinions`.
    """

    shipped: Callable[[], Sequence[ShelfModel]]
    propose: Callable[[NDArray[np.floating], tuple[str, ...], Collection[int]], Sequence[Proposed]]
    draw: Callable[[NDArray[np.floating], int, int, Collection[int]], Drawn]
    follow_opinion: Follow
    disagree: Disagree
