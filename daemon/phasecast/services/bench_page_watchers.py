"""Those who look at the page while it is measured, each in a process of its own and below everyone else's priority.

On a beamline browsers run on other computers. Here they share the cores with what is measured, and must not be what
it waits for: ``python -m phasecast.services.bench_page_watchers browser|sessions URL [COUNT]`` lowers its priority,
loads, says ``loaded``, waits for a line, and answers with what it saw as JSON.
"""

import asyncio
import json
import os
import select
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from phasecast.core.errors import PhasecastError
from phasecast.services.chromium import BrowserJournal, open_chromium, probe_script
from phasecast.services.priority import be_nice, lower_sessions_below

NICE = 7
MAP = "map"
WINDOW = (1440, 1000)
_ANSWER_TIMEOUT_S = 120.0
_LAST_COMMIT_TIMEOUT_MS = 60_000


class Watchers:
    """Parent's side of such a process.

    Parameters
    ----------
    stack
        Ends the process.
    log
        File for its standard error.
    arguments
        What the module is told.
    """

    def __init__(self, stack: ExitStack, log: Path, *arguments: str) -> None:
        self._log = log
        errors = stack.enter_context(log.open("wb"))
        command = [*_without_raising(), sys.executable, "-m", "phasecast.services.bench_page_watchers", *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        stack.callback(self._end)

    def loaded(self) -> None:
        """Wait until everything is loaded.

        Raises
        ------
        PhasecastError
            If it ends before.
        """
        if self._line() != "loaded":
            raise PhasecastError("no page was loaded", where=str(self._log))

    def stop(self, last_sequence: int) -> Any:
        """Let the process end once it has seen that commit; return what it saw.

        Raises
        ------
        PhasecastError
            If it ended before.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{last_sequence}\n".encode())
            self._process.stdin.flush()
        except OSError as error:
            raise PhasecastError("whoever looked at the page has ended", where=str(self._log)) from error
        return json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        # a process that hangs must not hang the benchmark
        watchdog = threading.Timer(_ANSWER_TIMEOUT_S, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline().decode().strip()
        finally:
            watchdog.cancel()
        if not line:
            reason = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise PhasecastError(
                f"whoever looked at the page ended early: {' '.join(reason) or 'no reason given'}", where=str(self._log)
            )
        return line

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def _without_raising() -> list[str]:
    """Return what to put before a command that must stay at its low priority.

    Chromium gives itself the priority it wants wherever it may: under root its threads ran at nice -8, above the
    daemon that was measured. Nobody else may do that, so here root may not either.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--bounding-set=-sys_nice", "--"] if setpriv and os.geteuid() == 0 else []


def _look_with_browser(url: str, orders: IO[str]) -> dict[str, Any]:
    with open_chromium() as browser:
        lower_sessions_below(NICE)
        context = browser.new_context(viewport={"width": WINDOW[0], "height": WINDOW[1]})
        journal = BrowserJournal()
        journal.watch(context)
        page = context.new_page()
        page.add_init_script(probe_script())
        page.goto(url)
        page.wait_for_function("() => phasecastProbe.pixels('map') !== null")
        page.evaluate(f"phasecastProbe.watch('{MAP}')")
        _say("loaded")
        while not select.select([orders], [], [], 0)[0]:
            # events of the browser are worked off only while playwright waits for something
            page.wait_for_timeout(200)
        last = int(orders.readline())
        try:
            page.wait_for_function(
                "last => phasecastProbe.shown.some(entry => entry.sequence >= last)",
                arg=last,
                timeout=_LAST_COMMIT_TIMEOUT_MS,
            )
        except Exception as error:
            print(f"the last commit was not shown: {error}", file=sys.stderr)  # noqa: T201
        return {"shown": page.evaluate("phasecastProbe.shown"), "errors": journal.lines}


async def _look_with_sessions(url: str, count: int, orders: IO[str]) -> list[dict[str, Any]]:
    from phasecast.web.session_client import PageSession

    sessions = [PageSession(url=url) for _ in range(count)]
    for session in sessions:
        await session.load()
    followers = [asyncio.create_task(session.follow()) for session in sessions]
    _say("loaded")
    await asyncio.to_thread(orders.readline)
    for session in sessions:
        session.close()
    await asyncio.wait(followers, timeout=5)
    return [{"patches": session.patches, "bytes": session.bytes_received} for session in sessions]


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _main(kind: str, url: str, count: int) -> None:
    be_nice(NICE)
    if kind == "browser":
        _say(json.dumps(_look_with_browser(url, sys.stdin)))
    else:
        _say(json.dumps(asyncio.run(_look_with_sessions(url, count, sys.stdin))))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1)
