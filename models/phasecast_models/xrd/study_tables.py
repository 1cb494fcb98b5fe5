"""What a model is worth: figures on the hidden domain and on phases that it was never shown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from phasecast_models.xrd.axis import CLASSES
from phasecast_models.xrd.bundle import Bundle
from phasecast_models.xrd.calibration import expected_calibration_error, f1_scores, reliability
from phasecast_models.xrd.hidden_domain import HELD_OUT, HiddenPatterns, hidden_held_out, hidden_patterns
from phasecast_models.xrd.network import MEMBERS

Floats = NDArray[np.float32]
Table = dict[str, Any]

HIDDEN_COUNT = 4000
_DECADES = ((1e3, 1e4), (1e4, 1e5), (1e5, 1e6), (1e6, 1e7))
_PEAKLESS, _OTHER = CLASSES.index("peakless_iron"), CLASSES.index("other")


def hidden_figures(bundle: Bundle, *, seed: int, count: int = HIDDEN_COUNT) -> Table:
    """Return F1 per class, macro-F1 and calibration of a bundle on patterns of the hidden domain.

    With the range of thickness that sections have, and with the thickness that was declared, peak-less iron is judged
    once more by the transmission.
    """
    patterns = hidden_patterns(count, seed=seed)
    alone = _ask(bundle, patterns)
    with_range = _ask(bundle, patterns, transmission=patterns.transmission)
    declared = np.full(len(patterns), np.nan, np.float32)
    for thickness_um in np.unique(patterns.thickness_um):
        rows = patterns.thickness_um == thickness_um
        part = patterns.rows(rows)
        found = _ask(bundle, part, transmission=part.transmission, thickness_um=float(thickness_um))
        declared[rows] = found[:, _PEAKLESS]
    scores = f1_scores(alone, patterns.labels)
    truth = patterns.labels[:, _PEAKLESS] > 0.5
    bare = patterns.amorphous_rust
    return {
        "macro_f1": float(scores.mean()),
        "ece": expected_calibration_error(alone, patterns.labels),
        "exact_match": float(((alone >= 0.5) == (patterns.labels > 0.5)).all(axis=1).mean()),
        "f1": dict(zip(CLASSES, map(float, scores), strict=True)),
        "peakless_iron": {
            "f1_without_transmission": float(scores[_PEAKLESS]),
            "f1_with_transmission": _f1(with_range[:, _PEAKLESS], truth),
            "f1_with_transmission_and_thickness": _f1(declared, truth),
            "on_amorphous_rust_without": float(alone[bare, _PEAKLESS].mean()),
            "on_amorphous_rust_with": float(with_range[bare, _PEAKLESS].mean()),
            "on_amorphous_rust_with_and_thickness": float(declared[bare].mean()),
        },
        "by_counts": {f"{low:.0e} to {high:.0e}": _decade(alone, patterns, low, high) for low, high in _DECADES},
        "members": {
            name: float(f1_scores(_ask(bundle, patterns, members=(name,)), patterns.labels).mean()) for name in MEMBERS
        },
        "reliability": reliability(alone, patterns.labels),
    }


def held_out_figures(bundle: Bundle, *, seed: int, count: int = HIDDEN_COUNT) -> Table:
    """Return how well confidence in "other" finds phases that the bundle was never shown: AUROC and FPR at 95 % TPR."""
    out: Table = {}
    for phase in HELD_OUT:
        patterns = hidden_held_out(phase, count, seed=seed)
        out[phase] = detection_figures(_ask(bundle, patterns)[:, _OTHER], patterns.present)
    return out


def detection_figures(score: Floats, present: NDArray[np.bool_]) -> dict[str, float]:
    """Return the area under the ROC curve and the false alarms where 95 % of what is present is found.

    The area is that of Mann and Whitney (Annals of Mathematical Statistics 18:50, 1947); ties count half.
    """
    ranks = rankdata(score)
    hits, misses = int(present.sum()), int((~present).sum())
    area = (ranks[present].sum() - hits * (hits + 1) / 2) / (hits * misses)
    threshold = np.quantile(score[present], 0.05)
    return {"auroc": float(area), "fpr_at_95": float((score[~present] >= threshold).mean())}


def mean_of(tables: Sequence[Table]) -> Table:
    """Return the mean of tables that have the same keys, entry by entry, to four decimals."""
    first = tables[0]
    out: Table = {}
    for key, value in first.items():
        values = [table[key] for table in tables]
        if isinstance(value, dict):
            out[key] = mean_of(values)
        elif isinstance(value, list):
            out[key] = [round(float(entry), 4) for entry in np.mean(values, axis=0)]
        else:
            out[key] = round(float(np.mean(values)), 4)
    return out


def _ask(bundle: Bundle, patterns: HiddenPatterns, **options: Any) -> Floats:
    return bundle.confidences(patterns.intensity, bundle.axis.tth_deg, patterns.sigma, **options)


def _decade(confidences: Floats, patterns: HiddenPatterns, low: float, high: float) -> float:
    rows = (patterns.counts >= low) & (patterns.counts < high)
    return float(f1_scores(confidences[rows], patterns.labels[rows]).mean())


def _f1(confidence: Floats, truth: NDArray[np.bool_]) -> float:
    return float(f1_scores(confidence[:, None], truth[:, None].astype(np.float32))[0])
