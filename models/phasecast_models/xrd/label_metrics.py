"""How right confidences are on few labels: figures with the intervals that few labels leave."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from phasecast_models.xrd.calibration import equal_groups, expected_calibration_error, f1_scores

Floats = NDArray[np.float64]

THRESHOLD = 0.5
"""Confidence from which a class counts as said."""

_DRAWS = 1000


def wilson(hits: float, total: float, *, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a share, Wilson, J. Am. Stat. Assoc. 22, 209 (1927); (0, 1) where nothing was drawn."""
    if total <= 0:
        return 0.0, 1.0
    z = float(ndtri((1 + level) / 2))
    share = hits / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def label_metrics(
    confidences: NDArray[np.floating], labels: NDArray[np.floating], classes: Sequence[str], *, seed: int = 0
) -> dict[str, object]:
    """Return how right confidences are on labelled patterns, as a table for cards and pages.

    Per class: number of positive labels, share of right decisions with its 95 % Wilson interval, and F1 with its 95 %
    bootstrap interval where the class was seen (or, without interval, only said). In all: exact match with Wilson
    interval, macro-F1 over the classes that occur in the labels with its 95 % bootstrap interval (patterns drawn anew),
    and the expected calibration error. Intervals take patterns as independent; those of one sample are not quite, so
    they are a lower bound.

    Parameters
    ----------
    confidences, labels
        Shape (n, classes), n >= 1; labels 0 or 1.
    classes
        Ids of the classes.
    seed
        Seed of the bootstrap.
    """
    said, seen = confidences >= THRESHOLD, labels > 0.5
    right = said == seen
    scores = f1_scores(confidences, labels)
    lowest, highest = _f1_intervals(said, seen, seed=seed)
    count = len(labels)
    per_class: dict[str, object] = {}
    for column, name in enumerate(classes):
        hits = int(right[:, column].sum())
        low, high = wilson(hits, count)
        entry: dict[str, object] = {"positive": int(seen[:, column].sum()), "right": round(hits / count, 4)}
        entry |= {"right_low": round(low, 4), "right_high": round(high, 4)}
        if seen[:, column].any() or said[:, column].any():
            entry["f1"] = round(float(scores[column]), 4)
        if seen[:, column].any():
            entry |= {"f1_low": round(lowest[column], 4), "f1_high": round(highest[column], 4)}
        per_class[name] = entry
    exact = int(right.all(axis=1).sum())
    low, high = wilson(exact, count)
    macro, macro_low, macro_high = macro_f1_interval(confidences, labels, seed=seed)
    return {
        "labels": count,
        "macro_f1": round(macro, 4),
        "macro_f1_low": round(macro_low, 4),
        "macro_f1_high": round(macro_high, 4),
        "exact_match": round(exact / count, 4),
        "exact_match_low": round(low, 4),
        "exact_match_high": round(high, 4),
        "ece": round(expected_calibration_error(confidences, labels), 4),
        "classes": per_class,
    }


def label_reliability(
    confidences: NDArray[np.floating], labels: NDArray[np.floating], *, groups: int = 10
) -> dict[str, list[float]]:
    """Return a reliability diagram of few labels, with the 95 % Wilson interval of each frequency, as a table.

    The groups are those of `calibration.reliability`. Intervals take entries as independent; the classes of one pattern
    and the patterns of one sample are not quite, so they are a lower bound.

    Parameters
    ----------
    confidences, labels
        Shape (n, classes), n >= 1; labels 0 or 1.
    groups
        Groups to make; fewer where there are fewer entries.
    """
    parts = equal_groups(confidences, labels, groups=groups)
    ends = [wilson(float(true.sum()), len(true)) for _, true in parts]
    return {
        "confidence": [round(float(said.mean()), 5) for said, _ in parts],
        "frequency": [round(float(true.mean()), 5) for _, true in parts],
        "low": [round(low, 5) for low, _ in ends],
        "high": [round(high, 5) for _, high in ends],
    }


def _f1_intervals(
    said: NDArray[np.bool_], seen: NDArray[np.bool_], *, seed: int, level: float = 0.95
) -> tuple[list[float], list[float]]:
    """Ends of the interval of each class's F1; draws in which a class is neither seen nor said do not count.

    Where every decision is right, drawing anew cannot show that another pattern might be wrong: Wilson's interval for
    so many patterns that hold the class takes its place.
    """
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(seen), np.full(len(seen), 1 / max(len(seen), 1)), _DRAWS).astype(np.float64)
    hits = times @ (said & seen).astype(np.float64)
    either = times @ (said.astype(np.float64) + seen.astype(np.float64))
    low, high = [], []
    for column in range(seen.shape[1]):
        known = either[:, column] > 0
        if not known.any():
            ends = [0.0, 1.0]
        elif (said[:, column] == seen[:, column]).all():
            ends = list(wilson(int(seen[:, column].sum()), int(seen[:, column].sum()), level=level))
        else:
            score = 2 * hits[known, column] / either[known, column]
            ends = np.quantile(score, [(1 - level) / 2, (1 + level) / 2]).tolist()
        low.append(float(ends[0]))
        high.append(float(ends[1]))
    return low, high


def macro_f1_interval(
    confidences: NDArray[np.floating], labels: NDArray[np.floating], *, seed: int = 0, level: float = 0.95
) -> tuple[float, float, float]:
    """Return macro-F1 and its bootstrap interval over the classes that occur in the labels; zeros if none does.

    A draw without any positive of a class leaves that class out of its mean.
    """
    said, seen = (confidences >= THRESHOLD).astype(np.float64), (labels > 0.5).astype(np.float64)
    occurs = seen.any(axis=0)
    if not occurs.any():
        return 0.0, 0.0, 0.0
    said, seen = said[:, occurs], seen[:, occurs]
    count = len(seen)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(count, np.full(count, 1 / count), _DRAWS).astype(np.float64)

    def macro(weights: Floats) -> Floats:
        hits, either, positive = weights @ (said * seen), weights @ (said + seen), weights @ seen
        score = np.where(positive > 0, 2 * hits / np.maximum(either, 1), np.nan)
        known = (positive > 0).any(axis=1)
        return np.asarray(np.nanmean(score[known], axis=1))

    low, high = np.quantile(macro(times), [(1 - level) / 2, (1 + level) / 2])
    return float(macro(np.ones((1, count)))[0]), float(low), float(high)
