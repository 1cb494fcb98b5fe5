"""Which model made which confidence, and what transmission did to it: in the file, and after a killed writer."""

import shutil
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from phasecast.core.documents import DRIFT_AXIS, MODEL_AXIS, SHARE_AXIS
from phasecast.core.protocols import Reduced
from phasecast.core.record import CapturePosition
from phasecast.core.result import ColumnSpec, ModelStamp
from phasecast.core.scan import PointMeasured
from phasecast.pipeline.beam import BeamRules
from phasecast.pipeline.desk import ticket_of
from phasecast.pipeline.emitter import DerivedRun
from phasecast.pipeline.fold import FoldRules, ScanFold
from phasecast.pipeline.join import JoinRule
from phasecast.pipeline.open_scan import DeskRules, OpenScan
from phasecast.pipeline.scores import MetalRule
from phasecast.profiles import load_profile
from phasecast.results import layout, open_result
from phasecast.results.composed_map import ComposedMap
from phasecast.results.follow import ResultFollower
from phasecast.services.rescoring import Rescorer
from phasecast.services.unfinished_results import find_results
from phasecast.services.xrd_stage import build_stage
from phasecast.sinks.nexus import NexusSink
from support.documents import CLASS_IDS, MODEL, make_header
from support.scans import UID, scan_start, scan_stop, tidy_scan

ROWS, COLUMNS, BINS = 4, 8, 20
POINTS = ROWS * COLUMNS
IRON = CLASS_IDS.index("peakless_iron")
TAUGHT = ModelStamp(name="rust", version="2", sha256="cd" * 32, calibrated_on="labels", owner="森の組")
HERE = CapturePosition(segment="a", offset=7)
METAL = MetalRule(
    column=IRON,
    share=lambda known: np.where(np.isfinite(known), 1 - known, 0.5),
    settle=lambda said, share: said[:, IRON] * share,
    unsettle=lambda told, share: told[:, IRON] / share,
)


def said_by(stamp: ModelStamp) -> np.ndarray:
    return np.linspace(0.1, 0.8, POINTS * 9, dtype=np.float32).reshape(POINTS, 9) + (0.1 if stamp is TAUGHT else 0)


def drift_of(stamp: ModelStamp) -> np.ndarray:
    """How strange a model finds the points; the taught one cannot tell of the last."""
    drift = np.linspace(0.2, 0.6, POINTS, dtype=np.float32) + np.float32(1 if stamp is TAUGHT else 0)
    drift[-1] = np.nan if stamp is TAUGHT else drift[-1]
    return drift


def factor(transmission):
    """What `METAL` multiplies with: nothing where the odds are even."""
    share = METAL.share(transmission)
    return np.where(share == 0.5, 1.0, share)


def transmission_of(index: int) -> float:
    return 0.25 + index / 100 if index % 2 else np.nan


