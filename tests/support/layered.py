"""A layered cross-section as a result file: steel, 20 um of rust, resin; the true depth of every point is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from phasecast.sinks.nexus import NexusSink
from support.documents import CLASSES, Scan, make_header, raster

ROLES = ("rust", "rust", "rust", "steel", "steel", "steel", "outside", "steel", "")
PHASES = tuple(replace(phase, role=role) for phase, role in zip(CLASSES, ROLES, strict=True))
RUST_UM = 20.0


def layered_scan(shape: tuple[int, int], *, steel_rows: int, raw_uid: str = "raw-layers") -> tuple[Scan, np.ndarray]:
    """Return the scan and the depth of each point: its distance from the border of the steel, um."""
    x_um, y_um = raster(shape)
    depth = y_um - (50 + 2.0 * steel_rows - 1.0)
    confidence = np.zeros((depth.size, 9), np.float32)
    confidence[depth < 0, 3] = 0.95
    confidence[(depth >= 0) & (depth < RUST_UM), 1] = 0.95
    confidence[depth >= RUST_UM, 6] = 0.95
    header = make_header(shape=shape, classes=PHASES, raw_uid=raw_uid, bins=60)
    return Scan(header, x_um, y_um, confidence=confidence), depth


def write_layers(path: Path, shape: tuple[int, int], *, steel_rows: int, done: int | None = None) -> np.ndarray:
    """Write it as a closed result of which the first points are done; return the depths."""
    scan, depth = layered_scan(shape, steel_rows=steel_rows)
    with NexusSink(path) as sink:
        for document in (*scan.opening(), *scan.pages(64, last=depth.size if done is None else done), *[scan.stop()]):
            sink(*document)
    return depth
