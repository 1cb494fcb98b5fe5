"""Intervals of few labels."""

import numpy as np
import pytest

from phasecast_models.xrd.label_metrics import label_metrics, label_reliability, macro_f1_interval, wilson


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"), [(85, 87, 0.920, 0.994), (52, 58, 0.792, 0.952), (0, 10, 0.0, 0.2775)]
)
def test_wilson_gives_published_intervals(hits: int, total: int, low: float, high: float) -> None:
    assert wilson(hits, total) == pytest.approx((low, high), abs=2e-3)


def test_nothing_drawn_tells_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_wilson_covers_the_truth() -> None:
    hits = np.random.default_rng(0).binomial(29, 0.9, 2000)
    inside = [low <= 0.9 <= high for low, high in (wilson(int(value), 29) for value in hits)]
    assert 0.93 <= np.mean(inside) <= 0.98


def test_macro_f1_takes_classes_that_occur() -> None:
    labels = np.zeros((40, 3))
    labels[:20, 0] = labels[20:, 1] = 1
    said = labels * 0.8 + 0.1
    assert macro_f1_interval(said, labels) == (1.0, 1.0, 1.0)
    said[0, 0], said[0, 2] = 0.1, 0.9
    macro, low, high = macro_f1_interval(said, labels)
    assert macro == pytest.approx((2 * 19 / 39 + 1) / 2)
    assert low < macro < high
    table = label_metrics(said, labels, ("a", "b", "c"))
    assert table["exact_match"] == pytest.approx(39 / 40)
    classes = table["classes"]
    assert isinstance(classes, dict)
    assert classes["c"] == {"positive": 0, "right": 0.975, "right_low": 0.8712, "right_high": 0.9956, "f1": 0.0}


def test_labels_of_nothing_have_no_macro_f1() -> None:
    assert macro_f1_interval(np.zeros((5, 2)), np.zeros((5, 2))) == (0.0, 0.0, 0.0)


def test_reliability_of_calibrated_confidences_lies_on_the_diagonal_within_its_intervals() -> None:
    rng = np.random.default_rng(4)
    said = rng.beta(0.2, 1.0, (400, 9))
    table = label_reliability(said, (rng.random(said.shape) < said).astype(float))
    assert table["confidence"] == sorted(table["confidence"])
    inside = [
        low <= confidence <= high
        for confidence, low, high in zip(table["confidence"], table["low"], table["high"], strict=True)
    ]
    assert sum(inside) >= 9
    assert all(
        low <= share <= high for share, low, high in zip(table["frequency"], table["low"], table["high"], strict=True)
    )


def test_four_labels_are_too_few_to_say_much_of_reliability() -> None:
    table = label_reliability(np.full((4, 2), 0.9), np.ones((4, 2)))
    assert len(table["confidence"]) == 8, "no group is empty"
    assert table["low"] == pytest.approx([0.2065] * 8, abs=1e-3)
