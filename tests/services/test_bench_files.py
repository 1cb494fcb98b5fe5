"""The benchmark of folders counts what it says it counts."""

from phasecast.services.bench_files import BenchFilesOptions, find_cost_us, format_report, is_complete
from support.frame_files import cbf_bytes, small_image


def test_every_file_of_a_listed_folder_is_found_or_there_is_no_figure(tmp_path):
    content = cbf_bytes(small_image(0, (20, 30)), "Exposure_time 0.1 s")
    assert find_cost_us(tmp_path / "listed", 250, content) > 0


def test_a_run_with_a_frame_missing_is_not_complete_and_says_so():
    report = {
        "frames_sent": 10,
        "frames_done": 9,
        "frames_unaccounted": 1,
        "done_frames_per_s": 412.0,
        "daemon_cpu_ms_a_frame": 1.3,
        "daemon_memory_peak_mb": 600.0,
        "find_us_a_file": {"10000": 200.0, "100000": 210.0},
        "cores": [0, 1],
        "cpus": 2,
        "load_before": 0.5,
    }
    assert not is_complete(report)
    text = format_report(report)
    assert "10 in, 9 done, 1 unaccounted" in text
    assert "100,000 files 210 us (1.05 x)" in text
    assert BenchFilesOptions().listed == (10_000, 50_000, 100_000)
