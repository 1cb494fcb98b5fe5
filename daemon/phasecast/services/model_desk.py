"""The models of a running daemon: trained on request, chosen, put to use, asked about what was measured before."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError, RecordsError
from phasecast.core.model_requests import ActivateModel, CancelTraining, Retrain
from phasecast.core.requests import Answer, Request
from phasecast.core.scan import ScanUid
from phasecast.pipeline.open_scan import OpenScan
from phasecast.profiles import Profile
from phasecast.records.clerk import answer
from phasecast.records.mailbox import RequestId
from phasecast.records.models import (
    ActiveModel,
    What,
    find_model,
    next_version,
    note_event,
    read_active,
    set_active,
    shelf_key,
)
from phasecast.services.model_swap import ModelSwap, SwapOutcome
from phasecast.services.rescoring import ReadRows, Rescorer
from phasecast.services.swap_latency import SwapLatency
from phasecast.services.training_labels import checked_labels
from phasecast.services.training_process import TrainingProcess
from phasecast.xrd.classifier import Classifier
from phasecast.xrd.stages import XrdStage
from phasecast_models.xrd.bundle import shipped_bundles

logger = logging.getLogger(__name__)

KINDS = ("retrain", "cancel_training", "activate_model")
"""Requests that this desk serves."""


def model_to_begin_with(directory: DataDirectory, profile: Profile, wish: str | None) -> str | None:
    """Return the bundle that a daemon begins with: the one wished for, else that in use here; None: the profile's.

    One that was in use and is gone, damaged or does not fit is named in the log, and the profile's takes its place.
    """
    if wish is not None:
        return wish
    try:
        active = read_active(directory)
        if active is None:
            return None
        place = _place_of(directory, active.model)
        if place is None:
            raise RecordsError(f"model {active.model} is gone", where=str(directory.models))
        fitting = Classifier.from_profile(profile, str(place))
        if fitting is not None and active.sha256 != fitting.bundle.sha256:
            raise RecordsError("it is not the one that was chosen: its sha256 differs", where=str(place))
    except PhasecastError as error:
        logger.error("the model in use before is left: %s", error)
        return None
    return str(place)


def _place_of(directory: DataDirectory, key: str) -> Path | str | None:
    """Return where a model lies: its folder on the shelf, or the name of a shipped one; None if there is none.

    Raises
    ------
    RecordsError
        If it is damaged.
    """
    found = find_model(directory, key)
    if found is None:
        return key if key in shipped_bundles() else None
    if found.damage:
        raise RecordsError(found.damage)
    return found.folder


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    key: str
    place: str
    who: str
    why: str


class ModelDesk:
    """Serves what people ask about models and does what follows, in threads and processes beside the loop.

    Parameters
    ----------
    directory
        The data directory.
    profile, profile_source
        The instrument, and the name or file it was loaded from.
    stage
        Whose model is in use.
    open_scans
        Returns the scans that are open.
    read_rows
        Reads patterns of an open result.
    began_with
        The bundle that the stage was built with: its folder or name; None for the profile's own.
    """

    def __init__(
        self,
        *,
        directory: DataDirectory,
        profile: Profile,
        profile_source: str,
        stage: XrdStage,
        open_scans: Callable[[], Mapping[ScanUid, OpenScan]],
        read_rows: ReadRows,
        began_with: str | None,
    ) -> None:
        self._directory = directory
        self._profile_source = profile_source
        self._stage = stage
        self._swap = ModelSwap(stage, profile)
        self._rescorer = Rescorer(stage=stage, open_scans=open_scans, read_rows=read_rows)
        self._latency = SwapLatency()
        self._in_use = Path(began_with or profile.default_bundle or "").name
        self._place: str = began_with or profile.default_bundle or ""
        self._origin = (self._in_use, self._place)
        # writing waits for the disk, and reading labels takes long: neither is the loop's
        self._scribe = ThreadPoolExecutor(1, thread_name_prefix="shelf")
        self._wishes: dict[str, _Wish] = {}
        self._answers: dict[str, Answer] = {}
        self._checks: dict[str, Future[int]] = {}
        self._training: TrainingProcess | None = None

    @property
    def is_busy(self) -> bool:
        """Whether points wait for another model."""
        return self._rescorer.is_busy

    def describe(self) -> dict[str, Any]:
        """Return what the status says of models."""
        return {
            "in_use": self._in_use,
            "training": self._training.describe() if self._training is not None else None,
            "rescoring": self._rescorer.describe(),
            "swap_latency": self._latency.describe(),
        }

    def serve(self, request_id: RequestId, request: Request) -> Answer | None:
        """Answer a request; None while it has to wait."""
        if request_id in self._answers:
            return self._answers.pop(request_id)
        match request:
            case ActivateModel():
                return self._activate(request_id, request)
            case Retrain():
                return self._retrain(request_id, request)
            case CancelTraining(who=who):
                if self._training is None:
                    return answer("no_training", ok=False)
                self._training.cancel(who)
                return answer("training_cancelled")
        return None

    def step(self, *, busy: bool, frames: bool, latencies_s: Sequence[float] = ()) -> None:
        """Do what is due between two turns; `busy`: frames wait; `frames`, `latencies_s`: what the last one had."""
        if self._swap.is_loading or self._rescorer.is_busy:
            self._latency.add(latencies_s)
        self._follow_training()
        outcome = self._swap.step()
        if outcome is not None:
            self._take_outcome(outcome)
        self._rescorer.step(busy=busy, frames=frames, loading=self._swap.is_loading)

    def close(self) -> None:
        """End threads and training; idempotent."""
        if self._training is not None:
            self._training.close()
            self._note("cancelled", self._training, "the daemon ended")
            self._training = None
        self._swap.close()
        self._rescorer.close()
        self._scribe.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _activate(self, request_id: RequestId, request: ActivateModel) -> Answer | None:
        if request_id in self._wishes:
            return None
        try:
            place = _place_of(self._directory, request.model)
            if place is None and request.model == self._origin[0]:
                place = self._origin[1]  # a profile's own bundle, which lies elsewhere
        except RecordsError as error:
            self._write_event("refused", request.model, request.who, request_id, str(error))
            return answer("denied", {"reason": str(error)}, ok=False)
        if place is None:
            return answer("model_unknown", {"model": request.model}, ok=False)
        self._wishes[request_id] = _Wish(key=request.model, place=str(place), who=request.who, why="chosen")
        self._swap.wish(place, request_id)
        return None

    def _retrain(self, request_id: RequestId, request: Retrain) -> Answer | None:
        classifier = self._stage.classifier
        if classifier is None:
            return answer("denied", {"reason": "points are integrated and not classified"}, ok=False)
        check = self._checks.get(request_id)
        if check is None:
            if self._training is not None or self._checks:
                return answer("training_runs", ok=False)
            self._checks[request_id] = self._scribe.submit(self._count_labels, request, classifier)
            return None
        if not check.done():
            return None
        del self._checks[request_id]
        try:
            labels = check.result()
            self._begin(request_id, request, classifier)
        except (PhasecastError, OSError) as error:
            self._write_event("failed", "", request.who, request_id, str(error))
            return answer("denied", {"reason": str(error)}, ok=False)
        return answer("training_begun", {"labels": labels})

    def _count_labels(self, request: Retrain, classifier: Classifier) -> int:
        checked = checked_labels(self._directory, classifier.bundle, scans=request.scans, trusted=request.trusted)
        return len(checked.examples)

    def _begin(self, request_id: RequestId, request: Retrain, classifier: Classifier) -> None:
        name = classifier.bundle.name
        version = next_version(self._directory, name, after=classifier.bundle.version)
        self._training = TrainingProcess(
            self._directory,
            request,
            request_id,
            profile=self._profile_source,
            base=self._place,
            folder=self._directory.models / shelf_key(name, version),
            name=name,
            version=version,
        )

    def _follow_training(self) -> None:
        training = self._training
        ended = training.poll() if training is not None else None
        if training is None or ended is None:
            return
        self._training = None
        if ended.what != "trained":
            logger.warning("training: %s", ended.detail)
            self._note("cancelled" if ended.what == "cancelled" else "failed", training, ended.detail)
            return
        self._note("trained", training, training.request.note)
        token = f"trained/{training.request_id}"
        self._wishes[token] = _Wish(
            key=training.folder.name, place=str(training.folder), who=training.request.who, why="trained"
        )
        self._swap.wish(training.folder, token)

    def _take_outcome(self, outcome: SwapOutcome) -> None:
        wish = self._wishes.pop(outcome.token)
        request_id = outcome.token.removeprefix("trained/")
        asked = request_id == outcome.token
        if outcome.classifier is None:
            self._write_event("refused", wish.key, wish.who, request_id, outcome.refusal)
            if asked:
                self._answers[request_id] = answer("denied", {"reason": outcome.refusal}, ok=False)
            return
        self._in_use = wish.key
        self._place = wish.place
        self._rescorer.look_now()
        active = ActiveModel(
            model=wish.key,
            sha256=outcome.classifier.bundle.sha256,
            since_s=time.time(),
            who=wish.who,
            why=wish.why,
        )
        self._scribe.submit(self._guarded, lambda: set_active(self._directory, active, request_id=request_id))
        if asked:
            self._answers[request_id] = answer("model_in_use", {"model": wish.key})

    def _note(self, what: What, training: TrainingProcess, detail: str) -> None:
        key = training.folder.name
        self._write_event(what, key, training.request.who, training.request_id, detail)

    def _write_event(self, what: What, key: str, who: str, request_id: str, detail: str) -> None:
        self._scribe.submit(
            self._guarded,
            lambda: note_event(self._directory, what, key, who=who, request_id=request_id, detail=detail),
        )

    @staticmethod
    def _guarded(write: Callable[[], None]) -> None:
        try:
            write()
        except RecordsError as error:
            logger.error("the shelf of models: %s", error)
