"""Real frames dropped into a watched folder become points at the places their headers name."""

import gzip
import json
import re
import shutil
import signal

import fabio
import numpy as np
import pytest

from phasecast.core.ledger import PointState
from phasecast.profiles import load_profile
from phasecast.results import open_result
from phasecast.services.placing import source_options
from phasecast.sources.frame_store import CaptureFrameStore
from support import hostile_files
from support.daemon import wait_until, watched_folder
from support.nexus import read_every_dataset, validation

MAP_POINTS = 6
IDLE_S = 4.0


class Dropped:
    """A daemon that watches, and one sub-folder for each scan."""

    def __init__(self, setup):
        self.setup = setup

    @property
    def process(self):
        return self.setup.processes[-1]

    def folder(self, name):
        folder = self.setup.folder / "frames" / name
        folder.mkdir()
        return folder

    def wait_for_points(self, count):
        """Wait until the scan that is open has that many points done."""

        def done():
            scans = self.setup.status.get("scans", [])
            return not scans or max(scan["ledger"]["done"] for scan in scans) >= count

        wait_until(lambda: self.setup.status.get("scans") is not None and done(), "points", process=self.process)

    def result(self, before):
        """Wait for the result of a scan that was not there before, with its picture and summary."""

        def finished():
            new = [path for path in self.setup.results if path not in before]
            return next((path for path in new if path.with_suffix(".json").exists()), None)

        return wait_until(finished, "the finished scan", process=self.process)


@pytest.fixture(scope="module")
def map_daemon(measured_data, tmp_path_factory):
    poni = measured_data / "pilatus100k_map" / "Fe3O4map_01_module_r2c1.poni"
    arguments = ("--poni", str(poni), "--expected-points", "6", "--close-after-idle-s", str(IDLE_S))
    with watched_folder(tmp_path_factory.mktemp("map"), *arguments, profile="gsecars-map", reports=True) as setup:
        yield Dropped(setup)
        setup.processes[-1].send_signal(signal.SIGTERM)
        assert setup.processes[-1].wait(90) == 0, (setup.folder / "daemon.log").read_text()


@pytest.fixture(scope="module")
def map_frames(measured_data):
    return sorted((measured_data / "pilatus100k_map").glob("*.cbf"))


def header_position_um(path):
    head = path.read_bytes()[:4000].decode("latin-1")
    return tuple(1e3 * float(re.search(rf"Map_{axis} (-?[\d.]+) mm", head)[1]) for axis in ("horizontal", "vertical"))


def assert_complete_map(path, frames):
    """Six points, each at the position of the header of its own frame; file, picture and summary are whole."""
    with open_result(path) as result:
        assert result.ledger_sums["done"] == result.points == MAP_POINTS
        assert result.flag_sums["no_position"] == result.flag_sums["position_doubtful"] == 0
        assert result.counters["exit_status"] == "success"
        ledger, references = result.ledger, [result.frame_reference(row) for row in range(MAP_POINTS)]
        assert np.isfinite(result.patterns.to_numpy()).any(axis=1).all()
    by_name = {frame.name: header_position_um(frame) for frame in frames}
    found = {}
    for row, reference in enumerate(references):
        found[reference.path.rpartition("/")[2]] = (float(ledger["x_um"][row]), float(ledger["y_um"][row]))
    assert found.keys() == by_name.keys()
    for name, place in found.items():
        assert place == pytest.approx(by_name[name], abs=1e-6), name
    assert len(set(found.values())) == MAP_POINTS
    assert validation(path)[1] == 0
    assert read_every_dataset(path) > 20
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(path.with_suffix(".json").read_text())


def test_frames_of_a_map_that_come_one_by_one(map_daemon, map_frames):
    before, folder = map_daemon.setup.results, map_daemon.folder("in_order")
    for count, frame in enumerate(map_frames, 1):
        shutil.copy(frame, folder)
        map_daemon.wait_for_points(count)
    path = map_daemon.result(before)
    assert_complete_map(path, map_frames)
    with open_result(path) as result:
        assert result.frames["number"].to_numpy().tolist() == [1, 2, 3, 6, 7, 8]


def test_frames_of_a_map_that_come_out_of_order(map_daemon, map_frames):
    before, folder = map_daemon.setup.results, map_daemon.folder("shuffled")
    for frame in (map_frames[place] for place in (4, 0, 5, 2, 1, 3)):
        shutil.copy(frame, folder)
    assert_complete_map(map_daemon.result(before), map_frames)


