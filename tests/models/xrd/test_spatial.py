"""The second pass helps where it should, and depends on a point's surroundings alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from phasecast_models.xrd.axis import CLASSES
from phasecast_models.xrd.bundle import Bundle, load_bundle
from phasecast_models.xrd.examples import Examples
from phasecast_models.xrd.fine_tuning import FineTunePlan, TrainingCancelledError, fine_tune
from phasecast_models.xrd.fit_spatial import fit_spatial, with_spatial
from phasecast_models.xrd.patterns import simulate_patterns
from phasecast_models.xrd.simulated_maps import SimulatedMap, simulated_map
from phasecast_models.xrd.spatial import (
    AROUND,
    SpatialError,
    SpatialPass,
    neighbour_logits,
    surroundings,
    take_spatial,
)

SHAPE = (28, 24)


def _noisy_logits(section: SimulatedMap) -> np.ndarray:
    """A first pass that is right on average: logits of what is visible, with noise and calibrated to it."""
    rng = np.random.default_rng(int(section.intensity[:, 100].sum()) % 2**31)
    sign = 2 * section.labels_visible.reshape(*section.shape, -1) - 1
    return 2.0 * sign + rng.normal(0, 2.0, sign.shape)


def _loss(logits: np.ndarray, section: SimulatedMap) -> float:
    truth = section.labels_visible.reshape(*section.shape, -1)
    return float(np.mean(np.logaddexp(0, logits) - truth * logits))


@pytest.fixture(scope="module")
def fitted() -> SpatialPass:
    maps = [simulated_map(*SHAPE, seed=seed, hidden=False) for seed in range(4)]
    return fit_spatial(maps, _noisy_logits, seed=1)


@pytest.fixture(scope="module")
def unseen() -> SimulatedMap:
    return simulated_map(*SHAPE, seed=2)


def test_neighbours_help_on_a_map_of_the_hidden_domain(fitted: SpatialPass, unseen: SimulatedMap) -> None:
    logits = _noisy_logits(unseen)
    scored = fitted.apply(logits)
    assert fitted.parameters < 500
    assert _loss(scored, unseen) < 0.7 * _loss(logits, unseen)
    truth = unseen.labels_visible.reshape(*SHAPE, -1) > 0
    iron = [CLASSES.index("ferrite"), CLASSES.index("peakless_iron")]
    assert ((scored > 0) == truth)[..., iron].mean() > ((logits > 0) == truth)[..., iron].mean() + 0.02


def test_a_point_depends_on_its_surroundings_alone(fitted: SpatialPass, unseen: SimulatedMap) -> None:
    logits = _noisy_logits(unseen)
    whole = fitted.apply(logits)
    part = fitted.apply(logits[4:13, 5:16])
    assert part[1:-1, 1:-1].tobytes() == whole[5:12, 6:15].tobytes()
    # Points that have yet to come change nothing but their neighbours, in whatever order they come.
    rng = np.random.default_rng(3)
    arrived = np.full_like(logits, np.nan)
    for flat in rng.permutation(SHAPE[0] * SHAPE[1]):
        row, column = divmod(int(flat), SHAPE[1])
        arrived[row, column] = logits[row, column]
        if flat % 97 == 0:
            interim = fitted.apply(arrived)
            assert np.array_equal(np.isnan(interim).any(axis=2), np.isnan(arrived).any(axis=2))
    assert fitted.apply(arrived).tobytes() == whole.tobytes()


def test_missing_points_stay_missing_and_are_no_neighbours(fitted: SpatialPass, unseen: SimulatedMap) -> None:
    logits = _noisy_logits(unseen)
    alone = np.full_like(logits, np.nan)
    alone[5, 5] = logits[5, 5]
    scored = fitted.apply(alone)
    assert np.isfinite(scored[5, 5]).all()
    assert np.isnan(scored).sum() == scored.size - len(CLASSES)
    single = neighbour_logits(logits[5:6, 5:6], fitted)
    assert single.tobytes() == scored[5:6, 5:6].tobytes()


def test_edges_of_composition_stop_neighbours() -> None:
    logits = np.full((3, 4, len(CLASSES)), -8.0)
    logits[:, :2, CLASSES.index("ferrite")] = 8
    logits[:, 2:, CLASSES.index("resin")] = 8
    inputs, measured = surroundings(logits, 2.0)
    assert measured.all()
    effective = inputs[:, -1].reshape(3, 4) * 8
    # Five neighbours of the same kind and three across the edge, two groups apart.
    assert effective[1, 1] == pytest.approx(5 + 3 * np.exp(-2 * 2), rel=1e-2)
    assert effective[0, 0] == pytest.approx(3, rel=1e-6)


def test_learning_is_repeatable() -> None:
    maps = [simulated_map(10, 12, seed=seed, hidden=False) for seed in range(2)]
    first, second = (fit_spatial(maps, _noisy_logits, seed=5, epochs=2) for _ in range(2))
    assert first.first.tobytes() == second.first.tobytes()
    assert first.second.tobytes() == second.second.tobytes()


def test_what_is_no_map_is_refused(fitted: SpatialPass) -> None:
    with pytest.raises(SpatialError, match="expected"):
        fitted.apply(np.zeros((5, len(CLASSES))))
    with pytest.raises(SpatialError, match="two maps"):
        fit_spatial([simulated_map(4, 4, seed=1, hidden=False)], _noisy_logits, seed=1)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    base = load_bundle("bl16xu-rust")
    return base, with_spatial(base, tmp_path_factory.mktemp("models") / "neighbours", maps=2)


def test_a_bundle_carries_its_second_pass(bundles: tuple[Bundle, Bundle], unseen: SimulatedMap) -> None:
    base, made = bundles
    assert made.sha256 != base.sha256
    counts = unseen.intensity[:40]
    first = [bundle.confidences(counts, base.axis.tth_deg, unseen.sigma[:40]) for bundle in bundles]
    assert first[0].tobytes() == first[1].tobytes(), "what a point says by itself stays"
    assert made.drift_limits is not None or base.drift_limits is None
    section = first[0].reshape(5, 8, -1)
    section[2, 3] = np.nan
    again = made.second_pass(section)
    assert again is not None
    assert np.isnan(again[2, 3]).all()
    assert np.isfinite(np.delete(again.reshape(40, -1), 2 * 8 + 3, axis=0)).all()
    # point by point, as a growing map asks, with the same bits
    assert made.neighbours is not None
    around = np.full((8, len(CLASSES)), np.nan, np.float32)
    for number, (down, right) in enumerate(AROUND):
        if 0 <= 1 + down < 5 and 0 <= right < 8:
            around[number] = section[1 + down, right]
    single = made.neighbours.confidences(section[1, 0][None], around[None])
    assert single[0].tobytes() == again[1, 0].tobytes()


def test_its_card_says_what_it_was_fitted_on(bundles: tuple[Bundle, Bundle]) -> None:
    base, made = bundles
    table = made.card["neighbours"]
    assert isinstance(table, dict)
    assert table["fitted_on"].startswith("2 simulated maps of the training side")
    assert table["points"] == 2 * 32 * 32
    assert 0 < table["macro_f1_alone"] < 1
    kept = ("name", "version", "metrics", "training", "calibrated_on", "classes", "axis", "calibration")
    assert {key: made.card[key] for key in kept} == {key: base.card[key] for key in kept}


def test_bundles_without_a_second_pass_say_so(bundles: tuple[Bundle, Bundle], tmp_path: Path) -> None:
    base, made = bundles
    alone = replace(base, neighbours=None)
    assert alone.second_pass(np.full((2, 2, len(CLASSES)), 0.5, np.float32)) is None
    with pytest.raises(SpatialError, match="maps are simulated for the shipped classes"):
        with_spatial(replace(made, classes=("magnetite", *CLASSES[2:], "resin")), tmp_path / "none")
    assert made.neighbours is not None
    tensors = made.neighbours.tensors()
    del tensors["neighbours.edge"]
    with pytest.raises(ValueError, match="only first"):
        take_spatial(tensors)


def test_what_learns_from_labels_learns_its_own_second_pass_or_says_why_it_has_none(
    bundles: tuple[Bundle, Bundle], unseen: SimulatedMap, tmp_path: Path
) -> None:
    simulated = simulate_patterns(24, seed=5)
    intensity, sigma = simulated.draw(np.random.default_rng(5))
    examples = Examples(
        intensity=intensity, sigma=sigma, labels=simulated.labels, samples=np.array([f"s{k % 4}" for k in range(24)])
    )
    plan = FineTunePlan(replay=64, epochs=1, calibration_replay=128, measured_replay=128, maps=2)
    told: list[str] = []
    learned = fine_tune(bundles[1], examples, tmp_path / "ours", plan=plan, owner="A. Sato", progress=told.append)
    alone = fine_tune(bundles[1], examples, tmp_path / "alone", plan=replace(plan, maps=0))
    assert alone.neighbours is None
    table = alone.card["neighbours"]
    assert isinstance(table, dict)
    assert table["none"].startswith("dropped")
    # what a point says by itself is the same, and so is all that the card says of the labels
    first = [made.confidences(unseen.intensity, made.axis.tth_deg, unseen.sigma) for made in (learned, alone)]
    assert first[0].tobytes() == first[1].tobytes()
    assert learned.card["owner"] == "A. Sato"
    assert learned.card["metrics"] == alone.card["metrics"]
    table = learned.card["neighbours"]
    assert isinstance(table, dict)
    assert table["maps"] == 2
    assert any("with neighbours" in line for line in told)
    # its own: learned from what it says of a point, which is not what the base says
    assert learned.neighbours is not None
    assert bundles[1].neighbours is not None
    assert learned.neighbours.first.tobytes() != bundles[1].neighbours.first.tobytes()
    assert learned.second_pass(first[0].reshape(*unseen.shape, -1)) is not None

    # stopped while it learns from maps: the bundle of points is whole by then, and yet nothing is left
    def stopped() -> bool:
        return any("simulated maps" in line for line in told)

    told.clear()
    with pytest.raises(TrainingCancelledError):
        fine_tune(bundles[1], examples, tmp_path / "never", plan=plan, progress=told.append, cancelled=stopped)
    assert "simulated maps" in told[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "ours"]
