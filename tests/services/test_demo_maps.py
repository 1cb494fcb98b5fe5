"""Maps of two scans through the real wires: complete ledgers, true maps, offsets shown and applied only when asked."""

import json
import re

import numpy as np
import pytest

from phasecast.core.errors import PhasecastError
from phasecast.results import open_result
from phasecast.results.interruptions import interruptions_of
from phasecast.services.demo_maps import passes_of
from phasecast.simulate.passes import MapPass, parse_pass
from support.command import run
from support.daemon import beamline

WHOLE = MapPass(shape=(24, 32), step_um=2.0)


def places(scan, until=None):
    rows, columns = scan.shape
    cells = [
        (row, column if row % 2 == 0 else columns - 1 - column) for row in range(rows) for column in range(columns)
    ]
    x0, y0 = scan.origin_um
    return {(x0 + 2 * column, y0 + 2 * row) for row, column in cells[:until]}


@pytest.mark.parametrize("shape", [(24, 32), (9, 9), (11, 40)])
@pytest.mark.parametrize("kind", ["interrupted", "tiles"])
def test_the_two_scans_of_a_demo_cover_the_map_and_overlap(kind, shape):
    first, second = (parse_pass(text, default=WHOLE) for text in passes_of(kind, *shape))
    dark = first.faults.beam_dump
    seen = places(first, until=None if dark is None else dark[0])
    assert seen | places(second) == places(MapPass(shape=shape, step_um=2.0))
    assert len(seen & places(second)) >= 20


def test_maps_too_small_for_two_scans_are_refused():
    with pytest.raises(PhasecastError, match="too few"):
        passes_of("tiles", 5, 40)


@pytest.mark.slow
@pytest.mark.long
def test_an_interrupted_map_is_complete_and_true_and_its_offset_is_shown_not_applied(tmp_path):
    ended = run("demo", "--interrupted", "--once", "--no-page", "--shape", "14x26", "--rate", 100, "--seed", 3,
                "--catalog", "none", "--data-dir", tmp_path)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    shown = " ".join(ended.stderr.split())
    assert "ledger: 364 done" in shown
    assert "10.0 min after the last point" in shown
    x, sigma = (float(text) for text in re.search(r"x ([-+]\d\.\d) ± (\d\.\d) µm", shown).groups())
    assert abs(x - 3.0) < 3 * sigma
    assert sigma < 2
    assert "no position was changed" in shown
    as_measured, moved = (float(text) for text in re.findall(r"mean F1 of the oxides[^:]*?: (\d\.\d+)", shown))
    assert moved > as_measured
    assert moved > 0.8


@pytest.mark.slow
@pytest.mark.long
def test_two_tiles_are_one_complete_and_true_map(tmp_path):
    ended = run("demo", "--tiles", "--once", "--no-page", "--shape", "12x20", "--rate", 100, "--catalog", "none",
                "--data-dir", tmp_path)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "ledger: 240 done, 36 superseded" in ended.stderr
    assert float(re.search(r"as measured: (\d\.\d+)", ended.stderr)[1]) > 0.8
    assert len(list(tmp_path.glob("*/reports/*-map.html"))) == 1


@pytest.mark.slow
@pytest.mark.long
def test_a_beam_that_was_away_in_mid_row_is_found_measured_and_reported_and_nothing_is_moved(tmp_path):
    # the sample is known at half the step, so that a beam 3 um beside its place meets places the truth knows
    arguments = ("--sample-shape", "20x128", "--sample-step-um", "1", "--pass", "beam-lost=150", "--map", "A-3")
    with beamline(tmp_path, shape="8x60", rate=80, arguments=arguments) as setup:
        daemon = setup.start_daemon("--once", "--device", "cpu", reports=True)
        setup.begin()
        assert daemon.wait(150) == 0
        (path,) = setup.results
    with open_result(path) as result:
        assert result.ledger_sums["done"] == 480
        assert result.flag_sums["position_doubtful"] == 0
        (found,) = interruptions_of(result)
        assert np.unique(result.ledger["x_um"].values).tolist() == [2.0 * k for k in range(60)]
    assert (found.before[1], found.after[1], found.within_a_scan) == (149, 150, True)
    assert 600 < found.duration_s < 605
    # the simulated flux drifts by itself: 3 % in 1700 frames, as a sine
    drift = np.median(np.sin(2 * np.pi * np.arange(150, 200) / 1700) - np.sin(2 * np.pi * np.arange(100, 150) / 1700))
    assert abs(found.i0_change - (0.95 * (1 + 0.03 * drift) - 1)) < 4 * found.i0_change_sigma
    assert found.offset.how in ("adjoining", "none")
    assert found.offset.x_um is None or abs(found.offset.x_um - 3.0) < 3 * found.offset.x_sigma_um
    assert found.offset.y_um is None
    report = json.loads((setup.data_dir / "reports" / f"{path.stem}.json").read_text(encoding="utf-8"))
    assert report["map"]["name"] == "A-3"
    assert report["map"]["interruptions"][0]["applied_um"] == [0.0, 0.0]
    page = (setup.data_dir / "reports" / f"{path.stem}.html").read_text(encoding="utf-8")
    assert "the measurement paused for 10.0 min" in page
