"""Offsets of a part of a map are found within their stated uncertainty, and not told where nothing tells them."""

import numpy as np
import pytest

from phasecast.results.registration import Seen, estimate_offset, neighbourhood
from phasecast.simulate.sample import rust_sample

STEP = (2.0, 2.0)


def scan(sample, rng, *, rows, columns=36, origin=(0.0, 0.0), offset=(0.0, 0.0)):
    """A snaking scan of a sample that is known every micrometre; the beam is `offset` beside where the stage says."""
    i, j = np.divmod(np.arange(rows * columns), columns)
    j = np.where(i % 2, columns - 1 - j, j)
    places = np.column_stack([origin[0] + 2 * j, origin[1] + 2 * i])
    cells = [sample.cell_at(x + offset[0], y + offset[1]) for x, y in places]
    fractions = np.array([sample.fractions[cell] for cell in cells])
    return Seen(places_um=places, values=fractions + 0.03 * rng.standard_normal(fractions.shape))


def part(seen, first, last):
    return Seen(places_um=seen.places_um[first:last], values=seen.values[first:last])


def pulls(offset, true):
    pairs = ((offset.x_um, offset.x_sigma_um, true[0]), (offset.y_um, offset.y_sigma_um, true[1]))
    return [(value - wanted) / sigma for value, sigma, wanted in pairs if value is not None]


def test_the_offset_of_an_overlapping_continuation_is_found_within_its_uncertainty():
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        sample = rust_sample((64, 80), step_um=1.0, seed=seed)
        true = (float(rng.integers(-3, 4)), float(rng.integers(-2, 2)))
        before = part(scan(sample, rng, rows=20), 0, 15 * 36)
        after = scan(sample, rng, rows=12, origin=(0.0, 22.0), offset=true)
        offset = estimate_offset(before, after, STEP)
        assert offset.how == "overlap"
        found += pulls(offset, true)
    assert len(found) >= 12
    assert np.sqrt(np.mean(np.square(found))) < 1.2
    assert np.abs(found).max() < 3


def test_a_break_in_mid_row_tells_the_shift_along_the_row_or_nothing_but_nothing_wrong():
    found, told_across = [], 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        sample = rust_sample((64, 170), step_um=1.0, seed=seed)
        true = (float(rng.integers(-3, 4)), 0.0)
        before = part(scan(sample, rng, rows=24, columns=80), 0, 12 * 80 + 40)
        after = part(scan(sample, rng, rows=24, columns=80, offset=true), 12 * 80 + 40, None)
        offset = estimate_offset(before, after, STEP)
        told_across += offset.y_um is not None
        found += pulls(offset, true)
    assert told_across == 0
    assert len(found) >= 3
    assert np.abs(found).max() < 3


@pytest.mark.parametrize("values", [np.zeros((100, 3)), np.random.default_rng(1).standard_normal((100, 3))])
def test_a_sample_without_anything_to_see_tells_no_offset(values):
    i, j = np.divmod(np.arange(100), 10)
    seen = Seen(places_um=np.column_stack([2.0 * j, 2.0 * i]), values=values)
    other = Seen(places_um=seen.places_um, values=values[::-1].copy())
    assert estimate_offset(seen, other, STEP).how == "none"


def test_parts_that_lie_far_from_each_other_tell_no_offset():
    rng = np.random.default_rng(0)
    sample = rust_sample((64, 80), step_um=1.0)
    before, after = scan(sample, rng, rows=5), scan(sample, rng, rows=5, origin=(0.0, 500.0))
    assert estimate_offset(before, after, STEP).how == "none"
    assert [rows.size for rows in neighbourhood(before.places_um, after.places_um, STEP)] == [0, 0]
