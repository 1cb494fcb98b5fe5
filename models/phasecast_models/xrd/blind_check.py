"""The blind check: a person labels randomly drawn points without seeing what the model said of them.

Points are drawn by what the model said, so that rare classes are seen too; the known chances of being drawn turn
the answers into precision and recall of the whole map. Points chosen because the model was unsure never count here.
A point of which the person cannot tell is right or wrong for nobody: the figures then speak of the points that can be
told, and say how many could not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.label_metrics import THRESHOLD, wilson

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

NOTHING = -1
"""Stratum of points of which the model said no class."""

_DRAWS = 2000
_LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindDraw:
    """Points to be labelled blindly, in the order to show them (shuffled, so that the order tells nothing).

    Parameters
    ----------
    rows
        Rows of the map, shape (m,).
    stratum
        Column of the rarest class that the model said of each, or `NOTHING`, shape (m,).
    weight
        Points of the map that each stands for, shape (m,).
    """

    rows: Rows
    stratum: Rows
    weight: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """Precision and recall of one class over the whole map, with 95 % intervals.

    ``said`` and ``seen`` are the numbers of scored points of which the model said, and the person saw, the class; a
    value is NaN and its interval (0, 1) where none was. ``untold`` is the number of points of which the model said the
    class and the person could not tell: in neither value.
    """

    class_id: str
    said: int
    seen: int
    untold: int
    precision: float
    precision_low: float
    precision_high: float
    recall: float
    recall_low: float
    recall_high: float


def blind_draw(
    confidences: NDArray[np.floating], *, count: int = 45, seed: int, labelled: Iterable[int] = ()
) -> BlindDraw:
    """Draw points for a blind check, stratified by what the model says; the same seed draws the same points.

    Every point belongs to the rarest class that the model says of it (confidence 0.5 or more), or to none. All
    strata get equal shares, small ones are drawn whole and leave the rest to the others.

    Parameters
    ----------
    confidences
        Shape (n, classes); rows that are not finite (rejected points) are not drawn.
    count
        Points to draw, 30 to 60; fewer come where there are fewer.
    seed
        Seed of the draw.
    labelled
        Rows that were labelled already, knowing the prediction or because it was unsure: never drawn, and the scores
        then speak of the others.
    """
    free = np.isfinite(confidences).all(axis=1)
    free[np.fromiter(labelled, dtype=np.int64)] = False
    rows = np.flatnonzero(free)
    stratum = _strata(confidences[rows])
    rng = np.random.default_rng(seed)
    names, member = np.unique(stratum, return_inverse=True)
    sizes = np.bincount(member, minlength=len(names))
    drawn, weight = [], []
    for index, number in enumerate(_shares(sizes, count)):
        if number:
            drawn.append(rng.choice(np.flatnonzero(member == index), number, replace=False))
            weight.append(np.full(number, sizes[index] / number))
    if not drawn:
        return BlindDraw(rows=rows[:0], stratum=stratum[:0], weight=np.zeros(0))
    places = np.concatenate(drawn)
    order = rng.permutation(len(places))
    return BlindDraw(rows=rows[places][order], stratum=stratum[places][order], weight=np.concatenate(weight)[order])


def blind_scores(
    said: NDArray[np.floating] | NDArray[np.bool_],
    seen: NDArray[np.floating] | NDArray[np.bool_],
    *,
    classes: Sequence[str],
    stratum: Rows | None = None,
    weight: Floats | None = None,
    actively_chosen: NDArray[np.bool_] | None = None,
    untold: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> list[ClassScore]:
    """Return precision and recall per class from the answers of a blind check.

    Precision has Wilson's interval with as many points as the weights leave effective (Kish). Recall depends on points
    that the model missed, which lie where it said something else: its interval is a Bayesian bootstrap within strata
    (Rubin, Ann. Stat. 9, 130, 1981) with Jeffreys' prior, so that a stratum of 9,000 points is not taken to be free of
    misses because ten drawn ones were. Both contain the estimate. Misses are rare and each stands for many points, so
    recall is overestimated more often than not: look at its interval. On simulated maps of 7,000 points with classes of
    30, 5 and 1 %, 45 drawn points gave intervals that held the true precision in 98 of 100 maps and the true recall in
    96, 87 and 91.

    Parameters
    ----------
    said
        What the model said of each drawn point: confidences, or 0 and 1, shape (m, classes).
    seen
        What the person saw, 0 or 1, shape (m, classes).
    classes
        Ids of the classes.
    stratum, weight
        Of the draw; one stratum and equal weights if None.
    actively_chosen
        Points that were labelled because the model was unsure, shape (m,): they are left out.
    untold
        Points of which the person could not tell, shape (m,); what ``seen`` says of them does not matter. No value and
        no interval takes them for right or wrong. They keep their part of the stratum they were drawn from, which
        nothing is claimed of; a stratum of which nothing could be told leaves its misses unknown instead of absent.
    seed
        Seed of the bootstrap.
    """
    count = len(said)
    strata = np.zeros(count, np.int64) if stratum is None else np.asarray(stratum)
    weights = np.ones(count) if weight is None else np.asarray(weight, dtype=np.float64)
    keep = np.ones(count, bool) if actively_chosen is None else ~np.asarray(actively_chosen, dtype=bool)
    model, person = np.asarray(said)[keep] >= THRESHOLD, np.asarray(seen)[keep] > 0.5
    strata, weights = strata[keep], weights[keep]
    told = np.ones(len(model), bool) if untold is None else ~np.asarray(untold, dtype=bool)[keep]
    rng = np.random.default_rng(seed)
    return [
        _score(name, model[:, column], person[:, column], told, strata, weights, rng)
        for column, name in enumerate(classes)
    ]


def _score(
    name: str,
    model_says: NDArray[np.bool_],
    person_sees: NDArray[np.bool_],
    told: NDArray[np.bool_],
    stratum: Rows,
    weight: Floats,
    rng: np.random.Generator,
) -> ClassScore:
    said, seen = model_says & told, person_sees & told
    precision, precision_low, precision_high = np.nan, 0.0, 1.0
    if said.any():
        w = weight[said]
        precision = float(w @ seen[said] / w.sum())
        effective = w.sum() ** 2 / (w @ w)
        precision_low, precision_high = wilson(precision * effective, effective)
    recall, recall_low, recall_high = np.nan, 0.0, 1.0
    if seen.any():
        recall = float(weight[seen] @ said[seen] / weight[seen].sum())
        low, high = np.quantile(
            _recalls(model_says, seen, told, stratum, weight, rng), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]
        )
        recall_low, recall_high = min(float(low), recall), max(float(high), recall)
    return ClassScore(
        class_id=name,
        said=int(said.sum()),
        seen=int(seen.sum()),
        untold=int((model_says & ~told).sum()),
        precision=precision,
        precision_low=precision_low,
        precision_high=precision_high,
        recall=recall,
        recall_low=recall_low,
        recall_high=recall_high,
    )


def _recalls(
    said: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    told: NDArray[np.bool_],
    stratum: Rows,
    weight: Floats,
    rng: np.random.Generator,
) -> Floats:
    found, missed = np.zeros(_DRAWS), np.zeros(_DRAWS)
    for name in np.unique(stratum):
        inside = stratum == name
        points, taken = weight[inside].sum(), inside.sum()
        # The model's word on a point of a stratum is known without drawing it, so a found and a missed point can both
        # be only where some of the stratum were said, and some were not.
        outcomes = (seen & said, seen & ~said, ~seen & told, ~told)
        counts = np.array([(inside & outcome).sum() for outcome in outcomes], float)
        possible = np.array([(inside & said).any(), (inside & ~said).any(), True, (inside & ~told).any()])
        if points <= taken:
            shares = np.tile(counts / taken, (_DRAWS, 1))
        else:
            shares = np.zeros((_DRAWS, len(counts)))
            shares[:, possible] = rng.dirichlet(counts[possible] + 0.5, _DRAWS)
        found += points * shares[:, 0]
        missed += points * shares[:, 1]
    return np.asarray(found / np.maximum(found + missed, 1e-300))


def _strata(confidences: NDArray[np.floating]) -> Rows:
    said = confidences >= THRESHOLD
    rarity = np.argsort(said.sum(axis=0), kind="stable")
    first = said[:, rarity].argmax(axis=1)
    return np.where(said.any(axis=1), rarity[first], NOTHING).astype(np.int64)


def _shares(sizes: Rows, count: int) -> Rows:
    """Equal shares, as far as the strata go."""
    shares = np.zeros(len(sizes), np.int64)
    for _ in range(min(count, int(sizes.sum()))):
        open_ones = np.flatnonzero(shares < sizes)
        fewest = open_ones[shares[open_ones] == shares[open_ones].min()]
        shares[fewest[np.argmax(sizes[fewest])]] += 1
    return shares
