"""The live benchmark accounts for every frame and leaves no figure out; how fast it is, is not a matter for tests."""

import json
import sys

import pytest

from phasecast.core.errors import PhasecastError
from phasecast.services.bench_live import BenchLiveOptions, bench_live, format_report
from phasecast.services.bench_rescore import BenchRescoreOptions, bench_rescore
from phasecast.services.bench_rescore import format_report as format_rescore
from phasecast.services.bench_scan import is_complete
from phasecast.xrd.benchmark_classify import bench_classify
from phasecast.xrd.benchmark_classify import format_report as format_classify


def test_live_benchmark_accounts_for_every_frame(tmp_path) -> None:
    report = bench_live(BenchLiveOptions(rate_hz=50.0, points=100, data_dir=tmp_path, swap=True))
    assert report["points"] == 100
    assert report["frames_sent"] == 100
    assert report["frames_done"] == 100
    assert report["frames_unaccounted"] == 0
    assert report["ledger"] == {"done": 100}
    assert is_complete(report)
    latency = report["latency_ms"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]
    swap = report["swap"]
    assert 49 < swap["asked_at_points"] < 100
    assert swap["points_rescored"] > 0
    assert swap["points_by_new_model"] == 100, "those that came before the swap, beside it and after it"
    beside = swap["latency_during_ms"]
    assert not beside["points"] or 0 < beside["p50_ms"] <= beside["p99_ms"] <= beside["max_ms"]
    for figure in ("sent_frames_per_s", "done_frames_per_s"):
        assert report[figure] > 0
    if sys.platform == "linux":
        assert set(report["daemon_memory_mb_at"]) == {"0.25", "0.50", "0.75", "1.00"}
        # the kernel counts the peak in batches of pages
        assert max(report["daemon_memory_mb_at"].values()) <= report["daemon_memory_peak_mb"] + 1
        assert report["daemon_cpu_cores"] > 0
    assert json.loads(json.dumps(report)) == report
    text = format_report(report)
    assert "0 unaccounted" in text
    assert "p99" in text
    assert "100 of 100 are by it in the end" in text
    assert "another model" not in format_report({**report, "swap": None})


def test_live_benchmark_is_not_complete_with_a_frame_missing() -> None:
    assert not is_complete({"frames_unaccounted": 1, "frames_done": 99, "points": 100})
    assert not is_complete({"frames_unaccounted": 0, "frames_done": 99, "points": 100})
    whole = {"frames_unaccounted": 0, "frames_done": 100, "points": 100}
    assert is_complete(whole)
    assert not is_complete({**whole, "swap": {"points_by_new_model": 99}})


def test_rescoring_benchmark_asks_the_new_model_about_every_point(tmp_path) -> None:
    report = bench_rescore(BenchRescoreOptions(points=1500, data_dir=tmp_path))
    assert report["points"] == report["rescored"] == report["points_by_new_model"] == 1500
    assert report["seconds"] > 0
    assert json.loads(json.dumps(report)) == report
    assert "1,500 of 1,500 points are the new model's" in format_rescore(report)
    assert "limit" not in format_rescore(report), "it is for the whole map"


@pytest.mark.parametrize(("points", "shape"), [(1, (1, 1)), (1000, (1, 1000)), (1001, (2, 501)), (20_000, (20, 1000))])
def test_scan_has_at_least_the_points_that_were_asked_for(points, shape) -> None:
    assert BenchLiveOptions(points=points).shape == shape


def test_classify_benchmark_times_one_a_block_and_many() -> None:
    report = bench_classify(patterns=200, calls=3)
    assert report["patterns"] == 200
    assert report["ms_single"] > 0
    assert set(report["patterns_per_s"]) == {"single", "block", "one_call"}
    assert json.loads(json.dumps(report)) == report
    assert [(len(call["members"]), call["threads"]) for call in report["long_calls"]] == [
        (2, 1),
        (2, 2),
        (1, 1),
        (1, 2),
    ]
    text = format_classify(report)
    assert "limit 2 ms" in text
    assert "macro_f1" in text


def test_classify_benchmark_shows_the_tables_of_a_study() -> None:
    report = bench_classify(patterns=70, calls=1)
    report["study"] = {
        "patterns": 4000,
        "models": {"default": {"macro_f1": 0.9012345, "ece": 0.01}, "paper": {"macro_f1": 0.53}},
        "curve": [{"labels": 0, "macro_f1": 0.87}, {"labels": 1000, "macro_f1": 0.9}],
    }
    lines = format_classify(report).splitlines()
    assert "  default    0.9012  0.01" in lines
    assert "  paper        0.53" in lines
    assert "  1000         0.9" in lines
    assert "  patterns  4000" in lines


def test_classify_benchmark_names_a_bundle_that_is_not_there(tmp_path) -> None:
    with pytest.raises(PhasecastError, match="nobody"):
        bench_classify(model=str(tmp_path / "nobody"))
