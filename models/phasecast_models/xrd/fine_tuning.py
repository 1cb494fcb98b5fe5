"""Fine-tune a bundle on the few patterns that people labelled, without forgetting what simulation taught it.

Every epoch holds fresh simulated patterns (replay) beside the labelled ones, each of which comes back many times. Part
of the labels decides where to stop, another part only measures, by sample wherever there are three samples or more.
"""

import logging
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from phasecast_models.xrd.bundle import Bundle, BundleError, load_bundle, write_bundle
from phasecast_models.xrd.examples import Examples, LabelError
from phasecast_models.xrd.fit_spatial import has_maps, with_spatial
from phasecast_models.xrd.label_metrics import label_metrics, label_reliability
from phasecast_models.xrd.label_splits import FEWEST, Split, split_examples
from phasecast_models.xrd.training import measure
from phasecast_models.xrd.tuning import (
    FineTunePlan,
    Progress,
    Simulate,
    TrainingCancelledError,
    Tuned,
    raise_if,
    simulate_replay,
    simulated_inputs,
    tune,
    tuned_confidences,
    tuned_drift,
)

__all__ = ["Examples", "FineTunePlan", "LabelError", "TrainingCancelledError", "fine_tune"]

logger = logging.getLogger(__name__)

_PLAN = FineTunePlan()
_NO_SECOND_PASS = (
    "dropped: that of the base was learned from what the base says of a point, and the labels changed that; "
    "phasecast_models.xrd.fit_spatial learns one anew, for the shipped classes and axis"
)


