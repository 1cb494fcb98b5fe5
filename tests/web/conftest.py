"""One browser for all tests of the page; each test gets tabs that must stay clean."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from phasecast.services.chromium import BrowserJournal, open_chromium
from support.browser import WINDOW, Tab, chromium_or_skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, without a window."""
    chromium_or_skip()
    with open_chromium() as chromium:
        yield chromium


@pytest.fixture
def console_errors() -> Iterator[BrowserJournal]:
    """What went wrong in any tab of a test; it must be nothing, and nothing may be asked of the internet."""
    journal = BrowserJournal()
    yield journal
    assert journal.lines == []


@pytest.fixture
def new_tab(browser: Any, console_errors: BrowserJournal) -> Iterator[Callable[[], Tab]]:
    """Opens a tab in a browser context of its own: another person."""
    contexts: list[Any] = []

    def make(**settings: Any) -> Tab:
        context = browser.new_context(**{"viewport": WINDOW, **settings})
        contexts.append(context)
        console_errors.watch(context)
        return Tab(context, console_errors)

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def tab(new_tab: Callable[[], Tab]) -> Tab:
    """The only tab."""
    return new_tab()
