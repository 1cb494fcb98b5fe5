"""Checks of label files before anything is trained: what cannot be learned from is said in one line, at once."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phasecast_models.xrd.axis import AxisMismatchError, PatternAxis
from phasecast_models.xrd.examples import Examples, LabelError

Floats = NDArray[np.float64]

NEGATIVE_SIGMA = 5.0
"""A bin this many sigma below zero is no count that noise or a subtracted dark made negative."""

_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PersonLabel:
    """What one person said of one pattern.

    Parameters
    ----------
    point
        Names the point, the same for all who look at it (such as scan uid and row).
    who, sample
        The person; the sample it was measured on.
    classes
        Ids of all classes they see in it; none is an answer too.
    tth_deg, intensity, sigma
        The pattern, each of shape (bins,).
    """

    point: str
    who: str
    sample: str
    classes: tuple[str, ...]
    tth_deg: ArrayLike
    intensity: ArrayLike
    sigma: ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """One pattern that people see differently; ``said`` is (who, classes), one a person, in order of first words."""

    point: str
    sample: str
    said: tuple[tuple[str, tuple[str, ...]], ...]

    def __str__(self) -> str:
        return f"{self.point}: " + ", ".join(f"{who} says {_classes_text(classes)}" for who, classes in self.said)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedLabels:
    """Labels that can be learned from.

    Parameters
    ----------
    examples
        One row a pattern, in order of the labels.
    points
        Names of the points, one a row.
    left_out
        Reason to number of patterns that nothing can be learned from.
    repeated
        Labels of patterns that had one already, with the same answer or by the same person.
    settled
        Contradictions in which the trusted person's word counted.
    """

    examples: Examples
    points: tuple[str, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    settled: tuple[Contradiction, ...] = ()


def check_labels(
    labels: Sequence[PersonLabel], *, classes: Sequence[str], axis: PatternAxis, trusted: str = ""
) -> CheckedLabels:
    """Turn what people said into examples, or say exactly why that cannot be.

    Patterns that hold no measurement (no finite bin, infinite, all zero, clearly negative, without sigma) are left out
    and counted.

    Parameters
    ----------
    labels
        In order of time: a person's later word on a pattern replaces the earlier one.
    classes, axis
        Of the bundle that shall learn.
    trusted
        Person whose word counts where people contradict each other.

    Raises
    ------
    LabelError
        If there are no labels, one is on another axis or of an unknown class, all say the same, nothing is left, or
        people contradict each other and nobody trusted spoke.
    """
    if not labels:
        raise LabelError("there are no labels - label some patterns first")
    _require_classes(labels, classes)
    _require_axis(labels, axis)
    usable, left_out = [], Counter[str]()
    for label in labels:
        reason = _why_unusable(label)
        if reason:
            left_out[reason] += 1
        else:
            usable.append(label)
    if not usable:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise LabelError(
            f"none of the {len(labels)} labelled patterns can be used ({reasons}) - label measured patterns"
        )
    chosen, settled = _one_a_pattern(usable, trusted)
    said = {frozenset(label.classes) for label in chosen}
    if len(said) == 1:
        raise LabelError(
            f"all {len(chosen)} labelled patterns hold {_classes_text(chosen[0].classes)}, so there is nothing to tell "
            "apart - label patterns of other classes too"
        )
    targets = [[float(name in label.classes) for name in classes] for label in chosen]
    examples = Examples(
        intensity=np.array([label.intensity for label in chosen], dtype=np.float32),
        sigma=np.array([label.sigma for label in chosen], dtype=np.float32),
        labels=np.array(targets, dtype=np.float32),
        samples=np.array([label.sample for label in chosen]),
    )
    return CheckedLabels(
        examples=examples,
        points=tuple(label.point for label in chosen),
        left_out=dict(left_out),
        repeated=len(usable) - len(chosen),
        settled=tuple(settled),
    )


def find_contradictions(labels: Sequence[PersonLabel]) -> list[Contradiction]:
    """Return the patterns that people see differently; what one person changed their mind about is none.

    Two labels speak of the same pattern if they name the same point or hold the same numbers.
    """
    return [found for group in _same_pattern(labels) if (found := _contradiction(group)) is not None]


def _one_a_pattern(labels: Sequence[PersonLabel], trusted: str) -> tuple[list[PersonLabel], list[Contradiction]]:
    chosen, settled, open_ones = [], [], []
    for group in _same_pattern(labels):
        found = _contradiction(group)
        words = [label for label in group if label.who == trusted] if found else group
        if found and words:
            settled.append(found)
        elif found:
            open_ones.append(found)
            continue
        chosen.append(words[-1])
    if open_ones:
        named = "; ".join(map(str, open_ones[:_NAMED]))
        more = f"; and {len(open_ones) - _NAMED} more" if len(open_ones) > _NAMED else ""
        spoke = f", and {trusted} said nothing of them" if trusted else ""
        raise LabelError(
            f"people contradict each other on {len(open_ones)} pattern{'s' if len(open_ones) > 1 else ''}{spoke} "
            f"({named}{more}) - agree, or say whose word counts"
        )
    return chosen, settled


def _same_pattern(labels: Sequence[PersonLabel]) -> list[list[PersonLabel]]:
    group_of: dict[object, int] = {}
    groups: defaultdict[int, list[PersonLabel]] = defaultdict(list)
    for number, label in enumerate(labels):
        numbers = np.asarray(label.intensity, dtype=np.float32)
        # an empty pattern is no fingerprint: many points share it
        print_ = numbers.tobytes() if np.nan_to_num(numbers).any() else None
        keys = [key for key in (("point", label.point), ("pattern", print_)) if key[1]]
        known = [group_of[key] for key in keys if key in group_of]
        group = min(known, default=number)
        for other in set(known) - {group}:
            groups[group] += groups.pop(other)
            group_of.update({key: group for key, value in group_of.items() if value == other})
        group_of.update(dict.fromkeys(keys, group))
        groups[group].append(label)
    return [groups[key] for key in sorted(groups)]


def _contradiction(group: Sequence[PersonLabel]) -> Contradiction | None:
    last: dict[str, tuple[str, ...]] = {}
    for label in group:
        last[label.who] = tuple(sorted(set(label.classes)))
    if len(set(last.values())) < 2:
        return None
    return Contradiction(point=group[0].point, sample=group[0].sample, said=tuple(last.items()))


def _why_unusable(label: PersonLabel) -> str:
    values = np.asarray(label.intensity, dtype=np.float64)
    errors = np.asarray(label.sigma, dtype=np.float64)
    if np.isinf(values).any():
        return "infinite"
    if np.isnan(values).all():
        return "not a number"
    if not np.nan_to_num(values).any():
        return "all zero"
    if not (np.isfinite(errors) & (errors > 0)).any():
        return "without sigma"
    known = np.isfinite(values) & np.isfinite(errors)
    if np.any(values[known] < -NEGATIVE_SIGMA * np.abs(errors[known])) or np.nansum(values) <= 0:
        return "negative"
    return ""


def _require_classes(labels: Sequence[PersonLabel], classes: Sequence[str]) -> None:
    unknown = Counter(name for label in labels for name in set(label.classes) - set(classes))
    if unknown:
        first = next(label for label in labels if set(label.classes) - set(classes))
        names = ", ".join(f"{name!r} ({count} label{'s' if count > 1 else ''})" for name, count in unknown.items())
        raise LabelError(
            f"the model does not know {names}, first at {first.point} by {first.who} - it knows {', '.join(classes)}"
        )


def _require_axis(labels: Sequence[PersonLabel], axis: PatternAxis) -> None:
    for label in labels:
        try:
            axis.require(label.tth_deg)
        except AxisMismatchError as error:
            raise LabelError(f"{label.point} by {label.who}: {error}") from error
        if np.shape(label.intensity) != (axis.bins,) or np.shape(label.sigma) != (axis.bins,):
            raise LabelError(
                f"{label.point} by {label.who}: intensity and sigma have shapes {np.shape(label.intensity)} and "
                f"{np.shape(label.sigma)}, the axis has {axis.bins} bins - give one number a bin"
            )


def _classes_text(classes: Sequence[str]) -> str:
    return " + ".join(classes) if classes else "none of the classes"
