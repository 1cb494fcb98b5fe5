"""Peaks: found where they are, silent in noise, unexplained only far from every line."""

import numpy as np
import pytest

from phasecast.results.explain import (
    background_of,
    find_pattern_peaks,
    leading_classes,
    lines_of,
    unexplained_peaks,
)
from support.documents import CLASSES

TTH = 10.025 + 0.05 * np.arange(600)


def halo(tth: np.ndarray) -> np.ndarray:
    """Resin: a broad hump on a slope."""
    return 3.0 * np.exp(-0.5 * ((tth - 15) / 2.5) ** 2) + 0.9 - 0.01 * (tth - 10)


def peak(centre: float, height: float, width: float = 0.1) -> np.ndarray:
    return height * np.exp(-0.5 * ((TTH - centre) / width) ** 2)


def measured(rng: np.random.Generator, true: np.ndarray, scale: float = 100.0) -> tuple[np.ndarray, np.ndarray]:
    counts = rng.poisson(true * scale)
    return counts / scale, np.sqrt(np.maximum(counts, 1)) / scale


def test_peaks_are_found_where_they_are() -> None:
    rng = np.random.default_rng(1)
    intensity, sigma = measured(rng, halo(TTH) + peak(17.0, 1.2) + peak(28.3, 2.0) + peak(35.6, 0.8))
    found = find_pattern_peaks(TTH, intensity, sigma)
    assert sorted(one.tth_deg for one in found) == pytest.approx([17.0, 28.3, 35.6], abs=0.1)
    assert [one.significance for one in found] == sorted((one.significance for one in found), reverse=True)
    assert found[0].height == pytest.approx(2.0, rel=0.35)  # smoothed, so a little lower


def test_a_halo_and_its_noise_hold_no_peaks() -> None:
    rng = np.random.default_rng(2)
    found = [len(find_pattern_peaks(TTH, *measured(rng, halo(TTH)))) for _ in range(60)]
    assert sum(found) <= 1


def test_the_background_follows_the_halo_under_the_peaks() -> None:
    pattern = halo(TTH) + peak(17.0, 5.0) + peak(29.0, 5.0)
    background = background_of(TTH, pattern, np.full(600, 0.05))
    assert np.max(np.abs(background - halo(TTH))) < 0.2


def test_only_peaks_far_from_every_line_are_unexplained() -> None:
    rng = np.random.default_rng(3)
    intensity, sigma = measured(rng, halo(TTH) + peak(17.0, 2) + peak(21.7, 2) + peak(33.0, 2))
    assert [one.tth_deg for one in unexplained_peaks(TTH, intensity, sigma, [(17.2, 100.0), (21.7, 20.0)])] == (
        pytest.approx([33.0], abs=0.1)
    )
    assert len(unexplained_peaks(TTH, intensity, sigma, [17.2, 21.7, 33.1])) == 0
    assert len(unexplained_peaks(TTH, intensity, sigma, [17.2, 21.7, 33.1], tolerance_deg=0.05)) >= 2
    assert len(unexplained_peaks(TTH, intensity, sigma, [])) == 3


@pytest.mark.parametrize(
    "intensity",
    [np.full(600, np.nan), np.zeros(600), np.where(np.arange(600) == 300, 5.0, np.nan), np.full(600, 1.0)],
    ids=["unknown", "no counts", "one bin", "flat"],
)
def test_patterns_without_peaks_are_no_error(intensity: np.ndarray) -> None:
    assert unexplained_peaks(TTH, intensity, np.sqrt(np.abs(intensity)), [17.0]) == []
    assert find_pattern_peaks(np.zeros(0), np.zeros(0), np.zeros(0)) == []


def test_peaks_beside_masked_bins_are_found() -> None:
    rng = np.random.default_rng(4)
    intensity, sigma = measured(rng, halo(TTH) + peak(25.0, 2.0))
    intensity[100:160] = np.nan
    sigma[100:160] = np.nan
    assert [one.tth_deg for one in find_pattern_peaks(TTH, intensity, sigma)] == pytest.approx([25.0], abs=0.1)


def test_leading_classes_are_those_at_the_threshold_or_the_surest() -> None:
    confidence = np.array([0.1, 0.6, 0.9, 0, 0, 0, np.nan, 0, 0])
    assert [phase.id for phase in leading_classes(confidence, CLASSES)] == ["lepidocrocite", "goethite"]
    assert [phase.id for phase in leading_classes(confidence * 0.4, CLASSES)] == ["lepidocrocite"]
    assert leading_classes(np.full(9, np.nan), CLASSES) == []
    assert leading_classes([], ()) == []
    assert lines_of(leading_classes(confidence * 0.4, CLASSES)) == list(CLASSES[2].reference_lines)
