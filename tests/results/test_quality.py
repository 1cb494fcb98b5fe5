"""Line positions with the errors they claim, and drifts that are there or not."""

from pathlib import Path

import numpy as np
import pytest

from phasecast.results import open_result
from phasecast.results.quality import drift_of, intensity_drift, known_line, line_drift, line_positions
from phasecast.sinks.nexus import NexusSink
from support.documents import Scan, make_header, raster_scan

TTH = 10.025 + 0.05 * np.arange(600)


def lines_at(centres: np.ndarray, height: float = 40.0) -> np.ndarray:
    background = 5.0 + 0.4 * (TTH - 10)
    return background + height * np.exp(-0.5 * ((TTH - np.asarray(centres)[:, None]) / 0.1) ** 2)


def test_the_centroid_of_a_line_is_where_the_line_is_and_scatters_as_it_says() -> None:
    rng = np.random.default_rng(1)
    true = 17.025 + 0.02 * np.sin(np.arange(400))
    counts = rng.poisson(lines_at(true))
    centroid, sigma = line_positions(TTH, counts, np.sqrt(counts), 17.025)
    pull = (centroid - true) / sigma
    assert abs(pull.mean()) < 0.2
    assert pull.std() == pytest.approx(1.0, abs=0.15)


def test_where_no_line_is_there_is_no_position() -> None:
    rng = np.random.default_rng(2)
    counts = rng.poisson(np.broadcast_to(5.0 + 0.4 * (TTH - 10), (50, 600)))
    assert np.isfinite(line_positions(TTH, counts, np.sqrt(counts), 20.0)[0]).sum() <= 1
    unknown = np.full((2, 600), np.nan)
    assert np.isnan(line_positions(TTH, unknown, unknown, 20.0)[0]).all()
    assert np.isnan(line_positions(TTH, counts, np.sqrt(counts), 90.0)[0]).all()
    assert np.isnan(line_positions(TTH, counts, np.sqrt(counts), 10.0)[0]).all()  # half the window is missing


def test_the_known_line_is_the_strongest_of_the_most_frequent_class() -> None:
    header = make_header(bins=600)
    confidence = np.zeros((10, 9))
    confidence[:6, 1] = 0.9
    confidence[:8, 2] = 0.4
    line = known_line(header, confidence)
    assert line is not None
    assert (line.class_index, line.tth_deg) == (1, 13.0)
    assert known_line(header, np.zeros((10, 9))) is None
    assert known_line(header, np.full((10, 9), np.nan)) is None
    assert known_line(make_header(classified=False), np.zeros((10, 0))) is None


def test_a_slope_is_found_and_noise_is_none() -> None:
    rng = np.random.default_rng(3)
    time_s = np.arange(500.0)
    steady = drift_of(time_s, 100 + rng.normal(size=500))
    rising = drift_of(time_s, 100 + 0.01 * time_s + rng.normal(size=500))
    assert steady is not None
    assert rising is not None
    assert not steady.is_significant
    assert rising.is_significant
    assert rising.slope_per_h == pytest.approx(36.0, abs=3 * rising.slope_sigma_per_h)
    assert rising.change == pytest.approx(0.01 * 499, abs=1)
    assert drift_of(time_s, np.full(500, np.nan)) is None
    assert drift_of(time_s[:2], time_s[:2]) is None
    assert drift_of(np.zeros(9), np.arange(9.0)) is not None  # all at one time: no slope, and no error


class ShiftingScan(Scan):
    """A scan whose goethite line moves by 0.05 deg from first to last point, except where another line spoils it."""

    def intensity(self, rows: np.ndarray, revision: int = 0) -> np.ndarray:
        tth = np.asarray(self.header.tth_deg)
        centre = 13.0 + 0.05 * rows / len(self.x_um) - 0.4 * (rows == 7)
        return (20 + 2000 * np.exp(-0.5 * ((tth - centre[:, None]) / 0.1) ** 2)).astype(np.float32)


def test_the_drift_of_a_line_is_read_from_a_result(tmp_path: Path) -> None:
    plain = raster_scan((6, 10), bins=600)
    run = ShiftingScan(plain.header, plain.x_um, plain.y_um, confidence=np.eye(9)[np.ones(60, int)])
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in run.documents(10):
        sink(*document)
    with open_result(sink.path) as result:
        found = line_drift(result)
        few = line_drift(result, max_points=12)
        monitor = intensity_drift(result)
        total = intensity_drift(result, "total_counts")
        assert intensity_drift(result, "no such monitor") is None
    assert found is not None
    assert few is not None
    assert monitor is not None
    assert total is not None
    assert found.drift.value.size == 59
    assert found.drift.change == pytest.approx(0.05 * 59 / 60, abs=0.003)
    assert few.drift.value.size <= 12
    assert monitor.change == pytest.approx(59.0)
