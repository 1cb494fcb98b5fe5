"""Faults as the command line orders them."""

import pytest

from phasecast.simulate.errors import SimulationError
from phasecast.simulate.faults import Faults, parse_faults


def test_faults_are_read_from_words():
    words = "drop=5,9 double=2 lose=3 pause=7 pause-s=0.1 lead-in=3 lead-in-rows=1 truncate=4 flip=6"
    words += " wrong-shape=8 no-stop second-start=10 dump=11-13"
    faults = parse_faults(words.split())
    assert faults == Faults(
        drop_triggers=(5, 9),
        double_triggers=(2,),
        lose_frames=(3,),
        pauses=(7,),
        pause_s=0.1,
        lead_in_frames=3,
        lead_in_rows=1,
        truncated_frames=(4,),
        flipped_frames=(6,),
        wrong_shape_frames=(8,),
        no_stop=True,
        second_start_at=10,
        beam_dump=(11, 13),
    )
    assert [faults.defect_of(point) for point in (4, 6, 8, 9)] == ["truncated", "flipped", "wrong_shape", ""]
    assert [faults.is_dark(point) for point in (10, 11, 13, 14)] == [False, True, True, False]


@pytest.mark.parametrize("word", ["explode=3", "drop=x", "drop", "dump=5", "no-stop=1"])
def test_words_that_mean_nothing_are_refused(word):
    with pytest.raises(SimulationError, match="--faults"):
        parse_faults([word])


def test_the_names_of_the_fields_work_too():
    assert parse_faults(["drop_triggers=7,9", "no_stop=true"]) == parse_faults(["drop=7,9", "no-stop"])
