"""What an analyst would say of every point, and the file that holds it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.axis import CLASSES

DETECTION_SIGMA = 4.0
TRUTH_FORMAT = "phasecast-truth-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """True classes of a map; points run along x first, row 0 is the lowest y.

    Parameters
    ----------
    shape
        Rows and columns.
    x_um, y_um
        Nominal position of each point, shape (points,); y points up.
    labels
        1 where the class is true, shape (points, 9), columns as ``CLASSES``; several may be true.
    fractions
        Volume fraction of each material, each of shape (points,).
    settings
        How it was made: seed, counts and the like.
    """

    shape: tuple[int, int]
    x_um: NDArray[np.float64]
    y_um: NDArray[np.float64]
    labels: NDArray[np.uint8]
    fractions: Mapping[str, NDArray[np.float64]]
    settings: Mapping[str, Any]

    def write(self, path: Path) -> None:
        """Write as compact JSON (keys: format, classes, and the attributes with labels as ``truth``)."""
        record = {
            "format": TRUTH_FORMAT,
            "shape": list(self.shape),
            "x_um": np.round(self.x_um, 4).tolist(),
            "y_um": np.round(self.y_um, 4).tolist(),
            "classes": list(CLASSES),
            "truth": self.labels.tolist(),
            "fractions": {name: np.round(values, 4).tolist() for name, values in self.fractions.items()},
            "settings": dict(self.settings),
        }
        path.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


def read_truth(path: Path) -> Truth:
    """Read a truth file.

    Raises
    ------
    ValueError
        The file is no truth file or its classes are not the nine known ones.
    """
    record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict) or record.get("format") != TRUTH_FORMAT:
        raise ValueError(f"{path}: no truth file of format {TRUTH_FORMAT}")
    if tuple(record["classes"]) != CLASSES:
        raise ValueError(f"{path}: classes {record['classes']} are not {list(CLASSES)}")
    rows, cols = record["shape"]
    return Truth(
        shape=(rows, cols),
        x_um=np.asarray(record["x_um"], dtype=np.float64),
        y_um=np.asarray(record["y_um"], dtype=np.float64),
        labels=np.asarray(record["truth"], dtype=np.uint8).reshape(rows * cols, len(CLASSES)),
        fractions={name: np.asarray(values) for name, values in record["fractions"].items()},
        settings=record["settings"],
    )


def analyst_labels(
    bragg: NDArray[np.float64], total: NDArray[np.float64], metal: float, resin: float
) -> NDArray[np.uint8]:
    """Classes an analyst would tick for one noise-free pattern, shape (9,).

    A phase is there when its strongest peak exceeds 4 sigma of all counts over three bins; only where no
    phase shows, the point is resin or peak-less iron, whichever fills more of it.

    Parameters
    ----------
    bragg
        Counts of each class's rings in bins of 0.1 deg, shape (9, bins); rows of resin and peakless_iron unused.
    total
        All counts in the same bins, shape (bins,).
    metal, resin
        Volume fractions of iron metal and resin.
    """
    window = np.ones(3)
    sigma = np.sqrt(np.maximum(np.convolve(total, window, mode="valid"), 1.0))
    labels = np.zeros(len(CLASSES), dtype=np.uint8)
    for column, counts in enumerate(bragg):
        peak = np.convolve(counts, window, mode="valid")
        labels[column] = bool((peak > DETECTION_SIGMA * sigma).any())
    if not labels.any() and max(metal, resin) > 0:
        labels[CLASSES.index("peakless_iron" if metal >= resin else "resin")] = 1
    return labels


def settings_of(options: Any, **more: Any) -> dict[str, Any]:
    """Flatten a dataclass of options to JSON values, with further entries."""
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(options).items()}
    return plain | more
