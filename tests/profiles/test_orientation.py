"""From motors to the sample and back: unit, sign, exchanged axes, and the side from which one looks."""

import math

import pytest
from pydantic import ValidationError

from phasecast.profiles import load_profile
from phasecast.profiles.orientation import StageFrame
from phasecast.profiles.scanning import FrameFiles, HeaderAxis, Positions
from phasecast.services.placing import place_by


def frame(**changes):
    given = {
        "horizontal": {"field": "pulse_z", "factor_to_um": 0.05, "sign": -1},
        "vertical": {"field": "stage_x", "factor_to_um": 1000.0},
    }
    return StageFrame.of(Positions.model_validate(given | changes))


def test_unit_sign_and_exchanged_axes_follow_the_profile():
    assert frame().to_sample({"pulse_z": 200, "stage_x": 0.25}) == (-10.0, 250.0)


def test_who_looks_upstream_sees_left_and_right_exchanged_and_the_same_up():
    assert frame(view="upstream").to_sample({"pulse_z": 200, "stage_x": 0.25}) == (10.0, 250.0)


@pytest.mark.parametrize("view", ["beam", "upstream"])
def test_readings_of_a_place_lead_back_to_it(view):
    way = frame(view=view)
    assert way.to_sample(way.to_stage(12.5, -3.0)) == pytest.approx((12.5, -3.0))


def test_a_motor_that_is_missing_leaves_its_axis_unknown():
    x, y = frame().to_sample({"stage_x": 0.25})
    assert math.isnan(x)
    assert y == 250.0


def test_another_view_is_refused():
    with pytest.raises(ValidationError, match="view"):
        frame(view="behind")


@pytest.mark.parametrize(("view", "x_um"), [("beam", -7.0), ("upstream", 7.0)])
def test_positions_in_frame_headers_can_be_meant_from_upstream_too(view, x_um):
    files = FrameFiles(
        position_from="header",
        header_horizontal=HeaderAxis(field="Map_horizontal", sign=-1),
        header_vertical=HeaderAxis(field="Map_vertical"),
        header_view=view,
    )
    profile = load_profile("gsecars-map").model_copy(update={"frame_files": files})
    assert place_by(profile)({"x": 7.0, "y": 2.0}) == (x_um, 2.0)
