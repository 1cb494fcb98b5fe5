"""The second pass helps where it should, and depends on a point's surroundings alone."""

import numpy as np
import pytest

from phasecast_models.xrd.axis import CLASSES
from phasecast_models.xrd.fit_spatial import fit_spatial
from phasecast_models.xrd.simulated_maps import SimulatedMap, simulated_map
from phasecast_models.xrd.spatial import SpatialError, SpatialPass, neighbour_logits, surroundings

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
