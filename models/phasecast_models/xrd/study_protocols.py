"""What labels are worth: learning curves against training from scratch, and the reference's protocol of 81 labels.

Pure functions of a base bundle and labelled patterns; where the patterns come from (people, or a simulation that no
network was trained on) is the caller's matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.bundle import Bundle
from phasecast_models.xrd.calibration import expected_calibration_error, f1_scores
from phasecast_models.xrd.examples import Examples, LabelError
from phasecast_models.xrd.label_metrics import THRESHOLD, label_metrics, wilson
from phasecast_models.xrd.paper_network import PaperPlan, train_paper
from phasecast_models.xrd.scratch_training import ScratchPlan, train_from_scratch
from phasecast_models.xrd.tuning import FineTunePlan, Simulate, Tuned, simulate_replay, tune, tuned_confidences

Floats = NDArray[np.float32]

FINE_TUNED, SCRATCH, PAPER, BASE = "fine-tuned", "scratch", "paper", "base"

GROUPS: Mapping[str, tuple[str, ...]] = {
    "oxides": ("magnetite", "goethite", "lepidocrocite"),
    "iron": ("ferrite", "austenite", "cementite"),
}
"""Classes whose decisions are counted together, as the reference does."""

STOP_SHARE = 29 / 110
"""Of the labels that a training gets, those that decide where to stop: as many as validate in the reference."""


_FINE_TUNE, _SCRATCH, _PAPER = FineTunePlan(), ScratchPlan(), PaperPlan()


@dataclass(frozen=True, slots=True, kw_only=True)
class EfficiencyRow:
    """One model of one learning curve: figures on the test patterns.

    ``labels`` is all that the model got, those that decided where to stop included; ``f1`` is by class in the order
    of the bundle.
    """

    model: str
    labels: int
    seed: int
    macro_f1: float
    exact_match: float
    ece: float
    f1: tuple[float, ...]


def label_efficiency(
    base: Bundle,
    pool: Examples,
    test: Examples,
    *,
    counts: Sequence[int] = (0, 20, 81, 200, 500, 1000),
    seeds: Iterable[int] = (1,),
    models: Sequence[str] = (FINE_TUNED, SCRATCH, PAPER),
    plan: FineTunePlan = _FINE_TUNE,
    scratch: ScratchPlan = _SCRATCH,
    paper: PaperPlan = _PAPER,
    simulate: Simulate = simulate_replay,
) -> list[EfficiencyRow]:
    """Return figures of models that got more and more labels.

    For each seed the pool is shuffled once, and each count takes the first of it, so that more labels are always the
    same ones and others. All models get the same labels and the same ones to stop by. Without labels only the base
    is measured.

    Parameters
    ----------
    base
        What is fine-tuned; its architecture is what is trained from scratch.
    pool, test
        Labelled patterns to learn from and to measure on; they must not share samples.
    counts, seeds, models
        What to go through.
    plan, scratch, paper, simulate
        How each is trained; seeds are replaced.

    Raises
    ------
    LabelError
        If the pool holds fewer labels than the largest count.
    """
    if max(counts, default=0) > len(pool):
        raise LabelError(f"the pool holds {len(pool)} labels, the curve goes to {max(counts)} - label or draw more")
    rows = []
    for seed in seeds:
        order = np.random.default_rng([seed, 81]).permutation(len(pool))
        for count in counts:
            chosen = pool.take(order[:count])
            stops = round(STOP_SHARE * count)
            stop, train = chosen.take(np.arange(stops)), chosen.take(np.arange(stops, count))
            for model in models if count else (FINE_TUNED,):
                found = _confidences(model, base, train, stop, test, seed, plan, scratch, paper, simulate)
                rows.append(_row(model, count, seed, found, test))
    return rows


def efficiency_table(rows: Sequence[EfficiencyRow]) -> list[dict[str, object]]:
    """Return means over seeds of every model and count, and the standard deviation of macro-F1, as tables for cards."""
    out: list[dict[str, object]] = []
    for model, labels in dict.fromkeys((row.model, row.labels) for row in rows):
        same = [row for row in rows if (row.model, row.labels) == (model, labels)]
        macro = np.array([row.macro_f1 for row in same])
        out.append(
            {
                "model": model,
                "labels": labels,
                "seeds": len(same),
                "macro_f1": round(float(macro.mean()), 4),
                "macro_f1_sd": round(float(macro.std(ddof=1)), 4) if len(same) > 1 else 0.0,
                "exact_match": round(float(np.mean([row.exact_match for row in same])), 4),
                "ece": round(float(np.mean([row.ece for row in same])), 4),
                "f1": [round(float(value), 4) for value in np.mean([row.f1 for row in same], axis=0)],
            }
        )
    return out


def protocol_81_29_29(
    base: Bundle,
    labelled: Examples,
    *,
    sizes: tuple[int, int, int] = (81, 29, 29),
    seed: int = 1,
    models: Sequence[str] = (BASE, FINE_TUNED, SCRATCH, PAPER),
    groups: Mapping[str, tuple[str, ...]] = GROUPS,
    plan: FineTunePlan = _FINE_TUNE,
    scratch: ScratchPlan = _SCRATCH,
    paper: PaperPlan = _PAPER,
    simulate: Simulate = simulate_replay,
) -> dict[str, dict[str, object]]:
    """Return each model's figures under the reference's protocol: 81 labels teach, 29 validate, 29 test.

    The three parts never share a sample, which is harder than to draw them from one heap. To the figures of
    `label_metrics` come, for each group of classes, the decisions on them, the share of right ones with its 95 % Wilson
    interval, and the share that "none of them" would get right: most labels are negative.

    Parameters
    ----------
    base, labelled
        Bundle to start from; at least ``sum(sizes)`` labelled patterns of three samples or more.
    sizes
        Labels that teach, validate, test.
    seed
        Seed of the division and of all trainings.
    models, groups, plan, scratch, paper, simulate
        What is measured and how it is trained.

    Raises
    ------
    LabelError
        If the samples cannot be divided so.
    """
    train, stop, test = divide_by_sample(labelled, sizes, seed=seed)
    out = {}
    for model in models:
        found = _confidences(model, base, train, stop, test, seed, plan, scratch, paper, simulate)
        table = label_metrics(found, test.labels, base.classes, seed=seed)
        table["groups"] = {
            name: _decisions(found, test.labels, [base.classes.index(member) for member in members])
            for name, members in groups.items()
            if all(member in base.classes for member in members)
        }
        out[model] = table
    return out


def divide_by_sample(labelled: Examples, sizes: tuple[int, int, int], *, seed: int) -> tuple[Examples, ...]:
    """Draw three parts of the given sizes that share no sample.

    Raises
    ------
    LabelError
        If there are too few labels or samples, or no division is found.
    """
    names, member = np.unique(labelled.samples, return_inverse=True)
    wanted = np.array(sizes)
    rng = np.random.default_rng([seed, 29])
    if len(names) >= len(sizes) and len(labelled) >= wanted.sum():
        per_sample = np.bincount(member, minlength=len(names))
        for _ in range(500):
            given = np.zeros(len(sizes), np.int64)
            part = np.empty(len(names), np.int64)
            for sample in rng.permutation(len(names)):
                # to the part that lacks most
                part[sample] = int(np.argmax(1 - given / wanted))
                given[part[sample]] += per_sample[sample]
            if (given >= wanted).all():
                rows = [np.flatnonzero(part[member] == k) for k in range(len(sizes))]
                return tuple(labelled.take(rng.permutation(own)[:size]) for own, size in zip(rows, sizes, strict=True))
    raise LabelError(
        f"{len(labelled)} labels of {len(names)} samples cannot be divided into {' + '.join(map(str, sizes))} without "
        "a sample on two sides - label more samples"
    )


def _confidences(
    model: str,
    base: Bundle,
    train: Examples,
    stop: Examples,
    test: Examples,
    seed: int,
    plan: FineTunePlan,
    scratch: ScratchPlan,
    paper: PaperPlan,
    simulate: Simulate,
) -> Floats:
    if model == BASE or (model == FINE_TUNED and not len(train)):
        untouched = Tuned(network=base.network, calibration=base.calibration, epoch=0, history=())
        return tuned_confidences(base, untouched, test)
    if model == FINE_TUNED:
        tuned = tune(base, train, stop, plan=replace(plan, seed=seed), simulate=simulate, progress=_silent)
        return tuned_confidences(base, tuned, test)
    if model == SCRATCH:
        return tuned_confidences(base, train_from_scratch(base, train, stop, plan=replace(scratch, seed=seed)), test)
    if model == PAPER:
        return train_paper(train, stop, base.axis, plan=replace(paper, seed=seed)).confidences(test.intensity)
    raise ValueError(f"no model {model!r} - choose of {BASE}, {FINE_TUNED}, {SCRATCH}, {PAPER}")


def _silent(_: str) -> None:
    """Say nothing."""


def _row(model: str, count: int, seed: int, confidences: Floats, test: Examples) -> EfficiencyRow:
    scores = f1_scores(confidences, test.labels)
    right = (confidences >= THRESHOLD) == (test.labels > 0.5)
    return EfficiencyRow(
        model=model,
        labels=count,
        seed=seed,
        macro_f1=float(scores.mean()),
        exact_match=float(right.all(axis=1).mean()),
        ece=expected_calibration_error(confidences, test.labels),
        f1=tuple(float(score) for score in scores),
    )


def _decisions(confidences: Floats, labels: Floats, columns: Sequence[int]) -> dict[str, object]:
    right = (confidences[:, columns] >= THRESHOLD) == (labels[:, columns] > 0.5)
    low, high = wilson(int(right.sum()), right.size)
    return {
        "decisions": int(right.size),
        "right": round(float(right.mean()), 4),
        "right_low": round(low, 4),
        "right_high": round(high, 4),
        "right_if_never_said": round(float(np.mean(labels[:, columns] < 0.5)), 4),
    }
