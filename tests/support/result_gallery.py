"""Result files of every odd kind, as they lie about in a data directory at the end of a night."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from phasecast.sinks.nexus import NexusSink
from support.documents import Scan, make_header, raster_scan

LOCKED = """
import os, sys, h5py
file = h5py.File(sys.argv[1], "w", libver=("v110", "v110"))
file["entry/data"] = [1, 2, 3]
file.flush()
os._exit(0)
"""


@dataclass
class NanScan(Scan):
    """Every second pattern was not a number, every third has gaps."""

    def intensity(self, rows: np.ndarray, revision: int = 0) -> np.ndarray:
        values = super().intensity(rows, revision)
        values[rows % 2 == 0] = np.nan
        values[rows % 3 == 0, ::4] = np.nan
        return values


def scattered(points: int = 25) -> Scan:
    """Points of a scan that is no raster."""
    rng = np.random.default_rng(3)
    header = make_header(shape=None, expected=points, bins=30)
    return Scan(header, rng.uniform(0, 60, points), rng.uniform(0, 40, points))


def odd_results() -> dict[str, Scan]:
    """Results that are unusual and sound, by the name of their file."""
    nan = raster_scan((5, 6), bins=30)
    return {
        "empty": raster_scan((4, 5), bins=30),
        "one_row": raster_scan((1, 12), bins=30),
        "one_column": raster_scan((12, 1), bins=30),
        "one_point": raster_scan((1, 1), bins=30),
        "scattered": scattered(),
        "nan_patterns": NanScan(nan.header, nan.x_um, nan.y_um),
        "unclassified": raster_scan((4, 5), bins=30, classified=False),
        "no_positions": Scan(raster_scan((4, 5), bins=30).header, np.full(20, np.nan), np.full(20, np.nan)),
    }


def write_odd_results(folder: Path) -> dict[str, Path]:
    """Write `odd_results`; the raw frames of none of them exist."""
    paths = {}
    for name, scan in odd_results().items():
        paths[name] = folder / f"{name}.nxs"
        with NexusSink(paths[name]) as sink:
            for document in scan.opening():
                sink(*document)
            if name != "empty":
                for document in scan.pages(7):
                    sink(*document)
            sink(*scan.stop())
    return paths


def write_broken_results(folder: Path, sound: Path) -> dict[str, Path]:
    """Write files that cannot be opened, each for another reason, beside a sound one.

    ``foreign`` is text, ``strange`` is HDF5 of somebody else, ``half`` was cut off by a copy, ``locked`` was left by
    a writer that let nobody in, ``missing`` is a link to nothing, and ``hollow`` has no byte at all.
    """
    paths = {name: folder / f"{name}.nxs" for name in ("foreign", "strange", "half", "locked", "missing", "hollow")}
    paths["foreign"].write_text("a shopping list\n" * 50, encoding="utf-8")
    with h5py.File(paths["strange"], "w") as file:
        file["somebody/elses/data"] = np.arange(10)
    content = sound.read_bytes()
    paths["half"].write_bytes(content[: len(content) // 2])
    subprocess.run([sys.executable, "-c", LOCKED, str(paths["locked"])], check=True)
    os.symlink(folder / "never-there.nxs", paths["missing"])
    paths["hollow"].touch()
    return paths
