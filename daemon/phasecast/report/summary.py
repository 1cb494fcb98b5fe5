"""The summary of a result as JSON, for scripts and for people in a hurry."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from phasecast.core.ledger import PointState
from phasecast.results import layout
from phasecast.results.reader import Result


def summarise(result: Result) -> dict[str, Any]:
    """Return the summary of a result.

    Keys: ``result``, ``raw_uid``, ``scan_id``, ``points``, ``ledger`` (points in each state; they add up to
    ``points``), ``complete`` (every point done), ``flags``, ``defects`` (reason to number), ``classes``
    (points at or above the threshold, mean confidence), ``unsure_points`` (any class within `layout.UNSURE`),
    ``start_time``, ``end_time``, ``duration_s``, ``points_per_s``, ``device``, ``model``, ``counters`` of the
    stop document, ``software``.

    Parameters
    ----------
    result
        Open, growing or closed.
    """
    header, done = result.header, result.done
    confidence = result.confidences.values[done]
    reasons, counts = np.unique(result.defects["reason"].values.astype(str), return_counts=True)
    start = _file_text(result, f"{layout.ENTRY}/start_time")
    duration_s = None
    if result.end_time:
        duration_s = (datetime.fromisoformat(result.end_time) - datetime.fromisoformat(start)).total_seconds()
    model = result.main_model
    return {
        "result": result.path.name,
        "result_uid": header.result_uid,
        "raw_uid": header.raw_uid,
        "scan_id": header.scan_id,
        "plan_name": header.plan_name,
        "profile": header.profile_name,
        "points": result.points,
        "ledger": result.ledger_sums,
        "complete": result.ledger_sums[PointState.DONE.label] == result.points > 0,
        "flags": result.flag_sums,
        "defects": {str(reason): int(count) for reason, count in zip(reasons, counts, strict=True)},
        "threshold": layout.THRESHOLD,
        "threshold_note": layout.THRESHOLD_NOTE,
        "classes": {
            phase.id: {
                "points": int(np.count_nonzero(confidence[:, k] >= layout.THRESHOLD)),
                "mean_confidence": round(float(np.mean(confidence[:, k])), 4) if len(confidence) else None,
            }
            for k, phase in enumerate(header.classes)
        },
        "unsure_points": int(
            np.count_nonzero(((confidence > layout.UNSURE[0]) & (confidence < layout.UNSURE[1])).any(axis=1))
        ),
        "start_time": start,
        "end_time": result.end_time or None,
        "duration_s": duration_s,
        "points_per_s": round(result.points_done / duration_s, 3) if duration_s and duration_s > 0 else None,
        "device": header.device,
        "device_note": header.device_note,
        "model": None
        if model is None
        else {
            "name": model.name,
            "version": model.version,
            "sha256": model.sha256,
            "calibrated_on": model.calibrated_on,
        },
        "counters": result.counters,
        "software": dict(header.versions),
    }


def write_summary(result: Result, path: str | os.PathLike[str]) -> None:
    """Write the summary of a result; the file appears complete or not at all.

    Parameters
    ----------
    result
        Open, growing or closed.
    path
        The JSON file; replaced in one step.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.part")
    partial.write_text(json.dumps(summarise(result), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, target)


def _file_text(result: Result, path: str) -> str:
    text: str = result.file[path][()].decode()
    return text
