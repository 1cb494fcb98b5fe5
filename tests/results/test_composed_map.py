"""Several results of one map read as one: the latest accepted counts, and the ledger stays whole."""

import numpy as np
import pytest

from phasecast.core.errors import ResultFileError
from phasecast.core.ledger import PointState
from phasecast.results import open_result
from phasecast.results.composed_map import open_map
from phasecast.results.map_identity import map_name_of
from phasecast.results.scene import scene_of
from support.documents import make_header, raster
from support.map_results import write_scan

DONE, SUPERSEDED = PointState.DONE, PointState.SUPERSEDED


def test_an_aborted_scan_and_its_continuation_are_one_complete_map(tmp_path):
    first = write_scan(tmp_path, "a", shape=(6, 5), done=17, exit_status="abort")
    second = write_scan(tmp_path, "b", shape=(4, 5), origin=(0, 4), started=600, class_index=3)
    with open_map([second, first]) as whole:
        assert whole.name == "A-3"
        assert whole.ledger_sums == {**dict.fromkeys([s.label for s in PointState], 0), "done": 30, "superseded": 20}
        assert not whole.missing.any()
        goethite, ferrite = whole.confidences.values[:, 1], whole.confidences.values[:, 3]
        picture = np.stack([whole.map_of(values).values for values in (goethite, ferrite)])
        assert picture.shape == (2, 6, 5)
        np.testing.assert_allclose(picture[0, :2], 0.9)
        np.testing.assert_allclose(picture[1, 2:], 0.9)
        np.testing.assert_allclose(whole.map_of(goethite).y_um, np.arange(6) * 2.0)
        assert whole.reason_of(12) == "measured again: point 2 of b"


def test_what_a_later_scan_could_not_accept_does_not_replace_what_was_accepted(tmp_path):
    first = write_scan(tmp_path, "a", bad=(3,))
    second = write_scan(tmp_path, "b", started=60, bad=(3, 7), doubtful=(8,), class_index=3)
    with open_map([first, second]) as whole:
        state = whole.ledger["state"].values.reshape(2, 20)
        assert state[0, 7] == state[0, 8] == DONE
        assert state[1, 7] == state[1, 8] == SUPERSEDED
        assert whole.reason_of(20 + 7) == "measured before and accepted: point 7 of a"
        # nobody ever got a frame of point 3: one of the two stands for the missing place
        assert [state[0, 3], state[1, 3]] == [SUPERSEDED, PointState.LOST_UPSTREAM]
        assert np.flatnonzero(whole.missing).tolist() == [23]
        assert sum(whole.ledger_sums.values()) == whole.points == 40


def test_two_tiles_lie_side_by_side(tmp_path):
    left = write_scan(tmp_path, "a", shape=(4, 3))
    right = write_scan(tmp_path, "b", shape=(4, 5), origin=(6, 0), started=60, class_index=3)
    with open_map([left, right]) as whole:
        assert whole.placement is not None
        ferrite = whole.map_of(whole.confidences.values[:, 3]).values >= 0.5
        np.testing.assert_array_equal(ferrite, np.broadcast_to(np.arange(8) >= 3, (4, 8)))


def test_a_fine_scan_lies_on_top_of_a_coarse_one(tmp_path):
    coarse = write_scan(tmp_path, "a", shape=(5, 5), step=4.0)
    fine = write_scan(tmp_path, "b", shape=(4, 4), step=1.0, origin=(6.5, 6.5), started=60, class_index=3)
    with open_map([coarse, fine]) as whole:
        scene = scene_of(whole)
        assert scene.placement is None
        assert (scene.size_of(0), scene.size_of(25)) == ((4.0, 4.0), (1.0, 1.0))
        hidden = np.flatnonzero(whole.ledger["state"].values == SUPERSEDED)
        assert [tuple(whole.places_um[row]) for row in hidden] == [(8.0, 8.0)]
        assert not whole.has_one_step


def test_a_coarse_cell_that_still_shows_beside_a_fine_scan_counts(tmp_path):
    coarse = write_scan(tmp_path, "a", shape=(8, 9), step=4.0)
    fine = write_scan(tmp_path, "b", shape=(8, 8), step=1.0, origin=(8.5, 8.5), started=60, class_index=3)
    with open_map([coarse, fine]) as whole:
        hidden = np.flatnonzero(whole.ledger["state"].values == SUPERSEDED)
        # the fine scan reaches from 8 to 16: of the coarse cells only the one from 10 to 14 is covered
        assert [tuple(whole.places_um[row]) for row in hidden] == [(12.0, 12.0)]


