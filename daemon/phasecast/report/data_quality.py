"""How good the data of a result are: ledger, defects, saturation and drifts."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointState
from phasecast.report.material import Material
from phasecast.report.model import DriftFact, LineFact, Quality
from phasecast.results.layout import LINE_SHIFT_LIMIT_DEG
from phasecast.results.normalisation import NORMALISED_COLUMN, normalisation
from phasecast.results.quality import Drift
from phasecast.results.reader import Result


def quality_of(result: Result, material: Material) -> Quality:
    """Return what a report says of the quality of its data."""
    sums, counters = result.ledger_sums, result.counters
    ledger = result.ledger
    state, reason = ledger["state"].values, ledger["reason"].values.astype(str)
    i0 = normalisation(result.header, state, ledger["flags"].values)
    saturated = None
    if any(column.name == "saturated_pixels" for column in result.header.columns):
        pixels = result.column("saturated_pixels").values
        saturated = int(np.maximum(pixels[result.done[: pixels.size]], 0).sum())
    inner = counters.get("counters")
    surplus = inner.get("surplus_frames") if isinstance(inner, Mapping) else None
    line = material.line
    return Quality(
        ledger=sums,
        ledger_agrees=sum(sums.values()) == result.points,
        flags=result.flag_sums,
        reasons=_counted(reason[(state != PointState.DONE) & (reason != "")]),
        not_classified=_counted(reason[(state == PointState.DONE) & (reason != "")]),
        defects=_counted(result.defects["reason"].values.astype(str)),
        surplus_frames=None if surplus is None else int(surplus),
        doubt=str(counters.get("doubt", "") or ""),
        i0=_drift(material.i0),
        total=_drift(material.total),
        line=None
        if line is None
        else LineFact(
            class_id=result.header.classes[line.line.class_index].id,
            reference_deg=line.line.tth_deg,
            drift=_drift_fact(line.drift),
            limit_deg=LINE_SHIFT_LIMIT_DEG,
            beyond_limit=line.drift.is_significant and abs(line.drift.change) > LINE_SHIFT_LIMIT_DEG,
        ),
        saturated_points=result.flag_sums["saturated"],
        saturated_pixels=saturated,
        has_i0=i0.has_monitor,
        has_normalised_patterns=any(column.name == NORMALISED_COLUMN for column in result.header.columns),
        points_without_i0=i0.without,
    )


def _drift(drift: Drift | None) -> DriftFact | None:
    return None if drift is None else _drift_fact(drift)


def _drift_fact(drift: Drift) -> DriftFact:
    hours = float(np.ptp(drift.time_s)) / 3600
    return DriftFact(
        mean=drift.mean,
        scatter=drift.scatter,
        change=drift.change,
        change_sigma=drift.slope_sigma_per_h * hours,
        significant=drift.is_significant,
        points=drift.value.size,
    )


def _counted(names: NDArray[np.str_]) -> dict[str, int]:
    found, counts = np.unique(names, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(found[k]): int(counts[k]) for k in order}
