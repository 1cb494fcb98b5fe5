"""A data directory with results in it."""

import pytest

from phasecast.core.data_directory import DataDirectory
from support.results import write_result


@pytest.fixture
def directory(tmp_path):
    return DataDirectory(tmp_path / "data").create()


@pytest.fixture
def scanned(directory):
    """With one closed result ``a.nxs`` of scan ``raw-1``, 4 x 5 points, of which 7 and 8 were lost."""
    write_result(directory, "a.nxs", missing=(7, 8))
    return directory
