"""Points to measure again, as the stage must be driven: checked by driving one."""

import csv
import io
import json

import numpy as np
import pytest
from bluesky import RunEngine
from ophyd.sim import SynAxis

from phasecast.core.errors import ResultFileError
from phasecast.profiles.orientation import StageFrame
from phasecast.profiles.scanning import Positions
from phasecast.results import open_result
from phasecast.results.composed_map import open_map
from phasecast.results.repair_list import repair_list
from support.map_results import PROFILE, write_scan

TURNED = {
    "horizontal": {"field": "stage_y", "factor_to_um": 1000.0, "sign": -1},
    "vertical": {"field": "stage_x", "factor_to_um": 0.5},
    "view": "upstream",
}


def drive(plan_text, map_name):
    """Run the written plan with a real RunEngine; return where the motors were at each point."""
    names = {}
    exec(compile(plan_text, "plan.py", "exec"), names)
    y, x = SynAxis(name="stage_y"), SynAxis(name="stage_x")
    motors = {"y": y, "x": x}
    order = plan_text.partition("def repair_plan(detectors, ")[2].partition(", md")[0].split(", ")
    documents = []
    engine = RunEngine({})
    engine(names["repair_plan"]([], *(motors[name] for name in order)), lambda *pair: documents.append(pair))
    start = documents[0][1]
    assert start["map"] == map_name
    assert start["plan_name"] == "list_scan"
    return [doc["data"] for name, doc in documents if name == "event"]


@pytest.mark.parametrize("positions", [PROFILE["positions"], TURNED])
def test_the_plan_drives_the_stage_to_the_missing_and_doubtful_points_and_nowhere_else(tmp_path, positions):
    path = write_scan(tmp_path, "a", bad=(7, 13), doubtful=(3,), profile=PROFILE | {"positions": positions})
    with open_result(path) as result:
        found = repair_list(result)
        wanted = {tuple(place) for place in np.column_stack([result.ledger[f"{axis}_um"] for axis in "xy"])[[7, 13, 3]]}
    frame = StageFrame.of(Positions.model_validate(positions))
    driven = [frame.to_sample(readings) for readings in drive(found.as_plan(), "A-3")]
    assert {tuple(np.round(place, 9)) for place in driven} == wanted
    assert len(driven) == 3


def test_table_and_data_name_motors_units_and_reasons(tmp_path):
    path = write_scan(tmp_path, "a", bad=(7,), doubtful=(3,), profile=PROFILE | {"positions": TURNED})
    with open_result(path) as result:
        found = repair_list(result)
    rows = list(csv.DictReader(io.StringIO(found.as_csv())))
    assert [(row["point"], row["state"]) for row in rows] == [("3", "position_doubtful"), ("7", "lost_upstream")]
    assert rows[1]["reason"] == "no frame"
    # x of the sample is -(-1) times stage_y in mm, y is stage_x in half micrometres
    for row in rows:
        assert float(row["y (mm)"]) == pytest.approx(float(row["x_um"]) / 1000)
        assert float(row["x (0.5 um)"]) == pytest.approx(float(row["y_um"]) / 0.5)
    data = json.loads(found.as_json())
    assert [(motor["name"], motor["field"], motor["unit"]) for motor in data["motors"]] == [
        ("x", "stage_x", "0.5 um"),
        ("y", "stage_y", "mm"),
    ]
    assert data["positions"]["y"] == [float(row["y (mm)"]) for row in rows]


def test_a_complete_map_needs_no_repair_although_its_scans_do(tmp_path):
    first = write_scan(tmp_path, "a", shape=(6, 5), done=17, exit_status="abort")
    second = write_scan(tmp_path, "b", shape=(4, 5), origin=(0, 4), started=600)
    with open_map([first, second]) as whole, open_result(first) as alone:
        assert repair_list(whole).points == ()
        assert len(repair_list(alone).points) == 13


def test_after_an_offset_the_readings_are_those_of_the_stage_as_it_now_is(tmp_path):
    first = write_scan(tmp_path, "a", bad=(7,))
    second = write_scan(tmp_path, "b", origin=(0, 100), started=600)
    with open_map([first, second], offsets_um={"raw-b": (3.0, -1.0)}) as whole:
        (point,) = repair_list(whole).points
    assert (point.x_um, point.y_um) == (4.0, 2.0)
    assert point.readings == (3.0, 1.0)


def test_a_result_that_does_not_name_its_motors_says_so(tmp_path):
    path = write_scan(tmp_path, "a", bad=(7,), profile={})
    with open_result(path) as result, pytest.raises(ResultFileError, match="which motors move the sample"):
        repair_list(result)
