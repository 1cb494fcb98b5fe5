"""However the stage is mounted, maps show the sample upright and unmirrored: in the file, the picture and the table."""

import csv
from dataclasses import replace
from itertools import count

import matplotlib.image
import msgpack
import msgpack_numpy
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.plans import grid_scan
from ophyd.sim import SynAxis, SynSignal
from scipy import ndimage

from phasecast.core.protocols import Reduced
from phasecast.core.record import CapturePosition, Channel, RawRecord
from phasecast.pipeline.desk import DeskRules, ScanDesk
from phasecast.pipeline.emitter import DerivedRun
from phasecast.profiles import Positions, load_profile
from phasecast.report.map_png import draw_map
from phasecast.results import open_result
from phasecast.results.export import write_points_csv
from phasecast.results.layout import MAPS
from phasecast.services.placing import fold_rules
from phasecast.services.truth import compare_with_truth
from phasecast.simulate.sample import letter_cells
from phasecast.simulate.stage import StageAxes
from phasecast.simulate.truth import read_truth
from phasecast.sinks.nexus import NexusSink
from phasecast.sources.documents import DocumentDecoder
from phasecast_profiles.shipped import shipped_profiles
from support.daemon import beamline
from support.documents import CLASS_IDS, make_header
from support.scans import frame

SHAPE = (11, 9)
STEP_UM = 2.0
OTHER, RESIN = CLASS_IDS.index("other"), CLASS_IDS.index("resin")
UPRIGHT = ["###", "#..", "##.", "#..", "#.."]

X, Y, NX, NY = ("stage_x", 1), ("stage_y", 1), ("stage_x", -1), ("stage_y", -1)
MOUNTINGS = [
    # what the motors read of the sample; motor and sign of the sample's x, of its y
    ("x=x,y=y", X, Y),
    ("x=-x,y=y", NX, Y),
    ("x=x,y=-y", X, NY),
    ("x=-x,y=-y", NX, NY),
    ("x=y,y=x", Y, X),
    ("x=-y,y=x", Y, NX),
    ("x=y,y=-x", NY, X),
    ("x=-y,y=-x", NY, NX),
]


def positions(horizontal, vertical, view):
    """Positions of a profile; who looks upstream gives the sign of x the other way round."""
    sign = -horizontal[1] if view == "upstream" else horizontal[1]
    return Positions.model_validate(
        {
            "horizontal": {"field": horizontal[0], "factor_to_um": 1000.0, "sign": sign},
            "vertical": {"field": vertical[0], "factor_to_um": 1000.0, "sign": vertical[1]},
            "view": view,
        }
    )


def documents_of(stage):
    """Documents of a real grid scan of the motors, in mm, from their lowest to their highest readings."""
    rows, columns = SHAPE
    corners = [stage.motors_at(x, y) for x, y in ((0, 0), ((columns - 1) * STEP_UM, (rows - 1) * STEP_UM))]
    (x0, x1), (y0, y1) = (sorted(value / 1000 for value in readings) for readings in zip(*corners, strict=True))
    fast, slow = (rows, columns) if stage.exchanged else (columns, rows)
    numbers = count(-1)  # a signal asks once when it is made
    counter = SynSignal(func=lambda: next(numbers), name="pilatus_image_number")
    y, x = SynAxis(name="stage_y"), SynAxis(name="stage_x")
    documents = []
    plan = grid_scan([counter], y, y0, y1, slow, x, x0, x1, fast, snake_axes=True)
    RunEngine({}, context_managers=[])(plan, lambda *pair: documents.append(pair))
    return documents


def records_of(documents):
    for number, (name, document) in enumerate(documents):
        body = msgpack.packb(document, default=msgpack_numpy.encode, use_bin_type=True)
        yield RawRecord(
            position=CapturePosition(segment="s", offset=number), received_s=document["time"],
            channel=Channel("bluesky"), parts=(b"bl16xu " + name.encode() + b" " + body,),
        )  # fmt: skip


def letter_at(stage, reading):
    """Whether the beam was on the letter, from what the motors read in mm."""
    x_um, y_um = stage.sample_at(1000 * reading["stage_x"], 1000 * reading["stage_y"])
    return bool(letter_cells(SHAPE)[round(y_um / STEP_UM), round(x_um / STEP_UM)])


def reduced(on_letter, bins=20):
    confidence = np.zeros(9, np.float32)
    confidence[OTHER if on_letter else RESIN] = 0.95
    pattern = np.ones(bins, np.float32)
    return Reduced(
        columns={
            "intensity": pattern, "sigma": pattern, "norm": pattern, "total_counts": np.float64(bins),
            "saturated_pixels": np.int32(0), "confidence": confidence,
        }
    )  # fmt: skip


