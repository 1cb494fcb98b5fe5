"""Looks at status and result once a second and keeps the alarms up to date."""

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.records.alarm_book import AlarmBook
from phasecast.records.alarm_signs import SignReader, Signs, alarm_inputs, measured_scan
from phasecast.records.alarms import Alarm, AlarmRules
from phasecast.records.status import read_status
from phasecast.records.webhook import Webhook
from phasecast.results.follow import ResultFollower

logger = logging.getLogger(__name__)

STATUS_NAME = "live-xrd.json"


class AlarmWatch:
    """Evaluates the alarms of one data directory; all calls from one thread.

    Parameters
    ----------
    directory
        The data directory.
    rules
        Limits.
    webhook
        Is told of new alarms; None if nobody is.
    clock
        POSIX seconds.
    """

    def __init__(
        self,
        directory: DataDirectory,
        *,
        rules: AlarmRules | None = None,
        webhook: Webhook | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.book = AlarmBook(directory, rules=rules)
        """The alarms, for the banner."""
        self._directory = directory
        self._webhook = webhook
        self._clock = clock
        self._follower: ResultFollower | None = None
        self._signs: SignReader | None = None

    def step(self, *, leads: bool = True) -> list[Alarm]:
        """Bring the alarms up to date and return the new ones. Never raises for what files hold.

        Parameters
        ----------
        leads
            Whether this process decides (its clerk works). If not, it learns from the one that does.
        """
        if not leads:
            self._let_go()
            try:
                self.book.refresh()
            except PhasecastError as error:
                logger.debug("%s", error)
            return []
        status = read_status(self._directory.status / STATUS_NAME)
        name = str(measured_scan(status).get("result", ""))
        signs = self._read_signs(self._directory.results / name) if name and "/" not in name else None
        if signs is None:
            self._let_go()
        inputs = alarm_inputs(
            status, now_s=self._clock(), signs=signs, disk_free_bytes=_free_bytes(self._directory.root)
        )
        new = self.book.step(inputs)
        for alarm in new if self._webhook is not None else ():
            assert self._webhook is not None
            self._webhook.post(alarm)
        return new

    def close(self) -> None:
        """Let go of the result; idempotent."""
        self._let_go()

    def _read_signs(self, path: Path) -> Signs | None:
        try:
            if self._follower is None or self._follower.path != path:
                self._let_go()
                self._follower = ResultFollower(path)
                self._signs = SignReader(self._follower)
            elif self._follower.advance()[1]:
                self._signs = SignReader(self._follower)
            assert self._signs is not None
            return self._signs.read()
        except (PhasecastError, OSError, RuntimeError, KeyError, ValueError) as error:
            logger.debug("no signs of %s: %s", path, error)
            self._let_go()
            return None

    def _let_go(self) -> None:
        if self._follower is not None:
            self._follower.close()
        self._follower = self._signs = None


def _free_bytes(folder: Path) -> float | None:
    try:
        return float(shutil.disk_usage(folder).free)
    except OSError:
        return None
