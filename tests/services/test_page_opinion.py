"""The second opinion of the page: patterns of which it is known what they hold, in a process of its own."""

from dataclasses import dataclass

import numpy as np
import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.services.page_opinion import disagreement_of, follow_opinion
from phasecast.sinks.nexus import NexusSink
from support.documents import CLASSES, Scan, make_header, raster
from support.results import write_result

SHAPE = (20, 30)
POINTS = SHAPE[0] * SHAPE[1]
GOETHITE = 1


@dataclass
class HalfGoethite(Scan):
    """The second half of the points shows the lines of goethite."""

    def intensity(self, rows, revision=0):
        tth = np.asarray(self.header.tth_deg)
        shape = sum(
            strength * np.exp(-0.5 * ((tth - place) / 0.09) ** 2)
            for place, strength in CLASSES[GOETHITE].reference_lines
        )
        holds = (rows >= POINTS // 2)[:, None]
        return np.random.default_rng(rows[0]).poisson(50 + 4.0 * shape * holds).astype(np.float32)


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory):
    confidence = np.full((POINTS, 9), 0.02)
    # the model says goethite everywhere but in the last quarter
    confidence[: 3 * POINTS // 4, GOETHITE] = 0.97
    header = make_header(shape=SHAPE, bins=300, tth_deg=tuple(np.linspace(10.05, 39.95, 300)))
    run = HalfGoethite(header, *raster(SHAPE), confidence=confidence)
    path = tmp_path_factory.mktemp("opinion") / "scan.nxs"
    with NexusSink(path) as sink:
        for document in run.documents(50):
            sink(*document)
    return path, confidence


def test_a_fit_contradicts_the_model_where_one_of_them_is_wrong_and_newest_points_come_first(scan_file):
    path, confidence = scan_file
    parts = []
    known = np.arange(10)
    follow_opinion(path, known, parts.append, lambda: True)
    rows = np.concatenate([part.rows for part in parts])
    assert sorted(rows.tolist()) == list(range(10, POINTS)), "each once, and none that is known"
    assert len(parts) > 1
    assert parts[0].rows.max() == POINTS - 1
    assert parts[0].rows.min() > parts[1].rows.max()
    significance, share = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("significance", "share")
    )
    holds = rows >= POINTS // 2
    assert (significance[holds, GOETHITE] > 8).all()
    assert (share[holds, GOETHITE] > 0.5).all()
    apart = disagreement_of(confidence[rows], significance, share)
    wrong = (confidence[rows, GOETHITE] > 0.5) != holds
    assert (apart[wrong] > 0.5).mean() > 0.95
    assert (apart[~wrong] < 0.5).mean() > 0.95


def test_it_ends_when_nobody_looks_any_more(scan_file):
    path, _ = scan_file
    parts = []
    follow_opinion(path, np.zeros(0, dtype=np.int64), parts.append, lambda: not parts)
    assert len(parts) == 1


def test_a_result_without_classes_has_no_second_opinion(tmp_path):
    directory = DataDirectory(tmp_path).create()
    write_result(directory, "a.nxs", classified=False)
    with pytest.raises(PhasecastError, match=r"patterns or lines of classes are missing"):
        follow_opinion(directory.results / "a.nxs", np.zeros(0, dtype=np.int64), [].append, lambda: True)
