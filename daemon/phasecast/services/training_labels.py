"""From journals of labels to what a model can be trained on: patterns on its axis, people, samples."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import BundleMismatchError, PhasecastError, RecordsError
from phasecast.profiles import PatternAxis
from phasecast.records.labels import Label, said_in
from phasecast.records.samples import sample_for
from phasecast.results import open_result
from phasecast.xrd.patterns import bin_centres_deg
from phasecast.xrd.rebinning import rebinning_between
from phasecast_models.xrd.bundle import Bundle
from phasecast_models.xrd.examples import LabelError
from phasecast_models.xrd.label_checks import CheckedLabels, PersonLabel, check_labels


class TrainingError(PhasecastError):
    """Labels that nothing can be learned from, or a training that cannot be done."""


def checked_labels(
    directory: DataDirectory | None,
    bundle: Bundle,
    *,
    files: Sequence[Path] = (),
    scans: Sequence[str] = (),
    trusted: str = "",
) -> CheckedLabels:
    """Return everything that people said as examples for a bundle, or say exactly why that cannot be.

    Parameters
    ----------
    directory
        Whose labels teach if no files are named, and what is known of the samples; None: samples go by scan.
    bundle
        What is to be trained further: its axis and classes.
    files
        Journals of labels (.jsonl); all of the data directory if empty.
    scans
        Raw uids of the scans whose labels teach; all if empty.
    trusted
        Person whose word counts where people contradict each other.

    Raises
    ------
    TrainingError
        If there is nothing to learn from: no labels, another axis, unknown classes, one class alone, contradictions.
    RecordsError
        If a journal cannot be read.
    """
    paths = list(files) or (sorted(directory.labels.glob("*.jsonl")) if directory is not None else [])
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise TrainingError("no such file", where=str(missing[0]), remedy="give journals of labels (.jsonl)")
    said = [label for path in paths for label in said_in(path) if not scans or label.raw_uid in scans]
    where = ", ".join(str(path) for path in files[:3]) or (str(directory.labels) if directory else "labels")
    try:
        people = list(_people(said, directory, bundle))
        return check_labels(people, classes=bundle.classes, axis=bundle.axis, trusted=trusted)
    except LabelError as error:
        what, _, remedy = str(error).rpartition(" - ")
        raise TrainingError(what or str(error), where=where, remedy=remedy if what else "") from error


def _people(said: Iterable[Label], directory: DataDirectory | None, bundle: Bundle) -> Iterable[PersonLabel]:
    axis = bundle.axis
    wanted = PatternAxis(tth_min_deg=axis.tth_min_deg, tth_max_deg=axis.tth_max_deg, bins=axis.bins)

    @cache
    def sample(raw_uid: str, result: str) -> str:
        if directory is None:
            return raw_uid
        try:
            with open_result(directory.results / result) as opened:
                return sample_for(directory, raw_uid, opened.header).get("name", "") or raw_uid
        except (PhasecastError, OSError):
            return raw_uid

    for label in said:
        intensity, sigma = _on_axis(label, wanted)
        yield PersonLabel(
            point=f"{label.raw_uid}/{label.point}",
            who=label.who,
            sample=sample(label.raw_uid, label.result),
            classes=label.classes,
            tth_deg=bin_centres_deg(wanted),
            intensity=intensity,
            sigma=sigma,
        )


def _on_axis(label: Label, wanted: PatternAxis) -> tuple[np.ndarray, np.ndarray]:
    archive = _axis_of(label)
    if archive.bins == wanted.bins and np.allclose(bin_centres_deg(archive), bin_centres_deg(wanted), atol=1e-6):
        return label.intensity, label.sigma
    try:
        rebinning = rebinning_between(archive, wanted, label.variance_ratio)
    except BundleMismatchError as error:
        raise LabelError(
            f"point {label.point} of scan {label.raw_uid}, labelled by {label.who}: {error.what} - "
            "train another model for this axis"
        ) from error
    norm = label.norm if label.norm.size else np.isfinite(label.intensity).astype(np.float32)
    found = rebinning.apply(label.intensity[None], label.sigma[None], np.nan_to_num(norm)[None])
    measured = found.norm[0] > 0
    return np.where(measured, found.intensity[0], np.nan), np.where(measured, found.sigma[0], np.nan)


def _axis_of(label: Label) -> PatternAxis:
    centres = label.tth_deg
    if centres.size < 2 or label.intensity.shape != centres.shape or label.sigma.shape != centres.shape:
        raise RecordsError(
            f"point {label.point} of scan {label.raw_uid}, labelled by {label.who}: tth_deg, intensity and sigma have "
            f"{centres.size}, {label.intensity.size} and {label.sigma.size} values",
            remedy="take the label back",
        )
    half = (centres[-1] - centres[0]) / (centres.size - 1) / 2
    return PatternAxis(
        tth_min_deg=round(float(centres[0] - half), 9),
        tth_max_deg=round(float(centres[-1] + half), 9),
        bins=centres.size,
    )
