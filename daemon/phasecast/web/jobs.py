"""Work that takes seconds, done beside the server's loop and known to all sessions."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from phasecast.core.errors import PhasecastError

logger = logging.getLogger(__name__)

JobKey = tuple[str, ...]
"""What is made, of what: ``("report", "scan.nxs")``."""

_AT_ONCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How far a piece of work has come.

    Parameters
    ----------
    number
        Counts all jobs of the process, so that a second one of the same kind can be told from the first.
    running
        Whether it is still waiting or being done.
    result
        What it made; None while it runs, or if it failed.
    failure
        Why it failed, one line; empty if it did not.
    """

    number: int
    running: bool = True
    result: Path | None = None
    failure: str = ""


class Jobs:
    """Does work in threads that die with the process; asked and told from the server's loop.

    The work itself should wait for a process of its own: two readers of HDF5 in one process wait for each other.
    """

    def __init__(self) -> None:
        self._jobs: dict[JobKey, Job] = {}
        self._count = 0
        self._room = threading.Semaphore(_AT_ONCE)

    def start(self, key: JobKey, work: Callable[[], Path]) -> Job:
        """Begin a job; one that runs already is not begun again."""
        known = self._jobs.get(key)
        if known is not None and known.running:
            return known
        self._count += 1
        job = self._jobs[key] = Job(number=self._count)
        threading.Thread(target=self._run, args=(key, job, work), name=f"job-{key[0]}", daemon=True).start()
        return job

    def state(self, key: JobKey) -> Job | None:
        """Return how a job stands; None if nobody asked for it."""
        return self._jobs.get(key)

    def _run(self, key: JobKey, job: Job, work: Callable[[], Path]) -> None:
        with self._room:
            try:
                done = replace(job, running=False, result=work())
            except PhasecastError as error:
                done = replace(job, running=False, failure=str(error))
            except Exception as error:
                logger.exception("%s", " ".join(key))
                done = replace(job, running=False, failure=f"{type(error).__name__}: {error}")
        self._jobs[key] = done