def test_a_coarse_scan_that_came_later_replaces_the_fine_one_below_it(tmp_path):
    fine = write_scan(tmp_path, "a", shape=(4, 4), step=1.0, origin=(6.5, 6.5))
    coarse = write_scan(tmp_path, "b", shape=(5, 5), step=4.0, started=60)
    with open_map([fine, coarse]) as whole:
        assert whole.ledger_sums["superseded"] == 16


def test_a_raster_that_lies_half_a_cell_beside_another_covers_it(tmp_path):
    first = write_scan(tmp_path, "a", shape=(6, 5), done=10)
    second = write_scan(tmp_path, "b", shape=(6, 5), origin=(1, 0), started=60)
    with open_map([first, second]) as whole:
        assert not whole.missing.any()
        assert whole.points_done == 30


def test_an_offset_is_applied_only_where_somebody_asks(tmp_path):
    first = write_scan(tmp_path, "a", shape=(4, 5))
    second = write_scan(tmp_path, "b", shape=(4, 5), origin=(0, 8), started=60)
    with open_map([first, second]) as plain, open_map([first, second], offsets_um={"raw-b": (2.0, 0.0)}) as moved:
        np.testing.assert_allclose(moved.ledger["x_um"].values[:20], plain.ledger["x_um"].values[:20])
        np.testing.assert_allclose(moved.ledger["x_um"].values[20:], plain.ledger["x_um"].values[20:] + 2)


def test_patterns_of_both_scans_are_read_where_they_count(tmp_path):
    first, second = write_scan(tmp_path, "a"), write_scan(tmp_path, "b", started=60, shape=(2, 5), origin=(0, 8))
    with open_map([first, second]) as whole, open_result(first) as one, open_result(second) as other:
        both = np.concatenate([one.patterns.values, other.patterns.values])
        np.testing.assert_array_equal(whole.patterns.values, both)
        np.testing.assert_array_equal(whole.patterns.variable[22].values, both[22])
        np.testing.assert_array_equal(whole.patterns.values[15:25:3], both[15:25:3])
        assert whole.frame_reference(21) == other.frame_reference(1)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"metadata": {"map": "B-1"}}, "belongs to the map B-1, not to A-3"),
        ({"metadata": {"map": {"name": "A-3", "frame": "remounted"}}}, "A-3 / remounted, not to A-3"),
        ({"classified": False}, "not the same classes"),
        ({"bins": 30}, "not the same 2theta axis"),
        ({"profile": {}}, "not made of the same motors"),
        ({"raw_uid": "raw-a"}, "the same scan twice"),
    ],
)
def test_what_is_no_part_of_the_map_is_refused_by_name(tmp_path, changes, what):
    first, second = write_scan(tmp_path, "a"), write_scan(tmp_path, "b", **changes)
    with pytest.raises(ResultFileError, match=what) as refused:
        open_map([first, second])
    assert refused.value.where.endswith("b.nxs")
    assert refused.value.remedy


def test_a_name_that_somebody_gives_makes_one_map_of_two(tmp_path):
    first, second = write_scan(tmp_path, "a"), write_scan(tmp_path, "b", metadata={"sample": {"name": "B-1"}})
    with open_map([first, second], name="both") as whole:
        assert whole.name == "both"


def test_points_that_were_never_reached_have_their_planned_place(tmp_path):
    extents = {"map": "A-3", "extents": [[0.0, 10.0], [0.0, 8.0]]}
    path = write_scan(tmp_path, "a", shape=(6, 5), done=3, metadata=extents)
    other = write_scan(tmp_path, "b", shape=(1, 5), origin=(40, 40), started=60)
    with open_map([path, other]) as whole:
        expected = np.column_stack(raster((6, 5))) - (100, 50)
        np.testing.assert_allclose(whole.places_um[:30], expected)


def test_reading_together_writes_nothing(tmp_path):
    paths = [write_scan(tmp_path, "a"), write_scan(tmp_path, "b", started=60)]
    before = [path.read_bytes() for path in paths]
    with open_map(paths) as whole:
        whole.patterns.load()
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"map": "A-3", "sample": "B"}, "A-3"),
        ({"map": {"name": " A-3 ", "frame": "remounted"}}, "A-3"),
        ({"sample": {"name": "B"}}, "B"),
        ({"sample": "B", "sample_form": {"fields": {"name": "C"}}}, "C"),
        ({"sample_name": "B", "sample_from_folder": {"fields": {"name": "D"}}}, "B"),
        ({"sample_from_folder": {"fields": {"name": "D"}}}, "D"),
        ({"map": 7, "sample": ["x"]}, ""),
    ],
)
def test_a_scan_belongs_to_the_map_that_it_names_else_to_that_of_its_sample(metadata, name):
    assert map_name_of(make_header(metadata=metadata)) == name
