"""The analyst's rule: what counts as present in a pattern whose true content is known.

A phase counts only where its strongest peak stands out of the noise, for nobody can learn to see what is not there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from phasecast_models.xrd.task import Task

Floats = NDArray[np.float32]

VISIBLE_SIGMA = 4.0
"""A peak counts as seen above this many sigma, summed over three bins."""

VISIBLE_HUMP_SIGMA = 4.0
"""A broad hump counts as seen above this many sigma, summed over its own width."""

SYSTEMATIC_SHARE = 0.001
"""Flat-field and background error that no counting time removes, as a share of the counts."""

TEXTURE_SHARE = 0.02
"""How well the height of the other phases' peaks can be foretold, given texture and few grains."""

RULING_SHARE = 0.25
"""A broad hump is more than part of rust or pores where it has this share of the fluorescence."""

FEWEST_COUNTS = 300.0
"""Counts of a whole pattern below which nobody says anything of it."""

_HUMP_DEG = 3.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothParts:
    """Counts per bin of the components that decide where no peak is seen, each (n, bins)."""

    halo: Floats
    fluorescence: Floats
    ferrihydrite: Floats


def visible_sigma(peaks: Floats, all_peaks: Floats, total: Floats) -> Floats:
    """Return how far the strongest peak of each row stands out, in sigma over three bins, shape (n,).

    ``peaks`` is the part of ``all_peaks`` that belongs to one phase, ``all_peaks`` that part of ``total`` which is
    Bragg peaks; all are counts per bin (n, bins), NaN where not measured. Sigma holds the counting noise, the
    systematic share of the total and the texture share of the other phases' peaks.
    """
    measured = ~np.isnan(total)
    signal = _three_bins(np.where(measured, peaks, 0))
    others = _three_bins(np.where(measured, all_peaks, 0)) - signal
    everything = _three_bins(np.where(measured, total, 0))
    variance = everything + (SYSTEMATIC_SHARE * everything) ** 2 + (TEXTURE_SHARE * others) ** 2 + 1
    return np.asarray((signal / np.sqrt(variance)).max(axis=1), dtype=np.float32)


def analyst_labels(
    task: Task,
    pattern: NDArray[np.int64],
    column: NDArray[np.int64],
    seen: NDArray[np.bool_],
    parts: SmoothParts,
    total: Floats,
    metal: NDArray[np.bool_],
) -> Floats:
    """Return labels, 0 or 1, (n, classes): what an analyst would write.

    Crystalline classes count where they are seen; where none is, "other" counts if the hump of ferrihydrite rules,
    resin if its halo rules, and iron without lines where metal is. Without a peak or a hump nothing in the pattern
    tells metal from amorphous rust: both fluoresce. The label is the truth all the same, so that a confidence is the
    share of metal among all that looks alike, and a transmission can settle the rest (``transmission``).

    Parameters
    ----------
    task
        Columns and axis.
    pattern, column, seen
        One entry per phase in a pattern, shape (entries,): its row, its column (-1 for none) and whether it is seen.
    parts
        Smooth components in counts; no fluorescence where the detector's threshold cuts it off.
    total
        Expected counts, (n, bins), NaN where not measured.
    metal
        Whether more than half of what is solid is metal, (n,).
    """
    labels = np.zeros((len(total), len(task.classes)), np.float32)
    crystalline = np.zeros(len(total), bool)
    crystalline[pattern[seen]] = True
    named = seen & (column >= 0)
    labels[pattern[named], column[named]] = 1
    measured = ~np.isnan(total)
    counts = np.where(measured, total, 0)
    halo, rust = (np.where(measured, part, 0) for part in (parts.halo, parts.ferrihydrite))
    flat = np.where(measured, parts.fluorescence, 0).sum(axis=1)
    width = max(3, round(_HUMP_DEG / task.axis.step_deg))
    ferrihydrite = (hump_sigma(rust, counts, width) > VISIBLE_HUMP_SIGMA) & (rust.sum(axis=1) > RULING_SHARE * flat)
    resin = (hump_sigma(halo, counts, width) > VISIBLE_HUMP_SIGMA) & (halo.sum(axis=1) > RULING_SHARE * flat)
    enough = counts.sum(axis=1) > FEWEST_COUNTS
    verdicts = {
        "other": ~crystalline & ferrihydrite,
        "resin": ~crystalline & ~ferrihydrite & resin,
        "bare_iron": ~crystalline & ~ferrihydrite & ~resin & metal & enough & task.iron_fluoresces,
    }
    for number, item in enumerate(task.classes):
        if item.kind in verdicts:
            labels[:, number] = np.maximum(labels[:, number], verdicts[item.kind])
    return labels


def hump_sigma(hump: Floats, total: Floats, width: int) -> Floats:
    """Return how far a hump stands out, in sigma summed over ``width`` bins around its top, shape (n,).

    Both are counts per bin (n, bins), without NaN; sigma holds counting noise and the systematic share.
    """
    ground = uniform_filter1d(total, width, axis=1, mode="constant") * width
    rise = uniform_filter1d(hump, width, axis=1, mode="constant") * width
    variance = np.maximum(ground, 0) + (SYSTEMATIC_SHARE * ground) ** 2 + 1
    return np.asarray((rise / np.sqrt(variance)).max(axis=1), dtype=np.float32)


def _three_bins(values: Floats) -> Floats:
    out = values.copy()
    out[:, 1:] += values[:, :-1]
    out[:, :-1] += values[:, 1:]
    return out
