"""Help, lists and the core start at once: heavy libraries load in the command that needs them."""

import pkgutil
import subprocess
import sys

import pytest

import phasecast.core

HEAVY = {
    "tiled",
    "torch",
    "pyFAI",
    "h5py",
    "matplotlib",
    "zmq",
    "bluesky",
    "fabio",
    "scipy",
    "xarray",
    "pandas",
    "event_model",
    "ophyd",
}


def loaded_by(code):
    """Heavy libraries that a fresh process has loaded after some code."""
    code += f"\nimport sys\nprint('LOADED', *sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("LOADED")]
    return line.split()[1:]


def test_core_needs_numpy_and_the_standard_library_alone():
    modules = [f"phasecast.core.{module.name}" for module in pkgutil.iter_modules(phasecast.core.__path__)]
    assert len(modules) > 5
    code = "".join(f"import {module}\n" for module in modules)
    assert loaded_by(code) == []
    assert loaded_by("import h5py") == ["h5py"]


@pytest.mark.parametrize("words", [["--help"], ["profiles"], ["live", "xrd", "--help"], ["demo", "--help"]])
def test_help_and_profiles_load_nothing_heavy(words):
    code = f"import sys\nsys.argv = ['phasecast', *{words!r}]\nfrom phasecast.cli import main\n"
    code += "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
    assert loaded_by(code) == []


def test_the_page_starts_without_what_reduces_frames():
    # they doubled its memory to 600 MB when an import brought them in
    assert not {"torch", "pyFAI", "tiled"} & set(loaded_by("import phasecast.services.page"))


def test_what_the_daemon_has_of_the_catalog_loads_no_tiled():
    assert "tiled" not in loaded_by("import phasecast.services.catalog_follow, phasecast.services.catalog")


@pytest.mark.parametrize("service", ["live_xrd", "page"])
def test_services_load_labelled_arrays_only_when_asked_for_them(service):
    assert not {"xarray", "pandas"} & set(loaded_by(f"import phasecast.services.{service}"))
