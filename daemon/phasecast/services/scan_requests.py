"""What people ask of the running daemon: to close a scan."""

import logging
import time
from collections.abc import Callable

from phasecast.core.errors import RecordsError
from phasecast.core.requests import Answer, CloseScan
from phasecast.core.scan import ScanUid
from phasecast.records.clerk import answer
from phasecast.records.mailbox import Mailbox

logger = logging.getLogger(__name__)

_KINDS = ("close_scan",)
CLOSE_SCAN_BYTES = 4096
"""No request to close a scan is larger; larger files in the mailbox are for others and are not read."""


class ScanRequests:
    """Looks into the mailbox now and then, never between two points of a busy stream.

    Parameters
    ----------
    mailbox
        The mailbox.
    close
        Closes the scan of that uid in the name of a person; returns False if it is not open.
    interval_s
        Least time between two looks.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        close: Callable[[ScanUid, str], bool],
        *,
        interval_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mailbox = mailbox
        self._close = close
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
            for request_id, request in self._mailbox.pending(_KINDS):
                if not isinstance(request, CloseScan):
                    continue
                # once closed, only the answer may have to be written again
                if request_id not in self._answers:
                    if self._close(ScanUid(request.scan_uid), request.who):
                        logger.warning("scan %s is declared over by %s", request.scan_uid, request.who)
                        self._answers[request_id] = answer("scan_closed")
                    elif caught_up:
                        reason = f"no open scan {request.scan_uid}"
                        self._answers[request_id] = answer("denied", {"reason": reason}, ok=False)
                    else:
                        continue
                self._mailbox.settle(request_id, self._answers[request_id])
                del self._answers[request_id]
        except RecordsError as error:
            logger.warning("mailbox: %s", error)
