"""Points worth a label, found beside the server's loop and shared by all sessions."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointState
from phasecast.web.live_scan import LiveScan
from phasecast.web.model_tools import Proposed

logger = logging.getLogger(__name__)

_AGAIN_S = 5.0
"""While a map changes its queue is made anew no more often than this."""
_KEPT = 8

Propose = Callable[[NDArray[np.floating], tuple[str, ...], Collection[int]], Sequence[Proposed]]


@dataclass(slots=True)
class _Queue:
    state: tuple[Any, ...] = ()
    found: tuple[Proposed, ...] | None = None
    failure: str = ""
    begun_s: float = -_AGAIN_S
    running: bool = False


class ProposalBook:
    """Queues of the scans that anybody looks at.

    Parameters
    ----------
    propose
        See `ModelTools`; called in a thread.
    """

    def __init__(self, propose: Propose) -> None:
        self._propose = propose
        self._queues: OrderedDict[str, _Queue] = OrderedDict()

    def of(self, scan: LiveScan, left_out: frozenset[int]) -> tuple[Proposed, ...] | None:
        """Return the queue of a scan, of an earlier state if need be; None if nothing is known yet.

        Parameters
        ----------
        scan
            The scan.
        left_out
            Rows that are labelled, or drawn for a blind check; asked again at once when they change.
        """
        queue = self._queues.setdefault(scan.address, _Queue())
        self._queues.move_to_end(scan.address)
        while len(self._queues) > _KEPT:
            self._queues.popitem(last=False)
        state = (scan.header.result_uid, scan.version, left_out)
        now_s = time.monotonic()
        due = queue.state[2:] != state[2:] or now_s - queue.begun_s >= _AGAIN_S
        if state != queue.state and not queue.running and due:
            queue.state, queue.begun_s, queue.running = state, now_s, True
            columns = scan.columns
            confidences = np.where((columns.state == PointState.DONE)[:, None], columns.confidence, np.nan)
            classes = tuple(phase.id for phase in scan.header.classes)
            threading.Thread(
                target=self._find, args=(queue, confidences, classes, left_out), name="proposals", daemon=True
            ).start()
        return tuple(one for one in queue.found if one.row not in left_out) if queue.found is not None else None

    def failure_of(self, scan: LiveScan) -> str:
        """Why there is no queue; empty if it did not fail."""
        queue = self._queues.get(scan.address)
        return queue.failure if queue is not None else ""

    def _find(
        self, queue: _Queue, confidences: NDArray[np.floating], classes: tuple[str, ...], left_out: frozenset[int]
    ) -> None:
        try:
            queue.found = tuple(self._propose(confidences, classes, left_out)) if classes else ()
            queue.failure = ""
        except Exception as error:
            logger.exception("no queue of points to label")
            queue.failure = f"{type(error).__name__}: {error}"
        queue.running = False
