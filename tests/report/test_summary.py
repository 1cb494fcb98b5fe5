import json
from pathlib import Path

import numpy as np
import pytest

from phasecast.core.ledger import PointFlag, PointState
from phasecast.report.summary import summarise, write_summary
from phasecast.results import open_result
from phasecast.sinks.nexus import NexusSink
from support.documents import CLASS_IDS, raster_scan


def test_the_summary_counts_what_the_file_holds(tmp_path: Path) -> None:
    run = raster_scan((4, 5))
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in (*run.opening(), *run.pages(4, last=16)):
        sink(*document)
    sink(*run.defect("corrupt frame", "image 17"))
    sink(*run.defect("corrupt frame", "image 18"))
    sink(*run.ledger(np.array([16, 17]), PointState.REJECTED, reason="corrupt frame"))
    sink(*run.ledger(np.array([18, 19]), PointState.NOT_MEASURED))
    sink(*run.ledger(np.array([3]), flags=int(PointFlag.SATURATED | PointFlag.POSITION_DOUBTFUL)))
    sink(*run.stop(surplus_frames=2))
    with open_result(sink.path) as result:
        write_summary(result, tmp_path / "scan.json")
    summary = json.loads((tmp_path / "scan.json").read_text(encoding="utf-8"))
    assert sum(summary["ledger"].values()) == summary["points"] == 20
    assert (summary["ledger"]["done"], summary["ledger"]["rejected"]) == (16, 2)
    assert summary["complete"] is False
    assert summary["flags"]["saturated"] == summary["flags"]["position_doubtful"] == 1
    assert summary["defects"] == {"corrupt frame": 2}
    confidence = run.confidences(np.arange(16))
    for k, name in enumerate(CLASS_IDS):
        assert summary["classes"][name]["points"] == np.count_nonzero(confidence[:, k] >= 0.5)
        assert summary["classes"][name]["mean_confidence"] == pytest.approx(confidence[:, k].mean(), abs=1e-3)
    assert summary["duration_s"] == 60
    assert summary["points_per_s"] == pytest.approx(16 / 60, abs=1e-3)
    assert summary["model"]["calibrated_on"] == "simulation only"
    assert summary["counters"]["surplus_frames"] == 2


@pytest.mark.parametrize(
    ("confidence", "unsure"), [([0.19, 0.81], 0), ([0.19, 0.5], 1), ([0.3, 0.99], 1), ([0.0, 1.0], 0)]
)
def test_unsure_points_have_a_class_between_seen_and_excluded(
    tmp_path: Path, confidence: list[float], unsure: int
) -> None:
    run = raster_scan((2, 2))
    run.confidence = np.zeros((4, 9))
    run.confidence[0, :2] = confidence
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in run.documents():
        sink(*document)
    with open_result(sink.path) as result:
        summary = summarise(result)
    assert summary["unsure_points"] == unsure
    assert summary["complete"] is True


def test_a_scan_without_a_model_or_a_point_has_a_summary(tmp_path: Path) -> None:
    run = raster_scan((2, 2), classified=False)
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in (*run.opening(), run.stop()):
        sink(*document)
    with open_result(sink.path) as result:
        summary = summarise(result)
    assert summary["classes"] == {}
    assert summary["model"] is None
    assert summary["ledger"]["pending"] == 4
