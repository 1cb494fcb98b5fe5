"""Which layers of a scan can be looked at."""

import numpy as np

from phasecast.core.words import Words
from phasecast.web.layers import COMPOSITE, DISAGREEMENT, DRIFT, LEDGER, TOTAL, UNSURE
from phasecast.web.live_scan import LiveScan


def layers_of(scan: LiveScan, words: Words) -> dict[str, str]:
    """Return the layers of a scan, what people read to the name of the layer."""
    options = {words("page.composite"): COMPOSITE}
    for phase in scan.header.classes:
        options[words.name_of(phase.name_en, phase.name_ja)] = phase.id
    names = [UNSURE, LEDGER, TOTAL]
    if scan.header.classes:
        if np.isfinite(scan.columns.drift).any():
            names.append(DRIFT)
        if not scan.is_map:
            names.append(DISAGREEMENT)
    return options | {words(f"page.{name}_layer"): name for name in names}
