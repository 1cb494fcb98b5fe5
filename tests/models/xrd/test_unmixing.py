"""The second opinion: what least squares says of known patterns, and where it contradicts a network."""

import numpy as np
import pytest
from numpy.typing import NDArray

from phasecast_models.xrd.axis import BL16XU_AXIS, CLASSES
from phasecast_models.xrd.bundle import reference_lines
from phasecast_models.xrd.calibration import f1_scores
from phasecast_models.xrd.features import PatternError
from phasecast_models.xrd.patterns import SimulatedPatterns, simulate_patterns
from phasecast_models.xrd.unmixing import Opinion, disagreement, unmix

TTH = BL16XU_AXIS.tth_deg
LINES = {name: [(tth, height) for tth, height in rows] for name, rows in reference_lines(BL16XU_AXIS).items()}
CRYSTALLINE = CLASSES[:6]


def opinion_on(counts: NDArray[np.floating]) -> Opinion:
    return unmix(counts, np.sqrt(np.maximum(counts, 1)), BL16XU_AXIS, LINES, classes=CLASSES)


def lines_of(heights: dict[str, float], *, width: float = 0.15, shift: float = 0.0) -> NDArray[np.float64]:
    out = np.zeros(300)
    for name, height in heights.items():
        for tth, strength in LINES[name]:
            out += height * strength / 100 * np.exp(-4 * np.log(2) * ((TTH - tth - shift) / width) ** 2)
    return out


GROUND = 200 + 300 * np.exp(-4 * np.log(2) * ((TTH - 15.3) / 5) ** 2)


@pytest.mark.parametrize("name", CRYSTALLINE)
@pytest.mark.parametrize(("width", "shift"), [(0.15, 0.0), (0.3, 0.06), (0.12, -0.06)])
def test_a_phase_is_found_alone_at_shifts_and_widths(name: str, width: float, shift: float) -> None:
    mean = GROUND + lines_of({name: 500}, width=width, shift=shift)
    opinion = opinion_on(np.random.default_rng(1).poisson(mean, (20, 300)).astype(float))
    found = opinion.present.mean(axis=0)
    assert found[CLASSES.index(name)] == 1
    assert np.delete(found, CLASSES.index(name)).max() <= 0.1
    assert opinion.share[:, CLASSES.index(name)].mean() > 0.9
    assert np.isnan(opinion.share[:, 6:]).all()


def test_shares_are_those_of_the_peaks() -> None:
    parts = {"goethite": 400.0, "lepidocrocite": 150.0, "ferrite": 600.0}
    areas = {name: lines_of({name: height}).sum() for name, height in parts.items()}
    counts = np.random.default_rng(2).poisson(GROUND + lines_of(parts), (40, 300)).astype(float)
    share = opinion_on(counts).share.mean(axis=0)
    for name, area in areas.items():
        assert share[CLASSES.index(name)] == pytest.approx(area / sum(areas.values()), abs=0.03)


def test_significance_grows_with_the_root_of_the_counting_time() -> None:
    mean = 50 + lines_of({"goethite": 20})
    column = CLASSES.index("goethite")
    rng = np.random.default_rng(3)
    once, longer = (
        opinion_on(rng.poisson(mean * time, (200, 300)).astype(float)).significance[:, column].mean() for time in (1, 4)
    )
    assert longer / once == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("level", [0.3, 5.0, 300.0, 30_000.0])
def test_noise_and_halos_hold_nothing(level: float) -> None:
    mean = level * GROUND / GROUND.mean()
    opinion = opinion_on(np.random.default_rng(4).poisson(mean, (400, 300)).astype(float))
    assert opinion.present.mean() < 0.002


def test_unmeasured_bins_and_patterns() -> None:
    counts = np.random.default_rng(5).poisson(GROUND + lines_of({"goethite": 500}), (3, 300)).astype(float)
    whole = opinion_on(counts[:1])
    counts[0, :20] = counts[0, 150:160] = np.nan
    counts[1] = np.nan
    counts[2] = 0
    opinion = opinion_on(counts)
    assert opinion.present[0].tolist() == whole.present[0].tolist()
    assert np.isnan(opinion.significance[1]).all()
    assert np.isnan(opinion.misfit[1])
    assert not opinion.present[2].any()
    assert np.isnan(disagreement(np.full((3, 9), 0.5), opinion)).tolist() == [False, True, False]


