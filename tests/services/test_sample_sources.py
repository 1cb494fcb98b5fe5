"""A scan of files: the name of its folder, the file beside its frames and the data directory say what it is."""

import os
import shutil
from pathlib import Path

import h5py
import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import ScanRefusedError
from phasecast.core.scan import ScanStart, ScanUid
from phasecast.profiles import list_profiles, load_profile
from phasecast.records.results_list import list_results
from phasecast.records.samples import FOLDER_KEY, FORM_KEY, PROPOSAL_KEY, SIDECAR_KEY
from phasecast.services.sample_sources import SampleSources, folder_of_source
from support.daemon import wait_until, watched_folder

PATTERN = r"""
[sample]
folder_pattern = '(?P<proposal>20\d\d[AB]\d{4})_(?P<name>[^/_]+)_(?P<thickness_um>\d+)um$'
"""


@pytest.fixture
def profile_path(tmp_path):
    text = list_profiles()["gsecars-map"].read_text(encoding="utf-8")
    path = tmp_path / "map.toml"
    path.write_text(
        text.replace("[[classes]]", PATTERN + "\n[[classes]]", 1) if "[[classes]]" in text else text + PATTERN
    )
    return path


def start(series, **metadata):
    return ScanStart(
        uid=ScanUid("raw"), scan_id=0, time_s=1000.0, plan_name="files", axes=(), shape=None, snaking=(),
        expected_points=None, metadata={"series": series, **metadata},
    )  # fmt: skip


def test_what_lies_beside_a_scan_is_found_and_what_does_not_fit_blocks_nothing(profile_path, tmp_path):
    directory = DataDirectory(tmp_path / "data").create()
    folder = tmp_path / "frames" / "2026A1234_錆 A-3_30um"
    folder.mkdir(parents=True)
    (folder / "sample.toml").write_text('who = "森"\ncomment = "beside"', encoding="utf-8")
    (directory.root / "sample.toml").write_text('who = "青木"\ncondition = "as rusted"', encoding="utf-8")
    (directory.root / "proposal.toml").write_text('id = "2026A1234"', encoding="utf-8")
    sources = SampleSources(directory, load_profile(profile_path), [f"files://{tmp_path}/frames", "simplon://a:1"])
    found = sources.metadata_of(start("2026A1234_錆 A-3_30um/run"), time_s=1e10)
    assert found[FOLDER_KEY]["fields"] == {"proposal": "2026A1234", "name": "錆 A-3", "thickness_um": "30"}
    assert found[SIDECAR_KEY]["fields"] == {"comment": "beside"}
    assert found[SIDECAR_KEY]["who"] == "森"
    assert found[FORM_KEY]["fields"] == {"condition": "as rusted"}
    assert found[PROPOSAL_KEY]["id"] == "2026A1234"
    for name in ("sample.toml", "proposal.toml"):
        (directory.root / name).write_text("x = ", encoding="utf-8")
    (folder / "sample.toml").write_text("x = ", encoding="utf-8")
    assert FOLDER_KEY not in sources.metadata_of(start("elsewhere/run"), time_s=1e10)
    assert SIDECAR_KEY not in sources.metadata_of(start("2026A1234_錆 A-3_30um/run"), time_s=1e10)
    assert sources.metadata_of(start("../../etc/run"), time_s=1e10).keys() <= {FORM_KEY}


def test_scan_and_folder_name_the_proposal_that_is_refused(profile_path, tmp_path):
    directory = DataDirectory(tmp_path / "data").create()
    sources = SampleSources(directory, load_profile(profile_path), ["files:///frames"])
    sources.require_ours(start("2026B0001_x_3um/run"))
    (directory.root / "proposal.toml").write_text('id = "2026A1234"', encoding="utf-8")
    sources.require_ours(start("run"))
    sources.require_ours(start("run", proposal="2026a1234"))
    for foreign in (start("2026B0001_x_3um/run"), start("run", proposal_id="2026B0001")):
        with pytest.raises(ScanRefusedError, match=r"2026B0001.*2026A1234"):
            sources.require_ours(foreign)


def test_only_sources_of_files_have_folders():
    assert folder_of_source("files:///ram%20disk/run?wait=1") == Path("/ram disk/run")
    assert folder_of_source("simplon://host:9999") is None


def test_a_daemon_keeps_its_own_folder_and_refuses_the_other_groups(profile_path, measured_data, tmp_path):
    frames = sorted((measured_data / "pilatus100k_map").glob("*.cbf"))
    poni = str(frames[0].with_suffix(".poni"))
    data = DataDirectory(tmp_path / "data").create()
    (data.root / "proposal.toml").write_text('id = "2026A1234"\n[users]\n"森" = "神戸"\n', encoding="utf-8")
    arguments = ("--poni", poni, "--expected-points", "6", "--once")
    with watched_folder(tmp_path, *arguments, profile=str(profile_path)) as setup:
        daemon = setup.processes[-1]
        for name in ("2026B0001_theirs_10um", "2026A1234_ours_30um"):
            folder = tmp_path / "arriving" / name
            folder.mkdir(parents=True)
            for frame in frames:
                shutil.copy(frame, folder)
            (folder / "sample.toml").write_text('who = "森"\nmounted_side = "front"\n', encoding="utf-8")
            os.rename(folder, setup.folder / "frames" / name)
            if "theirs" in name:
                wait_until(
                    lambda: setup.status["counters"].get("frames_of_refused_scans") == len(frames),
                    "the frames of the other group", process=daemon,
                )  # fmt: skip
        wait_until(lambda: daemon.poll() is not None, "the end of the scan")
        assert daemon.returncode == 0
        log = (setup.folder / "daemon.log").read_text(encoding="utf-8")
    refusals = [line for line in log.splitlines() if "2026B0001" in line and "kept for proposal 2026A1234" in line]
    assert len(refusals) == 1, log
    (entry,) = list_results(data)
    assert (entry.points, entry.done, entry.sample) == (6, 6, "ours")
    with h5py.File(entry.path) as file:
        assert file["entry/experiment_identifier"][()].decode() == "2026A1234"
        assert float(file["entry/sample/thickness"][()]) == 30.0
        assert file["entry/sample/mounted_side"][()].decode() == "front"
        assert file["entry/user/affiliation"][()].decode() == "神戸"
    for path in (data.results, data.reports, data.notebook):
        for found in path.rglob("*"):
            assert not found.is_file() or b"theirs" not in found.read_bytes(), found
