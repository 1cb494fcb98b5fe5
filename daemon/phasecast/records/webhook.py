"""Tells another program of new alarms: one POST of JSON an alarm, in a thread that nobody waits for."""

import json
import logging
import queue
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from phasecast.core.errors import RecordsError
from phasecast.core.words import LANGUAGES, words
from phasecast.records.alarms import Alarm

logger = logging.getLogger(__name__)

_WAITING = 100
"""Alarms that may wait; the oldest is dropped and counted when more come."""


class Webhook:
    """Posts new alarms to one address; used as a context.

    Parameters
    ----------
    url
        ``http://`` or ``https://``.
    timeout_s
        For one attempt.
    attempts
        How often one alarm is tried.
    pause_s
        Before the second attempt; doubled before each further one.

    Raises
    ------
    RecordsError
        If that is no address.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0, attempts: int = 4, pause_s: float = 1.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RecordsError(f"no address for alarms: {url!r}", remedy="give http://host:port/path")
        self._url = url
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._pause_s = pause_s
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(_WAITING)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
        self._error = ""
        self._counters = Counter({"posted": 0, "failed": 0, "dropped": 0, "attempts": 0})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        # an attempt under way ends by itself within its timeout; the thread is a daemon and holds nothing up
        self._thread.join(0.5)

    def post(self, alarm: Alarm) -> None:
        """Have an alarm posted; returns at once."""
        content = message(alarm)
        while True:
            try:
                self._waiting.put_nowait(content)
                return
            except queue.Full:
                try:
                    self._waiting.get_nowait()
                    self._counters["dropped"] += 1
                except queue.Empty:
                    continue

    def status(self) -> dict[str, object]:
        """Counters and the last error, JSON-able; the address without what may be secret in it."""
        parts = urlsplit(self._url)
        return {"host": parts.hostname, **self._counters, "waiting": self._waiting.qsize(), "error": self._error}

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                content = self._waiting.get(timeout=0.1)
            except queue.Empty:
                continue
            self._deliver(content)

    def _deliver(self, content: Mapping[str, Any]) -> None:
        body = json.dumps(content, ensure_ascii=False).encode()
        pause_s = self._pause_s
        for attempt in range(self._attempts):
            if attempt and self._stop.wait(pause_s * 2 ** (attempt - 1)):
                break
            self._counters["attempts"] += 1
            try:
                headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "phasecast"}
                request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
                with urllib.request.urlopen(request, timeout=self._timeout_s):
                    pass
            except urllib.error.HTTPError as error:
                error.close()
                self._error = f"answered {error.code}"
                if error.code < 500 and error.code not in (408, 429):
                    break  # it will not like the same words better
            except Exception as error:  # urllib lets much through: http.client, ssl, sockets, encodings
                self._error = f"{type(error).__name__}: {error}"[:200]
            else:
                self._counters["posted"] += 1
                self._error = ""
                return
        self._counters["failed"] += 1
        logger.warning(
            "alarm %s could not be posted to %s: %s", content["id"], urlsplit(self._url).hostname, self._error
        )


def message(alarm: Alarm) -> dict[str, Any]:
    """Return what is posted: the alarm, and its words in every language; ``text`` is what chat programs show."""
    spoken = {language: words(language) for language in LANGUAGES}
    english = spoken["en"]
    return {
        "program": "phasecast",
        "id": alarm.id,
        "kind": alarm.kind,
        "scan_uid": alarm.scan_uid,
        "since_s": alarm.since_s,
        "since": datetime.fromtimestamp(alarm.since_s, UTC).isoformat(timespec="seconds"),
        "text": f"{alarm.what(english)}. {alarm.remedy(english)}",
        **{f"what_{language}": alarm.what(said) for language, said in spoken.items()},
        **{f"remedy_{language}": alarm.remedy(said) for language, said in spoken.items()},
    }