def test_one_odd_pattern_harms_no_other() -> None:
    rng = np.random.default_rng(8)
    good = rng.poisson(GROUND + lines_of({"goethite": 500})).astype(float)
    odd = np.tile(good, (12, 1))
    odd[1, 64:] = np.nan
    odd[2, ::2] = np.nan
    odd[3] *= 1e9
    odd[4] *= 1e-9
    odd[5, 7] = np.inf
    odd[6, 100] = 1e12
    odd[7] = -odd[7]
    odd[8, 3:] = np.nan
    odd[9] = 1.0
    odd[10, :150] = 0
    odd[11] = rng.poisson(0.01, 300)
    sigma = np.sqrt(np.abs(odd))
    opinion = unmix(odd, sigma, BL16XU_AXIS, LINES, classes=CLASSES)
    assert opinion.present[0].tolist() == opinion_on(good).present[0].tolist()
    assert np.isnan(opinion.misfit).tolist() == [row == 8 for row in range(12)]
    assert np.isfinite(opinion.significance[np.arange(12) != 8, :6]).all()
    assert not opinion.present[7:10].any()


def test_lines_that_no_reference_explains_widen_the_errors() -> None:
    halite = [(21.95, 8.0), (25.40, 100.0), (36.22, 73.0)]
    foreign = sum(h * 20 * np.exp(-4 * np.log(2) * ((TTH - t) / 0.15) ** 2) for t, h in halite)
    counts = np.random.default_rng(6).poisson(GROUND + foreign, (50, 300)).astype(float)
    alone = opinion_on(counts)
    assert alone.misfit.min() > 2
    assert not alone.present.any()
    told = unmix(counts, np.sqrt(counts), BL16XU_AXIS, LINES, classes=CLASSES, other_lines=[halite])
    assert told.misfit.mean() < 1.6


@pytest.fixture(scope="module")
def simulated() -> SimulatedPatterns:
    return simulate_patterns(1000, seed=77)


@pytest.fixture(scope="module")
def opinion(simulated: SimulatedPatterns) -> Opinion:
    intensity, sigma = simulated.draw(np.random.default_rng(1))
    return unmix(intensity, sigma, BL16XU_AXIS, LINES, classes=CLASSES)


def test_it_is_worth_listening_to(simulated: SimulatedPatterns, opinion: Opinion) -> None:
    scores = f1_scores(opinion.present[:, :6].astype(float), simulated.labels[:, :6])
    assert scores[:3].min() > 0.72
    assert scores.min() > 0.55
    assert scores.mean() > 0.75


def test_it_contradicts_a_network_that_is_wrong_and_seldom_one_that_is_right(
    simulated: SimulatedPatterns, opinion: Opinion
) -> None:
    right = 0.02 + 0.96 * simulated.labels
    assert np.mean(disagreement(right, opinion) >= 1) < 0.05
    exchanged = right.copy()
    exchanged[:, [1, 2]] = exchanged[:, [2, 1]]
    touched = simulated.labels[:, 1] != simulated.labels[:, 2]
    assert np.mean(disagreement(exchanged, opinion)[touched] > 0.9) > 0.7
    unsure = np.full_like(right, 0.5)
    said = disagreement(unsure, opinion)
    assert np.nanmax(said) == 0
    assert np.isnan(said).mean() < 0.01, "only where there is no count nothing can be said"


def test_rows_do_not_depend_on_company(simulated: SimulatedPatterns, opinion: Opinion) -> None:
    intensity, sigma = simulated.draw(np.random.default_rng(1))
    one = unmix(intensity[7], sigma[7], BL16XU_AXIS, LINES, classes=CLASSES)
    assert one.significance[0] == pytest.approx(opinion.significance[7], rel=1e-6, nan_ok=True)


def test_no_patterns_no_lines_and_another_axis() -> None:
    assert unmix(np.zeros((0, 300)), None, BL16XU_AXIS, LINES, classes=CLASSES).share.shape == (0, 9)
    assert np.isnan(unmix(np.ones(300), None, BL16XU_AXIS, {}, classes=CLASSES).share).all()
    with pytest.raises(PatternError):
        unmix(np.ones(200), None, BL16XU_AXIS, LINES, classes=CLASSES)
