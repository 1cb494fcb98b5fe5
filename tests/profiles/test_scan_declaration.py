"""The declaration of a scan: positions by arithmetic that can be done by hand, refusals in one line."""

import pytest

from phasecast.core.errors import ProfileError
from phasecast.profiles import load_profile, load_scan

RASTER = """
nx = 3
ny = 2
step_x_um = 2.0
step_y_um = -5.0
origin_x_um = 10.0
origin_y_um = 100.0
exposure_s = 1.0
"""
LOG = """
[log]
x = { column = 2 }
y = { column = 3 }
"""


def scan(tmp_path, text):
    path = tmp_path / "scan.toml"
    path.write_text(text, encoding="utf-8")
    return load_scan(path)


def test_positions_of_a_snaking_raster_are_those_counted_by_hand(tmp_path):
    declared = scan(tmp_path, RASTER + "snake = true\n")
    places = [declared.position_um(index) for index in range(declared.points)]
    assert places == [(10, 100), (12, 100), (14, 100), (14, 95), (12, 95), (10, 95)]


def test_with_y_fast_the_columns_are_swept(tmp_path):
    declared = scan(tmp_path, RASTER + 'fast_axis = "y"\n')
    places = [declared.position_um(index) for index in range(declared.points)]
    assert places == [(10, 100), (10, 95), (12, 100), (12, 95), (14, 100), (14, 95)]
    assert declared.shape == (3, 2)


def test_frames_before_and_after_the_points_of_a_row_belong_to_none(tmp_path):
    declared = scan(tmp_path, RASTER + "lead_in_frames_per_row = 1\nframes_per_row = 6\n")
    assert [declared.point_of_frame(place) for place in range(12)] == [
        None, 0, 1, 2, None, None,
        None, 3, 4, 5, None, None,
    ]  # fmt: skip
    assert declared.point_of_frame(12) is None
    assert declared.expected_frames == 12


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("frames_per_row = 2\n", "frames_per_row 2 is less than its 3 points"),
        ("nx = 0\n", "nx"),
        ("stepx = 1\n", "unknown key 'stepx'"),
        ("[log]\nx = { column = 1, unit = 'pulse' }\ny = { column = 2 }\n", "pulses need factor"),
        (LOG + "time = 1\n", "needs time_zone"),
        (LOG + "time = 1\ntime_zone = 'Asia/Tokio'\n", "no time zone 'Asia/Tokio'"),
        (LOG + "join = 'file'\n", "needs the column file"),
    ],
)
def test_what_contradicts_itself_is_refused_in_one_line(tmp_path, lines, says):
    text = RASTER.replace("nx = 3\n", "") + lines if lines.startswith("nx") else RASTER + lines
    with pytest.raises(ProfileError) as refused:
        scan(tmp_path, text)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_log_lies_beside_the_declaration_and_the_profile_may_say_how_it_is_read(tmp_path):
    own = scan(tmp_path, RASTER + LOG + "path = '位置.txt'\n")
    assert own.log.path == str(tmp_path / "位置.txt")
    assert own.positions_from == "log"
    bare = scan(tmp_path, RASTER)
    assert bare.positions_from == "computed"
    assert bare.with_log(own.log, tmp_path).positions_from == "log"
    assert load_profile("bl16xu").position_log is None