class Scan:
    """One scan into one file, whose first model is that of the header."""

    def __init__(self, path, left=None, *, empty_point=None):
        base = make_header(shape=(ROWS, COLUMNS), bins=BINS)
        own = (
            ColumnSpec(name="model", dtype="<i2", axis=MODEL_AXIS),
            ColumnSpec(name="metal_share", dtype="<f4", axis=SHARE_AXIS),
            ColumnSpec(name="drift", dtype="<f4", axis=DRIFT_AXIS),
        )
        start = scan_start(ROWS, COLUMNS)
        scalars = ["transmission", *(["i0", "i1"] if empty_point is not None else [])]
        header = replace(
            base,
            raw_uid=start.uid,
            columns=base.columns + own,
            point_columns=tuple(ColumnSpec(name=name, dtype="<f8") for name in scalars),
            processing={"capture_start": {"segment": "a", "offset": 0}},
        )
        rules = FoldRules(
            join=JoinRule(),
            place=lambda position: (position["x"], position["y"]),
            scalar_fields={"i0": "i0", "i1": "i1"} if empty_point is not None else {"transmission": "t"},
            beam=BeamRules(i0="i0", i1="i1", empty_point=empty_point) if empty_point is not None else BeamRules(),
            scores_need_transmission=True,
        )
        self.path = path
        self.sink = NexusSink(path) if left is None else NexusSink.resume(left.path)
        self.run = DerivedRun(
            header,
            self.sink,
            restored_states=left.states if left else None,
            restored_remarks=left.remarks if left else None,
            restored_scores=left.scores if left else None,
            restored_revisions=left.revisions if left else None,
            models=left.models if left else (),
            metal=METAL,
            validate=True,
        )
        self.fold = ScanFold(start, rules)
        if left is not None:
            self.fold.restore(left.states, left.remarks, left.revisions)
        self.run.start()

    def measure(self, stamp, *, known=False):
        frames, points = tidy_scan(ROWS, COLUMNS, counters=True)
        for item in sorted([*frames, *points], key=lambda item: item.received_s):
            if isinstance(item, PointMeasured):
                known_t = transmission_of(item.index)
                self.fold.add_point(replace(item, scalars={"t": known_t, "i0": 100.0, "i1": 100 * known_t}))
            else:
                self.fold.add_frame(ticket_of(item), None if known else self.reduced(item.number, stamp))
                self.emit()
        self.emit()

    @staticmethod
    def reduced(index, stamp):
        intensity = (100 + np.arange(BINS)).astype(np.float32)
        columns = {"intensity": intensity, "sigma": np.sqrt(intensity), "norm": np.ones(BINS, np.float32)}
        columns |= {"total_counts": np.float64(1.0), "saturated_pixels": np.int32(0)}
        columns["drift"] = drift_of(stamp)[index]
        return Reduced(columns={**columns, "confidence": said_by(stamp)[index]}, model=stamp)

    def ask_anew(self, stamp, indices):
        self.run.replace_scores(indices, said_by(stamp)[indices], stamp, drift=drift_of(stamp)[indices])
        self.fold.replace(indices.tolist())
        self.emit()

    def emit(self):
        self.run.emit(self.fold.take_turn(), self.fold, HERE)

    def stop(self):
        self.fold.set_stop(scan_stop(POINTS, 2000.0))
        self.fold.close(now_s=2000.0)
        self.emit()
        self.run.stop(exit_status="success", reason="", counters={"ledger": self.fold.ledger.sums()})
        self.sink.close()


def painted(scan):
    """Drift as the page paints it."""
    with closing(ResultFollower(shutil.copyfile(scan.path, scan.path.with_name("copy.nxs")))) as page:
        return page.drift.copy()


