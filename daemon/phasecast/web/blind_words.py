"""The outcome of a blind check as a table."""

import html
import math
from collections.abc import Mapping
from datetime import datetime

from phasecast.core.words import Words
from phasecast.records.blind import BlindCheck, BlindScore

_COLUMNS = ("class", "said_by_model", "seen_by_person", "untold", "precision", "recall")


def scores_html(check: BlindCheck, words: Words, names: Mapping[str, str], *, model_sha256: str) -> str:
    """Return precision and recall of a finished check.

    Parameters
    ----------
    check
        With scores.
    words
        Of the session.
    names
        Id of a class to its name.
    model_sha256
        The model that most points are by now; empty if none.
    """
    head = "".join(f"<th>{html.escape(words(f'model.{name}'))}</th>" for name in _COLUMNS)
    rows = "".join(_row(score, names) for score in check.scores)
    model = ", ".join(f"{one.get('name', '')} {one.get('version', '')}" for one in check.models) or "–"
    when = datetime.fromtimestamp(check.time_s).strftime("%Y-%m-%d %H:%M")
    title = words("model.blind_result", points=check.points.size, who=check.who, when=when, model=model)
    changed = bool(model_sha256) and all(one.get("sha256") != model_sha256 for one in check.models)
    note = f"<p class='warn'>{html.escape(words('model.blind_other_model'))}</p>" if changed else ""
    untold = int(check.untold.sum())
    left_out = words("model.blind_untold", untold=untold, points=check.points.size) if untold else ""
    note += f"<p class='warn'>{html.escape(left_out)}</p>" if untold else ""
    return (
        f"<p>{html.escape(title)}</p>{note}<table class='numbers whole'><tr>{head}</tr>{rows}</table>"
        f"<p class='hint'>{html.escape(words('model.blind_note'))}</p>"
    )


def interval_text(value: float, low: float, high: float) -> str:
    """Return a value with its interval; a dash where no point tells."""
    return "–" if math.isnan(value) else f"{value:.2f} ({low:.2f}–{high:.2f})"


def _row(score: BlindScore, names: Mapping[str, str]) -> str:
    cells = (
        names.get(score.class_id, score.class_id),
        str(score.said),
        str(score.seen),
        str(score.untold),
        interval_text(score.precision, score.precision_low, score.precision_high),
        interval_text(score.recall, score.recall_low, score.recall_high),
    )
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
