"""A pattern is as strange as one simulated pattern in a thousand, or less."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from phasecast_models.xrd.drift import Drift, fit_drift, take_drift


def correlated(count: int, seed: int) -> NDArray[np.float64]:
    """Activations of 40 units, of which the first never fires and the last two do alike."""
    mixing = np.random.default_rng(0).normal(size=(40, 40)) * np.geomspace(0.01, 10, 40)
    values = np.random.default_rng(seed).normal(size=(count, 40)) @ mixing
    values[:, 0], values[:, 1] = 0, values[:, 2]
    return values


def distances(drift: Drift, activations: NDArray[np.float64]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = drift.distance(torch.from_numpy(activations.astype(np.float32))).numpy()
    return found


def test_one_in_a_thousand_is_beyond_the_scale() -> None:
    drift = fit_drift(correlated(30_000, 1))
    assert 2e-4 < np.mean(distances(drift, correlated(40_000, 2)) > 1) < 4e-3


def test_what_lies_outside_is_stranger_the_farther_it_is() -> None:
    drift = fit_drift(correlated(5000, 1))
    usual = correlated(500, 3)
    away = np.random.default_rng(4).normal(size=40) * usual.std(axis=0)
    means = [distances(drift, usual + factor * away).mean() for factor in (0, 3, 10)]
    assert means[0] < 1
    assert means[0] < means[1] < means[2]
    assert means[2] > 2


def test_few_patterns_give_a_scale_all_the_same() -> None:
    drift = fit_drift(correlated(60, 1))
    assert np.isfinite(distances(drift, correlated(100, 2))).all()
    with pytest.raises(ValueError, match="30 patterns at least"):
        fit_drift(correlated(20, 1))


def test_it_comes_back_from_a_file_of_tensors() -> None:
    drift = fit_drift(correlated(500, 1))
    tensors = {"perceptron.weight": torch.zeros(2), **drift.tensors()}
    found = take_drift(tensors)
    assert list(tensors) == ["perceptron.weight"]
    assert found is not None
    assert np.array_equal(distances(found, correlated(5, 2)), distances(drift, correlated(5, 2)))
    assert take_drift(tensors) is None
    part = drift.tensors()
    del part["drift.scale"]
    with pytest.raises(ValueError, match="only drift"):
        take_drift(part)
