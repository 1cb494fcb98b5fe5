"""Fixtures shared by every test."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phasecast.services.chromium import open_chromium
from phasecast.services.priority import KEEP_PRIORITY
from support.browser import chromium_or_skip

# Tests that wait for a report must not wait for all the others to be done.
os.environ[KEEP_PRIORITY] = "1"

_DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def measured_data() -> Path:
    """Folder with real measured frames and patterns; skips where it is missing."""
    folder = Path(os.environ.get("PHASECAST_TEST_DATA", _DEFAULT_DATA))
    if not folder.is_dir():
        pytest.skip(f"no measured data at {folder}; set PHASECAST_TEST_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, without a window; one for all tests, because Playwright runs once a thread."""
    chromium_or_skip()
    with open_chromium() as chromium:
        yield chromium
