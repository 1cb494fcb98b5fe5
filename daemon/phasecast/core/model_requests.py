"""What people can ask of models: training, choice, and checks that hide the prediction."""

import math
from dataclasses import dataclass
from typing import Literal

from phasecast.core.errors import RequestError
from phasecast.core.request_rules import check_file_name, check_name, check_rows, check_text, check_unique

MAX_BLIND_POINTS = 200
"""Points of one blind check; 30 to 60 are usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrain:
    """A person wants a model trained on labels and put to use; served by the daemon.

    Parameters
    ----------
    scans
        Raw uids of the scans whose labels teach; none for all.
    trusted
        Person whose word counts where people contradict each other; empty: contradictions are refused.
    effort
        ``quick`` takes some ten seconds and shows whether anything comes of it; ``full`` a minute or two.
    who
        The person; the model belongs to whoever asked for it unless `owner` names their group.
    owner
        Group whose labels these are.
    note
        Anything worth adding.
    """

    scans: tuple[str, ...] = ()
    trusted: str = ""
    effort: Literal["full", "quick"] = "full"
    who: str
    owner: str = ""
    note: str = ""
    kind: Literal["retrain"] = "retrain"

    def __post_init__(self) -> None:
        for uid in self.scans:
            check_name(uid, "scans")
        if self.scans:
            check_unique(self.scans, "scans")
        check_name(self.trusted, "trusted", empty=True)
        check_name(self.who, "who")
        check_name(self.owner, "owner", empty=True)
        check_text(self.note, "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTraining:
    """A person stops the training that runs; served by the daemon."""

    who: str
    kind: Literal["cancel_training"] = "cancel_training"

    def __post_init__(self) -> None:
        check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateModel:
    """A person chooses the model in use, or goes back to an earlier one; served by the daemon.

    Parameters
    ----------
    model
        Folder in ``<data-dir>/models``, or name of a bundle that comes with the program.
    who
        The person.
    """

    model: str
    who: str
    kind: Literal["activate_model"] = "activate_model"

    def __post_init__(self) -> None:
        check_name(self.model, "model")
        if "/" in self.model or "\\" in self.model or self.model.startswith("."):
            raise RequestError(f"model {self.model[:40]!r}", remedy="give the name of a folder in models")
        check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindDraw:
    """A person begins a blind check: points drawn by chance, to be judged without knowing what the model says.

    Parameters
    ----------
    scan_raw_uid
        The scan.
    result
        Name of its result file in the results folder.
    points
        Rows that were drawn, in the order in which they are shown.
    strata
        Number of the stratum that each was drawn from.
    weights
        Points of the map that each stands for, above 0.
    who
        The person who will judge.
    """

    scan_raw_uid: str
    result: str
    points: tuple[int, ...]
    strata: tuple[int, ...]
    weights: tuple[float, ...]
    who: str
    kind: Literal["blind_draw"] = "blind_draw"

    def __post_init__(self) -> None:
        check_name(self.scan_raw_uid, "scan_raw_uid")
        check_file_name(self.result)
        check_rows(self.points, "points", at_most=MAX_BLIND_POINTS)
        if not len(self.points) == len(self.strata) == len(self.weights):
            raise RequestError("points, strata and weights differ in number", remedy="give one of each a point")
        if not all(math.isfinite(weight) and weight > 0 for weight in self.weights):
            raise RequestError("a weight is not above 0", remedy="give how many points each stands for")
        check_name(self.who, "who")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindAnswer:
    """A person says what they see in a point of a blind check; never used to train.

    Parameters
    ----------
    scan_raw_uid
        The scan.
    check
        Id of the request that began the check.
    point
        Row of the result.
    classes
        Ids of the classes that it holds; none is an answer too.
    who
        The person.
    cannot_tell
        The person cannot tell what the point holds, and names no class: it counts as asked and is not scored.
    """

    scan_raw_uid: str
    check: str
    point: int
    classes: tuple[str, ...]
    who: str
    cannot_tell: bool = False
    kind: Literal["blind_answer"] = "blind_answer"

    def __post_init__(self) -> None:
        check_name(self.scan_raw_uid, "scan_raw_uid")
        check_name(self.check, "check")
        check_rows((self.point,), "point", at_most=1)
        if self.cannot_tell and self.classes:
            raise RequestError("classes are named, and nothing can be told", remedy="name classes, or say cannot_tell")
        if self.classes:
            check_unique(self.classes, "classes")
        for name in self.classes:
            check_name(name, "classes")
        check_name(self.who, "who")
