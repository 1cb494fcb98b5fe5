"""Documents of synthetic scans: everything a result sink receives, with values a test can predict."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from phasecast.core.documents import (
    DEFECT_COLUMNS,
    DEFECTS,
    HEADER_KEY,
    LEDGER,
    LEDGER_COLUMNS,
    PRIMARY,
    RAW_UID_KEY,
)
from phasecast.core.ledger import PointState
from phasecast.core.result import ColumnSpec, ModelStamp, PhaseClass, ResultHeader
from phasecast.core.scan import ScanAxis

Document = tuple[str, dict[str, Any]]

CLASS_IDS = ("magnetite", "goethite", "lepidocrocite", "ferrite", "austenite", "cementite", "resin",
             "peakless_iron", "other")  # fmt: skip
_FORMULAE = ("Fe3O4/γ-Fe2O3", "α-FeOOH", "γ-FeOOH", "Fe (BCC)", "Fe (FCC)", "Fe3C", "", "Fe", "")
_COLOURS = ("#0072B2", "#D55E00", "#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#DDDDDD", "#7F7F7F", "#F0E442")
_NAMES = ("Fe3O4/gamma-Fe2O3 (spinel)", "Goethite", "Lepidocrocite", "Ferrite", "Austenite", "Cementite",
          "Resin only", "Iron without peaks", "Other")  # fmt: skip
CLASSES = tuple(
    PhaseClass(
        id=key, name_en=name, name_ja="ゲーサイト" if key == "goethite" else name, formula=formula,
        colour=colour, reference_lines=((12.0 + k, 100.0), (20.0 + k, 40.0)),
    )
    for k, (key, name, formula, colour) in enumerate(zip(CLASS_IDS, _NAMES, _FORMULAE, _COLOURS, strict=True))
)  # fmt: skip
MODEL = ModelStamp(name="bl16xu-rust", version="1", sha256="ab" * 32, calibrated_on="simulation only")


def make_header(
    *,
    shape: tuple[int, ...] | None = (4, 5),
    expected: int | None = -1,
    bins: int = 20,
    snaking: bool = True,
    fast: str = "x",
    classified: bool = True,
    **changes: Any,
) -> ResultHeader:
    """Header of a raster with its fast axis along x or y, or of scattered points where shape is None."""
    if expected == -1:
        expected = None if shape is None else int(np.prod(shape))
    axes = (ScanAxis(name="y", field="stage_y"), ScanAxis(name="x", field="stage_x"))
    columns = [
        ColumnSpec(name="intensity", dtype="<f4", shape=(bins,), axis="tth"),
        ColumnSpec(name="sigma", dtype="<f4", shape=(bins,), axis="tth"),
        ColumnSpec(name="norm", dtype="<f4", shape=(bins,), axis="tth"),
        ColumnSpec(name="total_counts", dtype="<f8", unit="counts"),
        ColumnSpec(name="saturated_pixels", dtype="<i4"),
    ]
    if classified:
        columns.append(ColumnSpec(name="confidence", dtype="<f4", shape=(9,), axis="class"))
    fields: dict[str, Any] = {
        "result_uid": "result-1", "raw_uid": "raw-1", "scan_id": 7, "plan_name": "grid_scan",
        "started_s": 1.7e9, "axes": axes if fast == "x" else axes[::-1], "shape": shape,
        "snaking": (False, snaking), "expected_points": expected, "horizontal_field": "stage_x",
        "vertical_field": "stage_y", "columns": tuple(columns),
        "point_columns": (ColumnSpec(name="i0", dtype="<f8"), ColumnSpec(name="transmission", dtype="<f8")),
        "tth_deg": tuple(np.linspace(10, 40, bins)), "classes": CLASSES if classified else (),
        "model": MODEL if classified else None, "profile_name": "bl16xu",
        "profile": {"title": "BL16XU", "energy_kev": 10.0, "monitors": {"i0_field": "i0"},
                    "corrections": {"solid_angle": True, "polarisation_factor": 0.99}},
        "device": "cpu", "device_note": "no CUDA device", "processing": {"error_model": "poisson"},
        "versions": {"phasecast": "0"}, "metadata": {"sample": {"name": "錆 A-3"}, "user": "M. Mori"},
    }  # fmt: skip
    return ResultHeader(**(fields | changes))


def raster(
    shape: tuple[int, int], *, fast: str = "x", snaking: bool = True, x_sign: int = 1, y_sign: int = 1,
    step_um: float = 2.0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Positions of a raster in order of measurement, um."""
    slow, fast_cells = shape
    order = np.arange(slow * fast_cells)
    i, j = np.divmod(order, fast_cells)
    if snaking:
        j = np.where(i % 2 == 1, fast_cells - 1 - j, j)
    x, y = (j, i) if fast == "x" else (i, j)
    return 100 + x_sign * step_um * x, 50 + y_sign * step_um * y


