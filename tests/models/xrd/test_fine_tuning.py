"""Fine-tuning: what labels teach, what they cost, and that a training leaves a whole bundle or none."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from phasecast_models.xrd.bundle import Bundle, BundleError, load_bundle
from phasecast_models.xrd.calibration import f1_scores
from phasecast_models.xrd.drift import fit_drift
from phasecast_models.xrd.examples import Examples, LabelError
from phasecast_models.xrd.fine_tuning import FineTunePlan, TrainingCancelledError, fine_tune
from phasecast_models.xrd.label_splits import split_examples
from phasecast_models.xrd.patterns import simulate_patterns
from phasecast_models.xrd.task import BL16XU_TASK
from phasecast_models.xrd.tuning import replay_of, simulate_replay, simulated_inputs

TINY = FineTunePlan(replay=128, epochs=2, calibration_replay=256, measured_replay=256, maps=0)
SHIFT = 4
"""Bins by which the instrument of the labels is out of line: the simulated zero errs by 0.04 deg, this by 0.4."""


@pytest.fixture(scope="module")
def base() -> Bundle:
    return load_bundle("bl16xu-rust")


def shifted(number: int, seed: int) -> Examples:
    simulated = simulate_patterns(number, seed=seed)
    intensity, sigma = simulated.draw(np.random.default_rng(seed))
    return Examples(
        intensity=np.roll(intensity, SHIFT, axis=1),
        sigma=np.roll(sigma, SHIFT, axis=1),
        labels=simulated.labels,
        samples=np.array([f"sample {index % 5}" for index in range(number)]),
    )


@pytest.fixture(scope="module")
def trained(base: Bundle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    folder = tmp_path_factory.mktemp("models") / "ours"
    plan = replace(TINY, replay=500, epochs=3, learning_rate=8e-4)
    return fine_tune(base, shifted(140, 51), folder, plan=plan, name="ours", version="3", owner="A. Sato"), folder


def test_labels_teach_what_simulation_did_not_know(base: Bundle, trained: tuple[Bundle, Path]) -> None:
    unseen = shifted(500, 52)
    tth = base.axis.tth_deg
    before = f1_scores(base.confidences(unseen.intensity, tth, unseen.sigma), unseen.labels).mean()
    after = f1_scores(trained[0].confidences(unseen.intensity, tth, unseen.sigma), unseen.labels).mean()
    assert after > before + 0.05, (before, after)


def test_card_says_whose_labels_and_what_they_changed(base: Bundle, trained: tuple[Bundle, Path]) -> None:
    bundle, folder = trained
    assert (bundle.name, bundle.version, bundle.card["owner"]) == ("ours", "3", "A. Sato")
    assert bundle.card["calibrated_on"] == "simulation and 140 labels of A. Sato, 5 samples"
    training, metrics = bundle.card["training"], bundle.card["metrics"]
    assert isinstance(training, dict)
    assert isinstance(metrics, dict)
    assert training["base"]["sha256"] == base.sha256
    assert sum(training["samples"].values()) == 140
    assert training["taught"] + training["decided_where_to_stop"] + training["measured"] == 140
    assert training["held_out_by"] == "sample"
    assert set(training["labels_per_class"]) == set(base.classes)
    for when in ("before", "after"):
        held_out = metrics[when]["labels"]
        assert held_out["labels"] == training["measured"]
        assert held_out["macro_f1_low"] <= held_out["macro_f1"] <= held_out["macro_f1_high"]
        assert metrics[when]["simulation"]["patterns"] == TINY.measured_replay
        for table in metrics[when].values():
            assert table["reliability"]["confidence"] == sorted(table["reliability"]["confidence"])
            assert len(table["reliability"]["frequency"]) == 10
    assert metrics["after"]["labels"]["macro_f1"] > metrics["before"]["labels"]["macro_f1"]
    assert [path.name for path in folder.parent.iterdir()] == ["ours"]


def test_simulation_is_not_forgotten(trained: tuple[Bundle, Path]) -> None:
    metrics = trained[0].card["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["after"]["simulation"]["macro_f1"] > metrics["before"]["simulation"]["macro_f1"] - 0.08
    assert metrics["after"]["simulation"]["ece"] < 0.03


def test_same_labels_same_weights(base: Bundle, tmp_path: Path) -> None:
    examples = shifted(24, 53)
    first = fine_tune(base, examples, tmp_path / "a", plan=TINY)
    second = fine_tune(base, examples, tmp_path / "b", plan=TINY)
    assert first.sha256 == second.sha256
    assert (tmp_path / "a/model.toml").read_bytes() == (tmp_path / "b/model.toml").read_bytes()
    assert first.name == base.name


def test_drift_is_told_against_what_was_learned(base: Bundle, tmp_path: Path) -> None:
    inputs, _ = simulated_inputs(simulate_replay, 600, 3, base)
    with torch.inference_mode():
        limits = fit_drift(base.network.hidden_layer(torch.from_numpy(inputs)).numpy())
    able = replace(base, drift_limits=limits, valid=replace(base.valid, threshold_kev=(4.0, 6.0)))
    examples = shifted(24, 53)
    tuned = fine_tune(able, examples, tmp_path / "a", plan=replace(TINY, calibration_replay=600))
    distance = tuned.drift(examples.intensity, base.axis.tth_deg, examples.sigma)
    assert np.nanmedian(distance) < 1
    assert tuned.valid.threshold_kev == (4.0, 6.0)
    assert dict(tuned.reference_lines) == dict(base.reference_lines)


def test_replay_of_another_task_is_refused(base: Bundle, tmp_path: Path) -> None:
    task = replace(BL16XU_TASK, classes=BL16XU_TASK.classes[:3], others=(), made_up=0)
    with pytest.raises(LabelError, match=r"3 classes on 10-40 deg .* bl16xu-rust has 9"):
        fine_tune(base, shifted(24, 53), tmp_path / "a", plan=TINY, simulate=replay_of(task))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("batch", [0, 5])
def test_cancelled_training_leaves_nothing(base: Bundle, tmp_path: Path, batch: int) -> None:
    asked = count()
    with pytest.raises(TrainingCancelledError):
        fine_tune(base, shifted(24, 53), tmp_path / "a", plan=TINY, cancelled=lambda: next(asked) >= batch)
    assert not list(tmp_path.iterdir())
    assert next(asked) <= batch + 2


def test_cancelled_at_the_last_moment_leaves_nothing(base: Bundle, tmp_path: Path) -> None:
    with pytest.raises(TrainingCancelledError):
        fine_tune(base, shifted(24, 53), tmp_path / "a", plan=TINY, cancelled=lambda: any(tmp_path.iterdir()))
    assert not list(tmp_path.iterdir())


def test_bundles_are_never_overwritten(base: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="exists already"):
        fine_tune(base, shifted(24, 53), tmp_path, plan=TINY)


def test_labels_of_another_axis_are_refused_in_one_line(base: Bundle, tmp_path: Path) -> None:
    examples = Examples(
        intensity=np.ones((9, 200), np.float32),
        sigma=np.ones((9, 200), np.float32),
        labels=np.ones((9, 9), np.float32),
        samples=np.full(9, "a"),
    )
    with pytest.raises(LabelError, match=r"200 bins and 9 classes, bl16xu-rust has 300 and 9") as caught:
        fine_tune(base, examples, tmp_path / "a")
    assert "\n" not in str(caught.value)
    with pytest.raises(LabelError, match="3 labels are too few"):
        fine_tune(base, shifted(3, 1), tmp_path / "a")


def test_arrays_that_do_not_fit_each_other_are_refused() -> None:
    ones = np.ones((4, 3), np.float32)
    with pytest.raises(LabelError, match="shapes"):
        Examples(intensity=ones, sigma=ones, labels=ones[:3], samples=np.full(4, "a"))


@pytest.mark.parametrize("number", [4, 5, 9, 81, 300])
def test_no_sample_both_teaches_and_measures(number: int) -> None:
    examples = shifted(number, 54)
    split = split_examples(examples)
    parts = (split.train, split.stop, split.test)
    assert sorted(np.concatenate(parts).tolist()) == list(range(number))
    assert all(len(part) for part in parts)
    assert split.by == "sample"
    assert not set(examples.samples[split.test]) & set(examples.samples[np.concatenate(parts[:2])])


def test_two_samples_are_split_by_point() -> None:
    examples = shifted(81, 54)
    two = replace(examples, samples=np.array(["a", "b"])[np.arange(81) % 2])
    split = split_examples(two)
    assert split.by == "point"
    assert abs(len(split.test) - 16) <= 2
    assert abs(len(split.stop) - 12) <= 2
    # every class that has four labels or more is taught and measured
    often = two.labels.sum(axis=0) >= 4
    assert two.labels[split.train][:, often].any(axis=0).all()
    assert two.labels[split.test][:, often].any(axis=0).all()
