"""bluesky's RunEngine for one plan: its documents on a simulated clock, its pauses, and an end that leaves nothing."""

import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from bluesky import RunEngine
from bluesky.utils import RequestAbort, RunEngineInterrupted

from phasecast.simulate.scan import RunDiesError

logger = logging.getLogger(__name__)


def run_plan(
    plan: Any,
    wire: Callable[[str, dict[str, Any]], None],
    *,
    pause_s: float,
    send_stop: bool,
    ahead_s: Callable[[], float],
) -> str:
    """Run one plan to its end, resuming after pauses; return the uid of the run.

    Parameters
    ----------
    plan
        The plan.
    wire
        Takes name and content of every document.
    pause_s
        How long a pause lasts.
    send_stop
        Whether the stop document leaves.
    ahead_s
        By how much the simulated clock is ahead of ours, now.
    """
    uid = ""

    def publish(name: str, document: dict[str, Any]) -> None:
        nonlocal uid
        if name == "start":
            uid = document["uid"]
        if name != "stop" or send_stop:
            wire(name, _on_simulated_clock(name, document, ahead_s()))

    with _run_engine() as engine:
        engine.subscribe(publish)
        try:
            _until_paused(engine, plan)
            while engine.state == "paused":
                time.sleep(pause_s)
                _until_paused(engine, None)
        except (RunDiesError, RequestAbort):
            logger.info("run %s ended early on order", uid)
    return uid


def _on_simulated_clock(name: str, document: dict[str, Any], ahead_s: float) -> dict[str, Any]:
    """Return a document with its times moved on."""
    if not ahead_s or "time" not in document:
        return document
    moved = {**document, "time": document["time"] + ahead_s}
    if name == "event":
        moved["timestamps"] = {key: value + ahead_s for key, value in document["timestamps"].items()}
    return moved


def _until_paused(engine: RunEngine, plan: Any) -> None:
    # The RunEngine prints about pauses; standard output belongs to the command line.
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(RunEngineInterrupted):
        if plan is None:
            engine.resume()
        else:
            engine(plan)


@contextlib.contextmanager
def _run_engine() -> Iterator[RunEngine]:
    """A RunEngine with a loop of its own that ends with it; without signal handlers outside the main thread."""
    loop = asyncio.new_event_loop()
    in_main = threading.current_thread() is threading.main_thread()
    engine = RunEngine({}, loop=loop, context_managers=None if in_main else [])
    # It logs a stack trace of every failure that it also raises.
    chatter = logging.getLogger("bluesky")
    level = chatter.level
    chatter.setLevel(logging.CRITICAL)
    try:
        yield engine
    finally:
        chatter.setLevel(level)
        loop.call_soon_threadsafe(loop.stop)
        deadline = time.monotonic() + 5
        while loop.is_running() and time.monotonic() < deadline:
            time.sleep(0.001)
        if not loop.is_running():
            loop.close()
