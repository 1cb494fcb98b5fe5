"""Fixtures shared by every test."""

import os
from pathlib import Path

import pytest

_DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def measured_data() -> Path:
    """Folder with real measured frames and patterns; skips where it is missing."""
    folder = Path(os.environ.get("PHASECAST_TEST_DATA", _DEFAULT_DATA))
    if not folder.is_dir():
        pytest.skip(f"no measured data at {folder}; set PHASECAST_TEST_DATA to the folder that holds it")
    return folder
