"""One browser for all tests of the page; each test gets tabs that must stay clean."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.browser import WINDOW, Tab


@pytest.fixture
def new_tab(browser: Any) -> Iterator[Callable[..., Tab]]:
    """Opens a tab in a browser context of its own: another person.

    At the end nothing may have gone wrong in any of them, and nothing may have been asked of the internet.
    """
    tabs: list[Tab] = []

    def make(**settings: Any) -> Tab:
        tabs.append(Tab(browser.new_context(**{"viewport": WINDOW, **settings})))
        return tabs[-1]

    yield make
    for opened in tabs:
        opened.context.close()
    assert [line for opened in tabs for line in opened.journal.lines] == []


@pytest.fixture
def tab(new_tab: Callable[..., Tab]) -> Tab:
    """The only tab."""
    return new_tab()