def measure(folder, text, profile):
    """Scan the letter with a stage mounted like this, through decoder, fold and sink; return the closed result."""
    stage, path = StageAxes.parse(text), folder / "scan.nxs"
    field = profile.positions.horizontal.field, profile.positions.vertical.field
    with NexusSink(path) as sink:

        def open_run(start, position):
            header = make_header(
                shape=start.shape, axes=start.axes, snaking=True, horizontal_field=field[0], vertical_field=field[1]
            )
            return DerivedRun(replace(header, point_columns=()), sink)

        rules = replace(fold_rules(profile), scalar_fields={})
        desk = ScanDesk(fold_rules=rules, desk_rules=DeskRules(), open_run=open_run)
        decoder = DocumentDecoder(counter_field="pilatus_image_number")
        for record in records_of(documents_of(stage)):
            for message in decoder.decode(record):
                readings = getattr(message, "position", None)
                if readings:
                    one = frame(message.index, message.time_s)
                    desk.take(one, reduced(letter_at(stage, readings)), record)
                desk.take(message, Reduced(columns={}), record)
        desk.close_all(record.received_s + 1, record.position)
    return path


def letter_in_picture(path):
    """The largest patch of the letter's colour, as rows of # and dots from top to bottom."""
    pixels = matplotlib.image.imread(path)[..., :3]
    yellow = np.array([0xF0, 0xE4, 0x42]) / 255
    patches, _ = ndimage.label(np.abs(pixels - yellow).max(axis=2) < 0.02)
    sizes = np.bincount(patches.ravel())
    sizes[0] = 0
    rows, columns = ndimage.find_objects((patches == sizes.argmax()).astype(int))[0]
    cut = (patches == sizes.argmax())[rows, columns]
    blocks = [np.array_split(line, 3, axis=1) for line in np.array_split(cut, 5, axis=0)]
    return ["".join("#" if block.mean() > 0.5 else "." for block in line) for line in blocks]


@pytest.mark.parametrize(
    ("text", "horizontal", "vertical", "view"),
    [*((*mounting, "beam") for mounting in MOUNTINGS), *((*mounting, "upstream") for mounting in MOUNTINGS[1::4])],
)
def test_file_picture_and_table_show_the_letter_upright_and_unmirrored(tmp_path, text, horizontal, vertical, view):
    profile = load_profile("bl16xu").model_copy(update={"positions": positions(horizontal, vertical, view)})
    path = measure(tmp_path, text, profile)
    cells = letter_cells(SHAPE)
    with open_result(path) as result:
        assert result.ledger_sums["done"] == cells.size
        shown = result.map_of(result.confidences.values[:, OTHER])
        np.testing.assert_array_equal(shown.values >= 0.5, cells)
        np.testing.assert_allclose(np.diff(shown.x_um), STEP_UM)
        np.testing.assert_allclose(np.diff(shown.y_um), STEP_UM)
        np.testing.assert_array_equal(result.file[f"{MAPS}/other/confidence"][...] >= 0.5, cells)
        draw_map(result, tmp_path / "map.png")
        write_points_csv(result, tmp_path / "points.csv")
    with (tmp_path / "points.csv").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    places = {
        (round(float(row["y_um"]) / STEP_UM), round(float(row["x_um"]) / STEP_UM))
        for row in table
        if float(row["confidence_other"]) >= 0.5
    }
    assert places == {tuple(map(int, cell)) for cell in np.argwhere(cells)}
    assert letter_in_picture(tmp_path / "map.png") == UPRIGHT


@pytest.mark.slow
def test_the_daemon_shows_the_letter_upright_with_exchanged_and_mirrored_motors(tmp_path):
    text, horizontal, vertical = MOUNTINGS[5]
    lines = shipped_profiles()["bl16xu"].read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        for axis, (field, sign) in (("horizontal", horizontal), ("vertical", vertical)):
            if line.startswith(f"{axis} = {{ field"):
                lines[number] = f'{axis} = {{ field = "{field}", factor_to_um = 1.0, sign = {sign} }}'
    profile = tmp_path / "turned.toml"
    profile.write_text("\n".join(lines), encoding="utf-8")
    with beamline(tmp_path, shape="9x12", rate=60, arguments=("--stage", text, "--letter", "--seed", "1")) as setup:
        daemon = setup.start_daemon("--once", "--device", "cpu", profile=str(profile))
        setup.begin()
        assert daemon.wait(120) == 0
        (path,) = setup.results
        with open_result(path) as result:
            assert result.ledger_sums["done"] == 108
            shown = result.map_of(result.confidences.sel(class_id="other").values).values >= 0.5
        agreement = {entry.class_id: entry for entry in compare_with_truth(path, setup.truth)}
    truth = read_truth(setup.truth)
    np.testing.assert_array_equal(truth.labels[:, OTHER].reshape(9, 12)[letter_cells((9, 12))], 1)
    # all of the letter may be missed here and there; no other orientation fits as well
    fits = [
        np.mean(shown == np.rot90(truth.labels[:, OTHER].reshape(9, 12)[:, :: -1 if mirrored else 1], turn))
        for mirrored in (False, True)
        for turn in (0, 2)
    ]
    assert int(np.argmax(fits)) == 0
    assert agreement["other"].f1 > 0.8


def test_a_profile_that_does_not_undo_the_mounting_shows_it_mirrored(tmp_path):
    profile = load_profile("bl16xu").model_copy(update={"positions": positions(X, Y, "beam")})
    path = measure(tmp_path, "x=-x,y=y", profile)
    with open_result(path) as result:
        shown = result.map_of(result.confidences.values[:, OTHER]).values >= 0.5
    np.testing.assert_array_equal(shown, letter_cells(SHAPE)[:, ::-1])
