"""Whether the page gives back what its sessions took."""

import asyncio
import time
from typing import Any

from phasecast.core.errors import PhasecastError
from phasecast.services.page_process import PageProcess
from phasecast.services.process_usage import memory_mb
from phasecast.web.session_client import PageSession

_STILL_S = 5.0
"""Memory counts as settled when it has not fallen for this long after a batch of sessions."""
_SETTLE_LIMIT_S = 30.0
_OPEN_S = 0.3


def memory_over_sessions(page: PageProcess, url: str, *, sessions: int = 50) -> dict[str, Any]:
    """Open and close sessions one after another; return the resident memory of the page.

    The first half warms up: libraries, caches, and the sessions that the server keeps for a while in case a browser
    comes back. Growth is what the second half adds, both halves looked at when the server has let go of their sessions.

    Parameters
    ----------
    page
        The process.
    url
        Address with the scan to open.
    sessions
        How many in all.

    Raises
    ------
    PhasecastError
        If the page ends or answers with something else.
    """
    before = memory_mb(page.pid)
    halves, series = [], []
    for count in (sessions // 2, sessions - sessions // 2):
        series += asyncio.run(_open_and_close(page, url, count))
        halves.append(_settled_mb(page))
    grown = None if None in halves else halves[1] - halves[0]  # type: ignore[operator]
    peak = max((value for value in series if value is not None), default=None)
    return {
        "sessions": sessions,
        "before_mb": before,
        "after_each_mb": series,
        "after_halves_mb": halves,
        "peak_mb": peak,
        "grown_in_second_half_mb": grown,
    }


async def _open_and_close(page: PageProcess, url: str, count: int) -> list[float | None]:
    series = []
    for _ in range(count):
        async with PageSession(url=url) as session:
            follower = asyncio.create_task(session.follow())
            await asyncio.wait([follower], timeout=_OPEN_S)
            if follower.done():
                raise PhasecastError("the page ended a session", where=str(page.child.log))
            session.close()
            await asyncio.wait([follower], timeout=_OPEN_S)
        page.child.must_live()
        series.append(memory_mb(page.pid))
    return series


def _settled_mb(page: PageProcess) -> float | None:
    """Memory once the server has thrown away the sessions of which nobody has heard since."""
    lowest, since_s = memory_mb(page.pid), time.monotonic()
    deadline_s = since_s + _SETTLE_LIMIT_S
    # the page throws sessions away some seconds after their end: a short stillness says nothing yet
    least_s = since_s + _SETTLE_LIMIT_S / 3
    while time.monotonic() < deadline_s:
        time.sleep(0.5)
        now = memory_mb(page.pid)
        if now is None or lowest is None:
            return now
        if now < lowest - 0.5:
            lowest, since_s = now, time.monotonic()
        elif time.monotonic() > least_s and time.monotonic() - since_s > _STILL_S:
            break
    return memory_mb(page.pid)
