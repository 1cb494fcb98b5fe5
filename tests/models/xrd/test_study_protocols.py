"""Learning curves and the protocol of 81 labels, with tiny trainings."""

from dataclasses import replace

import numpy as np
import pytest

from phasecast_models.xrd.bundle import Bundle, load_bundle
from phasecast_models.xrd.calibration import f1_scores
from phasecast_models.xrd.examples import Examples, LabelError
from phasecast_models.xrd.fine_tuning import FineTunePlan
from phasecast_models.xrd.paper_network import PaperPlan, paper_inputs, train_paper
from phasecast_models.xrd.patterns import simulate_patterns
from phasecast_models.xrd.scratch_training import ScratchPlan
from phasecast_models.xrd.study_protocols import (
    BASE,
    FINE_TUNED,
    PAPER,
    SCRATCH,
    divide_by_sample,
    efficiency_table,
    label_efficiency,
    protocol_81_29_29,
)

FINE = FineTunePlan(replay=64, epochs=1, calibration_replay=128)
SHORT = ScratchPlan(epochs=2)
PAPERS = PaperPlan(epochs=25)


@pytest.fixture(scope="module")
def base() -> Bundle:
    return load_bundle("bl16xu-rust")


@pytest.fixture(scope="module")
def labelled() -> Examples:
    simulated = simulate_patterns(1000, seed=91)
    intensity, sigma = simulated.draw(np.random.default_rng(91))
    return Examples(
        intensity=intensity,
        sigma=sigma,
        labels=simulated.labels,
        samples=np.array([f"sample {index % 15}" for index in range(1000)]),
    )


def test_a_curve_compares_models_on_the_same_labels(base: Bundle, labelled: Examples) -> None:
    pool, test = labelled.take(np.arange(60)), labelled.take(np.arange(600, 720))
    rows = label_efficiency(base, pool, test, counts=(0, 24), seeds=(1, 2), plan=FINE, scratch=SHORT, paper=PAPERS)
    assert [(row.model, row.labels) for row in rows] == 2 * [
        (FINE_TUNED, 0),
        (FINE_TUNED, 24),
        (SCRATCH, 24),
        (PAPER, 24),
    ]
    untouched = f1_scores(base.confidences(test.intensity, base.axis.tth_deg, test.sigma), test.labels)
    assert rows[0].macro_f1 == pytest.approx(untouched.mean(), abs=0.01)
    tuned, scratch = rows[1], rows[2]
    assert tuned.macro_f1 > scratch.macro_f1 + 0.3
    table = efficiency_table(rows)
    assert [(entry["model"], entry["labels"], entry["seeds"]) for entry in table] == [
        (FINE_TUNED, 0, 2),
        (FINE_TUNED, 24, 2),
        (SCRATCH, 24, 2),
        (PAPER, 24, 2),
    ]
    assert table[0]["macro_f1_sd"] == 0
    with pytest.raises(LabelError, match="the pool holds 60 labels, the curve goes to 81"):
        label_efficiency(base, pool, test, counts=(81,))


def test_the_baseline_learns_from_labels(base: Bundle, labelled: Examples) -> None:
    test = labelled.take(np.arange(600, 1000))
    rows = label_efficiency(base, labelled, test, counts=(20, 500), models=(PAPER,), paper=PAPERS)
    assert rows[1].macro_f1 > rows[0].macro_f1 + 0.2


def test_the_baseline_is_the_same_for_the_same_seed(base: Bundle, labelled: Examples) -> None:
    train, stop = labelled.take(np.arange(60)), labelled.take(np.arange(60, 80))
    plan = replace(PAPERS, epochs=5)
    first, second = (train_paper(train, stop, base.axis, plan=plan) for _ in range(2))
    found = first.confidences(labelled.intensity)
    assert found.shape == (1000, 9)
    assert 0 <= found.min() <= found.max() <= 1
    assert np.array_equal(found, second.confidences(labelled.intensity))
    other = train_paper(train, stop, base.axis, plan=replace(plan, seed=2)).confidences(labelled.intensity)
    assert not np.array_equal(found, other)


def test_the_baseline_sees_shape_alone(base: Bundle, labelled: Examples) -> None:
    shapes = paper_inputs(labelled.intensity, base.axis)
    assert shapes.min() == 0
    assert shapes.max() == 1
    assert paper_inputs(3 * labelled.intensity[:50], base.axis) == pytest.approx(shapes[:50], abs=1e-5)


def test_parts_have_the_sizes_of_the_reference_and_share_no_sample(labelled: Examples) -> None:
    parts = divide_by_sample(labelled, (81, 29, 29), seed=4)
    assert [len(part) for part in parts] == [81, 29, 29]
    samples = [set(part.samples) for part in parts]
    assert not samples[0] & samples[1]
    assert not samples[0] & samples[2]
    assert not samples[1] & samples[2]


@pytest.mark.parametrize("number", [100, 139])
def test_too_few_labels_or_samples_are_refused(labelled: Examples, number: int) -> None:
    few = labelled.take(np.arange(number))
    one = replace(few, samples=np.full(number, "a"))
    with pytest.raises(LabelError, match=r"of 1 samples cannot be divided into 81 \+ 29 \+ 29"):
        divide_by_sample(one, (81, 29, 29), seed=1)


def test_the_protocol_gives_intervals_that_few_labels_deserve(base: Bundle, labelled: Examples) -> None:
    found = protocol_81_29_29(base, labelled, models=(BASE, FINE_TUNED, PAPER), plan=FINE, paper=PAPERS)
    for table in found.values():
        groups = table["groups"]
        assert isinstance(groups, dict)
        assert groups["oxides"]["decisions"] == 3 * 29
        for share in groups.values():
            assert share["right_low"] <= share["right"] <= share["right_high"]
            assert share["right_high"] - share["right_low"] > 0.04
        assert table["labels"] == 29
    assert found[BASE]["macro_f1"] > found[PAPER]["macro_f1"]  # type: ignore[operator]
