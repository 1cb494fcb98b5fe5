"""Real scans of a detector whose arm moves: every frame is integrated with the geometry of its own angles."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from phasecast.core.ledger import PointState
from phasecast.profiles import load_profile
from phasecast.results import open_result
from phasecast.services.placing import source_options
from phasecast.sources.frame_sidecar import numbers_in
from phasecast.sources.frame_store import CaptureFrameStore
from support.daemon import watched_folder
from support.nexus import read_every_dataset, validation
from support.peaks import line_tth_deg, lines_inside

LAB6_A_ANGSTROM = 4.1568
LAB6_HKL_SQUARES = (1, 2, 3, 4, 5, 6, 8, 9, 10, 11)
WAVELENGTH_ANGSTROM = 0.885601409974337
TOLERANCE_DEG = 0.02
LINES_SEEN = {
    "0009": 1, "0010": 1, "0020": 1, "0023": 1, "0025": 1, "0030": 2, "0032": 1, "0040": 0, "0043": 1, "0045": 2,
    "0050": 1,
}  # fmt: skip


def lab6_lines_deg():
    sines = WAVELENGTH_ANGSTROM / 2 / LAB6_A_ANGSTROM * np.sqrt(LAB6_HKL_SQUARES)
    return tuple(float(line) for line in 2 * np.degrees(np.arcsin(sines)))


def errors_deg(tth_deg, intensity):
    """Where each line of LaB6 that lies whole on the frame is, minus where it should be."""
    lines = lines_inside(tth_deg, intensity, lab6_lines_deg())
    return [line_tth_deg(tth_deg, intensity, line) - line for line in lines]


@pytest.fixture(scope="module")
def lab6_scan(measured_data):
    return measured_data / "pilatus300kw_lab6_arm_scan"


@pytest.fixture(scope="module")
def i07_scan(measured_data):
    return measured_data / "pilatus100k_scan_tiff"


def number_of(name):
    return name.partition(".raw")[0][-4:]


def integrate(*arguments):
    command = [sys.executable, "-m", "phasecast.cli", "integrate", *map(str, arguments), "--json", "--device", "cpu"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_lab6_lines_of_all_frames_of_the_arm_scan(lab6_scan, tmp_path):
    frames = sorted(lab6_scan.glob("*.raw.gz"))
    arguments = ("--profile", "ssrl-lab6-arm", "--poni", lab6_scan / "ROBL_v1.json", "-o", tmp_path)
    done = integrate(*frames, *arguments)
    assert done.returncode == 0, done.stderr
    found = {}
    for entry in json.loads(done.stdout):
        tth_deg, intensity, _ = np.loadtxt(entry["output"]).T
        found[number_of(Path(entry["file"]).name)] = errors_deg(tth_deg, intensity)
        if number_of(Path(entry["file"]).name) == "0040":
            lit = intensity[intensity > 0]
            # no line at all: nothing but noise stands above the ground
            assert lit.max() < 2.5 * np.median(lit)
    assert {number: len(errors) for number, errors in found.items()} == LINES_SEEN
    worst = max(abs(error) for errors in found.values() for error in errors)
    print(f"LaB6 over {len(found)} arm angles: {sum(map(len, found.values()))} lines, worst {worst:.4f} deg")  # noqa: T201
    assert worst < TOLERANCE_DEG


def test_eight_frames_whose_two_axes_move(i07_scan, tmp_path):
    """The bright spot of each frame lies at the 2theta that its own two angles and its pixel give in closed form."""
    frames = sorted(i07_scan.glob("*.tif.gz"))
    done = integrate(*frames, "--profile", "i07-scan", "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    origins = set()
    for entry, frame in zip(json.loads(done.stdout), frames, strict=True):
        table = Path(entry["output"])
        tth_deg, intensity, _ = np.loadtxt(table).T
        assert (intensity > 0).mean() > 0.9
        origins.add(table.read_text().splitlines()[1].rpartition("with the arm at")[2])
        text = (frame.parent / frame.name.replace(".tif.gz", ".txt")).read_text()
        stated = numbers_in(text, ("diff1vgamma", "diff1vdelta"), where=frame.name)
        lowest, highest = tth_deg[intensity > 0][[0, -1]]
        gamma, delta = np.radians([stated["diff1vgamma"], stated["diff1vdelta"]])
        middle_deg = np.degrees(np.arccos(np.cos(gamma) * np.cos(delta)))
        half_width_deg = np.degrees(np.arctan(487 * 0.172 / 2 / 898.1))
        assert highest <= 12.4
        assert lowest == pytest.approx(max(middle_deg - half_width_deg, 7.2), abs=0.1)
    assert len(origins) == len(frames) == 8


def test_a_frame_without_its_sidecar_is_named_and_the_others_are_integrated(lab6_scan, tmp_path):
    for number in ("0009", "0043"):
        for path in lab6_scan.glob(f"*_{number}.raw*"):
            shutil.copy(path, tmp_path)
    missing = next(tmp_path.glob("*_0009.raw.pdi"))
    missing.unlink()
    arguments = ("--profile", "ssrl-lab6-arm", "--poni", lab6_scan / "ROBL_v1.json", "-o", tmp_path)
    done = integrate(*sorted(tmp_path.glob("*.raw.gz")), *arguments)
    assert done.returncode == 1
    bad, good = json.loads(done.stdout)
    assert "the sidecar is missing" in bad["error"]
    assert missing.name in bad["error"]
    assert good["error"] is None
    assert not list(tmp_path.glob("*_0009.xy"))


def test_a_scan_of_the_arm_as_the_daemon_sees_it(lab6_scan, tmp_path):
    """Bare pixels and sidecars dropped into a folder, packed and not, one sidecar missing and one frame cut."""
    frames = sorted(lab6_scan.glob("*.raw.gz"))
    arguments = ("--poni", str(lab6_scan / "ROBL_v1.json"), "--expected-points", "11", "--close-after-idle-s", "8")
    with watched_folder(tmp_path, *arguments, "--once", profile="ssrl-lab6-arm", reports=True) as setup:
        folder = tmp_path / "frames"
        for place, frame in enumerate(frames):
            sidecar = lab6_scan / f"{frame.name.removesuffix('.gz')}.pdi"
            content = frame.read_bytes()
            name = frame.name
            if place % 2:
                name, content = frame.name.removesuffix(".gz"), gzip.decompress(content)
            if number_of(name) == "0010":
                content = content[:-4]
            (folder / name).write_bytes(content)
            if number_of(name) != "0043":
                shutil.copy(sidecar, folder)
        assert setup.processes[-1].wait(90) == 0, (tmp_path / "daemon.log").read_text()
    (path,) = setup.results
    profile = load_profile("ssrl-lab6-arm")
    store = CaptureFrameStore(setup.data_dir / "captures", options=source_options(profile))
    with open_result(path) as result:
        assert result.ledger_sums["done"] == 9
        assert result.ledger_sums["rejected"] == 2
        tth_deg, patterns = np.array(result.header.tth_deg), result.patterns.to_numpy()
        angles_deg = result.column("arm_2Theta").to_numpy()
        states, reasons = result.ledger["state"].to_numpy(), result.ledger["reason"].to_numpy()
        worst, seen = 0.0, {}
        for row in range(result.points):
            number = number_of(Path(result.frame_reference(row).path).name)
            seen[number] = str(reasons[row])
            if states[row] != PointState.DONE:
                assert np.isnan(angles_deg[row])
                continue
            text = next(lab6_scan.glob(f"*_{number}.raw.pdi")).read_text()
            assert angles_deg[row] == pytest.approx(numbers_in(text, ("2Theta",), where=number)["2Theta"], abs=0.0025)
            errors = errors_deg(tth_deg, patterns[row])
            assert len(errors) == LINES_SEEN[number]
            worst = max([worst, *map(abs, errors)])
            raw = gzip.decompress(next(lab6_scan.glob(f"*_{number}.raw.gz")).read_bytes())
            np.testing.assert_array_equal(
                store.read(result.frame_reference(row)), np.frombuffer(raw, "<i4").reshape(195, 1475)
            )
        assert worst < TOLERANCE_DEG
        assert seen["0043"] == "no usable sidecar"
        assert seen["0010"] == "incomplete file"
        details = result.defects["detail"].to_numpy().tolist()
        assert any("0043.raw.pdi" in detail and "missing" in detail for detail in details)
        assert any("1150496 of 1150500 bytes" in detail for detail in details)
        # no geometry holds for the whole scan, and none is given out for it
        assert "geometry" not in result.header.processing
        assert result.header.processing["arm"]["goniometer"]["pos_names"] == ["pos"]
    assert validation(path)[1] == 0
    assert read_every_dataset(path) > 20
    assert path.with_suffix(".png").exists()
    assert json.loads(path.with_suffix(".json").read_text())
    report = (setup.data_dir / "reports" / path.with_suffix(".html").name).read_text()
    assert "as each frame states it (2Theta)" in report
    assert "ROBL_v1.json" in report
