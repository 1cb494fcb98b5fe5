"""Honest confidences: per-class temperature and bias, and the figures that judge them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Confidence = sigmoid(scale * logit + bias), one pair per class (Platt 1999)."""

    scale: Floats
    bias: Floats

    def confidences(self, logits: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return confidences in [0, 1], the shape of ``logits`` (n, classes)."""
        return np.asarray(expit(logits * self.scale + self.bias), dtype=np.float32)


def fit_calibration(logits: NDArray[np.floating], labels: NDArray[np.floating], *, pull: float = 1.0) -> Calibration:
    """Fit scale and bias by maximum likelihood on held-out patterns.

    Parameters
    ----------
    logits, labels
        Shape (n, classes); labels 0 or 1.
    pull
        Strength of the pull towards the identity, in units of one pattern.
    """
    from scipy.optimize import minimize  # half a second that a daemon, which only applies calibrations, does without

    count = labels.shape[1]
    scale, bias = np.ones(count), np.zeros(count)
    for column in range(count):
        z = logits[:, column].astype(np.float64)
        y = labels[:, column].astype(np.float64)

        def loss(p: Floats, z: Floats = z, y: Floats = y) -> tuple[float, Floats]:
            u = p[0] * z + p[1]
            residual = expit(u) - y
            value = np.sum(np.logaddexp(0, u) - y * u) + pull * ((p[0] - 1) ** 2 + p[1] ** 2)
            slope = np.array([residual @ z, residual.sum()]) + 2 * pull * (p - np.array([1.0, 0.0]))
            return float(value), slope

        found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.1, 10), (-5, 5)])
        scale[column], bias[column] = found.x
    return Calibration(scale=scale, bias=bias)


def expected_calibration_error(
    confidences: NDArray[np.floating], labels: NDArray[np.floating], *, groups: int = 10
) -> float:
    """Return the mean gap between confidence and frequency over groups of equal size, all entries pooled.

    Naeini, Cooper, Hauskrecht, AAAI 2015.
    """
    parts = equal_groups(confidences, labels, groups=groups)
    gaps = [abs(said.mean() - true.mean()) * len(said) for said, true in parts]
    return float(sum(gaps) / np.size(confidences))


def reliability(
    confidences: NDArray[np.floating], labels: NDArray[np.floating], *, groups: int = 10
) -> dict[str, list[float]]:
    """Return what a reliability diagram shows, over groups of equal size of all entries pooled.

    ``confidence`` and ``frequency`` are the mean confidence and the share of true labels of each group, by rising
    confidence (DeGroot and Fienberg, The Statistician 32:12, 1983).
    """
    parts = equal_groups(confidences, labels, groups=groups)
    return {
        "confidence": [float(said.mean()) for said, _ in parts],
        "frequency": [float(true.mean()) for _, true in parts],
    }


def equal_groups(
    confidences: NDArray[np.floating], labels: NDArray[np.floating], *, groups: int = 10
) -> list[tuple[Floats, Floats]]:
    """Return confidences and labels of all entries pooled, by rising confidence, in groups of equal size.

    There are fewer groups where there are fewer entries than that: none is empty.
    """
    order = np.argsort(confidences, axis=None, kind="stable")
    count = min(groups, order.size)
    said = np.array_split(np.ravel(confidences)[order].astype(np.float64), count)
    true = np.array_split(np.ravel(labels)[order].astype(np.float64), count)
    return list(zip(said, true, strict=True))


def f1_scores(confidences: NDArray[np.floating], labels: NDArray[np.floating], *, threshold: float = 0.5) -> Floats:
    """Return F1 of every class at one threshold, shape (classes,); 0 where a class is never right."""
    said, true = confidences >= threshold, labels > 0.5
    hits = (said & true).sum(axis=0)
    return np.asarray(2 * hits / np.maximum(said.sum(axis=0) + true.sum(axis=0), 1), dtype=np.float64)
