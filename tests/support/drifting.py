"""A scan of one phase whose line moves while it is measured."""

from dataclasses import dataclass

import numpy as np

from support.documents import CLASSES, Scan

GOETHITE = 1
LINE_DEG = CLASSES[GOETHITE].reference_lines[0][0]


@dataclass
class DriftingScan(Scan):
    """Goethite everywhere; its line moves by `drift_deg` over the scan, Poisson noise of `counts` in the peak."""

    drift_deg: float = 0.0
    counts: float = 400.0

    def intensity(self, rows, revision=0):
        tth = np.asarray(self.header.tth_deg)
        centre = LINE_DEG + self.drift_deg * rows[:, None] / (len(self.x_um) - 1)
        pattern = 50 + self.counts * np.exp(-0.5 * ((tth - centre) / 0.1) ** 2)
        return np.random.default_rng(rows[0]).poisson(pattern).astype(np.float32)
