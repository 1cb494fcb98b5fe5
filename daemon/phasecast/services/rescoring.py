"""Asks a new model about every point of the open scans that an earlier one judged, while frames go on arriving."""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast.core.scan import ScanUid
from phasecast.pipeline.open_scan import OpenScan
from phasecast.xrd.classifier import Classifier
from phasecast.xrd.integrator import Integrator
from phasecast.xrd.rebinning import Rebinning
from phasecast.xrd.stages import XrdStage, angle_column

logger = logging.getLogger(__name__)

POINTS_AT_ONCE = 512
"""Points a piece of work; taking over its outcome keeps the loop for some 5 ms."""
_PIECES_A_TURN = 4
"""Outcomes taken over in a turn that has no frames."""
_LOOK_S = 1.0
_PATTERN = ("intensity", "sigma", "norm")
_Indices = NDArray[np.int64]
_Judged = tuple[NDArray[np.float32], NDArray[np.float32]]


class ReadRows(Protocol):
    """Reads rows of an open result; see `DerivedRuns.read_rows`."""

    def __call__(self, uid: str, names: tuple[str, ...], first: int, end: int) -> Mapping[str, NDArray[Any]]:
        """Return rows of columns."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Piece:
    uid: ScanUid
    indices: _Indices
    classifier: Classifier
    outcome: Future[_Judged]


class Rescorer:
    """Goes over the points that another model than the one in use judged, frames first.

    Patterns are read from the growing file and brought to the model's axis by `Rebinning`, in threads of its own; what
    the model says is taken over between two turns of the loop, by the loop.

    Parameters
    ----------
    stage
        Whose classifier is in use.
    open_scans
        Returns the scans that are open.
    read_rows
        Reads patterns of an open result.
    threads
        Threads that work.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        *,
        stage: XrdStage,
        open_scans: Callable[[], Mapping[ScanUid, OpenScan]],
        read_rows: ReadRows,
        threads: int = 2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stage = stage
        self._open_scans = open_scans
        self._read_rows = read_rows
        self._threads = threads
        self._clock = clock
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rescore")
        self._patterns = StoredPatterns(stage.integrator.twin())
        self._waiting: dict[ScanUid, _Indices] = {}
        self._flying: list[_Piece] = []
        self._refused: dict[ScanUid, Classifier] = {}
        self._looked_s = float("-inf")
        self._total = 0
        self.rescored = 0
        """Points that another model was asked about since this process began."""
        self.refusal = ""
        """Why the points of a scan keep what an earlier model said; empty if none do."""

    @property
    def is_busy(self) -> bool:
        """Whether there are points left that it knows of."""
        return bool(self._waiting or self._flying)

    def describe(self) -> dict[str, Any]:
        """Return how far it is, for the status."""
        left = sum(len(rows) for rows in self._waiting.values()) + sum(len(piece.indices) for piece in self._flying)
        return {"left": left, "of": self._total if left else 0, "rescored": self.rescored, "refusal": self.refusal}

    def look_now(self) -> None:
        """Look for points at the next step: the model has changed."""
        self._looked_s = float("-inf")
        self._waiting.clear()

    def step(self, *, busy: bool, frames: bool = False, loading: bool = False) -> None:
        """Take over what is there and go on, between two turns of the loop.

        Parameters
        ----------
        busy
            Whether frames wait: then little is taken over, and nothing new is begun.
        frames
            Whether frames came in this turn: then little is taken over.
        loading
            Whether another model is about to come into use: then no scan is closed before it was asked.
        """
        classifier = self._stage.classifier
        if classifier is None:
            return
        for _ in range(1 if busy or frames else _PIECES_A_TURN):
            if not self._take_over(classifier):
                break
        if busy:
            return
        if not self.is_busy and self._clock() - self._looked_s >= _LOOK_S:
            self._looked_s = self._clock()
            self._look(classifier)
        while self._waiting and len(self._flying) < 2 * self._threads:
            self._begin(classifier)
        held = {*self._waiting, *(piece.uid for piece in self._flying)}
        for uid, scan in self._open_scans().items():
            scan.is_held = loading or uid in held

    def close(self) -> None:
        """End the threads; what they had begun is left; idempotent."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look(self, classifier: Classifier) -> None:
        scans = self._open_scans()
        self._refused = {uid: at for uid, at in self._refused.items() if uid in scans}
        for uid, scan in scans.items():
            indices = scan.run.not_by(classifier.stamp)
            if indices.size and self._refused.get(uid) is not classifier:
                self._waiting[uid] = indices
        self._total = sum(len(rows) for rows in self._waiting.values())

    def _begin(self, classifier: Classifier) -> None:
        uid, indices = next(iter(self._waiting.items()))
        piece, rest = indices[:POINTS_AT_ONCE], indices[POINTS_AT_ONCE:]
        if rest.size:
            self._waiting[uid] = rest
        else:
            del self._waiting[uid]
        outcome = self._pool.submit(self._work, uid, piece, classifier)
        self._flying.append(_Piece(uid=uid, indices=piece, classifier=classifier, outcome=outcome))

    def _work(self, uid: ScanUid, indices: _Indices, classifier: Classifier) -> _Judged:
        names = (*_PATTERN, *self._patterns.angle_names)
        first, end = int(indices[0]), int(indices[-1]) + 1
        if end - first <= 2 * len(indices):
            rows = self._read_rows(uid, names, first, end)
            rows = {name: values[indices - first] for name, values in rows.items()}
        else:  # few points far from each other
            each = [self._read_rows(uid, names, index, index + 1) for index in indices.tolist()]
            rows = {name: np.concatenate([one[name] for one in each]) for name in names}
        return self._patterns.judge(rows, classifier)

    def _take_over(self, classifier: Classifier) -> bool:
        """Take over one outcome that is there; return False if none is."""
        piece = next((piece for piece in self._flying if piece.outcome.done()), None)
        if piece is None:
            return False
        self._flying.remove(piece)
        scan = self._open_scans().get(piece.uid)
        failure = piece.outcome.exception()
        if scan is None or piece.classifier is not classifier:
            return True
        if failure is None:
            confidences, drift = piece.outcome.result()
            scan.replace_scores(piece.indices, confidences, classifier.stamp, drift=drift)
            self.rescored += len(piece.indices)
        elif isinstance(failure, PhasecastError):
            logger.warning("points of scan %s keep their confidences: %s", piece.uid, failure)
            self.refusal = str(failure)
            self._refused[piece.uid] = classifier
            self._waiting.pop(piece.uid, None)
        else:
            raise failure
        return True


class StoredPatterns:
    """What a model says of patterns on the archive axis.

    Parameters
    ----------
    integrator
        Knows the geometries; used under a lock.
    """

    def __init__(self, integrator: Integrator) -> None:
        self._integrator = integrator
        arm = integrator.arm
        self.angle_names = tuple(angle_column(axis.field) for axis in arm.axes) if arm is not None else ()
        """Columns that say where the detector was; none if it stands still."""
        self._lock = Lock()
        self._known: dict[tuple[object, ...], Rebinning] = {}

    def judge(self, rows: Mapping[str, NDArray[Any]], classifier: Classifier) -> _Judged:
        """Return confidences, shape (n, classes), and how strange the patterns are to the model, shape (n,).

        Parameters
        ----------
        rows
            ``intensity``, ``sigma`` and ``norm`` of shape (n, bins), and the columns `angle_names`.
        classifier
            The model.

        Raises
        ------
        BundleMismatchError
            If the model's axis is not made of whole bins of the archive axis.
        """
        if not self.angle_names:
            return self._at((), rows, classifier)
        angles, place = np.unique(
            np.stack([rows[name] for name in self.angle_names], axis=1), axis=0, return_inverse=True
        )
        count = len(rows["norm"])
        confidences, drift = np.empty((count, len(classifier.classes)), np.float32), np.empty(count, np.float32)
        for number, angles_deg in enumerate(angles.tolist()):
            chosen = np.flatnonzero(place.reshape(-1) == number)
            part = {name: rows[name][chosen] for name in _PATTERN}
            confidences[chosen], drift[chosen] = self._at(tuple(angles_deg), part, classifier)
        return confidences, drift

    def _at(self, angles_deg: tuple[float, ...], rows: Mapping[str, NDArray[Any]], classifier: Classifier) -> _Judged:
        with self._lock:
            key = (angles_deg, classifier.axis)
            if key not in self._known:
                arm = self._integrator.arm
                geometry = None if arm is None else arm.geometry_at(angles_deg)
                self._known[key] = self._integrator.rebinning(classifier.axis, geometry=geometry)
            rebinning = self._known[key]
        return classifier.judge(rebinning.apply(rows["intensity"], rows["sigma"], rows["norm"]))
