"""A large result as a long night leaves it: made from numbers, written by the real writer of result files."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phasecast.core.documents import DEFECTS, HEADER_KEY, LEDGER, LEDGER_COLUMNS, PRIMARY, RAW_UID_KEY
from phasecast.core.ledger import PointState
from phasecast.core.result import ResultHeader
from phasecast.core.scan import ScanAxis
from phasecast.profiles import load_profile
from phasecast.services.derived_runs import software_versions
from phasecast.services.monitors import point_columns
from phasecast.services.xrd_stage import build_stage
from phasecast.sinks.nexus import NexusSink
from phasecast.xrd.patterns import bin_centres_deg

BIG_POINTS = 114_198
BIG_SHAPE = (333, 343)
"""The squarest raster with room for as many points; its last 21 cells stay empty, as after a scan that was stopped."""
_PAGE_POINTS = 8192
_STEP_UM = 2.0
_LINE_WIDTH_DEG = 0.12
_LAYERS = (
    # class, relative height of its lower and upper border, largest confidence
    ("ferrite", -1.0, 0.33, 0.97),
    ("austenite", -1.0, 0.33, 0.0),
    ("cementite", -1.0, 0.33, 0.0),
    ("magnetite", 0.33, 0.47, 0.95),
    ("goethite", 0.38, 0.66, 0.96),
    ("lepidocrocite", 0.63, 0.84, 0.94),
    ("resin", 0.84, 2.0, 0.99),
)
"""From the steel outwards, after the rust models of Misawa and of Evans."""


def write_big_result(
    path: Path, *, points: int = BIG_POINTS, shape: tuple[int, int] = BIG_SHAPE, seed: int = 0
) -> Path:
    """Write a finished result of a layered rust cross-section, 600 bins and nine classes a point.

    Confidences and patterns are drawn, not measured: enough to be looked at, nothing to be believed.
    The raw frames of its points do not exist.

    Parameters
    ----------
    path
        The file to make.
    points
        Points measured; the raster may have room for more.
    shape
        Rows and columns of the raster.
    seed
        Of everything drawn.

    Raises
    ------
    ResultFileError
        If the file exists or cannot be written.
    """
    header = _header(points, shape)
    rng = np.random.default_rng(seed)
    confidence = _confidences(header, shape, rng)
    templates = _templates(header)
    with NexusSink(path) as sink:
        sink(
            "start",
            {
                "uid": header.result_uid,
                "time": header.started_s,
                HEADER_KEY: header.to_dict(),
                RAW_UID_KEY: header.raw_uid,
            },
        )
        for stream in (PRIMARY, LEDGER, DEFECTS):
            sink("descriptor", {"uid": stream, "name": stream, "run_start": header.result_uid})
        for rows in _pages(points):
            cells = _cells(rows, shape)
            sink("event_page", {"descriptor": PRIMARY, "data": _scored(rows, confidence[cells], templates, rng)})
            sink("event_page", {"descriptor": LEDGER, "data": _ledger(rows, cells, header.started_s)})
        sink("stop", {"time": header.started_s + points * 0.5, "exit_status": "success", HEADER_KEY: {"counters": {}}})
    return path


def _header(points: int, shape: tuple[int, int]) -> ResultHeader:
    profile = load_profile("bl16xu")
    stage = build_stage(profile, device="cpu")
    assert stage.classifier is not None
    positions = profile.positions
    assert positions is not None
    return ResultHeader(
        result_uid=f"big-result-{points}",
        raw_uid=f"big-run-{points}",
        scan_id=points % 100_000,
        plan_name="grid_scan",
        # so many half seconds ago: a scan of a night that is over now
        started_s=time.time() - points * 0.5,
        axes=(
            ScanAxis(name=positions.vertical.field, field=positions.vertical.field),
            ScanAxis(name=positions.horizontal.field, field=positions.horizontal.field),
        ),
        shape=shape,
        snaking=(False, True),
        expected_points=points,
        horizontal_field=positions.horizontal.field,
        vertical_field=positions.vertical.field,
        columns=tuple(stage.columns),
        point_columns=point_columns(profile),
        tth_deg=tuple(float(value) for value in bin_centres_deg(stage.integrator.axes[0])),
        classes=stage.classifier.classes,
        model=stage.classifier.stamp,
        profile_name=profile.name,
        profile=profile.model_dump(mode="json"),
        processing={"error_model": "poisson", "note": "made for a benchmark; no sample was measured"},
        versions=software_versions(),
        metadata={"sample_name": "made for a benchmark"},
    )


def _pages(points: int) -> Iterator[NDArray[np.int64]]:
    for begin in range(0, points, _PAGE_POINTS):
        yield np.arange(begin, min(begin + _PAGE_POINTS, points))


def _cells(rows: NDArray[np.int64], shape: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of each point of a snake."""
    row, column = np.divmod(rows, shape[1])
    return row, np.where(row % 2 == 1, shape[1] - 1 - column, column)


