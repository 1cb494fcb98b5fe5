"""Makes the model of a report from a result and what people said of it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

import phasecast
from phasecast.core.ledger import PointState
from phasecast.core.result import ModelStamp
from phasecast.report.data_quality import quality_of
from phasecast.report.describe import geometry_of, replay_of, sample_of, scan_of, settings_of, timing_of
from phasecast.report.map_text import map_of
from phasecast.report.material import Chosen, Material
from phasecast.report.methods import methods_paragraphs
from phasecast.report.model import (
    BlindFact,
    ClassFact,
    Condition,
    DistanceBin,
    DistanceProfile,
    ModelFact,
    PeakFact,
    PhaseShare,
    RegionShares,
    Report,
    UnsurePoint,
)
from phasecast.results.explain import lines_of, unexplained_peaks
from phasecast.results.fractions import Fraction, area_fraction
from phasecast.results.layout import THRESHOLD, UNSURE
from phasecast.results.reader import Result

THRESHOLDS = (0.3, 0.5, 0.7)
_MOST_BINS = 40
_LEAST_IN_BIN = 5


def build_report(
    result: Result,
    material: Material,
    *,
    sample: Mapping[str, str] | None = None,
    labels_given: int = 0,
    labels_used: int = 0,
    unread: Sequence[str] = (),
    blind: BlindFact | None = None,
) -> Report:
    """Return what the report of a result says.

    Parameters
    ----------
    result
        Open, growing or closed.
    material
        As from `gather`.
    sample
        What people said of the sample, field to text; what the scan says of it if None.
    labels_given
        Points of this scan that a person labelled.
    labels_used
        Labelled points of this sample that the model learned from or was checked with.
    unread
        What people said and could not be read, one line each.
    blind
        The newest blind check.
    """
    header, scene = result.header, material.scene
    profile, why_not = _distance_profile(material)
    present = scene.present(THRESHOLD)
    confidence = np.nan_to_num(scene.confidence)
    unsure = ((confidence > UNSURE[0]) & (confidence < UNSURE[1])).any(axis=1) & scene.done
    models = [_model_fact(stamp, points) for stamp, points in result.model_shares]
    if not models and header.model is not None:
        models = [_model_fact(header.model, 0)]
    report = Report(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        phasecast=phasecast.__version__,
        condition=_condition(result),
        exit_status=str(result.counters.get("exit_status", "")),
        threshold=THRESHOLD,
        thresholds=THRESHOLDS,
        scan=scan_of(result, material, sample or {}),
        sample=sample_of(result) if sample is None else dict(sample),
        geometry=geometry_of(header),
        settings=settings_of(header),
        classes=tuple(
            ClassFact(
                id=phase.id,
                name_en=phase.name_en,
                name_ja=phase.name_ja,
                formula=phase.formula,
                colour=phase.colour,
                role=phase.role,
                has_lines=bool(phase.reference_lines),
            )
            for phase in header.classes
        ),
        model=models[0] if models else None,
        other_models=tuple(models[1:]),
        labels_used=labels_used,
        labels_given=labels_given,
        unread=tuple(unread),
        blind=blind,
        device=header.device,
        device_note=header.device_note,
        versions=dict(header.versions),
        unsure_points=int(np.count_nonzero(unsure)),
        uncovered_points=int(np.count_nonzero(scene.classified & ~present.any(axis=1))) if header.classes else 0,
        regions=tuple(_regions(material)),
        profile=profile,
        no_profile=why_not,
        mean_points={name: mean.points for name, mean in material.class_means.items()},
        least_sure=tuple(_least_sure(material)),
        quality=quality_of(result, material),
        timing=timing_of(result),
        replay=replay_of(result),
        map=map_of(result),
    )
    return report.model_copy(update={"methods": methods_paragraphs(report)})


def _model_fact(stamp: ModelStamp, points: int) -> ModelFact:
    return ModelFact(
        name=stamp.name, version=stamp.version, sha256=stamp.sha256, calibrated_on=stamp.calibrated_on, points=points
    )


def _condition(result: Result) -> Condition:
    status = str(result.counters.get("exit_status", ""))
    if not result.points_done:
        return "empty"
    if status == "unfinished":
        return "unfinished"
    if not result.end_time:
        return "running"
    if status == "abort":
        return "aborted"
    if status == "fail":
        return "failed"
    measured_again = result.ledger_sums[PointState.SUPERSEDED.label]
    return "complete" if result.points_done + measured_again == result.points else "partial"


def _regions(material: Material) -> Iterator[RegionShares]:
    scene = material.scene
    if not scene.classes:
        return
    # a point that is done without a confidence is unknown, not empty
    done = scene.done & np.isfinite(scene.confidence).any(axis=1)
    groups: list[tuple[str, str, bool, Chosen]] = [("all", "all", True, done)]
    if material.surface is not None or np.any(material.parts != "unknown"):
        groups += [
            (name, "part", material.parts_confirmed, (material.parts == name) & done)
            for name in ("steel", "rust", "outside")
        ]
    groups += [(name, "region", True, chosen & done) for name, chosen in material.regions.items()]
    cell = material.cell_um
    area = cell[0] * cell[1] if cell is not None else float("nan")
    for name, kind, confirmed, chosen in groups:
        points = int(np.count_nonzero(chosen))
        if not points:
            continue
        shares = tuple(share for threshold in THRESHOLDS for share in _shares(material, chosen, threshold, area))
        yield RegionShares(
            id=name,
            kind=kind,  # type: ignore[arg-type]
            confirmed=confirmed,
            points=points,
            area_um2=_known(points * area),
            shares=shares,
        )


def _shares(material: Material, chosen: NDArray[np.bool_], threshold: float, area_um2: float) -> list[PhaseShare]:
    scene = material.scene
    present = scene.present(threshold)

    def fraction(k: int, if_constant: float | None = None) -> Fraction:
        return area_fraction(
            present[:, k],
            material.x_um,
            material.y_um,
            scene.placement,
            area_um2,
            select=chosen,
            effective_if_constant=if_constant,
        )

    fractions = [fraction(k) for k in range(len(scene.classes))]
    # Where a class is nowhere, its map cannot tell how alike neighbours are: the most alike of the others speaks.
    telling = [one.effective_points for one in fractions if one.value not in (0.0, 1.0)]
    fractions = [
        fraction(k, min(telling)) if telling and one.value in (0.0, 1.0) else one for k, one in enumerate(fractions)
    ]
    return [
        PhaseShare(
            class_id=phase.id,
            threshold=threshold,
            holding=int(np.count_nonzero(present[chosen, k])),
            value=_known(one.value),
            low=_known(one.low),
            high=_known(one.high),
            effective_points=round(one.effective_points, 1),
        )
        for k, (phase, one) in enumerate(zip(scene.classes, fractions, strict=True))
    ]


def _distance_profile(material: Material) -> tuple[DistanceProfile | None, str]:
    scene = material.scene
    if material.surface_declined:
        return None, "declined"
    if material.surface is None:
        if not any(phase.role for phase in scene.classes):
            return None, "no_roles"
        return None, "no_line" if np.any(material.parts == "steel") else "no_steel"
    distance = material.surface.distance_um(material.x_um, material.y_um)
    known = scene.done & np.isfinite(distance) & np.isfinite(scene.confidence).any(axis=1)
    cell = material.cell_um or (1.0, 1.0)
    span = float(np.ptp(distance[known])) if known.any() else 0.0
    width = max(*cell, span / _MOST_BINS)
    index = np.floor(distance / width, where=known, out=np.full(distance.shape, np.nan))
    present = scene.present(THRESHOLD)
    bins = []
    for number in np.unique(index[known]):
        inside = known & (index == number)
        points = int(np.count_nonzero(inside))
        if points < _LEAST_IN_BIN:
            continue
        shares = present[inside].mean(axis=0)
        bins.append(
            DistanceBin(
                distance_um=float((number + 0.5) * width),
                points=points,
                shares={phase.id: float(share) for phase, share in zip(scene.classes, shares, strict=True)},
            )
        )
    if not bins:
        return None, "no_line"
    corners = tuple((round(x, 3), round(y, 3)) for x, y in material.surface.vertices_um)
    profile = DistanceProfile(
        confirmed=material.surface_confirmed, vertices_um=corners, threshold=THRESHOLD, bins=tuple(bins)
    )
    return profile, ""


def _least_sure(material: Material) -> Iterator[UnsurePoint]:
    scene = material.scene
    for row, pattern, sigma in zip(material.least_sure.tolist(), material.patterns, material.sigmas, strict=True):
        values = scene.confidence[row]
        possible = [phase for k, phase in enumerate(scene.classes) if values[k] > UNSURE[0]]
        peaks = unexplained_peaks(material.tth_deg, pattern, sigma, lines_of(possible))
        yield UnsurePoint(
            point=row,
            x_um=_known(material.x_um[row]),
            y_um=_known(material.y_um[row]),
            unsure={
                scene.classes[k].id: round(float(values[k]), 3)
                for k in np.argsort(-np.nan_to_num(values), kind="stable").tolist()
                if UNSURE[0] < values[k] < UNSURE[1]
            },
            leading=tuple(phase.id for k, phase in enumerate(scene.classes) if values[k] >= THRESHOLD),
            unexplained=tuple(
                PeakFact(tth_deg=round(peak.tth_deg, 2), significance=round(peak.significance, 1)) for peak in peaks[:3]
            ),
        )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
