"""Made-up minerals look like minerals and are none of the classes."""

import numpy as np
import pytest

from phasecast_models.xrd.axis import BL16XU_AXIS, CLASSES
from phasecast_models.xrd.made_up import LineSet, made_up_minerals, structure_lines
from phasecast_models.xrd.structures import load_structures
from phasecast_models.xrd.task import BL16XU_TASK

COUNT = 900


@pytest.fixture(scope="module")
def minerals() -> list[LineSet]:
    return made_up_minerals(COUNT, BL16XU_TASK, np.random.default_rng(0))


def explained(reference: LineSet, mineral: LineSet, tolerance_deg: float = 0.15) -> bool:
    """Whether every strong line of the reference has one of the mineral near it."""
    strong = reference.tth_deg[reference.intensity > 0.2]
    lit = mineral.tth_deg[mineral.intensity > 0.03]
    return bool((np.abs(strong[:, None] - lit[None, :]).min(axis=1, initial=np.inf) < tolerance_deg).all())


def test_same_seed_same_minerals(minerals: list[LineSet]) -> None:
    again = made_up_minerals(COUNT, BL16XU_TASK, np.random.default_rng(0))
    assert all(np.array_equal(a.tth_deg, b.tth_deg) for a, b in zip(minerals, again, strict=True))


def test_lines_are_those_of_minerals(minerals: list[LineSet]) -> None:
    counts = np.array([len(mineral.tth_deg) for mineral in minerals])
    assert counts.min() >= 1
    assert np.median(counts) > 5
    assert np.percentile(counts, 95) > 18
    for mineral in minerals:
        assert mineral.tth_deg.shape == mineral.intensity.shape == mineral.multiplicity.shape
        assert (mineral.multiplicity > 0).all()
        inside = (mineral.tth_deg > 10.3) & (mineral.tth_deg < 39.7)
        assert mineral.intensity[inside].max() == pytest.approx(1)


def test_many_share_a_line_with_a_class_and_few_share_all(minerals: list[LineSet]) -> None:
    known = {name: structure_lines(structure, BL16XU_AXIS) for name, structure in load_structures().items()}
    one = np.mean(
        [
            any(
                np.abs(mineral.tth_deg - known[name].tth_deg[known[name].intensity.argmax()]).min() < 0.15
                for name in ("magnetite", "goethite", "lepidocrocite")
            )
            for mineral in minerals
        ]
    )
    assert one > 0.15
    for name in CLASSES[:6]:
        if name not in ("ferrite", "austenite"):
            assert np.mean([explained(known[name], mineral) for mineral in minerals]) < 0.03, name


def test_structure_lines_reach_beyond_the_axis() -> None:
    lines = structure_lines(load_structures()["austenite"], BL16XU_AXIS)
    assert lines.tth_deg == pytest.approx([34.80, 40.39], abs=0.05)
    assert lines.intensity.max() == 1
