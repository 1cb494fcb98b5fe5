"""Calibration repairs what was distorted on purpose."""

import numpy as np
import pytest
from scipy.special import expit

from phasecast_models.xrd.calibration import expected_calibration_error, f1_scores, fit_calibration, reliability


def test_distorted_logits_are_straightened() -> None:
    rng = np.random.default_rng(0)
    true_logits = rng.normal(0, 2, (40_000, 2))
    labels = (rng.random(true_logits.shape) < expit(true_logits)).astype(float)
    distorted = (true_logits - [0.5, -1.0]) / [0.4, 2.0]
    fitted = fit_calibration(distorted, labels)
    assert fitted.scale == pytest.approx([0.4, 2.0], rel=0.05)
    assert fitted.bias == pytest.approx([0.5, -1.0], abs=0.08)
    assert expected_calibration_error(expit(distorted), labels) > 0.05
    assert expected_calibration_error(fitted.confidences(distorted), labels) < 0.01


def test_calibration_error_in_closed_form() -> None:
    labels = np.tile([1.0, 0.0], 500)
    assert expected_calibration_error(np.full(1000, 0.5), labels) == pytest.approx(0)
    assert expected_calibration_error(np.full(1000, 0.8), labels) == pytest.approx(0.3)


def test_fewer_entries_than_groups_leave_no_group_empty() -> None:
    said, true = np.array([[0.2, 0.8, 0.4]]), np.array([[0.0, 1.0, 1.0]])
    assert expected_calibration_error(said, true) == pytest.approx((0.2 + 0.6 + 0.2) / 3)
    assert reliability(said, true) == {"confidence": [0.2, 0.4, 0.8], "frequency": [0, 1, 1]}


def test_f1_in_closed_form() -> None:
    labels = np.array([[1, 0], [1, 0], [0, 0], [0, 0]])
    said = np.array([[0.9, 0.1], [0.2, 0.1], [0.7, 0.1], [0.1, 0.1]])
    assert f1_scores(said, labels) == pytest.approx([0.5, 0.0])
