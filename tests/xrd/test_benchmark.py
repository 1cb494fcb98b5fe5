"""The benchmark compares like with like; how fast it is, is not a matter for tests."""

import json

from phasecast.xrd.benchmark import bench_integrate, format_report


def test_benchmark_times_every_way_on_equal_results() -> None:
    report = bench_integrate(calls=10)
    assert report["largest_difference_from_pyfai"] < 1e-5
    assert {"ours_single", "ours_batch", "ours_live_single", "pyfai"} <= set(report["ms_per_frame"])
    assert all(value > 0 for value in report["ms_per_frame"].values())
    assert json.loads(json.dumps(report)) == report
    text = format_report(report)
    assert "ms/frame" in text
    assert "azint" in text