def after_transmission(confidences):
    known = np.array([transmission_of(index) for index in range(POINTS)])
    expected = confidences.copy()
    expected[:, IRON] *= factor(known)
    return expected


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What a daemon leaves that is killed while the second model is half through."""
    folder = tmp_path_factory.mktemp("killed")
    scan = Scan(folder / "growing.nxs")
    scan.measure(MODEL)
    at_first = shutil.copyfile(scan.path, folder / "at-first.nxs")
    scan.ask_anew(TAUGHT, np.arange(POINTS // 2))
    left = tmp_path_factory.mktemp("left") / "growing.nxs"
    shutil.copyfile(scan.path, left)
    with open_result(at_first) as growing:
        np.testing.assert_allclose(growing.confidences, after_transmission(said_by(MODEL)), rtol=1e-6)
        assert [used.stamp for used in growing.models] == [MODEL]
    with open_result(left) as growing:
        assert [used.stamp for used in growing.models] == [MODEL, TAUGHT]
        assert growing.model_of_points.tolist() == [1] * (POINTS // 2) + [0] * (POINTS // 2)
        assert growing.model_shares == [(TAUGHT, POINTS // 2), (MODEL, POINTS // 2)]
        changed = growing.file[layout.CHANGED_IN][...]
        assert changed[: POINTS // 2].min() > changed[POINTS // 2 :].max(), "followers hear of it"
        mixed = np.concatenate([drift_of(TAUGHT)[: POINTS // 2], drift_of(MODEL)[POINTS // 2 :]])
        np.testing.assert_array_equal(growing.column("drift"), mixed)
    scan.stop()
    return scan.path, left


def test_each_point_names_the_model_behind_it_and_the_newest_is_asked_about_the_rest_after_a_kill(killed):
    _, left_path = killed
    (left,), _ = find_results(left_path.parent)
    assert [used.stamp for used in left.models] == [MODEL, TAUGHT]
    scan = Scan(left.path, left)
    scan.measure(TAUGHT, known=True)
    rest = scan.run.not_by(TAUGHT)
    assert rest.tolist() == list(range(POINTS // 2, POINTS))
    scan.ask_anew(TAUGHT, rest)
    assert scan.run.not_by(TAUGHT).size == 0
    scan.stop()
    with open_result(left_path) as result:
        assert [used.stamp for used in result.models] == [MODEL, TAUGHT], "no model twice"
        assert set(result.model_of_points.tolist()) == {1}
        assert result.ledger_sums["done"] == POINTS
        assert set(result.ledger["revision"].to_numpy().tolist()) == {1}
        np.testing.assert_array_equal(result.column("drift"), drift_of(TAUGHT))
        # transmission has its say once, however often a point is written
        np.testing.assert_allclose(result.confidences, after_transmission(said_by(TAUGHT)), rtol=1e-5)
        np.testing.assert_allclose(
            result.column("metal_share"), METAL.share(np.array([transmission_of(k) for k in range(POINTS)])), rtol=1e-6
        )


def test_going_back_to_the_first_model_gives_what_it_said_at_first(tmp_path):
    scan = Scan(tmp_path / "a.nxs")
    scan.measure(MODEL)
    everything = np.arange(POINTS)
    np.testing.assert_array_equal(painted(scan), drift_of(MODEL))
    for stamp in (TAUGHT, MODEL):
        scan.ask_anew(stamp, everything)
        np.testing.assert_array_equal(painted(scan), drift_of(stamp))
    scan.stop()
    with open_result(scan.path) as result:
        assert [used.stamp for used in result.models] == [MODEL, TAUGHT]
        assert result.main_model == MODEL
        assert set(result.model_of_points.tolist()) == {0}
        assert set(result.ledger["revision"].to_numpy().tolist()) == {2}
        np.testing.assert_allclose(result.confidences, after_transmission(said_by(MODEL)), rtol=1e-6)


def test_points_are_said_anew_when_the_empty_beam_is_measured_at_last(tmp_path):
    scan = Scan(tmp_path / "a.nxs", empty_point=POINTS - 1)
    scan.measure(MODEL)
    scan.stop()
    with open_result(scan.path) as result:
        known = result.ledger["transmission"].to_numpy()
        of_empty = transmission_of(POINTS - 1)
        expected = np.array([transmission_of(index) for index in range(POINTS)]) / of_empty
        np.testing.assert_allclose(known, expected, rtol=1e-6)
        said = said_by(MODEL)
        said[:, IRON] *= factor(known)
        np.testing.assert_allclose(result.confidences, said, rtol=1e-5, atol=1e-7)


def test_a_scan_stays_open_while_a_model_is_loaded_for_it(tmp_path):
    scan = Scan(tmp_path / "a.nxs")
    now = OpenScan(fold=scan.fold, run=scan.run, newest_s=0.0, grace_s=1.0)
    stage = build_stage(load_profile("bl16xu"), device="cpu")
    scan.fold.set_stop(scan_stop(0, 2000.0))
    with Rescorer(stage=stage, open_scans=lambda: {UID: now}, read_rows=scan.sink.read_rows) as rescorer:
        for loading in (True, False):
            rescorer.step(busy=False, loading=loading)
            assert now.is_over(DeskRules(), quiet_s=1e6) is not loading
    scan.sink.close()


def test_a_map_of_two_scans_tells_the_models_of_both_apart(killed, tmp_path):
    mixed, _ = killed
    other = tmp_path / "other.nxs"
    shutil.copyfile(mixed, other)
    first = open_result(mixed)
    second = open_result(other)
    second.header = replace(second.header, raw_uid="raw-2", started_s=second.header.started_s + 5)
    with ComposedMap([first, second], name="both") as both:
        assert [used.stamp for used in both.models] == [MODEL, TAUGHT]
        assert both.model_of_points.tolist() == [*first.model_of_points.tolist(), *second.model_of_points.tolist()]
