"""The blind check of a scan in its report: how often the model is right, as a person judged without its word."""

import logging
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from phasecast.core.words import Words
from phasecast.records.blind import BlindScore, scores_of
from phasecast.records.journal import Entry
from phasecast.report.model import BlindFact, BlindRate, BlindShare, Report

logger = logging.getLogger(__name__)


def blind_fact(notes: Sequence[Entry]) -> BlindFact | None:
    """Return the newest blind check among the notes of a result; None if there is none that can be understood."""
    for note in reversed(notes):
        if note.get("what") != "blind_check":
            continue
        try:
            return _fact(note)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            logger.warning("a blind check is passed over: %r", error)
    return None


def blind_text(report: Report, say: Words) -> dict[str, Any] | None:
    """Return what the template shows of the blind check; None if there was none."""
    fact = report.blind
    if fact is None:
        return None
    names = {one.id: say.name_of(one.name_en, one.name_ja) for one in report.classes}
    known = {one.sha256 for one in (report.model, *report.other_models) if one is not None}
    return {
        "intro": say(
            "report.blind_intro", points=fact.points, who=fact.who, when=fact.when[:10], model=", ".join(fact.models)
        ),
        "untold": say("report.blind_untold", untold=fact.untold, points=fact.points) if fact.untold else "",
        "rows": [
            (
                names.get(one.class_id, one.class_id),
                str(one.said),
                str(one.seen),
                str(one.untold),
                _text(one.precision),
                _text(one.recall),
            )
            for one in fact.classes
        ],
        "other_model": say("report.blind_other_model") if known and not known & set(fact.models_sha256) else "",
    }


def _fact(note: Entry) -> BlindFact:
    models = [(f"{one['name']} {one['version']}", str(one["sha256"])) for one in note["models"]]
    return BlindFact(
        who=str(note["who"]),
        when=datetime.fromtimestamp(float(note["time_s"]), UTC).isoformat(timespec="seconds"),
        points=int(note["points"]),
        untold=int(note.get("untold", 0)),
        models=tuple(name for name, _ in models),
        models_sha256=tuple(sha256 for _, sha256 in models),
        classes=tuple(_share(score) for score in scores_of(note["scores"])),
    )


def _share(score: BlindScore) -> BlindShare:
    return BlindShare(
        class_id=score.class_id,
        said=score.said,
        seen=score.seen,
        untold=score.untold,
        precision=_rate(score.precision, score.precision_low, score.precision_high),
        recall=_rate(score.recall, score.recall_low, score.recall_high),
    )


def _rate(value: float, low: float, high: float) -> BlindRate | None:
    return None if math.isnan(value) else BlindRate(value=value, low=low, high=high)


def _text(rate: BlindRate | None) -> str:
    return "–" if rate is None else f"{rate.value:.2f} ({rate.low:.2f}–{rate.high:.2f})"
