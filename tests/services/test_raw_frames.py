"""After the data went home: page, report and classify find the raw frames below a new root, by their SHA-256."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from phasecast.cli import app
from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.results import open_result
from phasecast.services.archive import archive
from phasecast.services.page import page_tools
from phasecast.services.raw_frames import check_raw_frames, frames_named_by
from phasecast.sinks.nexus import NexusSink
from phasecast.sources.frame_file import read_frame_file
from support.documents import raster_scan


@pytest.fixture
def home(measured_data, tmp_path):
    """An archived result of six real frames, whose folder at the beamline is gone; the frames lie in a copy."""
    beamline = tmp_path / "ramdisk" / "測定1"
    beamline.mkdir(parents=True)
    frames = [shutil.copy(path, beamline) for path in sorted((measured_data / "pilatus100k_map").glob("*.cbf"))]
    directory = DataDirectory(tmp_path / "beamtime").create()
    run = raster_scan((2, 3))
    sink = NexusSink(directory.results / "scan.nxs")
    for document in run.opening():
        sink(*document)
    sink(*run.points(np.arange(6)))
    for row, path in enumerate(frames):
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        sink(*run.ledger(np.array([row]), frame_store="file", frame_path=str(path), frame_sha256=digest))
    sink(*run.stop())
    archive(directory.root, tmp_path / "home" / "archive", say=lambda line: None)
    shutil.move(beamline, tmp_path / "home" / "raw" / "測定1")
    shutil.rmtree(tmp_path / "beamtime")
    return tmp_path / "home"


def test_the_page_reads_each_frame_below_the_new_root(home):
    directory = DataDirectory(home / "archive")
    tools = page_tools(directory, (home / "raw",))
    with open_result(directory.results / "scan.nxs") as result:
        for row in range(6):
            reference = result.frame_reference(row)
            image = tools.read_frame(result.header, reference)
            name = reference.path.rpartition("/")[2]
            content = (home / "raw" / "測定1" / name).read_bytes()
            np.testing.assert_array_equal(image, read_frame_file(name, content).image)
        with pytest.raises(PhasecastError, match="is gone"):
            page_tools(directory).read_frame(result.header, reference)


def test_missing_and_changed_frames_are_told_apart_and_counted(home):
    result, root = home / "archive" / "results" / "scan.nxs", home / "raw"
    assert check_raw_frames(result, (root,)).same == 6
    first, second, *_ = sorted((root / "測定1").glob("*.cbf"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    found = check_raw_frames(result, (root,))
    assert (found.same, found.missing_files, found.changed_files) == (4, 1, 1)
    assert first.name in found.missing[0]
    assert second.name in found.changed[0]
    with pytest.raises(PhasecastError, match=r"has changed|is gone"):
        frames_named_by([result], (root,))
    with pytest.raises(PhasecastError, match="no such folder"):
        check_raw_frames(result, (home / "absent",))


def test_report_and_classify_take_the_new_root(home, measured_data):
    result = home / "archive" / "results" / "scan.nxs"

    def run(*words):
        return CliRunner().invoke(app, [*map(str, words), "--raw-root", str(home / "raw"), "--json"])

    report = run("report", result)
    assert json.loads(report.stdout)["raw_frames"]["same"] == 6, report.stderr
    poni = measured_data / "pilatus100k_map" / "Fe3O4map_01_module_r2c1.poni"
    classified = run("classify", result, "--profile", "bl16xu", "--poni", poni)
    entries = json.loads(classified.stdout)
    assert len(entries) == 6, classified.stderr
    assert all("測定1" in entry["file"] for entry in entries)