def fine_tune(
    base: Bundle,
    examples: Examples,
    output: Path,
    *,
    plan: FineTunePlan = _PLAN,
    name: str = "",
    version: str = "1",
    owner: str = "",
    simulate: Simulate = simulate_replay,
    progress: Progress = logger.info,
    cancelled: Callable[[], bool] = lambda: False,
) -> Bundle:
    """Fine-tune a bundle on labels and write the new one; the base stays as it is.

    The same base, examples and plan give the same weights on the same machine and number of threads.

    Parameters
    ----------
    base
        What to start from.
    examples
        Labelled patterns; ``label_checks.check_labels`` makes them.
    output
        Folder of the new bundle; must not exist. It appears whole or not at all.
    plan
        Sizes and seed.
    name, version
        What the new bundle carries; the base's name if empty.
    owner
        Whose labels these are; a bundle with an owner is nobody else's default.
    simulate
        (count, seed) to simulated patterns with the base's axis and classes, such as `tuning.replay_of` a task.
    progress
        Called with one line of text now and then.
    cancelled
        Asked at every batch.

    Raises
    ------
    LabelError
        If the examples or the replay do not fit the base, or the labels are too few.
    BundleError
        If ``output`` exists.
    TrainingCancelledError
        If ``cancelled`` said so; nothing is left.
    """
    _require_fit(base, examples)
    if output.exists():
        raise BundleError(f"{output}: exists already - choose another folder; bundles are never overwritten")
    split = split_examples(examples, stop_share=plan.stop_share, test_share=plan.test_share, seed=plan.seed)
    progress(
        f"{len(split.train)} labels teach, {len(split.stop)} decide where to stop, {len(split.test)} measure "
        f"(held out by {split.by})"
    )
    tuned = tune(
        base,
        examples.take(split.train),
        examples.take(split.stop),
        plan=plan,
        simulate=simulate,
        progress=progress,
        cancelled=cancelled,
    )
    raise_if(cancelled)
    drift = tuned_drift(base, tuned, examples.take(split.train), plan=plan, simulate=simulate)
    metrics = _before_and_after(base, tuned, examples.take(split.test), plan, simulate, cancelled)
    progress(_summary(metrics))
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}-", suffix=".tmp", dir=output.parent))
    try:
        write_bundle(
            folder,
            network=tuned.network,
            calibration=tuned.calibration,
            axis=base.axis,
            classes=base.classes,
            lines=base.reference_lines,
            threshold_kev=base.valid.threshold_kev,
            drift=drift,
            name=name or base.name,
            version=version,
            owner=owner,
            calibrated_on=_calibrated_on(examples, owner),
            training=_training_table(base, examples, split, tuned, plan, owner),
            metrics=metrics,
            neighbours=None if base.neighbours is None else {"none": _NO_SECOND_PASS},
        )
        raise_if(cancelled)
        made = load_bundle(folder)
        if base.neighbours is not None and plan.maps and has_maps(base):
            progress(f"learns from {plan.maps} simulated maps how neighbours have their say")
            made = with_spatial(made, folder, seed=plan.seed, maps=plan.maps, check=lambda: raise_if(cancelled))
            progress(_summary_of_maps(made))
        raise_if(cancelled)
        folder.chmod(0o755)
        os.rename(folder, output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    progress(f"wrote {output}")
    return load_bundle(output)


def _before_and_after(
    base: Bundle,
    tuned: Tuned,
    test: Examples,
    plan: FineTunePlan,
    simulate: Simulate,
    cancelled: Callable[[], bool],
) -> dict[str, object]:
    raise_if(cancelled)
    inputs, truth = simulated_inputs(simulate, plan.measured_replay, plan.seed * 10_000 + 7_000_000, base)
    out: dict[str, object] = {}
    tables: dict[str, dict[str, object]] = {}
    untouched = Tuned(network=base.network, calibration=base.calibration, epoch=0, history=())
    for when, state in (("before", untouched), ("after", tuned)):
        raise_if(cancelled)
        on_labels = tuned_confidences(base, state, test)
        on_simulation = state.confidences(inputs, base.block)
        tables[when] = {
            "labels": {
                **label_metrics(on_labels, test.labels, base.classes, seed=plan.seed),
                "reliability": label_reliability(on_labels, test.labels),
            },
            "simulation": {
                **measure(on_simulation, truth, base.classes),
                "reliability": label_reliability(on_simulation, truth),
            },
        }
    simulation = tables["after"]["simulation"]
    assert isinstance(simulation, dict)
    out.update(simulation)
    out.update(tables)
    return out


def _training_table(
    base: Bundle, examples: Examples, split: Split, tuned: Tuned, plan: FineTunePlan, owner: str
) -> dict[str, object]:
    per_class = {
        name: int(count) for name, count in zip(base.classes, (examples.labels > 0.5).sum(axis=0), strict=True)
    }
    return {
        **asdict(plan),
        "owner": owner,
        "data": f"{len(examples)} labelled patterns, with {plan.replay} simulated patterns an epoch replayed",
        "base": {"name": base.name, "version": base.version, "sha256": base.sha256},
        "labels": len(examples),
        "labels_per_class": per_class,
        "samples": dict(sorted(Counter(examples.samples.tolist()).items())),
        "held_out_by": split.by,
        "taught": len(split.train),
        "decided_where_to_stop": len(split.stop),
        "measured": len(split.test),
        "measured_samples": sorted(set(examples.samples[split.test].tolist())),
        "epoch_kept": tuned.epoch,
        "stop_loss": [round(value, 5) for value in tuned.history],
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }


def _calibrated_on(examples: Examples, owner: str) -> str:
    count, samples = len(examples), len(set(examples.samples.tolist()))
    whose = f" of {owner}" if owner else ""
    return (
        f"simulation and {count} label{'s' if count != 1 else ''}{whose}, {samples} sample{'s' if samples != 1 else ''}"
    )


def _summary(metrics: Mapping[str, object]) -> str:
    parts = []
    for when in ("before", "after"):
        table = metrics[when]
        assert isinstance(table, dict)
        on, sim = table["labels"], table["simulation"]
        parts.append(
            f"{when}: macro-F1 {on['macro_f1']:.3f} ({on['macro_f1_low']:.3f} to {on['macro_f1_high']:.3f}) on "
            f"{on['labels']} held-out labels, {sim['macro_f1']:.3f} on simulation"
        )
    return "; ".join(parts)


def _summary_of_maps(made: Bundle) -> str:
    table = made.card["neighbours"]
    assert isinstance(table, dict)
    return (
        f"on simulated maps: macro-F1 {table['macro_f1_alone']:.3f} point by point, "
        f"{table['macro_f1_with_neighbours']:.3f} with neighbours"
    )


def _require_fit(base: Bundle, examples: Examples) -> None:
    if examples.intensity.shape[1] != base.axis.bins or examples.labels.shape[1] != len(base.classes):
        raise LabelError(
            f"the labels have {examples.intensity.shape[1]} bins and {examples.labels.shape[1]} classes, {base.name} "
            f"has {base.axis.bins} and {len(base.classes)} - label patterns of the same axis, or choose another base"
        )
    if len(examples) < FEWEST:
        raise LabelError(f"{len(examples)} labels are too few to hold any out - label {FEWEST} patterns at least")
