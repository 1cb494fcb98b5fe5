"""Label files that nothing can be learned from are refused in one line; contradictions are shown, not overwritten."""

from dataclasses import replace

import numpy as np
import pytest

from phasecast_models.xrd.axis import BL16XU_AXIS, CLASSES
from phasecast_models.xrd.examples import LabelError
from phasecast_models.xrd.label_checks import CheckedLabels, PersonLabel, check_labels, find_contradictions


def label(point: str, *classes: str, who: str = "A. Sato", level: float = 50.0) -> PersonLabel:
    counts = np.random.default_rng(list(point.encode())).poisson(level, 300).astype(float)
    return PersonLabel(
        point=point,
        who=who,
        sample=f"sample {point[0]}",
        classes=classes,
        tth_deg=BL16XU_AXIS.tth_deg,
        intensity=counts,
        sigma=np.sqrt(counts),
    )


def check(*labels: PersonLabel, trusted: str = "") -> CheckedLabels:
    return check_labels(labels, classes=CLASSES, axis=BL16XU_AXIS, trusted=trusted)


GOOD = (label("a1", "goethite"), label("a2", "magnetite", "ferrite"), label("b1"))


def test_labels_become_rows_in_the_models_order() -> None:
    checked = check(*GOOD)
    assert checked.points == ("a1", "a2", "b1")
    assert checked.examples.samples.tolist() == ["sample a", "sample a", "sample b"]
    held = [{CLASSES[column] for column in np.flatnonzero(row)} for row in checked.examples.labels]
    assert held == [{"goethite"}, {"magnetite", "ferrite"}, set()]
    assert checked.examples.intensity.shape == checked.examples.sigma.shape == (3, 300)


def line_of(*labels: PersonLabel, trusted: str = "") -> str:
    with pytest.raises(LabelError) as caught:
        check(*labels, trusted=trusted)
    assert "\n" not in str(caught.value)
    assert " - " in str(caught.value)
    return str(caught.value)


def test_each_bad_file_gets_its_own_line() -> None:
    assert "there are no labels" in line_of()
    assert "does not know 'gothite' (1 label), first at a1 by A. Sato" in line_of(label("a1", "gothite"), *GOOD)
    other = replace(label("b7", "goethite"), tth_deg=BL16XU_AXIS.tth_deg + 0.05)
    assert "b7 by A. Sato: the patterns have 300 bin centres from 10.1 to 40 deg" in line_of(*GOOD, other)
    assert "shapes (4,) and (300,)" in line_of(replace(label("c1"), intensity=np.ones(4)))
    one_class = line_of(label("a1", "goethite"), label("a2", "goethite"))
    assert one_class.startswith("all 2 labelled patterns hold goethite")


def test_patterns_without_a_measurement_are_left_out_and_counted() -> None:
    gaps = np.array(GOOD[0].intensity, dtype=float)
    gaps[40:60] = np.nan
    dark = np.array(GOOD[0].intensity, dtype=float)
    dark[5] = -3.0  # a subtracted dark, within its noise
    bad = [
        replace(label("x1"), intensity=np.full(300, np.nan)),
        replace(label("x2"), intensity=np.full(300, np.inf)),
        replace(label("x3"), intensity=np.zeros(300)),
        replace(label("x4"), intensity=np.zeros(300)),
        replace(label("x5"), intensity=-np.array(GOOD[0].intensity)),
        replace(label("x6"), sigma=np.zeros(300)),
    ]
    fine = [replace(label("a8", "resin"), intensity=gaps), replace(label("a9", "resin"), intensity=dark)]
    checked = check(*GOOD, *bad, *fine)
    assert checked.left_out == {"not a number": 1, "infinite": 1, "all zero": 2, "negative": 1, "without sigma": 1}
    assert checked.points == ("a1", "a2", "b1", "a8", "a9")
    assert "none of the 6 labelled patterns can be used (1 not a number" in line_of(*bad)


def test_people_who_contradict_each_other_are_named() -> None:
    second = replace(label("a1", "goethite", "magnetite"), who="B. Mori")
    (found,) = find_contradictions([*GOOD, second])
    assert found.point == "a1"
    assert found.said == (("A. Sato", ("goethite",)), ("B. Mori", ("goethite", "magnetite")))
    line = line_of(*GOOD, second)
    assert "1 pattern (a1: A. Sato says goethite, B. Mori says goethite + magnetite)" in line
    for who, classes in found.said:
        checked = check(*GOOD, second, trusted=who)
        assert {CLASSES[column] for column in np.flatnonzero(checked.examples.labels[0])} == set(classes)
        assert checked.settled == (found,)
    assert "C. Abe said nothing of them" in line_of(*GOOD, second, trusted="C. Abe")


def test_the_same_pattern_under_another_name_is_found() -> None:
    copy = replace(GOOD[0], point="copy of a1", who="B. Mori", classes=("resin",))
    (found,) = find_contradictions([*GOOD, copy])
    assert dict(found.said) == {"A. Sato": ("goethite",), "B. Mori": ("resin",)}


def test_agreement_and_a_changed_mind_are_no_contradictions() -> None:
    agrees = replace(GOOD[0], who="B. Mori")
    changed = replace(GOOD[1], classes=("magnetite",))
    assert not find_contradictions([*GOOD, agrees, changed])
    checked = check(*GOOD, agrees, changed)
    assert checked.repeated == 2
    assert [CLASSES[column] for column in np.flatnonzero(checked.examples.labels[1])] == ["magnetite"]
