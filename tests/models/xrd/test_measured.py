"""Patterns of other instruments arrive where they belong, counts intact."""

from pathlib import Path

import numpy as np
import pytest

from phasecast_models.xrd.axis import BL16XU_AXIS, CLASSES
from phasecast_models.xrd.bundle import load_bundle
from phasecast_models.xrd.measured import (
    CU_K_ALPHA_ANGSTROM,
    MeasuredPatternError,
    convert_axis,
    load_pattern,
    rebin,
)
from support.rockjock import rockjock_patterns

NIST = "E211110-AAC-001_{}-000_exported.csv"
SOLID = CLASSES[:6]
# What must come out on top among the oxide and iron classes.
REQUIRED = {
    "MAGNETITE": {"magnetite"},
    "GOETHITE": {"goethite"},
    "LEPIDOCROCITE": {"lepidocrocite"},
    "IRON": {"ferrite"},
    "NIST 008": {"ferrite"},
    "NIST 012": {"austenite"},
    "NIST 014": {"ferrite", "austenite"},
}
# What else may be claimed: maghemite is the same spinel within a bin, and 316L (NIST 012) shows the bcc 110 line of
# deformation martensite at a tenth of its fcc 111.
ALLOWED = REQUIRED | {"MAGHEMITE": {"magnetite"}, "NIST 012": {"ferrite", "austenite"}}
CONFIDENT = 0.8
# Corundum's 113 line lies on austenite 111, jarosite has lines on three of goethite's: 0.81 both.
MOST_CONFIDENT_ERRORS = 2


def test_copper_angles_become_ten_kev_angles() -> None:
    d110 = 2.866 / np.sqrt(2)
    copper = 2 * np.degrees(np.arcsin(CU_K_ALPHA_ANGSTROM / (2 * d110)))
    assert convert_axis([copper], CU_K_ALPHA_ANGSTROM, 10.0)[0] == pytest.approx(35.625, abs=0.01)
    assert np.isnan(convert_axis([170.0], 0.5, 10.0)[0])


def test_rebinning_conserves_counts() -> None:
    rng = np.random.default_rng(0)
    tth = np.arange(8.0, 45.0, 0.013)
    counts = rng.poisson(100, len(tth)).astype(float)
    out = rebin(tth, counts, BL16XU_AXIS)
    inside = (tth > 10) & (tth < 40)
    assert out.sum() == pytest.approx(counts[inside].sum(), abs=200)
    assert out.mean() == pytest.approx(100 * 0.1 / 0.013, rel=0.01)


def test_bins_outside_the_measurement_are_nan() -> None:
    tth = np.arange(28.5, 60, 0.02)
    out = rebin(tth, np.ones_like(tth), BL16XU_AXIS)
    assert np.isnan(out[:184]).all()
    assert np.isfinite(out[187:]).all()
    with pytest.raises(MeasuredPatternError, match="check the wavelength"):
        rebin(tth + 20, np.ones_like(tth), BL16XU_AXIS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2theta,counts\n1,2\n", "1 rows"),
        ("\n".join(f"{20 - k},5" for k in range(15)), "must rise"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "pattern.csv"
    path.write_text(text)
    with pytest.raises(MeasuredPatternError, match=message):
        load_pattern(path)


@pytest.fixture(scope="module")
def said(measured_data: Path) -> dict[str, dict[str, float]]:
    """Confidence per real pattern and class; the whole table is printed."""
    bundle = load_bundle("bl16xu-rust")
    folder = measured_data / "xrd_patterns"
    patterns = rockjock_patterns(measured_data)
    for number in ("005", "008", "012", "014"):
        patterns[f"NIST {number}"] = load_pattern(folder / NIST.format(number))
    rows = [
        rebin(convert_axis(tth_deg, CU_K_ALPHA_ANGSTROM, bundle.axis.energy_kev), counts, bundle.axis)
        for tth_deg, counts in patterns.values()
    ]
    confidences = bundle.confidences(np.array(rows), bundle.axis.tth_deg)
    print()  # noqa: T201
    print(f"{'':<26}" + " ".join(f"{name[:7]:>7}" for name in bundle.classes))  # noqa: T201
    for name, row in zip(patterns, confidences, strict=True):
        print(f"{name:<26}" + " ".join(f"{value:7.2f}" for value in row))  # noqa: T201
    return {
        name: dict(zip(bundle.classes, map(float, row), strict=True))
        for name, row in zip(patterns, confidences, strict=True)
    }


@pytest.mark.parametrize("name", REQUIRED)
def test_real_patterns_get_their_class(said: dict[str, dict[str, float]], name: str) -> None:
    expected = REQUIRED[name]
    ranked = sorted(SOLID, key=said[name].__getitem__, reverse=True)
    assert set(ranked[: len(expected)]) == expected
    assert min(said[name][class_id] for class_id in expected) > 0.8


@pytest.mark.parametrize(
    "name", ["HEMATITE", "HEMATITE_FINE", "SIDERITE", "CALCITE", "QUARTZ", "HALITE", "CORUNDUM", "JAROSITE", "NIST 005"]
)
def test_real_foreign_minerals_are_other(said: dict[str, dict[str, float]], name: str) -> None:
    assert max(said[name], key=said[name].__getitem__) == "other"


def test_confident_errors_on_real_patterns_are_rare(said: dict[str, dict[str, float]]) -> None:
    wrong = {
        (name, class_id): round(row[class_id], 2)
        for name, row in said.items()
        for class_id in SOLID
        if class_id not in ALLOWED.get(name, set()) and row[class_id] > CONFIDENT
    }
    assert len(wrong) <= MOST_CONFIDENT_ERRORS, wrong


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("PEAT", 0.5),
        ("ORGANIC_MATTER", 0.5),
        ("HUMIC_ACID", 0.5),
        ("FULVIC_ACID", 0.5),
        ("FERRIHYDRITE", 0.5),
        ("FERRIHYDRITE_HUMBUG_CREEK", 0.5),
        # Humps with a peak where maghemite has its strongest: even odds, no certainty.
        ("KEROGEN_TYPE_II", 0.65),
        ("OPAL", 0.65),
        ("OBSIDIAN", 0.8),
    ],
)
def test_real_humps_are_taken_for_no_oxide(said: dict[str, dict[str, float]], name: str, most: float) -> None:
    assert max(said[name][class_id] for class_id in SOLID[:3]) < most, said[name]
