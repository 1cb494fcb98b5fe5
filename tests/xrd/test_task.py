"""A profile is all there is to say of what a model is trained for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from phasecast.core.errors import ProfileError
from phasecast.profiles import load_profile
from phasecast.xrd.task import classification_axis, task_of_profile
from phasecast_models.xrd.patterns import simulate_patterns
from phasecast_models.xrd.structures import get_structure, powder_lines
from phasecast_models.xrd.task import BL16XU_TASK, Task
from phasecast_profiles.shipped import shipped_profiles

BL16XU = shipped_profiles()["bl16xu"].read_text(encoding="utf-8")

CIF = """data_iron_oxide
_chemical_formula_sum 'Fe2 O3'
_cell_length_a 5.0355
_cell_length_b 5.0355
_cell_length_c 13.7471
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
Fe1 0 0 0.3553 0.98
O1 0.3059 0 0.25 1
"""

CLASS = """
[[classes]]
id = "mine"
name_en = "Mine"
name_ja = "私の相"
colour = "#123456"
"""


def own_class(folder: Path, extra: str = 'structures = ["crystals/mine.cif"]\n', cif: str = CIF) -> Path:
    (folder / "crystals").mkdir(exist_ok=True)
    (folder / "crystals" / "mine.cif").write_text(cif, encoding="utf-8")
    path = folder / "mine.toml"
    path.write_text(BL16XU + CLASS + extra, encoding="utf-8")
    return path


def test_the_shipped_profile_is_the_shipped_task() -> None:
    said: list[str] = []
    assert task_of_profile(load_profile("bl16xu"), tell=said.append) == BL16XU_TASK
    assert said == []


def test_a_cif_and_a_class_are_all_it_takes(tmp_path: Path) -> None:
    said: list[str] = []
    task = task_of_profile(load_profile(own_class(tmp_path)), tell=said.append)
    assert task.ids == (*BL16XU_TASK.ids, "mine")
    # The doubtful atom is told with its file, and the shipped hematite no longer counts as foreign.
    assert any("mine.cif: atom Fe1 is there in part only, occupancy 0.98" in line for line in said)
    assert any("hematite has the lines of class mine and does not count as other" in line for line in said)
    assert "hematite" not in {item.id for item in task.others}
    simulated = simulate_patterns(2500, seed=3, task=replace(task, made_up=150), total_counts=(1e6, 1e7))
    labelled = simulated.labels[:, task.ids.index("mine")] > 0
    assert labelled.sum() > 100
    tth = task.axis.tth_deg
    lines = powder_lines(task.classes[-1].structures[0], 10.0)
    assert lines.tth_deg[lines.intensity > 99] == pytest.approx(26.54, abs=0.02)
    for line in lines.tth_deg[lines.intensity > 70]:
        near, beside = np.abs(tth - line) < 0.25, (np.abs(tth - line) > 0.9) & (np.abs(tth - line) < 1.3)
        rise = simulated.mean[:, near].max(axis=1) / np.maximum(np.median(simulated.mean[:, beside], axis=1), 1)
        measured = np.isfinite(rise)
        assert np.median(rise[labelled & measured]) > 1.4 * np.median(rise[~labelled & measured])


@pytest.mark.parametrize(
    ("extra", "cif", "complaint"),
    [
        ("", CIF, "class mine: no structure is shipped for it"),
        ('structures = ["crystals/mein.cif"]', CIF, r"mein\.cif: not a readable CIF"),
        ('structures = ["crystals/mine.cif"]', CIF.replace("Fe1", "Qx1"), r"mine\.cif: atom 'Qx1' is of no known"),
        ('structures = ["hematit"]', CIF, "no structure 'hematit' is shipped"),
        ('structures = ["hematite"]\nkind = "resin"', CIF, "kind resin takes no structures"),
        ('kind = "other"', CIF, "only one class may be of kind other: other, mine"),
        ('structures = ["hematite"]\nkind = "mettal"', CIF, "classes.9.kind.*'mettal'"),
    ],
)
def test_a_class_that_cannot_be_simulated_is_refused(tmp_path: Path, extra: str, cif: str, complaint: str) -> None:
    with pytest.raises(ProfileError, match=complaint) as caught:
        task_of_profile(load_profile(own_class(tmp_path, extra, cif)))
    assert "\n" not in str(caught.value)


def test_two_classes_of_one_crystal_are_told(tmp_path: Path) -> None:
    said: list[str] = []
    task_of_profile(load_profile(own_class(tmp_path, 'structures = ["goethite"]')), tell=said.append)
    assert any("classes goethite and mine have the same lines" in line for line in said)


def test_kind_follows_the_role_and_the_shipped_classes(tmp_path: Path) -> None:
    task = task_of_profile(load_profile(own_class(tmp_path, 'structures = ["crystals/mine.cif"]\nrole = "steel"')))
    assert task.classes[-1].host == "metal"
    assert task.classes[-1].grains < 10
    assert task.classes[3] == BL16XU_TASK.classes[3]


def test_further_crystals_count_as_other(tmp_path: Path) -> None:
    path = own_class(tmp_path)
    path.write_text(BL16XU + '[classification]\nothers = ["crystals/mine.cif"]\n', encoding="utf-8")
    said: list[str] = []
    task = task_of_profile(load_profile(path), tell=said.append)
    assert task.others[-1].id == "mine"
    assert len(task.others) == len(BL16XU_TASK.others) + 1


def test_the_axis_of_a_model_is_no_finer_than_it_needs(tmp_path: Path) -> None:
    fine = load_profile("ssrl-lab6")
    assert classification_axis(fine).bins == 220
    path = tmp_path / "narrow.toml"
    chosen = "[classification]\naxis = { tth_min_deg = 12, tth_max_deg = 38, bins = 520 }\n"
    path.write_text(BL16XU + chosen, encoding="utf-8")
    axis = classification_axis(load_profile(path))
    assert (axis.tth_min_deg, axis.tth_max_deg, axis.bins, axis.energy_kev) == (12, 38, 520, 10.0)
    path.write_text(BL16XU + chosen.replace("38", "41"), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"classification\.axis 12-41 deg must lie inside \[axis\]"):
        load_profile(path)
    with pytest.raises(ProfileError, match="has no classes"):
        task_of_profile(fine)


@pytest.fixture(scope="module")
def powder() -> Task:
    return replace(task_of_profile(load_profile("powder-cu")), made_up=300)


def test_a_powder_diffractometer_is_another_task(powder: Task) -> None:
    assert str(powder.axis) == "5-65 deg in 600 bins of 0.1 deg at 8.0413 keV"
    simulated = simulate_patterns(1500, seed=1, task=powder, total_counts=(1e5, 1e7))
    assert simulated.mean.shape == (1500, 600)
    assert np.isfinite(simulated.mean).any(axis=0).all()
    # Every class is seen, nothing passes a thick sample, and there is no class for resin or bare iron to be put in.
    assert simulated.labels.mean(axis=0).min() > 0.02
    assert np.isnan(simulated.transmission).all()
    assert simulated.labels[np.isin(simulated.kind, ["resin", "bare_iron", "empty"])].max() == 0


def test_its_lines_lie_where_the_powder_card_has_them(powder: Task) -> None:
    quartz = powder_lines(get_structure("quartz"), powder.axis.energy_kev, 5.0, 65.0)
    # Quartz (PDF 46-1045) by Cu K-alpha1: 20.86, 26.64, 50.14; the mean wavelength lies 0.08 % higher.
    for card in (20.86, 26.64, 50.14):
        moved = 2 * np.degrees(np.arcsin(np.sin(np.radians(card / 2)) * 1.541838 / 1.540593))
        assert np.abs(quartz.tth_deg - moved).min() < 0.02
