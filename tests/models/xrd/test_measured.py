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

ROCKJOCK = "rockjock_Fe_and_others_CuKa.csv"
NIST = "E211110-AAC-001_{}-000_exported.csv"
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


def test_real_patterns_get_their_class(measured_data: Path) -> None:
    bundle = load_bundle("bl16xu-rust")
    folder = measured_data / "xrd_patterns"
    with (folder / ROCKJOCK).open() as file:
        names = file.readline().strip().split(",")
    patterns = {
        name: load_pattern(folder / ROCKJOCK, column=column)
        for column, name in enumerate(names)
        if column and not name.startswith("BACK_")
    }
    for number in ("005", "008", "012", "014"):
        patterns[f"NIST {number}"] = load_pattern(folder / NIST.format(number))
    rows = []
    for tth_deg, counts in patterns.values():
        rows.append(rebin(convert_axis(tth_deg, CU_K_ALPHA_ANGSTROM, bundle.axis.energy_kev), counts, bundle.axis))
    confidences = bundle.confidences(np.array(rows), bundle.axis.tth_deg)
    table = [f"{'':<26}" + " ".join(f"{name[:7]:>7}" for name in bundle.classes)]
    for name, row in zip(patterns, confidences, strict=True):
        table.append(f"{name:<26}" + " ".join(f"{value:7.2f}" for value in row))
    report = "\n".join(table)
    print(report)  # noqa: T201
    solid = [name for name in CLASSES if name not in ("resin", "peakless_iron", "other")]
    for name, expected in REQUIRED.items():
        row = confidences[list(patterns).index(name)]
        said = dict(zip(bundle.classes, row, strict=True))
        ranked = sorted(solid, key=said.__getitem__, reverse=True)
        assert set(ranked[: len(expected)]) == expected, f"{name}: {ranked[:2]}\n{report}"
        assert all(said[class_id] > 0.8 for class_id in expected), f"{name}\n{report}"
    for foreign in ("HEMATITE", "SIDERITE", "CALCITE", "QUARTZ", "HALITE"):
        assert confidences[list(patterns).index(foreign)].argmax() == CLASSES.index("other"), f"{foreign}\n{report}"
