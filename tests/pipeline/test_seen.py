"""What came already is remembered exactly, however compactly."""

import random

import pytest

from phasecast.pipeline.seen import RangeSet, SeenFrames


@pytest.mark.parametrize("seed", range(5))
def test_range_set_agrees_with_a_set(seed):
    rng = random.Random(seed)
    ranges, numbers = RangeSet(), set()
    for _ in range(2000):
        number = rng.randrange(500)
        assert ranges.add(number) == (number not in numbers)
        numbers.add(number)
        assert len(ranges) == len(numbers)
        probe = rng.randrange(-2, 503)
        assert (probe in ranges) == (probe in numbers)


def test_numbers_far_apart_are_kept_apart():
    ranges = RangeSet()
    assert ranges.add(2**63)
    assert ranges.add(0)
    assert 2**62 not in ranges
    assert 2**63 in ranges
    assert not ranges.add(0)


def test_frames_are_known_by_identity_whatever_their_name():
    seen = SeenFrames()
    assert seen.add("1/7", "1", 7)
    assert seen.add("2/7", "2", 7)
    assert not seen.add("1/7", "1", 7)
    assert seen.add("rust_00007.cbf", "rust", 7)
    assert seen.add("rust_7.cbf", "rust", 7)
    assert not seen.add("rust_00007.cbf", "rust", 7)
