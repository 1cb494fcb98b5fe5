"""CIF files: what is read, and every doubt that is told with its atom."""

from pathlib import Path

import pytest

from phasecast_models.xrd.crystal_files import structure_from_cif
from phasecast_models.xrd.structures import StructureError, get_structure, powder_lines, unit_cell_content

HEMATITE = """data_hematite
_chemical_name_mineral Hematite
_chemical_formula_sum 'Fe2 O3'
_cell_length_a 5.038
_cell_length_b 5.038
_cell_length_c 13.772
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_symmetry_space_group_name_H-M 'R -3 c'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Fe1 0 0 0.3553 1
O1 0.3059 0 0.25 1
"""

SPINEL = """data_spinel
_cell_length_a 8.3967
_cell_length_b 8.3967
_cell_length_c 8.3967
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
{symmetry}
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
FeT 0.125 0.125 0.125
FeM 0.5 0.5 0.5
O 0.25476 0.25476 0.25476
"""


def warnings_of(text: str) -> str:
    return "\n".join(structure_from_cif(text)[1])


def test_a_clean_file_gives_the_shipped_crystal_without_a_word() -> None:
    structure, warnings = structure_from_cif(HEMATITE, class_id="hematite")
    assert warnings == ()
    assert (structure.id, structure.phase_class, structure.space_group) == ("hematite", "hematite", "R -3 c:H")
    # Atoms on special positions are counted once, as many as in six formula units.
    assert unit_cell_content(structure) == pytest.approx({"Fe": 12, "O": 18})
    ours, shipped = powder_lines(structure, 10.0), powder_lines(get_structure("hematite"), 10.0)
    assert ours.tth_deg == pytest.approx(shipped.tth_deg)
    assert ours.intensity == pytest.approx(shipped.intensity, abs=0.01)


def test_partial_occupancy_names_the_atom() -> None:
    assert "atom Fe1 is there in part only, occupancy 0.8" in warnings_of(HEMATITE.replace("0.3553 1", "0.3553 0.8"))
    assert "atom O1 has the occupancy 1.2" in warnings_of(HEMATITE.replace("0.25 1", "0.25 1.2"))


def test_missing_hydrogen_names_its_likely_place() -> None:
    text = HEMATITE.replace("Fe2 O3", "Fe2 O3 H2").replace("O1 0.3059", "O-H 0.3059")
    assert "atom H is in the formula 'Fe2 O3 H2' but has no site, probably at O-H" in warnings_of(text)
    assert warnings_of(text + "H1 0.1 0.2 0.3 1\n") == ""


def test_an_element_that_the_formula_lacks_is_told() -> None:
    # A carbon alpha of other files' habits reads as calcium.
    assert "atom CA1 was read as Ca" in warnings_of(HEMATITE.replace("O1 0.3059", "CA1 0.3059"))


def test_a_symbol_that_disagrees_with_the_operations() -> None:
    operations = "loop_\n_space_group_symop_operation_xyz\nx,y,z\n-x,-y,-z\n"
    told = warnings_of(SPINEL.format(symmetry="_symmetry_space_group_name_H-M 'P 1'\n" + operations))
    assert "symbol 'P 1' disagrees with the operations, which say 'P -1'" in told
    assert "atom FeT stands 2 times in the cell, by the other 1 times" in told


def test_a_hall_symbol_of_the_other_origin() -> None:
    text = SPINEL.format(symmetry="_space_group_name_Hall '-F 4vw 2vw 3'\n_space_group_name_H-M_alt 'F d -3 m:1'")
    told = warnings_of(text)
    assert "symbol 'F d -3 m:1' disagrees with the Hall symbol, which say" in told
    assert "atom FeT stands 8 times in the cell, by the other 16 times" in told
    assert unit_cell_content(structure_from_cif(text)[0]) == pytest.approx({"Fe": 24, "O": 32})


def test_a_symbol_alone_may_mean_either_origin() -> None:
    text = SPINEL.format(symmetry="_symmetry_space_group_name_H-M 'F d -3 m'")
    told = warnings_of(text)
    assert "without operations 'F d -3 m:2' was assumed, it might be 'F d -3 m:1'; atom FeT" in told
    assert "disagrees" in warnings_of(text.replace("loop_", "_space_group_IT_number 225\nloop_"))


def test_a_setting_that_the_cell_or_the_formula_does_not_bear() -> None:
    # Rhombohedral axes would be equal, with equal angles.
    assert "the cell has not the symmetry of 'R -3 c:R', by which atom Fe1" in warnings_of(
        HEMATITE.replace("R -3 c", "R -3 c:R")
    )
    # Without the inversion only half of the iron is there.
    told = warnings_of(HEMATITE.replace("R -3 c", "R 3 c"))
    assert "the cell holds 6 Fe and 18 O, the formula is 'Fe2 O3'; is the setting that of the atoms Fe1, O1?" in told


def test_overlapping_atoms_are_both_named_but_not_disorder_partners() -> None:
    crowded = HEMATITE + "O2 0.3059 0.05 0.25 1\n"
    assert "atom O1 overlaps with atom O2, 0.25 A away" in warnings_of(crowded)
    shared = crowded.replace("0.25 1\n", "0.25 0.5\n")
    assert "overlaps" not in warnings_of(shared)
    # 0.45 A from its own image by the threefold axis: one atom too few or two too many.
    assert "atom Fe2 overlaps with an image of its own" in warnings_of(HEMATITE + "Fe2 0.052 0 0.1 1\n")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEMATITE.replace("O1 0.3059", "Qx1 0.3059"), "atom 'Qx1' is of no known element"),
        (HEMATITE.replace("0 0 0.3553", "0 0 ?"), "atom 'Fe1' has no coordinates"),
        (HEMATITE.replace("'R -3 c'", "?"), "needs symmetry operations"),
        (HEMATITE.replace("'R -3 c'", "'Q 17'"), "needs symmetry operations"),
        (HEMATITE.replace("_cell_length_a 5.038\n", ""), "needs a cell"),
        (HEMATITE.split("loop_")[0], "holds no atoms"),
        (HEMATITE + HEMATITE.replace("data_hematite", "data_b"), "holds 2 structures"),
        ("no cif\nat all", "not a readable CIF"),
        (
            SPINEL.format(symmetry="loop_\n_space_group_symop_operation_xyz\nx,y,z\ny,z,x+1/3\n"),
            "no setting of a space group",
        ),
        (SPINEL.format(symmetry="loop_\n_space_group_symop_operation_xyz\nx,y\n"), "symmetry cannot be read"),
    ],
)
def test_bad_files_get_one_clear_line(text: str, complaint: str) -> None:
    with pytest.raises(StructureError, match=complaint) as caught:
        structure_from_cif(text)
    assert "\n" not in str(caught.value)


def test_a_file_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "my phase.cif"
    with pytest.raises(StructureError, match=r"my phase\.cif: not a readable CIF"):
        structure_from_cif(path)
    path.write_text(HEMATITE.replace("0.25 1", "0.25 0.9"))
    structure, warnings = structure_from_cif(path)
    assert structure.id == "my phase"
    assert warnings[0].startswith(f"{path}: atom O1")
    # Names of authors in another encoding say nothing of the crystal.
    path.write_bytes(HEMATITE.encode() + "_publ_author_name 'H\u00e4gg'\n".encode("latin-1"))
    assert "gg" in structure_from_cif(path)[0].citation
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StructureError, match="not a readable CIF"):
        structure_from_cif(path)
