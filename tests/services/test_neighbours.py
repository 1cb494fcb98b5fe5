"""Confidences that take neighbours into account: the same in the end whatever came first, and cheap on the way."""

import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from phasecast.core.documents import ALONE_AXIS, MODEL_AXIS, SCORES
from phasecast.core.protocols import Reduced
from phasecast.core.record import CapturePosition
from phasecast.core.result import ColumnSpec, ModelStamp, split_neighbours
from phasecast.core.scan import PointMeasured
from phasecast.pipeline.desk import ticket_of
from phasecast.pipeline.emitter import DerivedRun
from phasecast.pipeline.fold import FoldRules, ScanFold
from phasecast.pipeline.join import JoinRule
from phasecast.pipeline.neighbours import NeighbourRule
from phasecast.pipeline.open_scan import OpenScan
from phasecast.profiles import load_profile
from phasecast.results import open_result
from phasecast.results.grid import Grid
from phasecast.services.neighbours import RasterCells, header_with_neighbours
from phasecast.services.preflight_instrument import build_instrument
from phasecast.services.unfinished_results import find_results
from phasecast.sinks.nexus import NexusSink
from phasecast_models.xrd.bundle import load_bundle
from phasecast_models.xrd.spatial import SpatialPass, logits_of
from support.documents import MODEL, make_header
from support.scans import scan_start, scan_stop, tidy_scan

ROWS, COLUMNS, BINS = 7, 9, 6
POINTS = ROWS * COLUMNS
OTHER = ModelStamp(name="rust", version="2", sha256="cd" * 32, calibrated_on="labels", owner="森の組")
HERE = CapturePosition(segment="a", offset=7)


def weights(seed):
    rng = np.random.default_rng(seed)
    return SpatialPass(
        edge=1.0,
        first=rng.normal(0, 0.6, (28, 12)),
        first_bias=rng.normal(0, 0.1, 12),
        second=rng.normal(0, 0.6, (12, 9)),
        second_bias=rng.normal(0, 0.1, 9),
    )


class Passes:
    """Second passes by model, which count the rows they are asked about."""

    def __init__(self, known):
        self.known = known
        self.rows = 0

    def __call__(self, stamp):
        known = self.known.get(stamp.sha256)
        if known is None:
            return None

        def counted(own, around):
            self.rows += len(own)
            return known.confidences(own, around)

        return counted


PASS = weights(1)
ALONE = np.random.default_rng(2).uniform(0.001, 0.999, (ROWS, COLUMNS, 9)).astype(np.float32)
OTHER_ALONE = np.random.default_rng(3).uniform(0.001, 0.999, (ROWS, COLUMNS, 9)).astype(np.float32)


def together(alone, second_pass=PASS):
    """What is to come out of a whole map."""
    return expit(second_pass.apply(logits_of(alone)))


def asking_for_neighbours(profile):
    classification = profile.classification.model_copy(update={"neighbours": True})
    return profile.model_copy(update={"classification": classification})


