"""The demo: one command, two processes, real wires, and a map that agrees with the truth."""

import json
import re
import subprocess
import sys

import pytest

from phasecast.results import open_result
from phasecast.services.truth import compare_with_truth, mean_oxide_f1
from support.nexus import validation


def run(*words):
    command = [sys.executable, "-m", "phasecast.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_demo_ends_with_a_complete_ledger_and_its_f1(tmp_path):
    ended = run("demo", "--catalog", "none", "--once", "--shape", "8x12", "--data-dir", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert float(re.search(r"mean F1 of the oxides: (\d\.\d+)", ended.stderr)[1]) > 0.5
    assert "ledger: 96 done" in ended.stderr
    (path,) = tmp_path.glob("*/results/*.nxs")
    assert path.with_suffix(".png").exists()
    assert validation(path)[1] == 0


@pytest.mark.slow
@pytest.mark.long
def test_demo_with_frames_as_files_agrees_with_the_truth_and_its_frames_can_be_classified_alone(tmp_path):
    ended = run("demo", "--catalog", "none", "--once", "--files", "--shape", "6x10", "--data-dir", tmp_path)
    assert ended.returncode == 0, ended.stderr
    (path,) = tmp_path.glob("*/results/*.nxs")
    (truth,) = tmp_path.glob("*/truth.json")
    assert mean_oxide_f1(compare_with_truth(path, truth)) > 0.5
    with open_result(path) as result:
        assert result.ledger_sums["done"] == result.points == 60
        assert set(result.frames["store"].to_numpy().tolist()) == {"file"}
        rows = (0, 17, 59)
        frames = [result.frame_reference(row).path for row in rows]
        live = result.confidences.to_numpy()
        names = [phase.id for phase in result.header.classes]
    alone = run("classify", *frames, "--profile", "bl16xu", "--device", "cpu", "--json")
    assert alone.returncode == 0, alone.stderr
    for row, entry in zip(rows, json.loads(alone.stdout), strict=True):
        # four decimals are printed
        assert [entry["confidences"][name] for name in names] == pytest.approx(live[row].tolist(), abs=1e-4)


@pytest.mark.slow
@pytest.mark.long
def test_demo_whose_log_comes_after_the_scan_ends_with_the_same_map(tmp_path):
    ended = run("demo", "--once", "--no-page", "--log-later", "--shape", "6x10", "--catalog", "none",
                "--data-dir", tmp_path)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "ledger: 60 done" in ended.stderr
    assert float(re.search(r"mean F1 of the oxides: (\d\.\d+)", ended.stderr)[1]) > 0.5
    later, without = sorted(tmp_path.glob("*/results/*.nxs"), reverse=True)[:2]
    assert later.name == f"{without.stem}_positions.nxs"
    with open_result(without) as result:
        assert result.flag_sums["no_position"] == result.points_done == 60
    assert validation(later)[1] == 0
