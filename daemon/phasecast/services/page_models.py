"""What the page gets of models: none of it loads a network library."""

from collections.abc import Collection
from dataclasses import asdict
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phasecast.records.blind import BlindCheck, BlindScore
from phasecast.records.models import CARD, ShelfModel, read_model
from phasecast.services.page_opinion import disagreement_of, follow_opinion
from phasecast.web.model_tools import Drawn, ModelTools, Proposed

PROPOSED = 20
"""Points that are proposed at a time."""


def model_tools() -> ModelTools:
    """Return the functions that the page calls."""
    return ModelTools(
        shipped=shipped_models,
        propose=propose_points,
        draw=draw_points,
        follow_opinion=follow_opinion,
        disagree=disagreement_of,
    )


def shipped_models() -> list[ShelfModel]:
    """Return the models that come with the program, without loading any."""
    folder = Path(str(resources.files("phasecast_models.xrd").joinpath("bundles")))
    return [read_model(path) for path in sorted(folder.iterdir()) if (path / CARD).is_file()]


def propose_points(
    confidences: NDArray[np.floating], classes: tuple[str, ...], left_out: Collection[int]
) -> list[Proposed]:
    """Return the points that teach most if somebody labels them; see `phasecast_models.xrd.active_queue.propose`."""
    from phasecast_models.xrd.active_queue import propose

    known = [row for row in left_out if row < len(confidences)]
    return [
        Proposed(row=one.row, unsure_of=one.unsure_of, confidence=one.confidence, stands_for=one.stands_for)
        for one in propose(confidences, classes=classes, count=PROPOSED, labelled=known)
    ]


def draw_points(confidences: NDArray[np.floating], count: int, seed: int, left_out: Collection[int]) -> Drawn:
    """Return points for a blind check; see `phasecast_models.xrd.blind_check.blind_draw`."""
    from phasecast_models.xrd.blind_check import blind_draw

    known = [row for row in left_out if row < len(confidences)]
    drawn = blind_draw(confidences, count=count, seed=seed, labelled=known)
    return Drawn(rows=drawn.rows, strata=drawn.stratum, weights=drawn.weight)


def score_blind(check: BlindCheck) -> list[BlindScore]:
    """Return precision and recall of a finished blind check; see `phasecast_models.xrd.blind_check.blind_scores`."""
    from phasecast_models.xrd.blind_check import blind_scores

    scores = blind_scores(
        check.confidences,
        check.seen,
        classes=check.classes,
        stratum=check.strata,
        weight=check.weights,
        untold=check.untold,
    )
    return [BlindScore(**asdict(one)) for one in scores]
