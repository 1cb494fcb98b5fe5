"""The benchmark of the page leaves no figure out and loses nothing; how fast it is, is not a matter for tests."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from phasecast.results import open_result
from phasecast.services.bench_page import BenchPageOptions, bench_page
from phasecast.services.bench_page_live import lateness
from phasecast.services.bench_page_report import format_report
from phasecast.services.bench_page_result import BIG_POINTS, BIG_SHAPE, write_big_result
from support.browser import chromium_or_skip


def picture(sequence, shown_ms, repainted=True):
    return {"sequence": sequence, "known_ms": shown_ms - 30, "shown_ms": shown_ms, "repainted": repainted}


def test_commit_counts_as_shown_with_the_first_picture_of_itself_or_a_later_one():
    sequence, time_s = np.array([1, 2, 3, 4, 5]), np.array([10.0, 10.1, 10.2, 10.3, 10.4])
    seen = lateness(sequence, time_s, [picture(0, 9000), picture(2, 10_300), picture(4, 10_500, False)])
    assert seen["commits"] == 5
    assert seen["commits_not_shown"] == 1
    assert seen["pictures"] == 2
    assert seen["pictures_repainted"] == 1
    # 1 and 2 after 300 and 200 ms, 3 and 4 after 300 and 200 ms
    assert seen["disk_to_pixel_ms"]["p50"] == pytest.approx(250)
    assert seen["disk_to_pixel_ms"]["max"] == pytest.approx(300)
    assert seen["disk_to_browser_ms"]["max"] == pytest.approx(270)


def test_page_that_shows_nothing_is_not_taken_for_a_fast_one():
    seen = lateness(np.array([1, 2]), np.array([10.0, 10.1]), [])
    assert seen["commits_not_shown"] == 2
    assert seen["disk_to_pixel_ms"] == {"p50": None, "p95": None, "max": None}


def test_large_result_has_every_point_and_every_layer(tmp_path):
    assert BIG_SHAPE[0] * BIG_SHAPE[1] >= BIG_POINTS > BIG_SHAPE[0] * BIG_SHAPE[1] - BIG_SHAPE[1]
    path = write_big_result(tmp_path / "large.nxs", points=795, shape=(20, 40))
    with open_result(path) as result:
        assert result.is_closed
        assert result.points == result.points_done == 795
        assert result.patterns.shape == (795, 600)
        assert result.map_of(np.arange(795)).shape == (20, 40)
        confidence = result.confidences
        assert confidence.shape == (795, 9)
        for name in ("ferrite", "magnetite", "goethite", "lepidocrocite", "resin"):
            assert (confidence.sel(class_id=name) >= 0.5).sum() > 10


@pytest.mark.slow
@pytest.mark.long
def test_benchmark_reports_every_figure(tmp_path):
    chromium_or_skip()
    options = BenchPageOptions(
        rate_hz=50,
        points=120,
        sessions=2,
        big_shape=(20, 40),
        big_points=795,
        opened_sessions=4,
        data_dir=tmp_path,
    )
    # in a process of its own, as from the command line: it drives a browser, and so may the tests before it
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        report = pool.submit(bench_page, options).result()
    assert json.loads(json.dumps(report)) == report
    for run in (report["alone"], report["seen"]):
        assert run["frames_done"] == run["points"] == 120
        assert run["frames_unaccounted"] == 0
    pages = report["seen"]["pages"]
    # all of them on a machine that is not busy with other tests
    assert pages["commits_not_shown"] < pages["commits"]
    assert pages["pictures_repainted"] > 0
    assert 0 < pages["disk_to_pixel_ms"]["p50"] <= pages["disk_to_pixel_ms"]["p95"]
    assert all(report["seen"]["sessions"])
    assert report["opening"]["opened_by_address_ms"] > 0
    assert report["opening"]["opened_from_list_ms"] > 0
    assert all(took > 0 for took in report["opening"]["layer_ms"].values())
    assert len(report["memory"]["after_each_mb"]) == 4
    text = format_report(report)
    assert "NOT MEASURED" not in text
    for limit in ("1000 ms", "50 ms", "3000 ms", "500 ms", "5 MB"):
        assert limit in text
