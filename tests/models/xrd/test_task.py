"""A task is refused if nobody could learn it, and answers what others ask of it."""

from dataclasses import replace

import numpy as np
import pytest

from phasecast_models.xrd.alike import same_lines
from phasecast_models.xrd.axis import BL16XU_AXIS, CLASSES, PatternAxis
from phasecast_models.xrd.compositions import place_shares
from phasecast_models.xrd.patterns import simulate_patterns
from phasecast_models.xrd.structures import get_structure
from phasecast_models.xrd.task import BL16XU_TASK, RingCoverage, Task, TaskClass, TaskError, angle_at_energy

QUARTZ = TaskClass(id="quartz", structures=(get_structure("quartz"),))


def test_the_shipped_task_has_the_classes_of_the_shipped_bundle() -> None:
    assert BL16XU_TASK.ids == CLASSES
    assert [CLASSES[column] for column in BL16XU_TASK.hosted("metal")] == ["ferrite", "austenite", "cementite"]
    assert {item.id for item in BL16XU_TASK.classes[0].structures} == {"magnetite", "maghemite"}
    left = BL16XU_TASK.without("hematite")
    assert len(left.others) == len(BL16XU_TASK.others) - 1


@pytest.mark.parametrize(
    ("classes", "complaint"),
    [
        ((), "at least one class"),
        ((QUARTZ, QUARTZ), "used twice: quartz"),
        (
            (TaskClass(id="a", kind="resin"), TaskClass(id="b", kind="resin")),
            "only one class may be of kind resin: a, b",
        ),
        ((TaskClass(id="opal"),), "'opal' of kind lines needs at least one structure"),
        ((replace(QUARTZ, kind="other"),), "takes no structures"),
    ],
)
def test_a_task_nobody_can_learn_is_refused(classes: tuple[TaskClass, ...], complaint: str) -> None:
    with pytest.raises(TaskError, match=complaint):
        Task(axis=BL16XU_AXIS, classes=classes)


def test_a_class_without_a_line_on_the_axis_is_refused() -> None:
    narrow = PatternAxis(tth_min_deg=10.0, tth_max_deg=15.0, bins=50, energy_kev=10.0)
    with pytest.raises(TaskError, match="'quartz' has no line on 10-15 deg"):
        Task(axis=narrow, classes=(QUARTZ,))


def test_iron_fluoresces_between_its_edge_and_the_threshold() -> None:
    assert BL16XU_TASK.iron_fluoresces
    assert not replace(BL16XU_TASK, threshold_kev=7.0).iron_fluoresces
    low = PatternAxis(tth_min_deg=10.0, tth_max_deg=60.0, bins=500, energy_kev=7.0)
    assert not replace(BL16XU_TASK, axis=low).iron_fluoresces


def test_a_detector_that_follows_the_angle_loses_little_at_high_angles() -> None:
    follows = RingCoverage(distance_mm=240.0, half_height_mm=10.0, centre_deg=None)
    seen = follows.fraction(np.array([10.0, 90.0, 150.0]))
    # By the radius of the ring: R sin(2 theta).
    assert seen[1] == pytest.approx(np.arctan(10 / 240) / np.pi)
    assert seen[0] > seen[2] > seen[1]


def test_humps_keep_their_spacing_at_another_energy() -> None:
    axis = PatternAxis(tth_min_deg=5.0, tth_max_deg=65.0, bins=600, energy_kev=8.0413)
    there = angle_at_energy(28.7, axis)
    assert np.sin(np.radians(there / 2)) * 8.0413 == pytest.approx(np.sin(np.radians(28.7 / 2)) * 10)


def test_hosts_and_kinds_that_a_task_lacks_are_not_drawn_or_seldom() -> None:
    task = Task(axis=BL16XU_AXIS, classes=(QUARTZ,), made_up=40)
    shares = place_shares(task)
    assert sum(shares.values()) == pytest.approx(1)
    assert "metal" not in shares
    assert shares["resin"] < place_shares(BL16XU_TASK)["resin"]
    simulated = simulate_patterns(600, seed=1, task=task)
    assert simulated.labels.shape == (600, 1)
    assert 0.3 < simulated.labels.mean() < 0.7
    # Foreign phases are there to be told apart, though they have no column.
    assert (simulated.kind == "foreign").mean() > 0.1


def test_crystals_that_no_pattern_tells_apart() -> None:
    hematite, quartz = get_structure("hematite"), get_structure("quartz")
    a, b, c, *angles = hematite.cell
    measured_elsewhere = replace(hematite, cell=(a * 0.999, b * 0.999, c * 0.999, *angles))
    assert same_lines(hematite, measured_elsewhere, BL16XU_AXIS)
    assert not same_lines(hematite, quartz, BL16XU_AXIS)
    # Bcc and fcc iron have one line each, nearly a degree apart.
    assert not same_lines(get_structure("ferrite"), get_structure("austenite"), BL16XU_AXIS)
