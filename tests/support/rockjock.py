"""The measured powder patterns of RockJock, as they lie in one table."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.measured import load_pattern


def rockjock_patterns(measured_data: Path) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return 2theta in deg (Cu K-alpha) and counts of every mineral, by the name of its column."""
    path = measured_data / "xrd_patterns" / "rockjock_Fe_and_others_CuKa.csv"
    with path.open(encoding="utf-8") as file:
        names = file.readline().strip().split(",")
    # The BACK_ columns are mathematical backgrounds, one of them negative.
    return {
        name: load_pattern(path, column=column)
        for column, name in enumerate(names)
        if column and not name.startswith("BACK_")
    }
