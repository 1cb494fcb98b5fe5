"""What cards say of calibration is read whatever they hold, and drawn where people can see it."""

import math

import pytest

from phasecast.records.reliability import HIGHEST, LOWEST, TICKS, on_logit, reliabilities, tick_texts
from phasecast.services.page_models import shipped_models

LISTS = {"confidence": [0.0, 0.3], "frequency": [0.01, 0.25]}


def test_the_shipped_model_shows_its_calibration_on_the_hidden_domain():
    (model,) = shipped_models()
    (found,) = reliabilities(model.card)
    study = model.card["study"]
    assert (found.on, found.patterns) == ("hidden", study["hidden_patterns_per_seed"] * study["seeds"])
    (curve,) = found.curves
    assert curve.when == "stated"
    assert 0 < curve.ece < 0.02
    assert len(curve.confidence) == len(curve.frequency) == 10
    # groups of equal size: their mean gap is no more than the calibration error, which is the mean over the seeds
    gap = sum(abs(a - b) for a, b in zip(curve.confidence, curve.frequency, strict=True)) / 10
    assert gap <= curve.ece + 1e-4
    assert found.error_text(curve) == f"{curve.ece:.4f}"


def test_a_taught_model_shows_before_and_after_and_not_the_study_of_its_base():
    def state(ece):
        lists = {**LISTS, "low": [0.0, 0.1], "high": [0.2, 0.5]}
        return {"labels": {"labels": 8, "ece": ece, "reliability": lists}, "simulation": {"patterns": 4000, "ece": ece}}

    card = {
        "metrics": {"ece": 0.5, "before": state(0.06), "after": state(0.03)},
        "study": {"hidden": {"ece": 0.1, "reliability": LISTS}},
    }
    labels, simulation = reliabilities(card)
    assert (labels.on, labels.patterns, labels.has_diagram) == ("labels", 8, True)
    assert [(curve.when, curve.ece) for curve in labels.curves] == [("before", 0.06), ("after", 0.03)]
    assert labels.curves[1].low == (0.0, 0.1)
    assert labels.error_text(labels.curves[0]) == "0.060", "eight labels do not bear four digits"
    assert (simulation.on, simulation.patterns, simulation.has_diagram) == ("simulation", 4000, False)


def test_a_model_without_study_shows_what_simulation_says():
    (found,) = reliabilities({"metrics": {"patterns": 20_000, "ece": 0.0006}})
    assert (found.on, found.patterns, found.has_diagram) == ("simulation", 20_000, False)


@pytest.mark.parametrize(
    "hidden",
    [
        {},
        {"reliability": {"confidence": [0.1, 0.2], "frequency": [0.1]}},
        {"reliability": {"confidence": [0.1, "x"], "frequency": [0.1, 0.2]}},
        {"reliability": {"confidence": "01", "frequency": "01"}},
        {"reliability": {"confidence": [0.1, 1.2], "frequency": [0.1, 0.2]}},
        {"reliability": {"confidence": [math.nan], "frequency": [0.1]}},
        {"reliability": [1, 2], "ece": "small"},
        {"ece": math.nan},
    ],
    ids=str,
)
def test_cards_that_say_nothing_of_use_show_nothing(hidden):
    assert reliabilities({"study": {"hidden": hidden}}) == ()
    assert reliabilities({"study": 3, "metrics": {"before": 1, "after": {"labels": 7}}}) == ()


def test_the_scale_stretches_both_ends_and_holds_everything():
    at = on_logit(TICKS)
    assert at == sorted(at)
    assert on_logit([0.1])[0] == pytest.approx(-on_logit([0.9])[0])
    assert on_logit([0.5]) == [0.0]
    assert on_logit([0.0, 1.0]) == on_logit([LOWEST, HIGHEST])
    assert len(tick_texts()) == len(TICKS)
    assert tick_texts()[1] == "0.001"
