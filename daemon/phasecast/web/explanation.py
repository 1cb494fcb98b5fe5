"""Why a point holds what it does: the peaks that speak for each class, and a second opinion, beside the confidences."""

import html
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phasecast.core.result import PhaseClass
from phasecast.core.words import Words
from phasecast.results.explain import peaks_of
from phasecast.results.layout import UNSURE
from phasecast.web.chosen import Shown

OpinionOfPoint = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Significance in sigma and share of all peaks of each class, (classes,) each."""

_MOST_PEAKS = 4
_TOLD_SIGMA = 2.0
"""Classes with a smaller fit and no confidence are not worth a line."""


def explanation_html(shown: Shown, classes: Sequence[PhaseClass], opinion: OpinionOfPoint | None, words: Words) -> str:
    """Return a table of the classes that are possible or that the fit holds present; empty if there is none.

    Parameters
    ----------
    shown
        The pattern with its peaks.
    classes
        Classes of the result.
    opinion
        Of the point; None if it is not known.
    words
        Of the session.
    """
    rows = []
    for k, phase in enumerate(classes):
        sigma, share = (float(values[k]) for values in opinion) if opinion is not None else (math.nan, math.nan)
        if not (shown.confidence[k] >= UNSURE[0] or sigma >= _TOLD_SIGMA):
            continue
        peaks = peaks_of(shown.peaks, phase)
        places = ", ".join(f"{peak.tth_deg:.2f}°" for peak in peaks[:_MOST_PEAKS])
        more = f" +{len(peaks) - _MOST_PEAKS}" if len(peaks) > _MOST_PEAKS else ""
        said = "–" if math.isnan(sigma) else f"{sigma:.1f} σ, {100 * share:.0f} %"
        confidence = shown.confidence[k]
        cells = [words.name_of(phase.name_en, phase.name_ja), f"{confidence:.2f}" if np.isfinite(confidence) else "–"]
        cells += [said] if opinion is not None else []
        cells.append((places or "–") + more)
        rows.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
    if not rows:
        return ""
    names = ["page.class", "common.confidence", *(["page.opinion"] if opinion is not None else []), "page.peaks_for"]
    head = "".join(f"<th>{html.escape(words(name))}</th>" for name in names)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table class='numbers'><tr>{head}</tr>{body}</table>"