def test_a_frame_half_written_first_is_taken_when_it_is_complete(map_daemon, map_frames):
    before, folder = map_daemon.setup.results, map_daemon.folder("half")
    content = map_frames[2].read_bytes()
    with (folder / map_frames[2].name).open("wb") as growing:
        growing.write(content[: len(content) // 2])
        growing.flush()
        for frame in map_frames:
            if frame != map_frames[2]:
                shutil.copy(frame, folder)
        map_daemon.wait_for_points(5)
        growing.write(content[len(content) // 2 :])
    assert_complete_map(map_daemon.result(before), map_frames)


def test_a_corrupt_frame_is_a_rejected_point_and_the_scan_goes_on(map_daemon, map_frames):
    before, folder = map_daemon.setup.results, map_daemon.folder("corrupt")
    content = bytearray(map_frames[0].read_bytes())
    content[len(content) // 2] ^= 0xFF
    # the first of the scan: nothing else tells the daemon yet that there is a scan
    (folder / map_frames[0].name).write_bytes(content)
    for frame in map_frames[1:]:
        shutil.copy(frame, folder)
    path = map_daemon.result(before)
    with open_result(path) as result:
        assert result.ledger_sums["done"] == 5
        assert result.ledger_sums["rejected"] == 1
        (row,) = np.flatnonzero(result.ledger["state"].to_numpy() == PointState.REJECTED)
        assert result.ledger["reason"].to_numpy()[row] == "incomplete file"
        (detail,) = result.defects["detail"].to_numpy().tolist()
        assert map_frames[0].name in detail
        assert "Content-MD5" in detail
    assert validation(path)[1] == 0


def test_a_frame_that_is_never_completed_is_named_when_silence_closes_the_scan(map_daemon, map_frames):
    before, folder = map_daemon.setup.results, map_daemon.folder("torn")
    content = map_frames[3].read_bytes()
    (folder / map_frames[3].name).write_bytes(content[: len(content) // 2])
    for frame in map_frames[:3]:
        shutil.copy(frame, folder)
    path = map_daemon.result(before)
    with open_result(path) as result:
        assert result.ledger_sums["done"] == 3
        assert result.ledger_sums["rejected"] == 1
        assert result.ledger_sums["not_measured"] == 2
        (row,) = np.flatnonzero(result.ledger["state"].to_numpy() == PointState.REJECTED)
        assert "incomplete" in str(result.ledger["reason"].to_numpy()[row])
        assert result.frame_reference(int(row)).path.endswith(map_frames[3].name)


def test_a_frame_completed_after_it_was_given_up_takes_its_point(map_daemon, map_frames):
    before, folder = map_daemon.setup.results, map_daemon.folder("late")
    content = map_frames[5].read_bytes()
    with (folder / map_frames[5].name).open("wb") as growing:
        growing.write(content[: len(content) // 2])
        growing.flush()

        def given_up():
            return any(scan["ledger"]["rejected"] for scan in map_daemon.setup.status.get("scans", []))

        wait_until(given_up, "the incomplete file to be given up", process=map_daemon.process)
        growing.write(content[len(content) // 2 :])
    for frame in map_frames[:3]:
        shutil.copy(frame, folder)
    path = map_daemon.result(before)
    with open_result(path) as result:
        assert result.ledger_sums["done"] == 4
        assert result.ledger_sums["rejected"] == 0
        row = result.frames["number"].to_numpy().tolist().index(8)
        place = (float(result.ledger["x_um"][row]), float(result.ledger["y_um"][row]))
        assert place == pytest.approx(header_position_um(map_frames[5]), abs=1e-6)
        assert np.isfinite(result.patterns.to_numpy()[row]).any()


def test_tiffs_of_a_scan_become_points_in_the_order_of_their_numbers(measured_data, tmp_path):
    frames = sorted((measured_data / "pilatus100k_scan_tiff").glob("*.tif.gz"))
    with watched_folder(tmp_path, "--expected-points", "8", "--once", profile="i07-scan", reports=True) as setup:
        for frame in frames:
            if frame in frames[::2]:
                shutil.copy(frame, tmp_path / "frames")
            else:
                (tmp_path / "frames" / frame.name.removesuffix(".gz")).write_bytes(gzip.decompress(frame.read_bytes()))
            shutil.copy(frame.parent / frame.name.replace(".tif.gz", ".txt"), tmp_path / "frames")
        assert setup.processes[-1].wait(60) == 0, (tmp_path / "daemon.log").read_text()
    (path,) = setup.results
    store = CaptureFrameStore(setup.data_dir / "captures", options=source_options(load_profile("i07-scan")))
    with open_result(path) as result:
        assert result.ledger_sums["done"] == result.points == len(frames)
        assert result.frames["number"].to_numpy().tolist() == list(range(5886011, 5886019))
        assert result.flag_sums["no_position"] == len(frames)
        assert np.isnan(result.ledger["x_um"].to_numpy()).all()
        ring = [
            re.search(r"ringcurrent=([\d.]+)", path.read_text())[1] for path in sorted(frames[0].parent.glob("*.txt"))
        ]
        assert result.ledger["ring_current"].to_numpy().tolist() == [float(value) for value in ring]
        assert result.ledger["ring_current"].attrs["units"] == "mA"
        assert result.flag_sums["not_normalised"] == len(frames)
        for row, frame in enumerate(frames):
            with fabio.open(str(frame)) as measured:
                np.testing.assert_array_equal(store.read(result.frame_reference(row)), measured.data)
        assert np.isfinite(result.patterns.to_numpy()).any(axis=1).all()
        # both axes of the arm move by more than a step of the geometry from each frame to the next
        for axis, sign in (("arm_diff1vgamma", -1), ("arm_diff1vdelta", -1)):
            moved_deg = np.diff(result.column(axis).to_numpy()) * sign
            assert np.all(moved_deg >= 0.005)
    assert validation(path)[1] == 0
    assert path.with_suffix(".png").exists()
    assert json.loads(path.with_suffix(".json").read_text())


def test_a_daemon_among_hostile_files_goes_on(map_daemon, map_frames):
    """What must be cut off by silence is named as a scan of its own; the good frames beside it are a whole map."""
    before = map_daemon.setup.results
    hostile, good = map_daemon.folder("hostile"), map_daemon.folder("among_hostile")
    for name, content in hostile_files.hostile_files().items():
        (hostile / name).write_bytes(content)
    for frame in map_frames:
        shutil.copy(frame, good)

    def whole():
        for path in map_daemon.setup.results:
            if path not in before and path.with_suffix(".json").exists():
                with open_result(path) as result:
                    if result.ledger_sums["done"] == MAP_POINTS:
                        return path
        return None

    path = wait_until(whole, "the good frames", process=map_daemon.process)
    assert map_daemon.process.poll() is None
    assert read_every_dataset(path) > 20