@dataclass
class Scan:
    """A synthetic derived run; confidences and patterns of point i are functions of i."""

    header: ResultHeader
    x_um: np.ndarray
    y_um: np.ndarray
    confidence: np.ndarray | None = None
    seed: int = 0

    def intensity(self, rows: np.ndarray, revision: int = 0) -> np.ndarray:
        bins = len(self.header.tth_deg)
        return (rows[:, None] + np.arange(bins) / bins + 1000 * revision).astype(np.float32)

    def confidences(self, rows: np.ndarray) -> np.ndarray:
        if self.confidence is not None:
            return self.confidence[rows].astype(np.float32)
        return ((rows[:, None] * 7 + np.arange(9)) % 10 / 10).astype(np.float32)

    def start(self) -> Document:
        header = self.header
        return "start", {"uid": header.result_uid, "time": header.started_s, HEADER_KEY: header.to_dict(),
                         RAW_UID_KEY: header.raw_uid}  # fmt: skip

    def descriptors(self) -> Iterator[Document]:
        for stream in (PRIMARY, LEDGER, DEFECTS):
            yield "descriptor", {"uid": f"d-{stream}", "name": stream, "run_start": self.header.result_uid}

    def points(self, rows: np.ndarray, *, revision: int = 0) -> Document:
        bins = len(self.header.tth_deg)
        data: dict[str, Any] = {
            "point_index": rows, "revision": np.full(rows.size, revision),
            "intensity": self.intensity(rows, revision),
            "sigma": np.sqrt(self.intensity(rows, revision)),
            "norm": np.full((rows.size, bins), 3.0, np.float32),
            "total_counts": self.intensity(rows).sum(axis=1), "saturated_pixels": np.zeros(rows.size, int),
        }  # fmt: skip
        if self.header.classes:
            data["confidence"] = self.confidences(rows)
        return "event_page", {"descriptor": f"d-{PRIMARY}", "data": data}

    def ledger(self, rows: np.ndarray, state: PointState = PointState.DONE, **changes: Any) -> Document:
        size = rows.size
        data: dict[str, Any] = {name: np.zeros(size, dtype) for name, dtype in LEDGER_COLUMNS.items()}
        data |= {
            "point_index": rows, "state": np.full(size, state, np.uint8), "x_um": self.x_um[rows],
            "y_um": self.y_um[rows], "time_s": 1.7e9 + rows * 0.05,
            "frame_store": np.full(size, "capture"), "frame_path": np.full(size, "20260101T000000-測定.cap"),
            "frame_offset": rows * 1000, "frame_number": rows + 1, "capture_segment": np.full(size, "seg-1"),
            "capture_offset": rows * 1000, "i0": 1e6 + rows, "transmission": np.full(size, 0.5),
        }  # fmt: skip
        data |= {name: np.full(size, value) for name, value in changes.items()}
        return "event_page", {"descriptor": f"d-{LEDGER}", "data": data}

    def defect(self, reason: str, detail: str) -> Document:
        data = {name: np.zeros(1, dtype) for name, dtype in DEFECT_COLUMNS.items()}
        data |= {"channel": np.array(["simplon"]), "reason": np.array([reason]), "detail": np.array([detail])}
        return "event_page", {"descriptor": f"d-{DEFECTS}", "data": data}

    def stop(self, **counters: Any) -> Document:
        return "stop", {"time": self.header.started_s + 60, "exit_status": "success",
                        "run_start": self.header.result_uid, HEADER_KEY: counters}  # fmt: skip

    def pages(self, size: int, *, first: int = 0, last: int | None = None) -> Iterator[Document]:
        """Scored points and their ledger, page by page."""
        last = len(self.x_um) if last is None else last
        for begin in range(first, last, size):
            rows = np.arange(begin, min(begin + size, last))
            yield self.points(rows)
            yield self.ledger(rows)

    def opening(self) -> Iterator[Document]:
        yield self.start()
        yield from self.descriptors()

    def documents(self, size: int = 3) -> Iterator[Document]:
        """The whole run."""
        yield from self.opening()
        yield from self.pages(size)
        yield self.stop()


def raster_scan(shape: tuple[int, int] = (4, 5), *, bins: int = 20, **settings: Any) -> Scan:
    """A raster whose points are all measured."""
    where = {key: settings.pop(key) for key in ("x_sign", "y_sign", "step_um") if key in settings}
    order = {"fast": settings.get("fast", "x"), "snaking": settings.get("snaking", True)}
    x_um, y_um = raster(shape, **order, **where)
    return Scan(make_header(shape=shape, bins=bins, **settings), x_um, y_um)
