"""A stage that is mounted turned or mirrored, and a sample that shows it."""

import itertools

import numpy as np
import pytest

from phasecast.simulate.errors import SimulationError
from phasecast.simulate.frames import FrameRenderer
from phasecast.simulate.materials import INDEX
from phasecast.simulate.sample import letter_cells, rust_sample
from phasecast.simulate.stage import StageAxes
from phasecast_models.xrd.axis import CLASSES

STAGES = [
    f"x={a}{axis},y={b}{'x' if axis == 'y' else 'y'}" for axis, a, b in itertools.product("xy", ("", "-"), ("", "-"))
]


def test_a_stage_with_exchanged_axes_and_a_sign_reads_what_its_text_says():
    stage = StageAxes.parse("x=-y,y=x")
    assert stage.motors_at(3.0, 5.0) == (-5.0, 3.0)


@pytest.mark.parametrize("text", STAGES)
def test_every_mounting_is_undone_by_its_inverse(text):
    stage = StageAxes.parse(text)
    assert stage.sample_at(*stage.motors_at(3.0, 5.0)) == (3.0, 5.0)


def test_eight_mountings_are_eight_different_ones():
    assert len({StageAxes.parse(text).motors_at(3.0, 5.0) for text in STAGES}) == 8


@pytest.mark.parametrize("text", ["", "x=x", "x=x,y=x", "x=+y,y=x", "x=z,y=y"])
def test_mountings_that_are_none_are_refused(text):
    with pytest.raises(SimulationError, match="--stage"):
        StageAxes.parse(text)


def test_the_letter_is_an_upright_f():
    drawn = [" ".join("#" if cell else "." for cell in row) for row in letter_cells((9, 7))[::-1]]
    assert drawn[2:7] == [". . # # # . .", ". . # . . . .", ". . # # . . .", ". . # . . . .", ". . # . . . ."]


def test_no_mirrored_or_turned_letter_is_the_letter():
    cells = letter_cells((9, 9))
    for turns, mirrored in itertools.product(range(4), (False, True)):
        other = np.rot90(cells[:, ::-1] if mirrored else cells, turns)
        assert np.array_equal(other, cells) == (turns == 0 and not mirrored)


def test_the_truth_holds_the_letter_and_nothing_else_of_the_sample_changes():
    shape = (18, 14)
    plain, marked = (rust_sample(shape, seed=2, letter=letter) for letter in (False, True))
    cells = letter_cells(shape)
    np.testing.assert_array_equal(plain.fractions[~cells], marked.fractions[~cells])
    assert (marked.fractions[cells][:, INDEX["quartz"]] >= 0.8).all()
    other = FrameRenderer(marked, seed=2).truth().labels[:, CLASSES.index("other")].reshape(shape)
    assert other[cells].all()
