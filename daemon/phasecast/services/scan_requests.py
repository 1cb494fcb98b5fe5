"""What people ask of the running daemon: to declare and to close scans, to train and to choose models."""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from phasecast.core.errors import RecordsError
from phasecast.core.requests import Answer, CloseScan, DeclareScan, Request
from phasecast.core.scan import ScanUid
from phasecast.records.clerk import answer
from phasecast.records.mailbox import Mailbox, RequestId

logger = logging.getLogger(__name__)

_KINDS = ("close_scan", "declare_scan")
SCAN_REQUEST_BYTES = 16_384
"""No request about a scan is larger; larger files in the mailbox are for others and are not read."""


class TakeDeclaration(Protocol):
    """Takes a declaration or refuses it; None if it has to wait a moment."""

    def __call__(self, request_id: RequestId, request: DeclareScan, *, caught_up: bool) -> Answer | None:
        """See `Declaring.take`."""
        ...


class ScanRequests:
    """Looks into the mailbox now and then, never between two points of a busy stream.

    Parameters
    ----------
    mailbox
        The mailbox.
    close
        Closes the scan of that uid in the name of a person; returns False if it is not open.
    declare
        Takes or refuses declarations.
    others
        Serves requests of further kinds; None from it: the request has to wait.
    other_kinds
        Those kinds.
    interval_s
        Least time between two looks.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        close: Callable[[ScanUid, str], bool],
        declare: TakeDeclaration,
        *,
        others: Callable[[RequestId, Request], Answer | None] = lambda _id, _request: None,
        other_kinds: tuple[str, ...] = (),
        interval_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mailbox = mailbox
        self._close = close
        self._declare = declare
        self._others = others
        self._kinds = (*_KINDS, *other_kinds)
        self._interval_s = interval_s
        self._clock = clock
        self._looked_s = float("-inf")
        self._answers: dict[str, Answer] = {}

    def step(self, *, caught_up: bool) -> None:
        """Serve what waits, if it is time; a mailbox that cannot be read or written is tried again.

        Parameters
        ----------
        caught_up
            Whether everything received has been worked off; before that, a scan that is not open may still come.
        """
        if self._clock() - self._looked_s < self._interval_s:
            return
        self._looked_s = self._clock()
        try:
            for request_id, request in self._mailbox.pending(self._kinds):
                # once done, only the answer may have to be written again
                done = self._answers.get(request_id) or self._serve(request_id, request, caught_up=caught_up)
                if done is None:
                    continue
                self._answers[request_id] = done
                self._mailbox.settle(request_id, done)
                del self._answers[request_id]
        except RecordsError as error:
            logger.warning("mailbox: %s", error)

    def _serve(self, request_id: RequestId, request: Request, *, caught_up: bool) -> Answer | None:
        if isinstance(request, DeclareScan):
            return self._declare(request_id, request, caught_up=caught_up)
        if not isinstance(request, CloseScan):
            return self._others(request_id, request)
        if self._close(ScanUid(request.scan_uid), request.who):
            logger.warning("scan %s is declared over by %s", request.scan_uid, request.who)
            return answer("scan_closed")
        return answer("denied", {"reason": f"no open scan {request.scan_uid}"}, ok=False) if caught_up else None
