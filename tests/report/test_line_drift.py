"""The report warns of a line that moves from the same limit on as the alarm of the page."""

import numpy as np
import pytest

from phasecast.core.ledger import PointFlag
from phasecast.core.words import words
from phasecast.records.alarm_signs import SignReader, alarm_inputs
from phasecast.records.alarms import AlarmRules, evaluate
from phasecast.report.build import build_report
from phasecast.report.material import gather
from phasecast.report.text import page_text
from phasecast.results import open_result
from phasecast.results.follow import ResultFollower
from phasecast.sinks.nexus import NexusSink
from support.documents import make_header, raster
from support.drifting import GOETHITE, DriftingScan

SHAPE = (12, 20)
POINTS = SHAPE[0] * SHAPE[1]


def written(folder, drift_deg, notes=None):
    x_um, y_um = raster(SHAPE)
    confidence = np.full((POINTS, 9), 0.02)
    confidence[:, GOETHITE] = 0.97
    header = make_header(shape=SHAPE, expected=POINTS, bins=600)
    run = DriftingScan(header, x_um, y_um, confidence=confidence, drift_deg=drift_deg, counts=4000.0)
    sink = NexusSink(folder / "scan.nxs")
    for document in run.opening():
        sink(*document)
    rows = np.arange(POINTS)
    sink(*run.points(rows))
    sink(*run.ledger(rows, **(notes or {})))
    sink(*run.stop())
    return sink.path


@pytest.mark.parametrize(("drift_deg", "warns"), [(0.0, False), (0.02, False), (0.045, True), (-0.06, True)])
def test_page_and_report_warn_of_the_same_drift(tmp_path, drift_deg, warns):
    path = written(tmp_path, drift_deg)
    follower = ResultFollower(path)
    signs = SignReader(follower).read()
    follower.close()
    now = {"state": "running", "time_s": 0.0, "scans": [{"uid": "raw", "state": "measuring", "started_s": 0.0}]}
    alarms = [alarm.kind for alarm in evaluate(alarm_inputs(now, now_s=1.0, signs=signs, disk_free_bytes=1e12))]
    assert ("line_drift" in alarms) == warns
    with open_result(path) as result:
        material = gather(result)
        report = build_report(result, material)
    line = report.quality.line
    assert line is not None
    assert line.limit_deg == AlarmRules().line_shift_deg == 0.03
    assert line.beyond_limit == warns
    assert line.drift.change == pytest.approx(drift_deg, abs=0.005)
    for language, sentence in (("en", "a drift beyond the limit of 0.03°"), ("ja", "許容値 0.03° を超えるドリフト")):
        told = page_text(report, material.scene, words(language))["drifts"]
        assert any(sentence in line for line in told) == warns


def test_points_that_no_model_applied_to_are_counted_with_the_reason(tmp_path):
    reason = np.where(np.arange(POINTS) < 7, "no pixel at 10-11.6 deg, which the model needs", "")
    flags = np.where(np.arange(POINTS) < 7, int(PointFlag.NOT_CLASSIFIED), 0)
    with open_result(written(tmp_path, 0.0, {"reason": reason, "flags": flags})) as result:
        report = build_report(result, gather(result))
    assert report.quality.not_classified == {"no pixel at 10-11.6 deg, which the model needs": 7}
    assert report.quality.reasons == {}
