"""Who goes first on a busy machine: the daemon, then everybody else."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

KEEP_PRIORITY = "PHASECAST_KEEP_PRIORITY"
"""Name of the environment variable that, if it is set, lets reports, pages and trainings run as fast as the daemon."""

_PROCESSES = Path("/proc")


def be_nice(steps: int) -> None:
    """Lower the priority of this process and all that it starts from now on.

    Linux with automatic groups shares the processor between sessions first, and a process's nice value counts only
    within its session; so a process that leads a session lowers that as well. Nothing is lowered where `KEEP_PRIORITY`
    is set: on a machine that many scans keep busy, what waits would never be done.
    """
    if os.environ.get(KEEP_PRIORITY):
        return
    with suppress(OSError):
        os.nice(steps)
    if os.getsid(0) == os.getpid():
        _lower_group(os.getpid(), steps)


def lower_sessions_below(steps: int) -> None:
    """Lower the sessions that processes below this one have opened, such as that of a browser."""
    own = os.getsid(0)
    for pid in _descendants(os.getpid()):
        with suppress(OSError):
            if os.getsid(pid) != own:
                _lower_group(pid, steps)


def _lower_group(pid: int, steps: int) -> None:
    # without automatic groups there is no such file, and nice values count everywhere
    with suppress(OSError):
        (_PROCESSES / str(pid) / "autogroup").write_text(str(steps), encoding="ascii")


def _descendants(pid: int) -> Iterator[int]:
    parent_of = {}
    for entry in _PROCESSES.glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            # the name in brackets may hold blanks; fields are counted behind it
            parent_of[int(entry.parent.name)] = int(entry.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    for child in parent_of:
        above = parent_of[child]
        while above in parent_of and above != pid:
            above = parent_of[above]
        if above == pid:
            yield child
