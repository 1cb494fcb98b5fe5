"""The virtual sample: layered as rust is, known exactly, the same for the same seed."""

import numpy as np
import pytest

from phasecast.simulate.materials import INDEX, NAMES
from phasecast.simulate.sample import rust_sample


def _mean_height(sample, name):
    weight = sample.fractions[..., INDEX[name]]
    return float((weight.sum(axis=1) * sample.y_um).sum() / weight.sum())


@pytest.mark.parametrize("seed", range(6))
def test_layers_lie_in_the_order_of_rust(seed):
    sample = rust_sample((40, 50), seed=seed)
    heights = [_mean_height(sample, name) for name in ("ferrite", "magnetite", "goethite", "lepidocrocite", "resin")]
    assert heights == sorted(heights)
    assert np.diff(heights).min() > 2.0


def test_spinel_is_mixed_with_goethite_near_the_metal():
    sample = rust_sample((60, 60), seed=2)
    spinel = sample.fractions[..., INDEX["magnetite"]]
    goethite = sample.fractions[..., INDEX["goethite"]]
    assert (goethite[spinel > 0.3] > 0.02).mean() > 0.5


def test_every_material_is_somewhere_and_fractions_sum_to_one():
    sample = rust_sample((40, 60), seed=3)
    np.testing.assert_allclose(sample.fractions.sum(axis=2), 1.0, rtol=1e-12)
    assert {name for name in NAMES if sample.fractions[..., INDEX[name]].max() > 0.3} == set(NAMES)


def test_the_same_seed_draws_the_same_sample():
    first, again, other = (rust_sample((12, 15), seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.fractions, again.fractions)
    np.testing.assert_array_equal(first.thickness_um, again.thickness_um)
    assert not np.array_equal(first.fractions, other.fractions)


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (2, 30)])
def test_small_maps_work_too(shape):
    sample = rust_sample(shape)
    assert sample.shape == shape
    assert np.isfinite(sample.thickness_um).all()
    assert sample.thickness_um.min() > 0


def test_positions_find_their_cell():
    sample = rust_sample((5, 6), step_um=2.0)
    assert sample.cell_at(4.3, 7.8) == (4, 2)
    assert sample.cell_at(-50, 500) == (4, 0)


@pytest.mark.parametrize(("shape", "step_um"), [((0, 4), 2.0), ((4, 4), 0.0)])
def test_impossible_maps_are_refused(shape, step_um):
    with pytest.raises(ValueError, match="must be positive"):
        rust_sample(shape, step_um=step_um)