class Scan:
    """One scan into one file; points are named by their cell, so that two ways over the sample can be compared."""

    def __init__(self, path, *, snaking=True, left=None, passes=None, shape=(ROWS, COLUMNS), dark=(), validate=False):
        self.shape, self.snaking, self.dark = shape, snaking, dark
        self.passes = passes or Passes({MODEL.sha256: PASS})
        base = make_header(shape=shape, bins=BINS)
        own = (
            ColumnSpec(name="model", dtype="<i2", axis=MODEL_AXIS),
            ColumnSpec(name="confidences_alone", dtype="<f4", shape=(9,), axis=ALONE_AXIS),
        )
        start = replace(scan_start(*shape), snaking=(False, snaking))
        header = replace(
            base,
            raw_uid=start.uid,
            axes=start.axes,
            snaking=start.snaking,
            vertical_field="y",
            horizontal_field="x",
            columns=base.columns + own,
            point_columns=(),
            processing={"capture_start": {"segment": "a", "offset": 0}},
        )
        rules = FoldRules(join=JoinRule(), place=lambda position: (2.0 * position["x"], 1.25 * position["y"]))
        self.path = path
        self.sink = NexusSink(path) if left is None else NexusSink.resume(left.path)
        self.said_again = []
        run = DerivedRun(
            header,
            self.hear,
            restored_states=left.states if left else None,
            restored_remarks=left.remarks if left else None,
            restored_scores=left.scores if left else None,
            restored_revisions=left.revisions if left else None,
            models=left.models if left else (),
            neighbours=NeighbourRule(cells=RasterCells(Grid.from_header(header)), second_pass_of=self.passes),
            validate=validate,
        )
        fold = ScanFold(start, rules)
        if left is not None:
            fold.restore(left.states, left.remarks, left.revisions)
        self.scan = OpenScan(fold=fold, run=run, newest_s=0.0, grace_s=1.0)
        run.start()

    def hear(self, name, doc):
        if name == "descriptor" and doc["name"] == SCORES:
            self.scores = doc["uid"]
        if name == "event_page" and doc["descriptor"] == self.scores:
            self.said_again.append(np.asarray(doc["data"]["point_index"]))
        self.sink(name, doc)

    def cell(self, index):
        row, column = divmod(index, self.shape[1])
        return row, self.shape[1] - 1 - column if self.snaking and row % 2 else column

    def messages(self):
        frames, points = tidy_scan(*self.shape, counters=True)
        for point in points:
            row, column = self.cell(point.index)
            yield replace(point, position={"x": float(column), "y": float(row)})
        yield from frames

    def take(self, messages, *, alone=ALONE, stamp=MODEL, known=0, at_once=1):
        for number, item in enumerate(messages):
            if isinstance(item, PointMeasured):
                self.scan.take(item)
            else:
                outcome = None if item.number < known else self.reduced(item.number, alone, stamp)
                self.scan.fold.add_frame(ticket_of(item), outcome)
            if number % at_once == 0:
                self.scan.emit(HERE)
        self.scan.emit(HERE)

    def in_order(self):
        return sorted(self.messages(), key=lambda item: item.received_s)

    def reduced(self, index, alone, stamp):
        intensity = np.full(BINS, 100.0, np.float32)
        columns = {"intensity": intensity, "sigma": np.sqrt(intensity), "norm": np.ones(BINS, np.float32)}
        columns |= {"total_counts": np.float64(1.0), "saturated_pixels": np.int32(0)}
        confidence = np.full(9, np.nan, np.float32) if index in self.dark else alone[self.cell(index)]
        return Reduced(columns={**columns, "confidence": confidence}, model=stamp)

    def end(self):
        """Close it and return confidences by cell."""
        self.scan.fold.set_stop(scan_stop(self.shape[0] * self.shape[1], 2000.0))
        self.scan.close(2000.0, HERE)
        self.sink.close()
        return self.by_cell("confidence")

    def by_cell(self, name):
        with open_result(self.path) as result:
            rows = result.column(name).to_numpy()
        found = np.full((*self.shape, *rows.shape[1:]), np.nan, rows.dtype)
        for index, row in enumerate(rows):
            found[self.cell(index)] = row
        return found


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """A snaked scan in order, one message a turn, and what was left of it when its daemon was killed half way."""
    folder = tmp_path_factory.mktemp("steady")
    scan = Scan(folder / "scan.nxs", validate=True)
    messages = scan.in_order()
    scan.take(messages[: len(messages) // 2 + 5])
    left = tmp_path_factory.mktemp("left") / "scan.nxs"
    shutil.copyfile(scan.path, left)
    scan.take(messages[len(messages) // 2 + 5 :])
    return scan, scan.end(), left


def test_the_file_holds_what_the_whole_map_says_and_each_point_by_itself(steady):
    scan, found, _ = steady
    assert found.tobytes() == together(ALONE).tobytes()
    assert not np.array_equal(found, ALONE)
    assert scan.by_cell("confidences_alone").tobytes() == ALONE.tobytes()
    with open_result(scan.path) as result:
        revisions = result.ledger["revision"].to_numpy()
        assert result.ledger_sums["done"] == POINTS
    assert revisions.min() >= 0
    assert np.median(revisions) >= 2, "the neighbours of the next row came after it"
    said = np.bincount(np.concatenate(scan.said_again), minlength=POINTS)
    assert (revisions == said).all(), "each saying has a revision of its own"


@pytest.mark.parametrize("way", ["not snaked", "shuffled", "frames last", "in one turn"])
def test_the_order_of_arrival_leaves_no_trace(steady, tmp_path, way):
    scan = Scan(tmp_path / "scan.nxs", snaking=way != "not snaked")
    messages = scan.in_order()
    if way == "shuffled":
        messages = [messages[place] for place in np.random.default_rng(5).permutation(len(messages))]
    if way == "frames last":
        messages = list(scan.messages())
    scan.take(messages, at_once=len(messages) + 1 if way == "in one turn" else 5)
    assert scan.end().tobytes() == steady[1].tobytes()


def test_a_killed_daemon_leaves_no_trace_either(steady):
    _, found, left_path = steady
    (left,), _ = find_results(left_path.parent)
    with open_result(left_path) as before:
        done = int(before.done.sum())
        last = before.ledger["revision"].to_numpy()
    assert 0 < done < POINTS
    scan = Scan(left.path, left=left)
    scan.take(scan.in_order(), known=done)
    assert scan.end().tobytes() == found.tobytes()
    assert scan.by_cell("confidences_alone").tobytes() == ALONE.tobytes()
    with open_result(left_path) as after:
        assert (after.ledger["revision"].to_numpy() >= last).all()


def test_a_turn_costs_what_changed_in_it(tmp_path):
    shape = (10, 20)
    alone = np.random.default_rng(4).uniform(0.01, 0.99, (*shape, 9)).astype(np.float32)
    scan = Scan(tmp_path / "scan.nxs", shape=shape)
    messages = scan.in_order()
    settled = len(messages) - 50
    scan.take(messages[:settled], alone=alone, at_once=50)
    for item in messages[settled:]:
        before = scan.passes.rows
        scan.take([item], alone=alone, at_once=100)
        scan.scan.emit(HERE)  # what its neighbours now say
        assert scan.passes.rows - before <= 9 + 9 * 8
    assert scan.end().tobytes() == together(alone).tobytes()


def test_what_is_no_point_of_the_sample_is_no_neighbour(tmp_path):
    scan = Scan(tmp_path / "scan.nxs", dark=(12, 30, 31))
    scan.take(scan.in_order(), at_once=3)
    alone = ALONE.copy()
    for index in scan.dark:
        alone[scan.cell(index)] = np.nan
    np.testing.assert_array_equal(scan.end(), together(alone))


@pytest.mark.parametrize("second_pass", [weights(8), None])
def test_another_model_brings_its_own_second_pass_or_none(tmp_path, second_pass):
    scan = Scan(tmp_path / "scan.nxs", passes=Passes({MODEL.sha256: PASS, OTHER.sha256: second_pass}))
    messages = scan.in_order()
    half = len(messages) // 2
    scan.take(messages[:half], at_once=4)
    scan.take(messages[half:], alone=OTHER_ALONE, stamp=OTHER, at_once=4)
    rest = scan.scan.run.not_by(OTHER)
    assert 0 < rest.size < POINTS
    asked = np.stack([OTHER_ALONE[scan.cell(index)] for index in rest.tolist()])
    scan.scan.replace_scores(rest, asked, OTHER, drift=np.full(rest.size, np.nan, np.float32))
    scan.scan.emit(HERE)
    expected = OTHER_ALONE if second_pass is None else together(OTHER_ALONE, second_pass)
    assert scan.end().tobytes() == expected.tobytes()
    assert scan.by_cell("confidences_alone").tobytes() == OTHER_ALONE.tobytes()
    with open_result(scan.path) as result:
        texts = [used.stamp.calibrated_on for used in result.models]
    assert texts[1] == ("labels" if second_pass is None else "labels, with neighbours")
    assert split_neighbours(texts[1]) == ("labels", second_pass is not None)


def test_only_a_raster_whose_profile_asks_takes_neighbours_into_account(caplog):
    profile = load_profile("bl16xu")
    assert not profile.classification.neighbours
    asking = asking_for_neighbours(profile)
    header = make_header(shape=(3, 4), bins=BINS)
    passes = Passes({MODEL.sha256: PASS})
    assert header_with_neighbours(header, profile, passes) == header
    taken = header_with_neighbours(header, asking, passes)
    assert taken.model.calibrated_on == "simulation only, with neighbours"
    assert taken.columns[-1].axis == ALONE_AXIS
    assert "eight neighbours" in taken.processing["neighbours"]
    none = header_with_neighbours(header, asking, Passes({}))
    assert none.model == MODEL
    assert none.processing["neighbours"].startswith("off: the model")
    scattered = make_header(shape=None, bins=BINS)
    with caplog.at_level(logging.WARNING):
        assert header_with_neighbours(scattered, asking, passes).columns == scattered.columns
    assert "no raster" in caplog.text


def test_preflight_says_if_the_model_cannot_do_what_the_profile_asks():
    model = load_bundle("bl16xu-rust")
    profile = asking_for_neighbours(load_profile("bl16xu"))
    built = build_instrument(profile, poni=None, model=None, max_geometry_age_h=1e9)
    found = [check for check in built.found if check.name == "neighbours"]
    assert bool(found) == (model.neighbours is None)
