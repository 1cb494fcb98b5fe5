"""The preflight as a user runs it: against the simulated beamline, beside a running daemon, and with nothing there."""

import contextlib
import json
import subprocess
import sys
import time

import fabio
import numpy as np
import pytest

from phasecast.profiles import load_profile
from phasecast.services.preflight import PreflightOptions, is_ready, run_preflight
from phasecast.xrd.geometry import geometry_from_profile
from support.daemon import beamline, done_in, wait_until
from support.relay import Relay


@pytest.fixture(scope="module")
def fresh_poni(tmp_path_factory):
    """The simulator's geometry as a calibration of now."""
    path = tmp_path_factory.mktemp("calibration") / "now.poni"
    geometry_from_profile(load_profile("bl16xu")).pyfai().save(str(path))
    return path


def states(found):
    return {check.name: check.state for check in found}


def test_a_beamline_that_is_ready_is_all_green_and_exits_with_0(tmp_path, fresh_poni):
    with beamline(tmp_path, shape="60x100", rate=50) as setup, contextlib.closing(Relay()) as relay:
        command = ["preflight", "--profile", "bl16xu", "--poni", str(fresh_poni), "--json", "--points", "400"]
        command += ["--source", setup.addresses["frames"], "--source", relay.addresses["documents"]]
        command += ["--data-dir", str(tmp_path / "not" / "made" / "yet")]
        process = subprocess.Popen([sys.executable, "-m", "phasecast.cli", *command], stdout=subprocess.PIPE)
        # the points of a scan that began before anybody listened cannot be read
        relay.wait_for_listener()
        with relay.attached({"documents": setup.addresses["documents"]}):
            setup.begin()
            stdout, _ = process.communicate(timeout=120)
    found = json.loads(stdout)
    assert {entry["name"]: entry["state"] for entry in found if entry["state"] != "green"} == {
        "proposal": "not checked"
    }
    assert process.returncode == 0
    assert {entry["name"] for entry in found} >= {
        "frame", "mask", "threshold", "energy", "I0", "clocks", "disk", "geometry", "bundle", "data directory",
    }  # fmt: skip
    assert not (tmp_path / "not").exists(), "it writes nothing"


def test_beside_a_running_daemon_it_takes_no_frame_away(tmp_path, fresh_poni):
    # without its stop document the scan stays open, and nothing is made at its end
    with beamline(tmp_path, shape="10x24", rate=20, arguments=("--fault", "no_stop=true")) as setup:
        daemon = setup.start_daemon()
        setup.begin()
        found = run_preflight(
            PreflightOptions(
                profile="bl16xu",
                poni=fresh_poni,
                data_dir=setup.data_dir,
                sources=(setup.addresses["frames"], setup.addresses["documents"]),
                listen_s=10.0,
            )
        )
        wait_until(lambda: done_in(setup.status) == 240, "all points", process=daemon)
    assert states(found)["frame"] == "green"
    assert any("through the running daemon" in check.what for check in found)


def test_with_nothing_there_each_red_line_says_what_to_do(tmp_path):
    began_s = time.monotonic()
    found = run_preflight(
        PreflightOptions(
            profile="bl16xu",
            sources=(
                "simplon://127.0.0.1:9",
                "bluesky://127.0.0.1:9?prefix=x",
                f"files://{tmp_path}/absent",
                "bluesky://nowhere",
            ),
            logs=(tmp_path / "motors.txt",),
            listen_s=0.3,
        )
    )
    assert time.monotonic() - began_s < 120
    assert not is_ready(found)
    reds = [check for check in found if check.state == "red"]
    assert {"source simplon", "source bluesky", "source files", "frame", "I0", "log motors.txt", "geometry"} <= {
        check.name for check in reds
    }
    for check in reds:
        assert check.remedy, check
        assert "\n" not in check.what


def test_a_folder_and_a_log_are_judged_by_what_is_new(tmp_path, measured_data):
    """A real frame, a log that grows: and the frame of another detector is refused by its shape."""
    folder = tmp_path / "frames"
    folder.mkdir()
    frame = measured_data / "pilatus100k_map" / "Fe3O4map_01_module_r2c1.cbf"
    log = tmp_path / "motors.txt"
    log.write_text("time x y\n")
    writer = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys, time, shutil; time.sleep(2.5); shutil.copy(sys.argv[1], sys.argv[2]);"
            "open(sys.argv[3], 'a').write('12:00:00 1 2\\n')",
            str(frame), str(folder), str(log),
        ]
    )  # fmt: skip
    options = PreflightOptions(
        profile="gsecars-map",
        sources=(f"files://{folder}",),
        poni=frame.with_suffix(".poni"),
        logs=(log,),
        listen_s=30.0,
        max_geometry_age_h=1e6,
        data_dir=tmp_path / "data",
    )
    found = run_preflight(options)
    assert writer.wait(10) == 0
    assert {name: state for name, state in states(found).items() if state == "red"} == {}
    assert states(found)["frame"] == states(found)["log motors.txt"] == states(found)["mask"] == "green"
    assert is_ready(found)

    fabio.cbfimage.CbfImage(data=np.ones((10, 12), np.int32)).write(str(folder / "small_00002.cbf"))
    wait_until(lambda: (folder / "small_00002.cbf").exists(), "the frame")
    found = run_preflight(
        PreflightOptions(
            profile="gsecars-map",
            sources=(f"files://{folder}",),
            poni=frame.with_suffix(".poni"),
            frame=folder / "small_00002.cbf",
            listen_s=0.0,
        )
    )
    (check,) = [check for check in found if check.name == "frame"]
    assert check.state == "red"
    assert "10 x 12" in check.what
    assert "195 x 487" in check.what


def test_a_declared_scan_brings_its_log_and_its_points(tmp_path):
    (tmp_path / "frames").mkdir()
    log, declared = tmp_path / "motors.txt", tmp_path / "scan.toml"
    (tmp_path / "proposal.toml").write_text('id = "2026A1234"')
    declared.write_text(
        "nx = 3\nny = 2\nstep_x_um = 2.0\nstep_y_um = 2.0\nexposure_s = 0.1\n"
        '[log]\npath = "motors.txt"\ntime = 1\ntime_zone = "UTC"\n'
        'x = { column = 2, unit = "mm" }\ny = { column = 3, unit = "mm" }\n'
    )
    log.write_text("2026/11/25 10:00:00\t1.0\t2.0\n")
    writer = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys, time\n"
            "while True:\n"
            "    time.sleep(0.3)\n"
            "    now = time.strftime('%Y/%m/%d %H:%M:%S', time.gmtime(time.time() - 3600))\n"
            "    open(sys.argv[1], 'a').write(now + '\\t1.0\\t2.0\\n')",
            str(log),
        ]
    )  # fmt: skip
    options = PreflightOptions(
        profile="bl16xu", scan=declared, sources=(f"files://{tmp_path}/frames",), data_dir=tmp_path, listen_s=3.0
    )
    try:
        found = {check.name: check for check in run_preflight(options)}
    finally:
        writer.kill()
        writer.wait()
    assert found["log motors.txt"].state == found["source log"].state == "green"
    assert found["disk"].what.startswith("6 points need")
    assert (found["proposal"].state, found["proposal"].what) == ("green", "2026A1234")
    assert found["clocks"].state == "red", "the clock of the log is an hour late"
    assert "-1 h looks like a time zone" in found["clocks"].remedy