def _confidences(header: ResultHeader, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Confidences of the whole map, (rows, columns, classes): layers with wavy and patchy borders."""
    ids = [phase.id for phase in header.classes]
    rows, columns = shape
    wave = 0.05 * _smooth(rng, (1, columns), columns / 12) + 0.015 * _smooth(rng, shape, 4.0)
    height = (np.arange(rows)[:, None] + 0.5) / rows + wave
    confidence = 0.03 * rng.random((rows, columns, len(ids)))
    for name, low, high, top in _LAYERS:
        if name in ids:
            inside = 1 / (1 + np.exp(-np.minimum(height - low, high - height) / 0.012))
            confidence[..., ids.index(name)] += (top - 0.03) * inside
    steel = confidence[..., ids.index("ferrite")].copy() if "ferrite" in ids else np.zeros(shape)
    grains = _smooth(rng, shape, 5.0)
    for name, where, share in (
        ("austenite", grains > 0.9, 1.0),
        ("peakless_iron", grains < -1.5, 1.0),
        ("cementite", _smooth(rng, shape, 2.5) > 1.3, 0.9),
    ):
        if name in ids:
            confidence[..., ids.index(name)] += share * steel * where
            if name != "cementite":
                confidence[..., ids.index("ferrite")] *= np.where(where, 0.1, 1.0)
    return np.asarray(np.clip(confidence + 0.03 * rng.standard_normal(confidence.shape), 0, 1), dtype=np.float32)


def _smooth(rng: np.random.Generator, shape: tuple[int, int], length: float) -> NDArray[np.float64]:
    field = ndimage.gaussian_filter(rng.standard_normal(shape), (min(length, shape[0] / 3), length), mode="wrap")
    return np.asarray((field - field.mean()) / (field.std() or 1.0))


def _templates(header: ResultHeader) -> NDArray[np.float32]:
    """Pattern of each class alone, (classes, bins), counts a bin."""
    tth = np.asarray(header.tth_deg)
    templates = np.zeros((len(header.classes), tth.size))
    for k, phase in enumerate(header.classes):
        for line_deg, strength in phase.reference_lines:
            templates[k] += 3 * strength * np.exp(-0.5 * ((tth - line_deg) / _LINE_WIDTH_DEG) ** 2)
        if not phase.reference_lines:
            templates[k] += 60 * np.exp(-0.5 * ((tth - 18.0) / 4.0) ** 2)
    return templates.astype(np.float32)


def _scored(
    rows: NDArray[np.int64], confidence: NDArray[np.float32], templates: NDArray[np.float32], rng: np.random.Generator
) -> dict[str, Any]:
    counts = confidence @ templates + np.float32(40)
    counts += np.sqrt(counts) * rng.standard_normal(counts.shape, dtype=np.float32)
    counts = np.maximum(counts, 0)
    norm = np.full(counts.shape, 20, np.float32)
    return {
        "point_index": rows,
        "revision": np.zeros(rows.size, np.int64),
        "intensity": counts / norm,
        "sigma": np.sqrt(np.maximum(counts, 1)) / norm,
        "norm": norm,
        "total_counts": counts.sum(axis=1).astype(np.int64),
        "saturated_pixels": np.zeros(rows.size, np.int64),
        "masked_pixels": np.zeros(rows.size, np.int64),
        "spottiness": np.ones(rows.size, np.float32),
        "spot_excess": np.zeros(rows.size, np.float32),
        "drift": np.full(rows.size, 0.4, np.float32),
        "confidences": confidence,
        "model": np.zeros(rows.size, np.int16),
    }


def _ledger(
    rows: NDArray[np.int64], cells: tuple[NDArray[np.int64], NDArray[np.int64]], started_s: float
) -> dict[str, Any]:
    data: dict[str, Any] = {name: np.zeros(rows.size, dtype) for name, dtype in LEDGER_COLUMNS.items()}
    return data | {
        "point_index": rows,
        "state": np.full(rows.size, PointState.DONE, np.uint8),
        "x_um": cells[1] * _STEP_UM,
        "y_um": cells[0] * _STEP_UM,
        "time_s": started_s + rows * 0.5,
        "frame_store": np.full(rows.size, "capture"),
        "frame_path": np.full(rows.size, "never-recorded.cbor"),
        "frame_offset": rows * 1000,
        "frame_number": rows,
        "i0": np.full(rows.size, 1e6),
        "transmission": np.full(rows.size, 0.5),
    }
