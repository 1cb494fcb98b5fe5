"""Puts another model in the place of the one in use, between two turns of the loop."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from phasecast.core.errors import BundleMismatchError
from phasecast.profiles import Profile
from phasecast.xrd.classifier import Classifier
from phasecast.xrd.patterns import AxisPatterns, bin_centres_deg
from phasecast.xrd.stages import XrdStage, require_same_columns
from phasecast_models.xrd.bundle import BundleError, load_bundle

logger = logging.getLogger(__name__)

_WARM_CALLS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapOutcome:
    """What became of a wish for another model.

    Parameters
    ----------
    token
        Whatever the wish was given with.
    classifier
        The model in use from now on; None if it was refused.
    refusal
        Why, one clear line; empty if it is in use.
    """

    token: str
    classifier: Classifier | None
    refusal: str = ""


class ModelSwap:
    """Loads, checks and warms models in a thread of its own; the loop then only sets a name.

    Parameters
    ----------
    stage
        Whose classifier is replaced.
    profile
        The instrument.
    """

    def __init__(self, stage: XrdStage, profile: Profile) -> None:
        self._stage = stage
        self._profile = profile
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._loading: list[tuple[str, Future[Classifier]]] = []

    def wish(self, bundle: str | Path, token: str) -> None:
        """Ask for a bundle, by its folder or the name of a shipped one; wishes are met one after the other."""
        self._loading.append((token, self._pool.submit(self._load, bundle)))

    @property
    def is_loading(self) -> bool:
        """Whether a wish is still to be met."""
        return bool(self._loading)

    def step(self) -> SwapOutcome | None:
        """Put the next model that is ready in its place, between two turns of the loop; None if none is."""
        if not self._loading or not self._loading[0][1].done():
            return None
        token, loaded = self._loading.pop(0)
        try:
            classifier = loaded.result()
            self._stage.swap(classifier)
        except BundleMismatchError as error:
            logger.warning("the model stays: %s", error)
            return SwapOutcome(token=token, classifier=None, refusal=str(error))
        logger.warning("model %s %s is in use", classifier.bundle.name, classifier.bundle.version)
        return SwapOutcome(token=token, classifier=classifier)

    def close(self) -> None:
        """End the thread; idempotent."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self, bundle: str | Path) -> Classifier:
        try:
            classifier = Classifier(load_bundle(bundle), self._profile)
        except BundleError as error:
            raise BundleMismatchError(str(error)) from error
        require_same_columns(self._stage.classifier, classifier)
        axis = classifier.axis
        flat = np.full((1, axis.bins), 100.0, np.float32)
        pattern = AxisPatterns(
            axis=axis, tth_deg=bin_centres_deg(axis), intensity=flat, sigma=np.sqrt(flat), norm=np.ones_like(flat)
        )
        for _ in range(_WARM_CALLS):  # the first call pays for what libraries do then
            classifier.judge(pattern)
        return classifier
