"""The blind check: what a person says of few points tells of the whole map, and says how well."""

import numpy as np
import pytest

from phasecast_models.xrd.blind_check import NOTHING, blind_draw, blind_scores

NAMES = ("often", "seldom", "rare")


def a_map(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What the model says and what is true of 7,000 points: classes of 30, 5 and 1 %."""
    rng = np.random.default_rng(seed)
    seen = rng.random((7000, 3)) < [0.3, 0.05, 0.01]
    said = np.where(seen, rng.random((7000, 3)) < [0.95, 0.85, 0.7], rng.random((7000, 3)) < [0.03, 0.01, 0.002])
    return said.astype(float), seen


def test_rare_classes_and_nothing_are_drawn_too() -> None:
    said, _ = a_map(0)
    draw = blind_draw(said, count=44, seed=1)
    assert len(set(draw.rows.tolist())) == 44
    names, counts = np.unique(draw.stratum, return_counts=True)
    assert names.tolist() == [NOTHING, 0, 1, 2]
    assert counts.tolist() == [11, 11, 11, 11]
    assert draw.weight.sum() == pytest.approx(7000)
    assert not np.array_equal(draw.stratum, np.sort(draw.stratum))
    again = blind_draw(said, count=44, seed=1)
    assert np.array_equal(draw.rows, again.rows)
    assert not np.array_equal(draw.rows, blind_draw(said, count=44, seed=2).rows)


def test_labelled_and_rejected_points_are_never_drawn() -> None:
    said, _ = a_map(0)
    said[:100] = np.nan
    labelled = np.arange(100, 6990)
    draw = blind_draw(said, count=60, seed=1, labelled=labelled)
    assert sorted(draw.rows.tolist()) == list(range(6990, 7000))
    assert draw.weight == pytest.approx(np.ones(10))
    assert len(blind_draw(said, seed=1, labelled=range(7000)).rows) == 0


def test_weights_undo_the_draw_and_intervals_hold_the_truth() -> None:
    precision, recall, found, true_found = [], [], [], []
    for seed in range(150):
        said, seen = a_map(seed)
        draw = blind_draw(said, count=60, seed=seed)
        answers = seen[draw.rows]
        score = blind_scores(said[draw.rows], answers, classes=NAMES, stratum=draw.stratum, weight=draw.weight)[1]
        hits = ((said[:, 1] > 0.5) & seen[:, 1]).sum()
        precision.append(score.precision_low <= hits / said[:, 1].sum() <= score.precision_high)
        recall.append(score.recall_low <= hits / seen[:, 1].sum() <= score.recall_high)
        found.append(draw.weight @ answers)
        true_found.append(seen.sum(axis=0))
    assert np.mean(precision) > 0.9
    assert np.mean(recall) > 0.85
    # as many points of each class as the map really holds, on average
    assert np.mean(found, axis=0) == pytest.approx(np.mean(true_found, axis=0), rel=0.15)


def test_ten_clean_points_do_not_clear_nine_thousand() -> None:
    said = np.zeros((20, 1))
    said[:10] = 1
    stratum = np.repeat([0, NOTHING], 10)
    weight = np.repeat([10.0, 900.0], 10)
    (score,) = blind_scores(said, said, classes=("rare",), stratum=stratum, weight=weight)
    assert score.recall == score.recall_high == 1
    assert score.recall_low < 0.3
    assert score.precision == 1
    assert score.precision_low == pytest.approx(0.722, abs=0.001)


def test_a_stratum_drawn_whole_leaves_no_doubt_of_recall() -> None:
    said = np.array([[1.0], [1.0], [0.0], [0.0]])
    (score,) = blind_scores(said, np.array([[1], [0], [1], [0]]), classes=("a",))
    assert (score.recall, score.recall_low, score.recall_high) == (0.5, 0.5, 0.5)


def test_actively_chosen_points_do_not_count() -> None:
    said, seen = np.array([[1.0], [1.0], [1.0]]), np.array([[1], [1], [0]])
    chosen = np.array([False, False, True])
    (score,) = blind_scores(said, seen, classes=("a",), actively_chosen=chosen)
    assert score.precision == 1
    assert score.said == 2


def test_points_that_cannot_be_told_are_neither_right_nor_wrong() -> None:
    said = np.array([[1.0], [1.0], [1.0], [0.0], [0.0]])
    seen = np.array([[1], [0], [0], [1], [0]])
    untold = np.array([False, False, True, False, True])
    strata, weight = np.array([0, 0, 0, NOTHING, NOTHING]), np.array([3.0, 3, 3, 50, 50])
    (score,) = blind_scores(said, seen, classes=("a",), stratum=strata, weight=weight, untold=untold)
    (told,) = blind_scores(
        said[~untold], seen[~untold], classes=("a",), stratum=strata[~untold], weight=weight[~untold]
    )
    assert (score.said, score.seen, score.untold) == (2, 2, 1)
    assert (score.precision, score.recall) == (told.precision, told.recall) == (0.5, pytest.approx(3 / 53))
    assert (score.precision_low, score.precision_high) == (told.precision_low, told.precision_high)
    # what is written where nothing could be told does not matter
    (again,) = blind_scores(said, seen | untold[:, None], classes=("a",), stratum=strata, weight=weight, untold=untold)
    assert again == score


def test_not_telling_does_not_clear_the_points_where_the_model_says_nothing() -> None:
    said = np.zeros((20, 1))
    said[:10] = 1
    stratum, weight = np.repeat([0, NOTHING], 10), np.repeat([10.0, 900.0], 10)
    untold = stratum == NOTHING
    (silent,) = blind_scores(said, said, classes=("rare",), stratum=stratum, weight=weight, untold=untold)
    (clean,) = blind_scores(said, said, classes=("rare",), stratum=stratum, weight=weight)
    assert silent.recall == silent.recall_high == 1
    assert silent.recall_low <= clean.recall_low + 0.02
    (nothing,) = blind_scores(said, said, classes=("rare",), untold=np.ones(20, bool))
    assert np.isnan([nothing.precision, nothing.recall]).all()
    assert (nothing.said, nothing.seen, nothing.untold) == (0, 0, 10)


def test_figures_of_a_map_of_which_a_third_cannot_be_told_speak_of_the_rest() -> None:
    precision, recall = [], []
    for seed in range(150):
        said, seen = a_map(seed)
        # the hard points are those where the model errs more often
        wrong = (said[:, 1] > 0.5) != seen[:, 1]
        untold = np.random.default_rng(seed).random(7000) < np.where(wrong, 0.6, 0.3)
        draw = blind_draw(said, count=60, seed=seed)
        score = blind_scores(
            said[draw.rows], seen[draw.rows], classes=NAMES, stratum=draw.stratum, weight=draw.weight,
            untold=untold[draw.rows],
        )[1]  # fmt: skip
        model, person = said[~untold, 1] > 0.5, seen[~untold, 1]
        precision.append(score.precision_low <= (model & person).sum() / model.sum() <= score.precision_high)
        recall.append(score.recall_low <= (model & person).sum() / person.sum() <= score.recall_high)
    assert np.mean(precision) > 0.9
    assert np.mean(recall) > 0.85


def test_without_a_case_nothing_is_claimed() -> None:
    (score,) = blind_scores(np.zeros((3, 1)), np.zeros((3, 1)), classes=("a",))
    assert np.isnan([score.precision, score.recall]).all()
    assert (score.precision_low, score.precision_high, score.recall_low, score.recall_high) == (0, 1, 0, 1)
