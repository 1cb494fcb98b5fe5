"""The hidden domain keeps the physics and the promises that a table made with it rests on."""

import numpy as np
import pytest
from scipy.integrate import quad

from phasecast_models.xrd.axis import BL16XU_AXIS, CLASSES
from phasecast_models.xrd.hidden_domain import (
    HELD_OUT,
    HiddenPatterns,
    hidden_held_out,
    hidden_patterns,
    labels_of,
    significances,
)
from phasecast_models.xrd.hidden_rendering import AXIS, CRYSTALLINE, PHASES, Voxels, draw_samples, scatter
from phasecast_models.xrd.structures import StructureError


@pytest.fixture(scope="module")
def hidden() -> HiddenPatterns:
    return hidden_patterns(3000, seed=4)


def _pure(name: str, n: int, grains: float = 1e6) -> Voxels:
    share = np.zeros((n, len(PHASES)))
    share[:, PHASES.index(name)] = 1
    nothing = np.zeros(n)
    return Voxels(
        sample=np.arange(n), share=share, resin=nothing, amorphous=nothing, grains=np.full(share.shape, grains)
    )


def test_same_arguments_same_bits() -> None:
    first, second = (hidden_patterns(1500, seed=5) for _ in range(2))
    for name in ("intensity", "sigma", "transmission", "labels", "sample"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    assert not np.array_equal(first.intensity, hidden_patterns(1500, seed=6).intensity)


def test_shapes_and_nothing_missing(hidden: HiddenPatterns) -> None:
    assert hidden.intensity.shape == hidden.sigma.shape == (3000, BL16XU_AXIS.bins)
    assert hidden.labels.shape == hidden.significance.shape == (3000, len(CLASSES))
    for values in (hidden.intensity, hidden.sigma, hidden.transmission, hidden.significance):
        assert np.isfinite(values).all()
    assert (hidden.intensity >= 0).all()
    assert (hidden.sigma > 0).all()
    assert hidden.counts.min() > 1e3
    assert hidden.counts.max() < 1e7
    assert len(np.unique(hidden.sample)) == 188


def test_every_class_is_common_enough_to_be_judged(hidden: HiddenPatterns) -> None:
    assert hidden.labels.mean(axis=0).min() > 0.04
    assert hidden.labels.mean(axis=0).max() < 0.3
    decades = np.histogram(np.log10(hidden.counts), bins=[3, 4, 5, 6, 7])[0]
    assert decades.min() > 600
    assert hidden.amorphous_rust.sum() > 40
    assert 0.05 < np.mean(~hidden.fluorescing) < 0.3


def test_labels_follow_the_significance_of_the_strongest_peak() -> None:
    # The same rule in plain loops, on a place of rust.
    rng = np.random.default_rng(0)
    share = np.zeros((6, len(PHASES)))
    share[:, [PHASES.index("goethite"), PHASES.index("magnetite")]] = [0.7, 0.1]
    voxels = Voxels(
        sample=np.zeros(6, np.int64),
        share=share,
        resin=np.full(6, 0.1),
        amorphous=np.full(6, 0.1),
        grains=np.full(share.shape, 25.0),
    )
    scattering = scatter(voxels, draw_samples(1, rng), rng)
    exposure = np.geomspace(1e3, 1e7, 6) / (scattering.total * scattering.norm).sum(axis=1)
    labels = labels_of(significances(scattering, exposure), scattering.metal, np.zeros(6, bool))
    for row in range(6):
        for column, name in enumerate(CRYSTALLINE):
            best = 0.0
            for middle in range(1, AXIS.bins - 1):
                bins = slice(middle - 1, middle + 2)
                gain = exposure[row] * scattering.norm[row, bins]
                signal = (scattering.bragg[row, column, bins] * gain).sum()
                best = max(best, float(signal / np.sqrt((scattering.total[row, bins] * gain).sum())))
            assert labels[row, CLASSES.index(name)] == (best > 4)
    assert labels[-1, CLASSES.index("goethite")] == 1
    assert labels[0].sum() < labels[-1].sum()


def test_places_without_peaks_are_told_by_what_is_there(hidden: HiddenPatterns) -> None:
    iron, resin = (hidden.labels[:, CLASSES.index(name)] > 0 for name in ("peakless_iron", "resin"))
    crystalline = hidden.labels[:, [CLASSES.index(name) for name in CRYSTALLINE]].any(axis=1)
    assert not (iron & (crystalline | resin)).any()
    assert not hidden.labels[hidden.amorphous_rust].any()
    assert not hidden.labels[hidden.kind == "crack"].any()
    coarse = hidden.kind == "coarse_metal"
    assert 0.5 < iron[coarse].mean() < 0.95
    assert resin[hidden.kind == "resin"].mean() > 0.95


@pytest.mark.parametrize(
    ("name", "transmission"), [("ferrite", 0.26), ("magnetite", 0.52), ("goethite", 0.63), ("austenite", 0.255)]
)
def test_transmission_of_ten_micrometres(name: str, transmission: float) -> None:
    rng = np.random.default_rng(1)
    samples = draw_samples(3, rng)
    samples.thickness_um[:] = 10
    through = scatter(_pure(name, 3), samples, rng).transmission
    assert through == pytest.approx(transmission, abs=0.01)


def test_measured_transmission_has_the_stated_noise(hidden: HiddenPatterns) -> None:
    cracks = hidden.transmission[(hidden.kind == "crack")]
    assert cracks.mean() == pytest.approx(1, abs=0.01)
    assert np.std(cracks) == pytest.approx(0.015, rel=0.35)


def test_lines_stand_where_bragg_has_them_and_are_absorbed_like_a_slab() -> None:
    rng = np.random.default_rng(2)
    samples = draw_samples(400, rng)
    scattering = scatter(_pure("ferrite", 400), samples, rng)
    peak = scattering.bragg[:, CRYSTALLINE.index("ferrite")]
    assert np.median(AXIS.tth_deg[peak.argmax(axis=1)]) == pytest.approx(35.62, abs=0.05)
    # The same path by quadrature, scattered at depth z: mu z before, mu (t - z) / cos after.
    depth, slant = 1.343 * samples.thickness_um / 10, 1 / np.cos(np.radians(35.62))
    passed = [quad(lambda z, d=d: np.exp(-d * z - d * (1 - z) * slant), 0, 1)[0] for d in depth]
    expected = samples.thickness_um / 10 * np.array(passed)
    tilt = 1 + samples.slope * (35.62 - 25) / 15
    lost = samples.dip_bin < AXIS.bins
    ratio = (peak.sum(axis=1) / expected / tilt)[~lost]
    # Texture scatters about one, with a median of one.
    assert np.median(ratio) == pytest.approx(4.8 * 3.722, rel=0.06)


@pytest.mark.parametrize("phase", HELD_OUT)
def test_held_out_half_and_half(phase: str) -> None:
    found = hidden_held_out(phase, 300, seed=1)
    assert found.present[:150].all()
    assert not found.present[150:].any()
    other = found.labels[:, CLASSES.index("other")] > 0
    assert other[:150].all()
    assert not other[150:].any()


def test_a_class_cannot_be_held_out() -> None:
    with pytest.raises(StructureError, match="cannot be held out"):
        hidden_held_out("goethite", 10, seed=1)
