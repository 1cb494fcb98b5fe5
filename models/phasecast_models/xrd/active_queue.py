"""Which points a person should label next: those the model is least sure of, and not ten of the same kind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans, vq

Floats = NDArray[np.float64]

POOL = 15
"""The most uncertain points looked at, for each one that is proposed (science: 4.6)."""

_LOGIT_LIMIT = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A point worth a look, and why.

    Parameters
    ----------
    row
        Row of the point.
    entropy_bits
        Uncertainty summed over classes.
    unsure_of
        Ids of the classes that make it uncertain, the most uncertain first; one at least.
    confidence
        Confidence of the first of them.
    stands_for
        Uncertain points of the same kind, this one included.
    """

    row: int
    entropy_bits: float
    unsure_of: tuple[str, ...]
    confidence: float
    stands_for: int


def entropy_bits(confidences: NDArray[np.floating]) -> Floats:
    """Return the uncertainty of every class, 0 (sure) to 1 bit (0.5), the shape of ``confidences``."""
    p = np.clip(np.asarray(confidences, dtype=np.float64), 1e-12, 1 - 1e-12)
    return np.asarray(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)))


def propose(
    confidences: NDArray[np.floating],
    features: NDArray[np.floating] | None = None,
    *,
    classes: Sequence[str],
    count: int = 20,
    labelled: Iterable[int] = (),
) -> list[Proposal]:
    """Return the most useful points to label, the most uncertain first; the same input always gives the same points.

    The ``POOL * count`` points of largest entropy are divided into ``count`` clusters by k-means, begun from points far
    from each other; of each cluster the most uncertain one is proposed.

    Parameters
    ----------
    confidences
        Shape (n, classes); rows that are not finite (rejected points) are never proposed.
    features
        What likeness is judged by, shape (n, m), such as a hidden layer; the logits of the confidences if None.
    classes
        Ids of the classes.
    count
        Points to propose; fewer come where there are fewer.
    labelled
        Rows that are labelled already.
    """
    uncertainty = entropy_bits(confidences)
    free = np.isfinite(confidences).all(axis=1)
    free[np.fromiter(labelled, dtype=np.int64)] = False
    rows = np.flatnonzero(free)
    total = uncertainty.sum(axis=1)
    pool = rows[np.argsort(-total[rows], kind="stable")][: POOL * count]
    if not len(pool) or count < 1:
        return []
    if features is None:
        p = np.clip(np.asarray(confidences[pool], dtype=np.float64), 1e-12, 1 - 1e-12)
        places = np.clip(np.log(p / (1 - p)), -_LOGIT_LIMIT, _LOGIT_LIMIT)
    else:
        places = np.asarray(features[pool], dtype=np.float64)
    cluster = _clusters(places, min(count, len(pool)))
    # The pool is sorted, so the first of each cluster is its most uncertain one.
    firsts = np.unique(cluster, return_index=True)[1]
    others = np.setdiff1d(np.arange(len(pool)), firsts)[: max(0, count - len(firsts))]
    sizes = np.bincount(cluster)
    chosen = np.sort(np.concatenate([firsts, others]))
    return [_proposal(int(pool[k]), int(sizes[cluster[k]]), uncertainty, confidences, classes) for k in chosen]


def _proposal(
    row: int, stands_for: int, uncertainty: Floats, confidences: NDArray[np.floating], classes: Sequence[str]
) -> Proposal:
    order = np.argsort(-uncertainty[row], kind="stable")
    unsure = [column for column in order if uncertainty[row, column] >= 0.5 * uncertainty[row, order[0]]]
    return Proposal(
        row=row,
        entropy_bits=round(float(uncertainty[row].sum()), 4),
        unsure_of=tuple(classes[column] for column in unsure),
        confidence=float(confidences[row, order[0]]),
        stands_for=stands_for,
    )


def _clusters(places: Floats, count: int) -> NDArray[np.int64]:
    spread = places.std(axis=0)
    scaled = places / np.where(spread > 0, spread, 1)
    starts = [0]
    distance = np.linalg.norm(scaled - scaled[0], axis=1)
    while len(starts) < count and distance.max() > 0:
        starts.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[starts[-1]], axis=1))
    centres, _ = kmeans(scaled, scaled[starts])
    return np.asarray(vq(scaled, centres)[0], dtype=np.int64)
