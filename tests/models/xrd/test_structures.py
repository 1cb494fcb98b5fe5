"""Structures and powder lines against the published line tables and the measured-data CIFs."""

import json
from pathlib import Path

import gemmi
import numpy as np
import pytest

from phasecast_models.xrd.crystal_files import structure_from_cif
from phasecast_models.xrd.structures import (
    StructureError,
    get_structure,
    load_structures,
    powder_lines,
    unit_cell_content,
)

ORACLE = json.loads(Path(__file__).with_name("pymatgen_lines.json").read_text(encoding="utf-8"))

# 2theta at 10 keV and intensity (strongest in 10-40 deg = 100), checked once against pymatgen.
LINE_TABLES = {
    "magnetite": "14.70 7, 24.11 27, 28.35 100, 29.64 8, 34.36 22",
    "goethite": "14.31 13, 17.05 100, 21.13 12, 26.62 47, 27.77 27, 28.84 16, 32.89 19",
    "lepidocrocite": "11.37 100, 21.70 70, 23.99 4, 29.03 56, 29.51 10, 30.41 18, 37.26 28, 37.34 23",
    "ferrite": "35.62 100",
    "cementite": "28.19 4, 30.09 29, 30.18 19, 31.80 19, 32.45 18, 34.21 56, 34.89 54, 35.53 65, 35.87 100, "
    "36.55 53, 38.53 6, 38.68 30, 39.08 46",
    "hematite": "19.37 27, 26.52 100, 28.49 75, 32.61 20, 39.32 44",
    "quartz": "16.75 19, 21.37 100, 39.88 16",
    "calcite": "23.57 100, 31.49 22, 34.43 18, 37.83 25, 38.61 27",
    "halite": "21.95 8, 25.40 100, 36.22 73",
    "siderite": "19.87 34, 25.65 100, 30.65 22, 33.79 19, 36.80 23",
}


@pytest.mark.parametrize("structure_id", LINE_TABLES)
def test_lines_agree_with_the_published_table(structure_id: str) -> None:
    expected = np.array([entry.split() for entry in LINE_TABLES[structure_id].split(",")], dtype=float)
    lines = powder_lines(get_structure(structure_id), 10.0)
    for tth_deg, intensity in expected:
        near = np.abs(lines.tth_deg - tth_deg) < 0.035
        closest = np.flatnonzero(near)[np.argmin(np.abs(lines.tth_deg[near] - tth_deg))]
        assert lines.tth_deg[closest] == pytest.approx(tth_deg, abs=0.03)
        assert lines.intensity[closest] == pytest.approx(intensity, abs=7)


@pytest.mark.parametrize("structure_id", ORACLE["lines"])
def test_lines_agree_with_pymatgen(structure_id: str) -> None:
    theirs = np.array(ORACLE["lines"][structure_id])
    lines = powder_lines(get_structure(structure_id), ORACLE["energy_kev"], *ORACLE["window_deg"])
    # pymatgen's factor is that of an unpolarised beam.
    ours = lines.intensity * (1 + np.cos(np.radians(lines.tth_deg)) ** 2)
    ours *= 100 / ours.max()
    for tth_deg, intensity in theirs:
        near = np.abs(lines.tth_deg - tth_deg) < 0.01
        same = np.abs(theirs[:, 0] - tth_deg) < 0.01
        # Thermal motion and anomalous scattering, which pymatgen leaves out, are 2 % of the strongest line at most.
        assert ours[near].sum() == pytest.approx(theirs[same, 1].sum(), abs=3), tth_deg
        assert intensity < 1 or near.any()
    for tth_deg, intensity in zip(lines.tth_deg, ours, strict=True):
        assert intensity < 1 or np.abs(theirs[:, 0] - tth_deg).min() < 0.01


def test_lepidocrocite_021_is_strong() -> None:
    # A wrong atomic y gives 15 instead of 70 here while every position stays right.
    lines = powder_lines(get_structure("lepidocrocite"), 10.0)
    ranked = lines.tth_deg[np.argsort(-lines.intensity)]
    assert ranked[:2] == pytest.approx([11.37, 21.70], abs=0.02)
    assert lines.intensity[np.argmin(np.abs(lines.tth_deg - 21.70))] == pytest.approx(70, abs=3)


def test_special_positions_are_counted_once() -> None:
    content = {key: unit_cell_content(structure) for key, structure in load_structures().items()}
    assert content["magnetite"] == pytest.approx({"Fe": 24, "O": 32})
    assert content["cementite"] == pytest.approx({"Fe": 12, "C": 4})
    assert content["goethite"] == pytest.approx({"Fe": 4, "O": 8})
    assert content["ferrite"] == pytest.approx({"Fe": 2})
    assert content["austenite"] == pytest.approx({"Fe": 4})
    assert content["siderite"] == pytest.approx({"Fe": 6, "C": 6, "O": 18})


def test_one_iron_line_and_its_closed_form() -> None:
    lines = powder_lines(get_structure("ferrite"), 10.0)
    assert len(lines) == 1
    d110 = 2.866 / np.sqrt(2)
    assert lines.d_angstrom[0] == pytest.approx(d110)
    assert lines.tth_deg[0] == pytest.approx(2 * np.degrees(np.arcsin(1.2398419843 / (2 * d110))))
    assert lines.multiplicity[0] == 12


@pytest.mark.parametrize(("structure_id", "ratio"), [("halite", 4.4), ("magnetite", 4.9), ("hematite", 2.7)])
def test_equal_weights_scatter_as_the_reference_intensity_ratios_say(structure_id: str, ratio: float) -> None:
    # I/Ic of powder cards, quartz 3.4: strongest lines of equal weights where absorption is the same
    strengths = {}
    for name in (structure_id, "quartz"):
        structure = get_structure(name)
        volume = gemmi.UnitCell(*structure.cell).volume
        weight = sum(gemmi.Element(atom).weight * count for atom, count in unit_cell_content(structure).items())
        strengths[name] = powder_lines(structure, 8.048, 5.0, 90.0).strength * volume / weight
    assert strengths[structure_id] / strengths["quartz"] == pytest.approx(ratio / 3.4, rel=0.3)


def test_lines_move_with_the_energy() -> None:
    low = powder_lines(get_structure("magnetite"), 10.0, 5.0, 60.0)
    high = powder_lines(get_structure("magnetite"), 20.0, 5.0, 60.0)
    common = min(len(low), len(high))
    assert low.d_angstrom[:common] == pytest.approx(high.d_angstrom[:common])
    assert np.all(high.tth_deg[:common] < low.tth_deg[:common])


def test_shipped_structures_agree_with_the_published_cif_files(measured_data: Path) -> None:
    folder = measured_data / "xrd_patterns" / "cif"
    read = [structure_from_cif(path)[0] for path in sorted(folder.glob("*.cif"))]
    by_code = {structure.amcsd: structure for structure in read}
    for structure in load_structures().values():
        published = by_code[structure.amcsd]
        assert structure.space_group == published.space_group
        assert structure.atoms == published.atoms
        if not structure.cell_citation:
            assert structure.cell == published.cell


def test_unknown_structure_names_the_known_ones() -> None:
    with pytest.raises(StructureError, match="goethite"):
        get_structure("goetite")
