"""Divide labels into those that teach, that decide where to stop, and that only measure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.examples import Examples, LabelError

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

FEWEST = 4
"""Labels below which nothing can be held out."""

_SPLITS_TRIED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Rows that teach, that decide where to stop, and that only measure; ``by`` is "sample" or "point"."""

    train: Rows
    stop: Rows
    test: Rows
    by: str


def split_examples(examples: Examples, *, stop_share: float = 0.15, test_share: float = 0.2, seed: int = 1) -> Split:
    """Divide labels into those that teach, stop and measure; the same seed gives the same split.

    With three samples or more, those that measure are whole samples, which the network and its stopping never saw; with
    fewer they are points, and figures on them say little of a new sample. Those that decide where to stop
    are points of the other samples. Of many random divisions the one is taken that comes closest to the wanted
    shares while classes are in all parts.
    """
    count = len(examples)
    if count < FEWEST:
        raise LabelError(f"{count} labels are too few to hold any out - label {FEWEST} patterns at least")
    rng = np.random.default_rng([seed, 4])
    several = len(set(examples.samples.tolist())) >= 3
    points = np.arange(count).astype(str)
    test = _held_out(examples.labels, examples.samples if several else points, test_share, rng)
    rest = np.flatnonzero(~test)
    share = min(0.5, stop_share * count / len(rest))
    stop = np.zeros(len(rest), bool)
    if len(rest) > 1:
        stop = _held_out(examples.labels[rest], points[rest], share, rng)
    return Split(train=rest[~stop], stop=rest[stop], test=np.flatnonzero(test), by="sample" if several else "point")


def _held_out(labels: Floats, groups: NDArray[np.str_], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose whole groups, one at least and not all: near the share, with every class on both sides."""
    names, member = np.unique(groups, return_inverse=True)
    wanted = share * len(labels)
    best, least = np.zeros(len(labels), bool), np.inf
    for _ in range(_SPLITS_TRIED):
        order = rng.permutation(len(names))[:-1]
        sizes = np.cumsum(np.bincount(member, minlength=len(names))[order])
        chosen = np.isin(member, order[: 1 + int(np.argmin(np.abs(sizes - wanted)))])
        taught, measured = labels[~chosen].any(axis=0), labels[chosen].any(axis=0)
        # A class that nothing teaches is lost; one that nothing measures is only unknown.
        badness = abs(chosen.sum() - wanted) / len(labels) + 0.2 * np.mean(~taught) + 0.1 * np.mean(~measured)
        if badness < least:
            best, least = chosen, badness
    return best
