"""The queue of points worth labelling: uncertain, diverse, each once."""

import numpy as np
import pytest

from phasecast_models.xrd.active_queue import entropy_bits, propose

NAMES = ("goethite", "magnetite", "ferrite")


def test_entropy_is_one_bit_at_a_half_and_none_when_sure() -> None:
    assert entropy_bits(np.array([[0.5, 0.0, 1.0]]))[0] == pytest.approx([1, 0, 0], abs=1e-9)


@pytest.fixture(scope="module")
def confidences() -> np.ndarray:
    """Three kinds of doubt of very different frequency among many sure points."""
    rng = np.random.default_rng(1)
    sure = np.where(rng.random((3000, 3)) < 0.3, 0.99, 0.01)
    often = np.column_stack([rng.uniform(0.4, 0.6, 200), np.full(200, 0.01), np.full(200, 0.01)])
    seldom = np.column_stack([np.full(10, 0.01), rng.uniform(0.4, 0.6, 10), np.full(10, 0.99)])
    once = np.array([[0.01, 0.01, 0.5]])
    return np.concatenate([sure, often, seldom, once])


def test_every_kind_of_doubt_is_proposed_with_its_reason(confidences: np.ndarray) -> None:
    proposals = propose(confidences, classes=NAMES, count=14)
    assert len(proposals) == len({proposal.row for proposal in proposals}) == 14
    assert all(proposal.row >= 3000 for proposal in proposals)
    assert {proposal.unsure_of[0] for proposal in proposals} == set(NAMES)
    assert 3210 in {proposal.row for proposal in proposals}
    first = proposals[0]
    assert first.confidence == pytest.approx(0.5, abs=0.01)
    bits = [proposal.entropy_bits for proposal in proposals]
    assert bits == sorted(bits, reverse=True)
    assert sum(proposal.stands_for for proposal in proposals) <= 14 * 15


def test_the_same_map_gives_the_same_queue(confidences: np.ndarray) -> None:
    assert propose(confidences, classes=NAMES) == propose(confidences, classes=NAMES)


def test_labelled_and_rejected_points_are_left_alone(confidences: np.ndarray) -> None:
    before = [proposal.row for proposal in propose(confidences, classes=NAMES)]
    spoiled = confidences.copy()
    spoiled[before[0]] = np.nan
    after = [proposal.row for proposal in propose(spoiled, classes=NAMES, labelled=before[1:])]
    assert len(after) == 20
    assert not set(after) & set(before)


def test_few_or_identical_points() -> None:
    same = np.full((5, 3), 0.4)
    assert [proposal.row for proposal in propose(same, classes=NAMES)] == [0, 1, 2, 3, 4]
    assert propose(same, classes=NAMES, labelled=range(5)) == []
    assert propose(same[:0], classes=NAMES) == []
    assert len(propose(same, np.zeros((5, 7)), classes=NAMES, count=2)) == 2
