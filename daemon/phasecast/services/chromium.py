"""Drives the system's Chromium: what tests, screenshots and `phasecast bench page` look at pages with."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasecast.core.errors import PhasecastError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # a page that is measured must not be slowed down because no window shows it
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--autoplay-policy=no-user-gesture-required",
)
_LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:")


def find_chromium() -> str:
    """Return the path of the system's Chromium.

    Raises
    ------
    PhasecastError
        If there is none, or nothing to drive it with.
    """
    try:
        import playwright  # noqa: F401
    except ImportError as error:
        raise PhasecastError(
            "playwright is not installed", where="a real browser", remedy="pip install 'phasecast[browser]'"
        ) from error
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        raise PhasecastError(
            "no Chromium on this machine", where="a real browser", remedy="Debian: apt-get install chromium"
        )
    return path


@contextmanager
def open_chromium() -> Iterator["Browser"]:
    """Start a headless Chromium and end it.

    Raises
    ------
    PhasecastError
        If there is none.
    """
    path = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            # the browser may have been killed already; then there is nothing left to close
            with suppress(Exception):
                browser.close()


@dataclass  # no slots: playwright notes its own names on whoever listens
class BrowserJournal:
    """What went wrong in the pages of one browser context, line by line.

    Parameters
    ----------
    errors
        Errors of the console, exceptions nobody caught, and requests that failed.
    foreign
        Requests to anything but this machine: the page has to work without internet.
    """

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def watch(self, context: "BrowserContext") -> None:
        """Listen to every page that the context has or will open."""
        context.on("page", self._listen)
        context.on("request", self._requested)
        context.on("requestfailed", lambda request: self.errors.append(f"request failed: {request.url}"))
        context.on("response", self._responded)
        for page in context.pages:
            self._listen(page)

    @property
    def lines(self) -> list[str]:
        """Everything, for a message."""
        return [*self.errors, *(f"asked the internet: {url}" for url in self.foreign)]

    def _listen(self, page: "Page") -> None:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(f"exception: {error}"))
        page.on("websocket", lambda socket: self._note(socket.url))

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(f"console: {message.text}")

    def _requested(self, request: Any) -> None:
        self._note(request.url)

    def _responded(self, response: Any) -> None:
        if response.status >= 400:
            self.errors.append(f"status {response.status}: {response.url}")

    def _note(self, url: str) -> None:
        if not url.startswith(_LOCAL):
            self.foreign.append(url)


def probe_script() -> str:
    """Return the JavaScript that looks at maps from inside the page: ``window.phasecastProbe``."""
    return Path(__file__).with_name("page_probe.js").read_text(encoding="utf-8")
